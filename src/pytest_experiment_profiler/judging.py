"""What happens when pytest runs an experiment's items: transcripts are awaited and judged."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from pytest_experiment_profiler.board import is_stopped
from pytest_experiment_profiler.errors import ExperimentError
from pytest_experiment_profiler.properties import describe_item, find_place
from pytest_experiment_profiler.reports.failure import explain_failure, list_failed
from pytest_experiment_profiler.reports.plain import make_plain
from pytest_experiment_profiler.reports.progress import StatusLine

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_experiment_profiler.engine import Run
    from pytest_experiment_profiler.experiment import Transcript

_CAPTURING = {"capsys", "capsysbinary", "capteesys", "capfd", "capfdbinary"}
"""Fixtures of pytest of which a test may have one only."""


def hold_experiment(
    request: pytest.FixtureRequest, experiment_run: Run, subtests: pytest.Subtests
) -> None:
    """Take an experiment's transcripts in order and judge them, a subtest a dialogue."""
    item: Any = request.node
    failed, not_run = 0, 0
    with _capturing_once(request):
        for transcripts in take_transcripts(item, experiment_run, item.parent.status):
            describe_item(item, transcripts, experiment_run)
            outcomes = {transcript.outcome for transcript in transcripts}
            failed += "error" in outcomes or bool(experiment_run.judge(transcripts))
            not_run += outcomes == {"not_run"}
            with subtests.test(make_plain(transcripts[0].dialogue.dialogue_id)):
                judge_dialogue(item, experiment_run, transcripts)
    describe_item(item, None, experiment_run)
    lines = [*finish_run(item, experiment_run), *_verdict(experiment_run, failed, not_run)]
    if lines:
        pytest.fail("\n".join(lines), pytrace=False)


@contextmanager
def _capturing_once(request: pytest.FixtureRequest) -> Iterator[None]:
    """Capture what is printed for the whole experiment.

    Where no fixture does so, pytest captures anew for each subtest, which costs more than the rest
    of it; and what a client prints comes while another dialogue is judged.
    """
    captures_already = not _CAPTURING.isdisjoint(request.fixturenames)
    if captures_already or request.config.getoption("capture", None) not in {"fd", "sys"}:
        yield
        return
    captured: pytest.CaptureFixture[str] = request.getfixturevalue("capsys")
    try:
        yield
    finally:
        for name, text in zip(("stdout", "stderr"), captured.readouterr(), strict=True):
            if text:
                request.node.add_report_section("call", name, text)


def take_transcripts(item: pytest.Item, run: Run, status: StatusLine) -> Iterator[list[Transcript]]:
    """Take a run's transcripts, show how it stands meanwhile, and let the hooks see each."""
    silent = item.config.get_verbosity(pytest.Config.VERBOSITY_SUBTESTS) == 0
    try:
        for transcripts in run.take_transcripts(partial(_look, item, run, status)):
            if not (silent and all(t.outcome == "ok" for t in transcripts)):
                status.clear()
            show_hooks(item, run, transcripts)
            yield transcripts
        status.clear()
    except KeyboardInterrupt:
        run.stop("interrupted")
        raise pytest.exit.Exception("interrupted", returncode=2) from None


def hold_dialogue(item: Any) -> None:  # noqa: ANN401 -- DialogueItem, which imports us
    """Wait for one dialogue's transcripts and judge them."""
    run: Run = item.file.run
    status: StatusLine = item.file.status
    try:
        transcripts = run.take(item.dialogue_id, partial(_look, item, run, status))
    except KeyboardInterrupt:
        run.stop("interrupted")
        raise pytest.exit.Exception("interrupted", returncode=2) from None
    except ExperimentError as error:
        raise pytest.fail.Exception(make_plain(str(error)), pytrace=False) from None
    status.clear()
    describe_item(item, transcripts, run)
    show_hooks(item, run, transcripts)
    if transcripts[0].outcome == "not_run" and run.tell_not_run(item.dialogue_id):
        pytest.fail(f"dialogues were not run: {transcripts[0].not_run}", pytrace=False)
    judge_dialogue(item, run, transcripts)


def _look(item: pytest.Item, run: Run, status: StatusLine) -> None:
    """Show how a run stands; raise KeyboardInterrupt where the session's controller met one."""
    status.show(run.standing())
    if is_stopped(item.config):
        raise KeyboardInterrupt


def judge_gates(item: Any) -> None:  # noqa: ANN401 -- GatesItem, which imports us
    """Wait for the end of a run and judge it as a whole."""
    run: Run = item.file.run
    describe_item(item, None, run)
    lines = [*finish_run(item, run), *_verdict(run, 0, 0)]
    if lines:
        pytest.fail("\n".join(lines), pytrace=False)


def show_hooks(item: pytest.Item, run: Run, transcripts: list[Transcript]) -> None:
    """Let the hooks see a dialogue's transcripts."""
    for transcript in transcripts:
        item.ihook.pytest_experiment_dialogue(experiment=run.experiment, transcript=transcript)


def open_status(config: pytest.Config) -> StatusLine:
    """Make the line that shows how a run stands; silent where nobody sees it or wants it."""
    plugins = config.pluginmanager
    quiet = config.get_verbosity() < 0 or hasattr(config, "workerinput")
    if quiet or not plugins.hasplugin("terminalreporter"):
        return StatusLine(write=None)
    capture: Any = plugins.getplugin("capturemanager")
    uncaptured = capture.global_and_fixture_disabled if capture else nullcontext
    # pytest's writer keeps count of what stands in its line, so ours goes beside it.
    writer = config.get_terminal_writer()

    def write(text: str) -> None:
        with uncaptured():
            sys.stdout.write(text)
            sys.stdout.flush()

    def width() -> int:
        with uncaptured():  # else it is that of the file which captures
            return writer.fullwidth

    return StatusLine(
        write=write,
        is_terminal=writer.hasmarkup and os.environ.get("TERM") != "dumb",
        column=lambda: writer.width_of_current_line,
        width=width,
    )


def judge_dialogue(item: pytest.Item, run: Run, transcripts: list[Transcript]) -> None:
    """Fail or skip the current test where a dialogue errored, broke a gate or was not run."""
    gates = tuple(result.sentence for result in run.judge(transcripts))
    failed = list_failed(transcripts, gates)
    if failed:
        texts = [explain_failure(t, find_place(item, run, t), gates) for t in failed]
        pytest.fail("\n\n".join(texts), pytrace=False)
    left = [transcript.not_run for transcript in transcripts if transcript.not_run]
    if left:
        pytest.skip(f"not run: {left[0]}")


def finish_run(node: pytest.Item | pytest.Collector, run: Run) -> list[str]:
    """End a run and let the hooks see its summary; return what could not be read or written."""
    hook = node.ihook
    try:
        run.finish(lambda s: hook.pytest_experiment_summary(experiment=run.experiment, summary=s))
    except ExperimentError as error:
        return [make_plain(str(error))]
    return []


def close_run(file: pytest.Module, run: Run) -> list[str]:
    """End a run when its last item is done, and return what could not be read or written.

    A whole run whose gates no item judged, because it was not selected, breaks them here.
    """
    is_judged = run.summary is not None
    if is_judged:
        return []
    if not run.is_taken:
        run.stop("interrupted")
    return [*finish_run(file, run), *(_verdict(run, 0, 0) if _is_whole(run) else ())]


def _is_whole(run: Run) -> bool:
    return run.summary is not None and run.summary.status == "complete"


def _verdict(run: Run, failed: int, not_run: int) -> Iterator[str]:
    total = run.record["selection"]["selected"]
    if failed:
        yield f"{failed} of {total} dialogues failed"
    if not_run:
        yield f"{not_run} of {total} dialogues were not run: {run.progress.stopped}"
    for gate in run.summary.gates if run.summary else ():
        if not gate["holds"]:
            yield f"gate: {gate['sentence']}"
