"""`python -m pytest_experiment_profiler` is the shell command."""

import sys

from pytest_experiment_profiler.cli import main

if __name__ == "__main__":
    sys.exit(main())
