"""The commands of the grader: grade, workspace, corpus, quality."""

from __future__ import annotations

import os
import sys

if __name__ == "__main__" and not sys.flags.isolated:
    # Whatever PYTHON* variables, the user's site or the current folder hold is left behind here.
    _folder = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120 -- before any import
    os.execve(  # noqa: S606 -- the same interpreter
        sys.executable,
        [sys.executable, "-I", "-B", "-X", "utf8", _folder, *sys.argv[1:]],
        {
            "PATH": "/usr/bin:/bin",
            "HOME": "/nonexistent",
            "LANG": "C.UTF-8",
        },
    )

import importlib.util
import signal
import traceback
from pathlib import Path

ERROR, STOPPED = 2, 130


def load_package(folder: Path) -> None:
    """Make `grader` importable from its own folder, without any folder on the search path."""
    spec = importlib.util.spec_from_file_location(
        "grader", folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    if spec is None or spec.loader is None or "grader" in sys.modules:
        return
    module = importlib.util.module_from_spec(spec)
    sys.modules["grader"] = module
    spec.loader.exec_module(module)


if __name__ == "__main__":
    load_package(Path(__file__).resolve().parent)
    sys.path = [entry for entry in sys.path if Path(entry) != Path(__file__).resolve().parent]
    sys.dont_write_bytecode = False  # compiling this package takes longer than importing all of it
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        from grader.commands import main

        sys.dont_write_bytecode = True
        code = main(sys.argv[1:])
    except KeyboardInterrupt:
        code = STOPPED
    except Exception:  # noqa: BLE001 -- Python would end with 1, which says that a submission failed
        traceback.print_exc()
        code = ERROR
    try:
        sys.stdout.flush()
    except OSError:  # nobody reads it
        code = ERROR
    os._exit(code)  # taking the interpreter down takes as long as starting it
