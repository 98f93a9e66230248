"""What all tests share: pytester, and an environment that names no credentials and no proxy."""

from __future__ import annotations

import os

import pytest
from hypothesis import settings

# A gate repeats: no random cases, and no deadlines that a busy machine misses.
settings.register_profile("repeatable", deadline=None, derandomize=True, database=None)
settings.load_profile("repeatable")

pytest_plugins = ["pytester"]

FOREIGN = (
    "CI",
    "BUILD_NUMBER",
    "GITHUB_",
    "ANTHROPIC_",
    "PYTEST_ADDOPTS",
    "TEAMCITY_",
    "FORCE_COLOR",
    "NO_COLOR",
    "COLUMNS",
)


@pytest.fixture(autouse=True, scope="session")
def _plain_environment():
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith(FOREIGN) or name.upper().endswith("_PROXY"):
                patch.delenv(name)
        yield
