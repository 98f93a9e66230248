"""`schema`: the JSON Schema of manifests, for editors."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from pytest_experiment_profiler.commands.output import WELL, say
from pytest_experiment_profiler.documents import load_schema

if TYPE_CHECKING:
    import argparse


def print_schema(_options: argparse.Namespace) -> int:
    """Print the schema."""
    say(json.dumps(load_schema("manifest"), indent=2))
    return WELL
