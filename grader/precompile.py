"""Compile all modules below a folder, with bounded memory: they may be made to take it all.

Arguments: the folder, and how many bytes may be used.
"""

import compileall
import py_compile
import resource
import sys


def main(folder: str, most: str) -> None:
    """Compile what can be compiled."""
    resource.setrlimit(resource.RLIMIT_DATA, (int(most), int(most)))
    mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
    compileall.compile_dir(folder, quiet=2, invalidation_mode=mode)


if __name__ == "__main__":
    main(*sys.argv[1:])
