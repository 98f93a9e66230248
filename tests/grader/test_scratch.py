"""What graders that were killed left behind is removed by the next one."""

from __future__ import annotations

import os
import signal
import tempfile
from pathlib import Path

import pytest

from grader import user
from grader.grade import Options, grade
from grader.scratch import LOCK, Scratch, sweep
from tests.grader.builders import RIGHT


@pytest.fixture(autouse=True)
def _apart(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def killed(make):
    """Let a process of its own make a folder, and kill it."""
    reader, writer = os.pipe()
    process = os.fork()
    if process == 0:
        os.write(writer, os.fsencode(make()))
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(process, 0)
    os.close(writer)
    with os.fdopen(reader, "rb") as file:
        return Path(os.fsdecode(file.read()))


def fill():
    folder = Scratch().folder
    (folder / "closed" / "deep").mkdir(parents=True)
    (folder / "closed" / "deep" / "file").write_text("x")
    (folder / "closed").chmod(0)
    return folder


def test_the_folder_of_a_killed_grader_is_removed():
    folder = killed(fill)
    os.utime(folder, (1, 1))
    sweep()
    assert not folder.exists()


def test_what_is_young_or_held_stays():
    young = killed(fill)
    held = Scratch()
    os.utime(held.folder, (1, 1))
    sweep()
    assert young.exists()
    assert held.folder.exists()
    held.remove()
    assert not held.folder.exists()


def test_what_only_looks_alike_stays(tmp_path):
    without = tmp_path / "x-of-others"
    linked = tmp_path / "x-linked"
    for folder in (without, linked):
        folder.mkdir()
    (tmp_path / "kept").touch()
    (linked / LOCK).symlink_to(tmp_path / "kept")
    (tmp_path / "x-link").symlink_to(tmp_path)
    for folder in (without, linked):
        os.utime(folder, (1, 1))
    sweep()
    assert without.exists()
    assert linked.exists()
    assert (tmp_path / "kept").exists()


def test_a_grade_that_is_stopped_leaves_nothing(tmp_path, monkeypatch):
    def stop(**_):
        raise KeyboardInterrupt

    monkeypatch.setattr("grader.grade.confine", stop)
    with pytest.raises(KeyboardInterrupt):
        grade(RIGHT, Options())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.getuid() != 0, reason="only root has users to spare")
def test_the_user_of_a_killed_grader_is_free_again(tmp_path, monkeypatch):
    monkeypatch.setattr(user, "cache_folder", lambda: tmp_path)
    folder = killed(lambda: f"uid-{user.BoxUser().uid}")
    assert [path.name for path in tmp_path.iterdir()] == [str(folder)]
    taken = user.BoxUser()
    assert [path.name for path in tmp_path.iterdir()] == [f"uid-{taken.uid}"]
    taken.release()
    assert list(tmp_path.iterdir()) == []
