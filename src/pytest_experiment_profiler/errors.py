"""The errors that people are meant to see.

ExperimentError
├── UsageError        the call is wrong: a path, an option, a missing credential
├── ManifestError     a manifest or its dataset is wrong: every problem at once
├── RunFolderError    a run folder can't be written, read or shared
└── ClientError       one call to a model failed
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

Scope = Literal["call", "run", "account"]

UNREACHABLE = "unreachable"
"""The kind of a failure to connect: nothing was sent."""


class RateLimit(NamedTuple):
    """A service's word on one of its limits: what is left of it now, and when it is whole again."""

    kind: str
    limit: float
    remaining: float
    reset_s: float


class ExperimentError(Exception):
    """Base of all errors of this package; its text is one sentence for people."""


def say_error(error: BaseException) -> str:
    """Give an exception's text; its class where it has none, or none that can be had."""
    try:
        return str(error) or repr(error)
    except Exception as second:  # noqa: BLE001 -- a class of the user's
        return f"{type(error).__name__} (its text raises {type(second).__name__})"


class UsageError(ExperimentError):
    """Say that a call of the tool is wrong."""


class Problem(NamedTuple):
    """One thing wrong at one place; lines and columns count from 1."""

    path: Path
    line: int
    column: int
    message: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}:{self.column}: {self.message}"


class ManifestError(ExperimentError):
    """Carry all problems of one manifest and its dataset."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class RunFolderError(ExperimentError):
    """Say that a run folder can't be written, read or shared."""


class ClientError(ExperimentError):
    """Say that one call failed.

    `retryable`: trying again may help. `retry_after_s`: seconds the service asks to wait
    (what is no number above 0 is none).
    `status`: the HTTP status, if there was one. `kind`: a short name for the failure.
    `scope`: "run" where every other call would fail the same way, so the run stops; "account"
    where those of the session's later runs would, too.
    `lost`: an answer may have been made, and be billed, that never arrived.
    `limits`: what the service said of its rate limits.
    """

    def __init__(  # noqa: PLR0913 -- each is one fact of the failure, all optional
        self,
        message: str,
        *,
        retryable: bool = False,
        retry_after_s: float | None = None,
        status: int | None = None,
        kind: str = "client_error",
        scope: Scope = "call",
        lost: bool = False,
        limits: tuple[RateLimit, ...] = (),
    ) -> None:
        super().__init__(message)
        self.retryable = retryable
        self.retry_after_s = _read_wait(retry_after_s)
        self.status = status
        self.kind = kind
        self.scope: Scope = scope
        self.lost = lost
        self.limits = limits


def _read_wait(seconds: object) -> float | None:
    if not isinstance(seconds, int | float) or not seconds > 0:
        return None
    try:
        return float(seconds)
    except OverflowError:
        return math.inf
