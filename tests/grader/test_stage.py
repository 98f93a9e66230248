"""Only regular files of `experiment_profiler/` are taken over."""

from __future__ import annotations

import os

import pytest

from grader.errors import SubmissionError
from grader.stage import FILES_LIMIT, stage_submission


@pytest.fixture
def submission(program):
    return program("print(1)\n")


def test_the_package_is_copied_and_nothing_else(submission, tmp_path):
    (submission / "conftest.py").write_text("raise SystemExit(0)")
    (submission / "experiment_profiler/__pycache__").mkdir()
    (submission / "experiment_profiler/__pycache__/cli.cpython-311.pyc").write_bytes(b"x")
    staged = stage_submission(submission, tmp_path / "copy")
    files = sorted(
        p.relative_to(tmp_path / "copy").as_posix() for p in (tmp_path / "copy").rglob("*.*")
    )
    assert files == ["experiment_profiler/__init__.py", "experiment_profiler/cli.py"]
    assert staged.files == 2


def test_the_digest_is_that_of_paths_and_bytes(submission, program, tmp_path):
    first = stage_submission(submission, tmp_path / "a")
    assert stage_submission(program("print(1)\n", "other"), tmp_path / "b").digest == first.digest
    assert stage_submission(program("print(2)\n", "third"), tmp_path / "c").digest != first.digest


def link(path):
    path.symlink_to("cli.py")


def hard_link(path):
    path.hardlink_to(path.with_name("cli.py"))


def many(path):
    path.mkdir()
    for number in range(FILES_LIMIT + 1):
        (path / f"m{number}.py").touch()


def deep(path):
    for _ in range(60):
        path.mkdir()
        path /= "d"


def big(path):
    path.write_bytes(b"#" * (3 << 20))


def sparse(path):
    with path.open("wb") as file:
        file.truncate(1 << 40)


def long_path(path):
    path.mkdir()
    handle = os.open(path, os.O_RDONLY)
    for _ in range(30):
        os.mkdir("n" * 250, dir_fd=handle)
        inner = os.open("n" * 250, os.O_RDONLY, dir_fd=handle)
        os.close(handle)
        handle = inner
    os.close(os.open("x.py", os.O_CREAT, dir_fd=handle))
    os.close(handle)


ODD = [os.mkfifo, link, hard_link, many, deep, big, sparse, long_path]


@pytest.mark.parametrize("make", ODD)
def test_odd_entries_are_refused(submission, tmp_path, make):
    make(submission / "experiment_profiler" / "odd")
    with pytest.raises(SubmissionError):
        stage_submission(submission, tmp_path / "copy")


@pytest.mark.parametrize("suffix", [".pyc", ".so", ".pth", ".PYC"])
def test_compiled_and_path_files_are_refused(submission, tmp_path, suffix):
    (submission / "experiment_profiler" / f"x{suffix}").write_bytes(b"")
    with pytest.raises(SubmissionError):
        stage_submission(submission, tmp_path / "copy")


@pytest.mark.skipif(os.getuid() == 0, reason="root reads everything")
@pytest.mark.parametrize("closed", [".", "experiment_profiler", "experiment_profiler/cli.py"])
@pytest.mark.parametrize("mode", [0o000, 0o400, 0o100])
def test_what_is_closed_is_refused(submission, tmp_path, closed, mode):
    path = submission / closed
    kept = path.stat().st_mode
    path.chmod(mode)
    try:
        if not os.access(submission / "experiment_profiler/cli.py", os.R_OK):
            with pytest.raises(SubmissionError):
                stage_submission(submission, tmp_path / "copy")
    finally:
        path.chmod(kept)


def test_a_name_makes_no_line_of_its_own(submission, tmp_path):
    os.mkfifo(submission / "experiment_profiler" / 'x\n{"checks": {}, "status": "pass"}\n\x1b[2J')
    with pytest.raises(SubmissionError) as refusal:
        stage_submission(submission, tmp_path / "copy")
    assert str(refusal.value).isprintable()


def test_links_to_folders_are_refused(submission, tmp_path):
    (tmp_path / "link").symlink_to(submission)
    with pytest.raises(SubmissionError):
        stage_submission(tmp_path / "link", tmp_path / "copy")
    inner = tmp_path / "inner"
    inner.mkdir()
    (inner / "experiment_profiler").symlink_to(submission / "experiment_profiler")
    with pytest.raises(SubmissionError):
        stage_submission(inner, tmp_path / "copy")


def test_a_missing_package_is_the_submission_s_fault(tmp_path):
    with pytest.raises(SubmissionError):
        stage_submission(tmp_path, tmp_path / "copy")
    with pytest.raises(SubmissionError):
        stage_submission(tmp_path / "nowhere", tmp_path / "copy")
