"""Start a module as `python -m` does, with the given folders after the standard library.

Arguments: the folders, joined as in PATH; a bundle of modules; the module; its own arguments.
"""

import gc
import os
import site
import sys

site.setquit()  # `exit` and `quit`, which -S would leave out
gc.set_threshold(50_000, 20, 20)  # importing makes thousands of objects, and none to collect
sys.path.insert(0, os.path.dirname(__file__))  # noqa: PTH120 -- start-up
import bundle  # type: ignore[import-not-found]  # noqa: E402 -- beside this script

_folders, _bundle = sys.argv[1:3]
sys.path[:] = [*sys.path[1:], *_folders.split(os.pathsep)]
bundle.install(_bundle)
del sys.argv[:3]

import runpy  # noqa: E402 -- from the bundle, like all that it imports

runpy._run_module_as_main(sys.argv[0])  # type: ignore[attr-defined]  # noqa: SLF001 -- what `-m` calls
