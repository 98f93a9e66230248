"""How pytest-xdist spreads tests: a manifest's stay together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from xdist import scheduler

from pytest_experiment_profiler.selection import PATTERN, names_manifest

if TYPE_CHECKING:
    import pytest


def make_scheduler(config: pytest.Config, log: Any) -> Any:  # noqa: ANN401 -- xdist's types
    """Make the scheduler that the command line asks for, but one worker gets all of a manifest.

    None where xdist's own does so already, or no manifest is named.
    """
    base = {
        "load": "LoadScopeScheduling",
        "worksteal": "LoadScopeScheduling",
        "loadgroup": "LoadGroupScheduling",
    }.get(config.getoption("dist"))
    if base is None or not names_manifests(config):
        return None

    class ManifestScheduling(getattr(scheduler, base)):  # type: ignore[misc]
        """Spread tests as before, but those of a manifest together."""

        def _split_scope(self, nodeid: str) -> Any:  # noqa: ANN401 -- xdist's
            if names_manifest(nodeid):
                return nodeid.partition("::")[0]
            return super()._split_scope(nodeid) if base == "LoadGroupScheduling" else nodeid

    return ManifestScheduling(config, log)


def names_manifests(config: pytest.Config) -> bool:
    """Tell whether the command line names manifests, or folders that hold some."""
    if config.args_source.name != "ARGS":
        return False
    here = config.invocation_params.dir
    for argument in config.args:
        path = here / argument.partition("::")[0]
        if path.suffix in {".yaml", ".yml"} or (path.is_dir() and any(path.rglob(PATTERN))):
            return True
    return False
