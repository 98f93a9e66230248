"""Each check of the grade as an item."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from grader.verdict import Verdict


def test_check(check: str, verdict: Verdict) -> None:
    """Read one check from the report; judging is over."""
    if verdict.checks[check] != 1:
        pytest.fail(f"{verdict.status}: {check}", pytrace=False)
