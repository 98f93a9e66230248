"""The verdict: what a grade says, how it is written down."""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from grader import GRADER_VERSION, TASK_VERSION
from grader.checks import CHECK_IDS
from grader.errors import GraderError

if TYPE_CHECKING:
    from collections.abc import Mapping

Status: TypeAlias = Literal["pass", "fail", "error"]
Feedback: TypeAlias = Literal["none", "ids", "full"]
EXIT_CODES: dict[Status, int] = {"pass": 0, "fail": 1, "error": 2}
GROUPS = tuple(dict.fromkeys(name.partition(".")[0] for name in CHECK_IDS))


@dataclass(frozen=True, kw_only=True, slots=True)
class Isolation:
    """How commands were confined; `level` is full, namespaces, limits or none.

    `private`: they saw the machine's files read-only, and a /dev/shm of their own.
    """

    level: str = "none"
    backend: str = ""
    backend_version: str = ""
    uid_dropped: bool = False
    private: bool = False
    landlock_abi: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """What a grade says; `timings` alone may differ between two grades of one seed."""

    status: Status
    reward: float | None
    checks: Mapping[str, int]
    groups: Mapping[str, int]
    reason: str
    seed: int
    task_digest: str
    python: str
    packages: Mapping[str, str]
    submission_digest: str | None
    isolation: Isolation
    signals: Mapping[str, int] = field(default_factory=dict)
    timings: Mapping[str, float] = field(default_factory=dict)
    task_version: str = TASK_VERSION
    grader_version: str = GRADER_VERSION

    @property
    def exit_code(self) -> int:
        """Give the exit code that goes with the status."""
        return EXIT_CODES[self.status]

    def to_json(self) -> str:
        """Write the verdict as one line."""
        return json.dumps(asdict(self), sort_keys=True)


def passed(checks: Mapping[str, int]) -> bool:
    """Tell whether exactly the expected checks are there and each of them passed."""
    return set(checks) == set(CHECK_IDS) and all(value == 1 for value in checks.values())


def group_results(checks: Mapping[str, int]) -> dict[str, int]:
    """Give 1 for each group whose checks all passed."""
    return {
        group: int(all(checks[name] for name in checks if name.partition(".")[0] == group))
        for group in GROUPS
    }


def explain(problems: Mapping[str, str | None], feedback: Feedback) -> str:
    """Say what failed, as far as the reader may know."""
    failed = {name: problem for name, problem in problems.items() if problem is not None}
    if not failed or feedback == "none":
        return ""
    if feedback == "ids":
        return "failed: " + " ".join(failed)
    return "; ".join(f"{name}: {problem}" for name, problem in failed.items())


def forget_verdict(path: Path) -> None:
    """Remove what stands in a verdict's place before the grade starts."""
    folder = Path(os.path.realpath(path.parent))
    odd = os.path.lexists(path) and not (path.is_symlink() or path.is_file())
    if odd or folder.is_relative_to("/proc") or folder == Path("/dev"):
        raise GraderError(f"{path} is no regular file: name one for the verdict")
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise GraderError(f"{path} can't be removed: {error.strerror}") from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise GraderError(f"{folder} is no folder that a verdict can be written to")


def write_verdict(verdict: Verdict, path: Path) -> None:
    """Write the verdict as a whole or not at all."""
    try:
        handle, draft = tempfile.mkstemp(dir=path.parent, prefix=".verdict-")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(verdict.to_json() + "\n")
            Path(draft).chmod(0o644)
            Path(draft).replace(path)
        except BaseException:
            Path(draft).unlink()
            raise
    except OSError as error:
        raise GraderError(f"the verdict can't be written to {path}: {error.strerror}") from error


def flat_reward(verdict: Verdict) -> dict[str, float] | None:
    """Give the one flat object of numbers that training frameworks read; None with an error."""
    if verdict.reward is None:
        return None
    numbers: dict[str, Any] = {name: float(value) for name, value in verdict.groups.items()}
    return {"reward": verdict.reward, **numbers}
