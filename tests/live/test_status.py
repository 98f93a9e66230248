"""How a run looks while it runs: on a terminal, in a file, and to those who want quiet."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import replace

import pytest

from pytest_experiment_profiler.clients.mock import MockClient
from pytest_experiment_profiler.launch import Setting, start_run
from pytest_experiment_profiler.loop import LoopThread
from pytest_experiment_profiler.manifest import check_manifest
from pytest_experiment_profiler.reports.progress import SETTLE_S
from tests.builders import write_project

LINE = re.compile(r"(\d+)/30 dialogues(?:  \d+ errors?)? \| in flight \d+")


@pytest.fixture
def manifest(tmp_path):
    """Write a project of thirty dialogues that take a moment each."""
    return write_slow(tmp_path / "p", 0.03)


def write_slow(folder, delay_s):
    answers = {f"d{i}": {"completion": "x", "delay_s": delay_s} for i in range(30)}
    return write_project(folder, 30, answers, concurrency=2)


def watch(words, folder, width=100):
    """Run a command in a pseudo-terminal and return what it writes there, and its exit code."""
    pty = pytest.importorskip("pty")
    ours, theirs = pty.openpty()
    fcntl, termios = pytest.importorskip("fcntl"), pytest.importorskip("termios")
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, bytes([40, 0, width, 0, 0, 0, 0, 0]))
    environment = os.environ | {"TERM": "xterm"}
    with subprocess.Popen(
        [sys.executable, "-m", *words],
        cwd=folder,
        env=environment,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    ) as process:
        os.close(theirs)
        text = b""
        while True:
            try:
                chunk = os.read(ours, 65536)
            except OSError:
                break
            if not chunk:
                break
            text += chunk
    os.close(ours)
    return text.decode(), process.returncode


def render(text):
    """Draw what a terminal shows in the end: moves of the cursor, and lines that are erased."""
    screen, row, column = [""], 0, 0
    for part in re.findall(r"\x1b\[[0-9;]*[A-Za-z]|[\r\n\b]|[^\x1b\r\n\b]+|\x1b", text):
        move = re.fullmatch(r"\x1b\[(\d*)([A-Z])", part)
        if part == "\n":
            row += 1
            screen += [""] * (row + 1 - len(screen))
        elif part == "\r":
            column = 0
        elif move and move[2] == "A":
            row -= int(move[1] or 1)
        elif move and move[2] == "C":
            column += int(move[1] or 1)
        elif move and move[2] == "K":
            screen[row] = "" if move[1] == "2" else screen[row][:column]
        elif not part.startswith("\x1b"):
            line = screen[row].ljust(column)
            screen[row] = line[:column] + part + line[column + len(part) :]
            column += len(part)
    return "\n".join(line.rstrip() for line in screen)


def under_pytest(manifest, *words):
    return ["pytest", "-p", "no:cacheprovider", f"--experiment={manifest}", *words]


def test_a_terminal_sees_one_line_that_leaves_no_trace(manifest, tmp_path):
    text, code = watch(under_pytest(manifest), tmp_path)
    shown = [int(count) for count in LINE.findall(text)]
    assert code == 0
    assert len(shown) > 1
    assert shown == sorted(shown)
    screen = render(text)
    assert not LINE.search(screen)
    assert "[100%]" in screen
    assert "1 passed" in screen


def test_pytests_own_dots_stay_intact(manifest, tmp_path):
    (tmp_path / "test_own.py").write_text("def test_one(): pass\n\ndef test_two(): pass\n", "utf-8")
    text, code = watch([*under_pytest(manifest), "test_own.py"], tmp_path)
    assert code == 0
    screen = render(text)
    assert re.search(r"^test_own.py \.\. +\[", screen, re.MULTILINE) or ".. " in screen
    assert not LINE.search(screen)


def test_a_terminals_width_is_kept_to(tmp_path):
    answers = {"d0": {"completion": "x", "delay_s": 0.5}}
    manifest = write_project(tmp_path / "p", 30, answers, concurrency=30)
    text, code = watch(under_pytest(manifest, "--tb=no"), tmp_path, width=44)
    shown = re.findall(r"\x1b\[2K([^\x1b]*)", text)
    assert (code, max(map(len, shown))) == (1, 43)


@pytest.mark.parametrize("words", [["-q"], ["-qq"]])
def test_a_terminal_that_wants_quiet_has_it(manifest, tmp_path, words):
    text, code = watch(under_pytest(manifest, *words), tmp_path)
    assert (code, LINE.search(text)) == (0, None)


def off_terminal(words, folder):
    done = subprocess.run(
        [sys.executable, "-m", *words], cwd=folder, capture_output=True, text=True, check=False
    )
    return done.stdout, done.stderr


@pytest.mark.parametrize("layout", ["subtests", "tree"])
def test_a_file_gets_a_line_every_tenth_of_the_way(tmp_path, layout):
    words = under_pytest(write_slow(tmp_path / "p", SETTLE_S / 6), f"--experiment-layout={layout}")
    out, _ = off_terminal(words, tmp_path)
    shown = [int(line.partition("/")[0]) for line in out.splitlines() if LINE.match(line)]
    assert 1 <= len(shown) <= 9
    assert shown == sorted(set(shown))
    assert "\x1b" not in out


@pytest.mark.parametrize("words", [["-q"], ["-qq"]])
def test_a_file_gets_none_where_quiet_is_wanted(manifest, tmp_path, words):
    out, _ = off_terminal(under_pytest(manifest, *words), tmp_path)
    assert not LINE.search(out)


def test_the_shell_shows_a_bar_and_takes_it_away(tmp_path):
    manifest = write_slow(tmp_path / "p", SETTLE_S / 6)
    words = ["pytest_experiment_profiler", "run", "--config", str(manifest)]
    text, code = watch(words, tmp_path)
    assert (code, len(LINE.findall(text)) > 1) == (0, True)
    assert not LINE.search(render(text))
    out, err = off_terminal(words, tmp_path)
    assert not LINE.search(out)
    assert 1 <= len(LINE.findall(err)) <= 9


def test_what_is_taken_over_makes_no_guess_of_the_rest(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    manifest = write_project(tmp_path / "p", 3)
    setting = Setting(
        client=MockClient(manifest.parent / "demo_data" / "mock_responses.json"),
        base_url=None,
        why="asked for",
        output=tmp_path / "runs",
        loop=LoopThread(),
        own_metrics={},
    )
    for resume, guesses in [(False, True), (True, False)]:
        run = start_run(check_manifest(manifest, tmp_path), replace(setting, resume=resume))
        assert len(list(run.take_transcripts())) == 3
        assert (run.standing().eta_s is not None) == guesses
        run.finish()
    setting.loop.close()
