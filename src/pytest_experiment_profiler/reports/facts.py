"""A fact as it stands in the logs → words for people."""

from __future__ import annotations

from typing import Any

_FORMS = {
    "any_of": ("", " / "),
    "all_of": ("all of: ", " + "),
    "none_of": ("none of: ", " / "),
    "regex": ("pattern: ", ""),
}


def say_fact(fact: Any) -> str:  # noqa: ANN401 -- a text, a list of wordings, or a form
    """Say what a fact asks for."""
    if isinstance(fact, str):
        return fact
    if isinstance(fact, list):
        return " / ".join(fact)
    [name] = _FORMS.keys() & fact.keys()
    before, between = _FORMS[name]
    words = fact[name] if isinstance(fact[name], str) else between.join(fact[name])
    turn = f" (turn {fact['turn']})" if "turn" in fact else ""
    return f"{before}{words}{turn}"
