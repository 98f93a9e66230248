"""What graders that were killed left behind is removed by the next one."""

from __future__ import annotations

import os
import signal
import tempfile
from pathlib import Path

import pytest

from grader import user
from grader.grade import Options, grade
from grader.places import remove_tree
from grader.scratch import LOCK, Scratch, sweep
from grader.watch import SHARED_MEMORY
from tests.grader.builders import RIGHT


@pytest.fixture(autouse=True)
def room(monkeypatch, tmp_path_factory):
    tmp_path_factory.getbasetemp()  # which pytest would make below ours, and miss later
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    remove_tree(folder)


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


def test_what_only_looks_alike_stays(room):
    without = room / "x-of-others"
    linked = room / "x-linked"
    for folder in (without, linked):
        folder.mkdir()
    (room / "kept").touch()
    (linked / LOCK).symlink_to(room / "kept")
    (room / "x-link").symlink_to(room)
    for folder in (without, linked):
        os.utime(folder, (1, 1))
    sweep()
    assert without.exists()
    assert linked.exists()
    assert (room / "kept").exists()


def test_a_grade_that_is_stopped_leaves_nothing(room, monkeypatch):
    def stop(**_):
        raise KeyboardInterrupt

    monkeypatch.setattr("grader.grade.confine", stop)
    with pytest.raises(KeyboardInterrupt):
        grade(RIGHT, Options())
    assert list(room.iterdir()) == []


@pytest.mark.skipif(os.getuid() != 0, reason="only root has users to spare")
def test_the_user_of_a_killed_grader_is_free_again(tmp_path, monkeypatch):
    monkeypatch.setattr(user, "cache_folder", lambda: tmp_path)
    folder = killed(lambda: f"uid-{user.BoxUser().uid}")
    assert [path.name for path in tmp_path.iterdir()] == [str(folder)]
    taken = user.BoxUser()
    assert [path.name for path in tmp_path.iterdir()] == [f"uid-{taken.uid}"]
    taken.release()
    assert list(tmp_path.iterdir()) == []


def test_the_box_can_pass_to_it_and_write_nowhere_above(monkeypatch, room):
    (room / "closed").mkdir(mode=0o700)
    for place in (room / "closed", SHARED_MEMORY):
        monkeypatch.setattr(tempfile, "tempdir", str(place))
        scratch = Scratch()
        assert not scratch.folder.is_relative_to(SHARED_MEMORY)
        above = scratch.folder.parents
        assert os.getuid() != 0 or all(folder.stat().st_mode & 0o001 for folder in above)
        scratch.remove()
