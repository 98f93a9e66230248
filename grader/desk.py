"""Lay out the files of the commands: manifests, datasets, mock answers, run folders."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import random
    from collections.abc import Mapping
    from pathlib import Path

    from grader.experiments import Answer, Case, Dialogue

DECOY = "Nothing of note was said here."
DEFAULT_ANSWERS = "mock_responses.json"


@dataclass(frozen=True, kw_only=True, slots=True)
class Layout:
    """Where the files of an experiment go, below a desk.

    `dataset_path`, `mock_responses` and `metrics` are what the manifest says; `decoys` are files
    of answers, or else datasets, that must not be used.
    """

    manifest: str
    dataset: str
    dataset_path: str
    answers: str | None = None
    mock_responses: str | None = None
    metrics: tuple[str, ...] = ()
    last_line_ends: bool = True
    decoys: tuple[str, ...] = ()

    def is_dataset(self, name: str) -> bool:
        """Tell whether a decoy is a dataset, by its name without the suffix."""
        own, other = (path.rpartition("/")[2].partition(".")[0] for path in (self.dataset, name))
        return own == other


def write_experiment(desk: Path, layout: Layout, case: Case, chance: random.Random) -> None:
    """Write manifest, dataset and mock answers of a case."""
    _write(desk / layout.manifest, manifest_text(case, layout, chance))
    rows = [dataset_row(dialogue) for dialogue in case.dialogues]
    text = dataset_text(rows, layout.dataset, chance)
    _write(desk / layout.dataset, text if layout.last_line_ends else text.rstrip("\n"))
    if layout.answers:
        _write(desk / layout.answers, answers_text(case, chance))
    for decoy in layout.decoys:
        _write(desk / decoy, decoy_text(decoy, layout, case))


def decoy_text(name: str, layout: Layout, case: Case) -> str:
    """Write answers, or a dataset, that a program would have to look for in a wrong place."""
    ids = [dialogue.dialogue_id for dialogue in case.dialogues]
    if not layout.is_dataset(name):
        return json.dumps(dict.fromkeys(ids, DECOY))
    rows = [{"dialogue_id": name, "user": DECOY, "required_facts": []} for name in ids]
    return json.dumps(rows) if name.endswith(".json") else "\n".join(map(json.dumps, rows))


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="")


def manifest_text(case: Case, layout: Layout, chance: random.Random) -> str:
    """Write a manifest with its keys in any order."""
    lines = [
        f"experiment_id: {case.experiment_id}",
        f"model: {case.model!r}  # who answers",
        f"max_tokens: {case.max_tokens}",
        f"temperature: {case.temperature}",
        f"dataset_path: {_quote(layout.dataset_path)}",
        "facts: {match: exact}",
        "refusals: {detector: keywords}",
    ]
    if layout.mock_responses:
        lines.append(f"mock_responses: {_quote(layout.mock_responses)}")
    if len(layout.metrics) > 1:
        lines.append(f"metrics: [{', '.join(layout.metrics)}]")
    elif layout.metrics:
        lines.append("\n- ".join(["metrics:", *layout.metrics]))
    chance.shuffle(lines)
    return "\n".join(["# one of several: “ä” isn't a key", *lines]) + "\n"


def _quote(path: str) -> str:
    """Quote a path that YAML would read as something else."""
    return json.dumps(path, ensure_ascii=False) if {" ", "#", ":"} & {*path} else path


def dataset_row(dialogue: Dialogue) -> dict[str, Any]:
    """Give a dialogue as a line of a dataset."""
    row: dict[str, Any] = {"dialogue_id": dialogue.dialogue_id}
    if dialogue.system is not None:
        row["system"] = dialogue.system
    row["user"] = dialogue.user
    row["required_facts"] = [
        # A single wording is a text where it comes first, later a list of one.
        list(fact) if len(fact) > 1 or number else fact[0]
        for number, fact in enumerate(dialogue.facts)
    ]
    return row


def dataset_text(rows: list[dict[str, Any]], name: str, chance: random.Random) -> str:
    """Write rows as an array or as lines, by the name's suffix."""
    escape = chance.random() < 0.5  # noqa: PLR2004 -- every other one
    if name.endswith(".jsonl"):
        return "".join(json.dumps(row, ensure_ascii=escape) + "\n" for row in rows)
    return json.dumps(rows, ensure_ascii=escape, indent=chance.choice((None, 2))) + "\n"


def answers_text(case: Case, chance: random.Random) -> str:
    """Write the mock's answers in an order of their own."""
    dialogues = list(case.dialogues)
    chance.shuffle(dialogues)
    answers = {dialogue.dialogue_id: answer_value(dialogue.answer) for dialogue in dialogues}
    return json.dumps(answers, ensure_ascii=False, indent=1)


def answer_value(answer: Answer) -> str | dict[str, Any]:
    """Give an answer as the mock's file holds it."""
    if answer.bare:
        return answer.text
    value: dict[str, Any] = {"completion": answer.text}
    if answer.stop_reason is not None:
        value["stop_reason"] = answer.stop_reason
    if answer.model is not None:
        value["model"] = answer.model
    if answer.usage is not None:
        value["usage"] = {"input_tokens": answer.usage[0], "output_tokens": answer.usage[1]}
    return value


def write_run_folder(folder: Path, files: Mapping[str, bytes]) -> Path:
    """Write a run folder that no submission has touched."""
    folder.mkdir(parents=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return folder


def decoy_logs(case: Case) -> dict[str, bytes]:
    """Give the logs of a run of a case that never was, with a key that marks them."""
    requests: list[str] = []
    responses: list[str] = []
    for dialogue in case.dialogues:
        prompt = {"system": dialogue.system, "user": dialogue.user}
        head = {"dialogue_id": dialogue.dialogue_id, "model": case.model, "number": len(requests)}
        more = {"temperature": case.temperature, "max_tokens": case.max_tokens}
        requests.append(json.dumps({**head, **more, "prompt": prompt}))
        # One is refused, so that no rate of these logs is the 0 that a summary may say.
        ending = {"completion": DECOY, "stop_reason": "end_turn" if responses else "refusal"}
        responses.append(json.dumps({**head, **ending}))
    return {
        "requests.jsonl": "\n".join(requests).encode() + b"\n",
        "responses.jsonl": "\n".join(responses).encode() + b"\n",
    }
