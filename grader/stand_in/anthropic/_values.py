"""Marks for arguments that were not given."""

# mypy: ignore-errors

from __future__ import annotations

import functools


class NotGiven:
    """Mark an argument whose default counts."""

    def __bool__(self) -> bool:
        return False


class Omit:
    """Mark an argument that is left out."""

    def __bool__(self) -> bool:
        return False


NOT_GIVEN = not_given = NotGiven()
omit = Omit()


def is_given(value: object) -> bool:
    """Tell whether an argument was given."""
    return not isinstance(value, NotGiven | Omit)


@functools.cache
def absent(name: str, base: type = object) -> type:
    """Make a class that can be mentioned; no other names than those of classes are absent ones."""
    if not name[:1].isupper():
        raise AttributeError(name)
    return type(name, (base,), {})
