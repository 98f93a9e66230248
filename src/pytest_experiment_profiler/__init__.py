"""Run LLM experiments as pytest sessions. PYTEST_DONT_REWRITE."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pytest_experiment_profiler.errors import ClientError
    from pytest_experiment_profiler.experiment import Prompt, Reply, Transcript

__all__ = ["ClientError", "Prompt", "Reply", "Transcript"]


def __getattr__(name: str) -> Any:  # noqa: ANN401 -- PEP 562: one door for several types
    """Load a public name when it is first asked for."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = "errors" if name == "ClientError" else "experiment"
    return getattr(import_module(f"{__name__}.{home}"), name)
