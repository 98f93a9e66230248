"""Grade a submission: a folder and a seed go in, a verdict comes out."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import signal
import subprocess
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from grader.bench import Bench
from grader.cases import make_cases
from grader.checks import CHECK_IDS, judge
from grader.errors import SubmissionError
from grader.interpreter import find_interpreter
from grader.isolation import confine
from grader.kit import prepare_kit
from grader.places import PROMPT, SAMPLE, STARTER, cores
from grader.scratch import Scratch, sweep
from grader.stage import stage_submission
from grader.trials import LIVE, Trials
from grader.user import BoxUser
from grader.verdict import Isolation, Verdict, explain, group_results, passed
from grader.workspace import utility_files

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from grader.checks import Problem
    from grader.interpreter import Interpreter
    from grader.isolation import Level
    from grader.kit import Kit
    from grader.trials import Evidence
    from grader.verdict import Feedback, Status

MOST_WORKERS = 4
COMPILE_SECONDS = 2.0
COMPILE_BYTES = 1 << 30
SDK_SECONDS, SDKS_SECONDS = 8, 40  # what importing it takes, once and ever again
MISSED = re.compile(  # anywhere: a program may show an error in words of its own
    rb"(?:No module named|cannot import name '\w+' from) '(?:anthropic|httpx2)\b|"
    rb"'(?:Async)?(?:anthropic|httpx2)\b[\w.]*' (?:object )?has no attribute",
    re.IGNORECASE,
)
NO_VERDICT = dict.fromkeys(CHECK_IDS, 0)


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """How to grade."""

    seed: int = 0
    feedback: Feedback = "ids"
    required: Level = "limits"
    real_sdk: bool = False
    python: Path | None = None


@dataclass(kw_only=True, slots=True)
class Session:
    """What is known so far of one grade."""

    options: Options
    began: float = field(default_factory=time.monotonic)
    digest: str | None = None
    isolation: Isolation = field(default_factory=Isolation)
    python: str = ""
    packages: dict[str, str] = field(default_factory=dict)
    signals: dict[str, int] = field(default_factory=dict)
    timings: dict[str, float] = field(default_factory=dict)

    def lap(self, name: str) -> None:
        """Note how long it took to come here."""
        self.timings[name] = round(time.monotonic() - self.began, 4)

    def conclude(self, status: Status, checks: dict[str, int], reason: str) -> Verdict:
        """Give the verdict."""
        self.lap("total")
        return Verdict(
            status=status,
            reward={"pass": 1.0, "fail": 0.0, "error": None}[status],
            checks=checks,
            groups=group_results(checks),
            reason=reason,
            seed=self.options.seed,
            task_digest=task_digest(),
            python=self.python,
            packages=self.packages,
            submission_digest=self.digest,
            isolation=self.isolation,
            signals=self.signals,
            timings=self.timings,
        )


def grade(submission: Path, options: Options) -> Verdict:
    """Grade a submission; whatever goes wrong on our side is the status `error`."""
    session = Session(options=options)
    os.umask(0o022)
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # where it is ignored, every exit code is 0
    try:
        return _grade(submission, session)
    except SubmissionError as error:
        reason = "" if options.feedback == "none" else f"submission.files: {error}"
        return session.conclude("fail", NO_VERDICT, reason)
    except Exception as error:  # noqa: BLE001 -- what isn't theirs is ours, and no verdict
        return session.conclude("error", NO_VERDICT, f"{type(error).__name__}: {error}")


def _grade(submission: Path, session: Session) -> Verdict:
    sweep()
    scratch = Scratch()
    root = scratch.folder
    user: BoxUser | None = None
    kit: Kit | None = None
    try:
        staged = stage_submission(submission, root / "p")
        session.digest = staged.digest
        user = BoxUser()
        interpreter = find_interpreter(session.options.python, user.uid)
        kit = prepare_kit(interpreter, real_sdk=session.options.real_sdk)
        session.packages = kit.versions
        session.lap("prepared")
        problems = _hold(session, root, user, interpreter, kit)
        checks = {name: int(problem is None) for name, problem in problems.items()}
        status: Status = "pass" if passed(checks) else "fail"
        return session.conclude(status, checks, explain(problems, session.options.feedback))
    finally:
        if user:
            user.release()
        if kit:
            kit.discard()
        scratch.remove()


def _hold(
    session: Session, root: Path, user: BoxUser, interpreter: Interpreter, kit: Kit
) -> dict[str, Problem]:
    """Open the box, run the trials in it, judge them."""
    options = session.options
    with _compiling(root / "p", interpreter, user, kit):
        cases = make_cases(options.seed)
        confined = confine(
            kit=kit, interpreter=interpreter, user=user, root=root, required=options.required
        )
    session.isolation, session.python = confined.isolation, confined.python
    try:
        session.lap("confined")
        bench = Bench(root=root, program=root / "p", box=confined.box, user=user, kit=kit)
        if options.real_sdk:
            confined.box.forgive(SDKS_SECONDS, each=SDK_SECONDS)
        trials = Trials(bench, cases, options.seed)
        _hold_trials(trials)
        problems = judge(trials.evidence(), cases)
        broken = any(problems.values()) and _stand_in_missed(trials.evidence())
        hung = any(ending.reason == "timeout" for ending in trials.evidence().endings)
        if not options.real_sdk and not hung and (broken or _only_live_failed(problems)):
            # Nobody fails because of the stand-in: what the real SDK does counts.
            began = time.monotonic()
            real = prepare_kit(interpreter, real_sdk=True)
            spent = time.monotonic() - began
            confined.box.forgive(spent + SDKS_SECONDS, each=SDK_SECONDS)
            if broken:
                trials = Trials(bench.anew(real), cases, options.seed)
                _hold_trials(trials)
            else:
                trials.use_kit(real)
                trials.hold_live_again()
            problems = judge(trials.evidence(), cases)
            session.signals["real_sdk"] = 1
        session.lap("held")
        endings = trials.evidence().endings
        session.signals |= _note_signals(trials.evidence())
        session.timings["strays"] = sum(ending.strays for ending in endings)
        return problems
    finally:
        confined.box.close()


def _hold_trials(trials: Trials) -> None:
    try:
        trials.hold(min(MOST_WORKERS, max(2, cores())))
    except PermissionError as error:  # all folders were ours: where uids are shared, one was closed
        raise SubmissionError("a command closed folders that aren't its own") from error


def _only_live_failed(problems: Mapping[str, Problem]) -> bool:
    failed = [name for name, problem in problems.items() if problem is not None]
    return bool(failed) and all(name.partition(".")[0] in LIVE for name in failed)


def _stand_in_missed(evidence: Evidence) -> bool:
    """Tell whether a run without a key ended because the stand-in lacks a name of the SDK."""
    return MISSED.search(evidence.runs["fresh"].ending.stderr) is not None


@contextlib.contextmanager
def _compiling(program: Path, interpreter: Interpreter, user: BoxUser, kit: Kit) -> Iterator[None]:
    """Compile the submission as the box's user meanwhile; its code only ever runs in the box."""
    for folder in (program, *(path for path in program.rglob("*") if path.is_dir())):
        if user.dropped:
            os.chown(folder, user.uid, user.uid)
    script = [str(kit.start / "precompile.py"), str(program), str(COMPILE_BYTES)]
    with subprocess.Popen(  # noqa: S603 -- the box's own Python
        [str(interpreter.path), "-I", "-S", *script],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd="/",
        env={},
        **user.options,
    ) as compiler:
        try:
            yield
            compiler.wait(COMPILE_SECONDS)
        except subprocess.TimeoutExpired:
            pass  # what isn't compiled is compiled in the box, or times out there
        finally:
            compiler.kill()


def _note_signals(evidence: Evidence) -> dict[str, int]:
    """Note what is worth a look, and never part of the reward."""
    endings = evidence.endings
    reasons = {ending.reason for ending in endings}
    return {
        "timeout": int("timeout" in reasons),
        "flood": int("flood" in reasons),
        "killed": int(bool(reasons & {"killed", "signal"})),
        "odd_file": int(any(run.problems for run in evidence.runs.values())),
    }


def task_digest() -> str:
    """Digest what an agent is given: prompt, starter, sample and utilities."""
    digest = hashlib.sha256()
    for folder in (STARTER, SAMPLE):
        for path in sorted(folder.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                _add(digest, path.relative_to(folder).as_posix(), path)
    for path in (PROMPT, *utility_files()):
        _add(digest, path.name, path)
    return digest.hexdigest()


def _add(digest: hashlib._Hash, name: str, path: Path) -> None:
    data = path.read_bytes()
    digest.update(f"{name}\0{len(data)}\0".encode() + data)
