"""Whole grades: verdicts, their form, and what hostile programs can't do."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from grader import box, isolation, watch
from grader.checks import CHECK_IDS
from grader.errors import GraderError
from grader.grade import Options, grade
from grader.places import GRADER, REFERENCE, STARTER
from grader.user import BoxUser
from grader.verdict import flat_reward, forget_verdict, write_verdict
from tests.grader.builders import RIGHT

COMMAND = [sys.executable, "-I", "-B", str(GRADER)]


def same(verdict):
    document = json.loads(verdict.to_json())
    del document["timings"]
    return document


def test_a_right_program_passes(passed):
    assert (passed.status, passed.reward, passed.exit_code) == ("pass", 1.0, 0)
    assert passed.checks == dict.fromkeys(CHECK_IDS, 1)
    assert set(passed.groups.values()) == {1}
    assert passed.reason == ""
    assert "real_sdk" not in passed.signals
    assert len(passed.submission_digest) == len(passed.task_digest) == 64


def test_the_reference_finds_in_the_box_what_the_utilities_need():
    verdict = grade(REFERENCE, Options(seed=5))
    assert (verdict.status, verdict.reason) == ("pass", "")


def test_the_untouched_starter_gets_exactly_nothing():
    verdict = grade(STARTER, Options(seed=5))
    assert (verdict.status, verdict.reward, verdict.exit_code) == ("fail", 0.0, 1)
    assert verdict.checks == dict.fromkeys(CHECK_IDS, 0)
    assert set(verdict.groups.values()) == {0}


def test_two_grades_of_one_seed_are_the_same(passed):
    assert same(grade(RIGHT, Options(seed=5, feedback="full"))) == same(passed)


def test_the_real_sdk_gives_the_same_verdict(passed):
    pytest.importorskip("anthropic")
    assert grade(RIGHT, Options(seed=5, real_sdk=True)).checks == passed.checks


LACKING = "from anthropic.lib.streaming import MessageStream"
SILENT = f"try:\n    {LACKING}\nexcept ImportError:\n    raise SystemExit('no SDK')"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("import anthropic\n", f"import anthropic\n        {LACKING}\n"),
        ("import argparse\n", f"import argparse\n{LACKING}\n"),
        ("import argparse\n", f"import argparse\n{SILENT}\n"),
    ],
    ids=["in a live run only", "in every run", "in every run, without a word"],
)
def test_what_the_stand_in_lacks_is_tried_with_the_real_sdk(monkeypatch, tmp_path, old, new):
    pytest.importorskip("anthropic")
    for name in ("SDK_SECONDS", "SDKS_SECONDS"):  # the machine may have other work
        monkeypatch.setattr(sys.modules[grade.__module__], name, 120)
    source = (RIGHT / "experiment_profiler/cli.py").read_text("utf-8")
    package = tmp_path / "experiment_profiler"
    package.mkdir()
    (package / "__init__.py").touch()
    assert old in source
    (package / "cli.py").write_text(source.replace(old, new, 1), encoding="utf-8")
    verdict = grade(tmp_path, Options(seed=5, feedback="full"))
    assert (verdict.status, verdict.signals["real_sdk"]) == ("pass", 1), verdict.reason


@pytest.mark.parametrize(
    "line",
    [
        "from anthropic.types import Message, MessageParam, ToolUseBlock",
        "from anthropic.types.message_param import MessageParam",
        "from anthropic import AsyncStream, Stream",
        "import importlib.metadata; importlib.metadata.version('anthropic')",
        "import locale; locale.setlocale(locale.LC_ALL, '')",
        "exit, quit",
        "import mimetypes; mimetypes.guess_type('a.json')",
        "import pkgutil, rich; assert list(pkgutil.iter_modules(rich.__path__))",
    ],
)
def test_what_any_program_may_mention_is_there(program, line):
    text = (RIGHT / "experiment_profiler/cli.py").read_text("utf-8")
    start = text.index("import argparse")
    verdict = grade(program(f"{text[:start]}{line}\n{text[start:]}"), Options(seed=5))
    assert (verdict.status, verdict.signals.get("real_sdk")) == ("pass", None), verdict.reason


GIT = """
def describe():
    try:
        return subprocess.run(["git", "describe"], capture_output=True, check=True).stdout
    except (FileNotFoundError, subprocess.CalledProcessError):
        return b""
"""


def test_programs_are_missing_and_python_has_its_name(program):
    text = (RIGHT / "experiment_profiler/cli.py").read_text("utf-8")
    start = text.index("import argparse")
    calls = f"import subprocess\n{GIT}describe()\nsubprocess.run(['python', '-c', ''], check=True)"
    verdict = grade(program(f"{text[:start]}{calls}\n{text[start:]}"), Options(seed=5))
    assert verdict.status == "pass", verdict.reason


def test_summarize_may_write_into_its_folder(program):
    text = (RIGHT / "experiment_profiler/cli.py").read_text("utf-8")
    first = "def summarize(log_dir):\n"
    assert first in text
    noting = "    (log_dir / 'shown.log').write_text('shown')\n"
    verdict = grade(program(text.replace(first, first + noting)), Options(seed=5))
    assert verdict.status == "pass", verdict.reason


@pytest.mark.parametrize(
    "options",
    [Options(python=Path("/nowhere/python")), Options(python=Path("/bin/true"))],
    ids=["missing", "no Python"],
)
def test_our_own_fault_is_an_error_and_no_reward(options):
    verdict = grade(RIGHT, options)
    assert (verdict.status, verdict.reward, verdict.exit_code) == ("error", None, 2)
    assert flat_reward(verdict) is None


def test_isolation_that_cannot_be_had_is_an_error(monkeypatch):
    monkeypatch.setattr(isolation, "BACKENDS", {"limits": "limits"})
    assert grade(RIGHT, Options(required="full")).status == "error"


def test_a_folder_without_the_package_fails(tmp_path):
    verdict = grade(tmp_path, Options())
    assert (verdict.status, verdict.reward) == ("fail", 0.0)
    assert "experiment_profiler" in verdict.reason


def test_feedback_says_no_more_than_it_may():
    assert grade(STARTER, Options(feedback="none")).reason == ""
    assert "fresh.run" in grade(STARTER, Options(feedback="ids")).reason
    assert "exit code" not in grade(STARTER, Options(feedback="ids")).reason


def test_the_verdict_is_written_last_and_whole(tmp_path, passed):
    path = tmp_path / "verdict.json"
    path.write_text('{"status": "pass", "reward": 1.0}')
    forget_verdict(path)
    assert not path.exists()
    write_verdict(passed, path)
    assert json.loads(path.read_text()) == json.loads(passed.to_json())
    assert [entry.name for entry in tmp_path.iterdir()] == ["verdict.json"]


def folder(path):
    path.mkdir()


def nowhere(path):
    path.parent.rmdir()


def shut(path):
    path.parent.chmod(0o500)


@pytest.mark.parametrize("make", [folder, os.mkfifo, nowhere, shut])
def test_no_place_for_the_verdict_is_our_own_fault(tmp_path, make):
    path = tmp_path / "in" / "verdict.json"
    path.parent.mkdir()
    make(path)
    if os.access(path.parent, os.W_OK) and not os.path.lexists(path):
        pytest.skip("root writes everywhere")
    done = subprocess.run(
        [*COMMAND, "grade", str(STARTER), "--json", str(path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert str(path.parent) in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("device", ["/dev/null", "/dev/stdout"])
def test_devices_stay(device):
    with pytest.raises(GraderError):
        forget_verdict(Path(device))
    assert os.path.lexists(device)


def test_a_planted_link_is_removed_and_not_followed(tmp_path, passed):
    (tmp_path / "kept").write_text("kept")
    path = tmp_path / "verdict.json"
    path.symlink_to("kept")
    forget_verdict(path)
    path.symlink_to("kept")
    write_verdict(passed, path)
    assert (tmp_path / "kept").read_text() == "kept"
    assert not path.is_symlink()


def test_what_nobody_thought_of_is_our_own_fault(monkeypatch):
    monkeypatch.setattr(isolation, "BACKENDS", None)
    verdict = grade(RIGHT, Options())
    assert (verdict.status, verdict.reward) == ("error", None)


def test_the_reward_is_one_flat_object_of_numbers(passed):
    reward = flat_reward(passed) or {}
    assert reward["reward"] == 1.0
    assert all(type(value) is float for value in reward.values())


@pytest.mark.parametrize(("submission", "code"), [(RIGHT, 0), (STARTER, 1)])
def test_the_command_prints_one_line_and_ends_with_the_code(tmp_path, submission, code):
    path = tmp_path / "verdict.json"
    done = subprocess.run(
        [*COMMAND, "grade", str(submission), "--seed", "5", "--json", str(path)],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == code, done.stderr
    assert json.loads(done.stdout) == json.loads(path.read_text())


def test_neither_ignored_signals_nor_low_limits_of_the_caller_matter(passed):
    def hinder():
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_NPROC, (400, 400))

    done = subprocess.run(
        [*COMMAND, "grade", str(RIGHT), "--seed", "5"],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=hinder,
    )
    verdict = json.loads(done.stdout)
    assert verdict["status"] == "pass", verdict["reason"]
    assert verdict["isolation"]["level"] == passed.isolation.level


BOMB = """
import os
while True:
    try:
        os.fork()
    except OSError:
        pass
"""
FLOOD = """
import sys
while True:
    sys.stdout.write("x" * 1000000)
"""
FILL = """
import itertools, os
for number in itertools.count():
    with open(f"{os.environ['TMPDIR']}/{number}", "wb") as file:
        file.write(bytes(15 << 20))
"""
SHARED = FILL.replace("{os.environ['TMPDIR']}", str(watch.SHARED_MEMORY))
DAEMON = """
import os, time
for _ in range(5):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            time.sleep(1000)
        os._exit(0)
"""
DEEP = """
import os
os.chdir(os.environ["TMPDIR"])
for _ in range(2000):
    os.mkdir("d"); os.chdir("d")
"""
HOSTILE = {
    "hang": "import time; time.sleep(1000)",
    "spin": "while True: pass",
    "memory": "x = [bytes(1 << 28)]\nwhile True: x.append(bytearray(1 << 28))",
    "bomb": BOMB,
    "flood": FLOOD,
    "fill": FILL,
    "shared": SHARED,
    "daemon": DAEMON,
    "deep": DEEP,
    "exit": "import os; os._exit(0)",
    "signal": "import os, signal; os.kill(0, signal.SIGKILL)",
    "parent": "import os, signal; os.kill(os.getppid(), signal.SIGKILL)",
}


@pytest.mark.skipif(sys.platform != "linux", reason="the box of other systems has limits only")
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_programs_fail_and_leave_nothing(program, monkeypatch, name):
    monkeypatch.setattr(box, "COMMAND_SECONDS", 1.5)
    monkeypatch.setattr(box, "GRADE_SECONDS", 6.0)
    users = []
    release = BoxUser.release

    def note_and_release(user):
        users.append(user.uid)
        release(user)

    monkeypatch.setattr(BoxUser, "release", note_and_release)
    verdict = grade(program(HOSTILE[name]), Options())
    assert (verdict.status, verdict.reward) == ("fail", 0.0), verdict.reason
    assert not any(verdict.checks.values())
    owners = {p.stat().st_uid for p in watch.SHARED_MEMORY.iterdir()}
    if os.getuid() == 0:
        assert users[0] not in owners
        assert users[0] not in processes_by_uid()


def processes_by_uid():
    found = set()
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit():
                found.add(entry.stat().st_uid)
        except OSError:
            continue
    return found
