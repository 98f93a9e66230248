"""The project that the tests of layouts run on."""

from __future__ import annotations

from importlib import import_module

import pytest

from tests.layouts.project import Project


@pytest.fixture(autouse=True, scope="session")
def _load_once():
    """Load what pytester would forget after each run; extension modules load only once."""
    package = "pytest_experiment_profiler"
    for name in ("items", "loop", "clients.mock", "reports.table", "reports.failure"):
        import_module(f"{package}.{name}")
    for name in ("yaml", "jsonschema", "rich.console", "rich.table", "rich.text", "hypothesis"):
        import_module(name)


@pytest.fixture
def project(pytester):
    made = Project(pytester)
    made.write()
    return made


@pytest.fixture
def bare(pytester):
    """The same without a manifest."""
    return Project(pytester)
