"""Names of this package's modules go in; where Python alone would find them comes out.

pytest rewrites the assertions of all modules of an installed plugin. Ours need it not, and it takes
25 ms of a run where pytest may keep its byte code, 160 where it may not.
"""

from __future__ import annotations

import sys
from importlib.machinery import PathFinder
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

_OURS = f"{__package__}."


class Finder:
    """Finds the modules of this package, and no others."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find a module as Python does."""
        return PathFinder.find_spec(name, path, target) if name.startswith(_OURS) else None


def install_finder() -> Callable[[], None]:
    """Look for this package's modules here first, until the function that is returned is called."""
    finder = Finder()
    sys.meta_path.insert(0, finder)
    return lambda: sys.meta_path.remove(finder)
