"""What is known of models before they are asked: which take a temperature, which are to end."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any


@cache
def load_models() -> dict[str, Any]:
    """Read the table of models, data of this package."""
    file = Path(__file__).with_name("models.json")
    table: dict[str, Any] = json.loads(file.read_text("utf-8"))
    return table


def takes_temperature(model: str) -> bool | None:
    """Tell whether a model takes a temperature other than its default; None: not known."""
    table = load_models()["temperature"]
    if _name(model) in table["accepted"]:
        return True
    return False if _name(model) in table["only_default"] else None


def find_deprecation(model: str) -> str | None:
    """Say that a model is deprecated, and when it ends; None where that is not known."""
    deprecated = load_models()["deprecated"]
    if _name(model) not in deprecated:
        return None
    end = deprecated[_name(model)]
    return f"{model} is deprecated" + (f" and ends on {end}" if end else "")


def _name(model: str) -> str:
    """Leave out the date of a version, or "latest"."""
    return re.sub(r"(-latest|[-@]\d{8})$", "", model)
