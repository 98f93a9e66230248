"""What a session says of its runs at the end: tables, a page, what GitHub Actions shows."""

from __future__ import annotations

import json
import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_experiment_profiler.errors import ExperimentError
from pytest_experiment_profiler.reports.table import list_notes, render_table
from pytest_experiment_profiler.selection import list_failures

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest


def show_runs(terminalreporter: pytest.TerminalReporter, folders: list[Path]) -> None:
    """Print the table of each run, except under `-qq`, and write what else was asked for."""
    quiet = terminalreporter.config.get_verbosity() < -1
    on_github = os.environ.get("GITHUB_ACTIONS") == "true"
    for folder in folders:
        path = folder / "summary.json"
        if not path.exists():
            continue
        summary = json.loads(path.read_text("utf-8"))
        if not quiet:
            _show_run(terminalreporter, folder, summary)
        _write_page(terminalreporter, folder, several=len(folders) > 1)
        if on_github:
            _write_step_summary(terminalreporter, folder, summary)
    if on_github:
        for line in _list_annotations(terminalreporter.config):
            terminalreporter.write_line(line)


def _show_run(
    terminalreporter: pytest.TerminalReporter, folder: Path, summary: dict[str, Any]
) -> None:
    encoding = sys.__stdout__.encoding if sys.__stdout__ else "utf-8"
    lines = ["", render_table(summary, encoding), *list_notes(summary), f"run folder: {folder}"]
    counts, config = summary["counts"], terminalreporter.config
    moving = any(config.getoption(option, None) for option in ("lf", "failedfirst", "stepwise"))
    if (counts["errors"] or counts["not_run"]) and not moving:
        lines.append(f"resume: {_resume_command(terminalreporter.config)}")
    for line in lines:
        terminalreporter.write_line(line)


def _resume_command(config: pytest.Config) -> str:
    words = [*map(str, config.invocation_params.args)]
    return shlex.join(["pytest", *words, *({"--experiment-resume"} - set(words))])


def _write_page(terminalreporter: pytest.TerminalReporter, folder: Path, *, several: bool) -> None:
    """Write the page of --experiment-html; of several experiments each gets its own."""
    config = terminalreporter.config
    if not config.getoption("--experiment-html"):
        return
    from pytest_experiment_profiler.reports.html import write_html  # noqa: PLC0415 -- if asked for

    page = Path(config.invocation_params.dir, config.getoption("--experiment-html"))
    if several:
        page = page.with_stem(f"{page.stem}-{folder.name}")
    try:
        write_html(folder, page)
    except ExperimentError as error:
        terminalreporter.write_line(f"no page: {error}", red=True)
    else:
        if config.get_verbosity() >= -1:
            terminalreporter.write_line(f"page: {page}")


def _write_step_summary(
    terminalreporter: pytest.TerminalReporter, folder: Path, summary: dict[str, Any]
) -> None:
    """Add a run to the summary of a GitHub Actions step."""
    target = os.environ.get("GITHUB_STEP_SUMMARY")
    if not target:
        return
    from pytest_experiment_profiler.reports.markdown import render_markdown  # noqa: PLC0415 -- there
    from pytest_experiment_profiler.runfolder import read_records  # noqa: PLC0415

    scores = folder / "scores.jsonl"
    try:
        text = render_markdown(summary, read_records(scores) if scores.exists() else ())
        with Path(target).open("a", encoding="utf-8") as file:
            file.write(text + "\n")
    except (OSError, ExperimentError) as error:
        terminalreporter.write_line(f"no step summary: {error}", red=True)


def _list_annotations(config: pytest.Config) -> Iterator[str]:
    """Write a line for GitHub Actions for each dialogue that failed, and each gate of a run."""
    from pytest_experiment_profiler.reports.github import annotate  # noqa: PLC0415 -- there only

    workspace = os.environ.get("GITHUB_WORKSPACE", "")
    for report in list_failures(config):
        manifest = report.nodeid.partition("::")[0]
        path, line, name = getattr(report, "location", (manifest, 0, manifest))
        title = getattr(getattr(report, "context", None), "msg", None) or name
        place, text = Path(config.rootpath, path), report.longreprtext
        is_verdict = place == Path(config.rootpath, manifest)
        for message in _part_gates(text) if is_verdict else [text]:
            yield annotate(place, (line or 0) + 1, str(title), message, workspace)


def _part_gates(text: str) -> list[str]:
    """Part what is said of a whole run into its gates and the rest."""
    lines = text.splitlines()
    gates = [line for line in lines if line.startswith("gate: ")]
    rest = "\n".join(line for line in lines if line not in gates)
    return [rest, *gates] if rest else gates
