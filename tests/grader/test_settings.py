"""Paths lead to the right files, and tell a program nothing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from grader.cases import chance_of
from grader.settings import draw_words, failures, rename, settings

SETTINGS = settings("amber", "")
DRAWN = [draw_words(chance_of(seed, "places")) for seed in range(9)]


@pytest.mark.parametrize("placed", [*SETTINGS.values(), *failures().values()])
def test_no_path_is_the_same_for_every_seed(placed):
    layouts = [rename(placed, words).layout for words in DRAWN]
    seen = {(layout.manifest, layout.dataset) for layout in layouts}
    assert len(seen) > 1


@pytest.mark.parametrize("name", SETTINGS)
def test_renamed_files_are_still_found(name):
    for words in DRAWN:
        setting = rename(SETTINGS[name], words)
        layout = setting.layout
        folders = (Path(layout.manifest).parent, Path(setting.cwd))
        found = [os.path.normpath(folder / layout.dataset_path) for folder in folders]
        assert layout.dataset in found
        assert layout.dataset not in layout.decoys
        assert len(layout.decoys) == len(SETTINGS[name].layout.decoys)
