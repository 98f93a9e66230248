"""What a command line chooses: dialogues by id, and how experiments are laid out as tests."""

from __future__ import annotations

import os
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pytest_experiment_profiler.reports.plain import make_plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

PATTERN = "*_experiment.yaml"
LAYOUTS = ("auto", "subtests", "tree")
STILL_FAILED = "experiment_still_failed"
"""The property of a skipped test that failed before: pytest takes a skip for the end of that."""

_TREE_OPTIONS = ("keyword", "markexpr", "lf", "failedfirst", "stepwise", "xmlpath")
_HARMLESS = {"[": "(", "]": ")", ".": "_", "/": "_", "\\": "_"}


class Chosen(NamedTuple):
    """A command line without the ids of dialogues, and what they name, by manifest.

    A name is `experiment::dialogue`. A manifest that is named as a whole, too, by itself or by a
    folder around it, is not in `names`.
    """

    arguments: list[str]
    names: dict[str, list[str]]


def name_node(dialogue_id: str) -> str:
    """Turn a dialogue's id into a name that pytest and the editors take for one name."""
    plain = make_plain(dialogue_id)
    text = "".join(_HARMLESS.get(character, character) for character in plain)
    while "::" in text:
        text = text.replace("::", "_")
    return text.strip(":") or "_"


def split_ids(arguments: Sequence[str], positional: Iterable[str], here: Path) -> Chosen:
    """Replace the ids of dialogues among the arguments by their manifest, once.

    pytest takes time quadratic in the number of ids, and an editor's "run all" sends each one.
    """
    given = set(positional)
    kept: list[str] = []
    names: dict[str, list[str]] = {}
    whole: set[Path] = set()
    resolve = cache(lambda path: (here / path).resolve())
    for argument in arguments:
        path, _, name = argument.partition("::")
        resolved = resolve(path)
        if argument in given and resolved.suffix in {".yaml", ".yml"} and "::" in name:
            if str(resolved) not in names:
                kept.append(path)
            names.setdefault(str(resolved), []).append(name)
            continue
        kept.append(argument)
        if argument in given:
            whole.add(resolved)
    partly = {
        path: ids
        for path, ids in names.items()
        if whole.isdisjoint([Path(path), *Path(path).parents])
    }
    return Chosen(kept, partly)


def choose_layout(config: Any, path: Path, names: Mapping[str, list[str]]) -> str:  # noqa: ANN401
    """Choose between one item an experiment and one item a dialogue; `config` is pytest's.

    VS Code keeps the first result of a node id, so with subtests it would show green over red,
    whatever is asked for; and what names dialogues, or those that failed, needs items to name.
    """
    named = str(path.resolve()) in names or _asks_for_failed(config, path)
    if named or config.pluginmanager.hasplugin("vscode_pytest"):
        return "tree"
    asked = config.getoption("--experiment-layout") or config.getini("experiment_layout")
    if asked != "auto":
        return str(asked)
    editor = "TEAMCITY_VERSION" in os.environ or config.getoption("teamcity", 0)
    narrowed = any(config.getoption(option, None) for option in _TREE_OPTIONS)
    deselected = any("::" in text for text in config.getoption("deselect", None) or ())
    return "tree" if editor or narrowed or deselected else "subtests"


def _asks_for_failed(config: Any, path: Path) -> bool:  # noqa: ANN401 -- pytest's
    """Tell whether --lf is given and dialogues of a manifest are among what failed last."""
    if not config.getoption("lf", None):
        return False
    failed = [node.partition("::") for node in config.cache.get("cache/lastfailed", {})]
    return any("::" in name and config.rootpath / file == path for file, _, name in failed)


def asks_for(config: Any, name: str, ids: Iterable[str]) -> bool:  # noqa: ANN401 -- pytest's
    """Tell whether an item that is selected was meant: by its id, a word of -k, or as failed.

    What is left over by `-k "not d3"` or --deselect was not. `ids` are the manifest's that the
    command line gives.
    """
    words = re.findall(r"[^\s()]+", config.getoption("keyword", None) or "")
    by_word = any(word.lower() in name.lower() for word in words)
    by_id = any(text.partition("::")[2] == name for text in ids)
    return by_word or by_id or bool(config.getoption("lf", None))


def failed_before(config: Any, node_id: str) -> bool:  # noqa: ANN401 -- pytest's
    """Tell whether a test is among those that failed last; no, where pytest keeps no cache."""
    cache = getattr(config, "cache", None)
    return cache is not None and node_id in cache.get("cache/lastfailed", {})


def name_failures(failed: Mapping[str, bool], reports: Iterable[Any]) -> dict[str, bool]:
    """Put an experiment's failed dialogues in its place among the tests that failed last.

    They are items of the layout that --lf takes; a failed gate's is the last item.
    """
    kept = dict(failed)
    dialogues: dict[str, list[str]] = {}
    experiments: dict[str, bool] = {}
    for report in reports:
        properties = dict(getattr(report, "user_properties", ()))
        if STILL_FAILED in properties:
            kept[report.nodeid] = True
        if "experiment_folder" not in properties or "experiment_items" in properties:
            continue
        context = getattr(report, "context", None)
        if context is None:
            experiments[report.nodeid] = report.failed
        elif report.failed:
            dialogues.setdefault(report.nodeid, []).append(name_node(context.msg))
    for node, did_fail in experiments.items():
        kept.pop(node, None)
        for stale in [name for name in kept if name.startswith(f"{node}::")]:
            del kept[stale]
        if did_fail:
            kept |= {f"{node}::{name}": True for name in dialogues.get(node, ["gates"])}
    return kept


def list_reports(config: Any) -> list[Any]:  # noqa: ANN401 -- pytest's
    """List the session's reports, those of workers too."""
    reporter: Any = config.pluginmanager.get_plugin("terminalreporter")
    stats = {} if reporter is None else reporter.stats
    return [report for reports in stats.values() for report in reports]


def list_failures(config: Any) -> list[Any]:  # noqa: ANN401 -- pytest's
    """List the session's reports of what failed in manifests, those of bad manifests too."""
    return [
        report
        for report in list_reports(config)
        if getattr(report, "failed", False) and names_manifest(report.nodeid)
    ]


def names_manifest(node_id: str) -> bool:
    """Tell whether a node id names a manifest, or something in one."""
    return node_id.partition("::")[0].endswith((".yaml", ".yml"))


def find_folders(config: Any) -> list[str]:  # noqa: ANN401 -- pytest's
    """List the run folders that the session's reports name."""
    return list(dict.fromkeys(filter(None, map(find_folder, list_reports(config)))))


def find_folder(report: Any) -> str | None:  # noqa: ANN401 -- a report, or another thing counted
    """Find the run folder that a report names, if it is of an experiment."""
    folder = dict(getattr(report, "user_properties", ())).get("experiment_folder")
    return None if folder is None else str(folder)
