"""Compile all modules below a folder, with bounded memory: they may be made to take it all.

Arguments: the folder, and how many bytes may be used. `compileall` would take longer to import
than most programs to compile.
"""

import os
import resource
import sys
from importlib._bootstrap_external import SourceFileLoader


def main(folder: str, most: str) -> None:
    """Compile what can be compiled."""
    resource.setrlimit(resource.RLIMIT_DATA, (int(most), int(most)))
    for place, _folders, names in os.walk(folder):
        for name in names:
            if name.endswith(".py"):
                _compile(os.path.join(place, name))  # noqa: PTH118 -- no pathlib: start-up


def _compile(path: str) -> None:
    try:
        SourceFileLoader("module", path).get_code("module")  # leaves the code beside the source
    except (SyntaxError, ValueError):
        sys.stderr.write(f"{path} has no code\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
