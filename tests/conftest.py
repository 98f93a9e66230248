"""What all tests share: pytester, and an environment that names no credentials and no proxy."""

from __future__ import annotations

import os

import pytest

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


def pytest_pycollect_makemodule():
    """Let property tests repeat: no random cases, no deadlines that a busy machine misses."""
    # A session of experiments loads this file, too, and may have no hypothesis.
    from hypothesis import settings  # noqa: PLC0415

    settings.register_profile("repeatable", deadline=None, derandomize=True, database=None)
    settings.load_profile("repeatable")


@pytest.fixture(autouse=True, scope="session")
def _plain_environment():
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith(FOREIGN) or name.upper().endswith("_PROXY"):
                patch.delenv(name)
        yield
