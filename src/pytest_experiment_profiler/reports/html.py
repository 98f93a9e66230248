"""A run folder → one HTML file that shows all of it and asks nobody for anything."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import os
import re
import shlex
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any, NamedTuple

from pytest_experiment_profiler.errors import RunFolderError, UsageError
from pytest_experiment_profiler.reports.plain import make_plain
from pytest_experiment_profiler.runfolder import read_records, read_run
from pytest_experiment_profiler.statistics import join_repeats, ratio

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from pytest_experiment_profiler.records import Record

PARTS = Path(__file__).with_suffix("")
"""Where the page, its style and scripts lie."""

_SCORE_KEYS = frozenset(
    {"dialogue_id", "repeat", "outcome", "fact_coverage", "facts", "refusal", "metric_errors"}
)
_DIALOGUE_KEYS = ("dialogue_id", "system", "user", "turns", "required_facts", "_place")
_REQUEST_KEYS = ("temperature", "max_tokens")
_RESPONSE_KEYS = ("model", "stop_reason", "usage", "latency_s", "request_id", "attempts", "error")
_LATER_KEYS = ("prompt_hash", "sent_at", "metadata")
_ESCAPES = {character: f"\\u{ord(character):04x}" for character in "<>&\u2028\u2029"}
_SAFE_IN_QUOTES = re.compile(r"[\w ./:\\-]+")


class Verdict(NamedTuple):
    """How a run ended, in a word for the eye and in a sentence."""

    kind: str
    sentence: str


class Command(NamedTuple):
    """What to type, and what it does."""

    does: str
    line: str


@dataclass(slots=True)
class _Seen:
    """What was met while the dialogues went by: texts that many share, and broken gates.

    `unjudged`: metrics whose gates for single dialogues can't be told from the scores.
    """

    systems: dict[str, int] = field(default_factory=dict)
    broken: int = 0
    unjudged: set[str] = field(default_factory=set)

    def number(self, system: str | None) -> int | None:
        """Give a system prompt's place in the list."""
        return None if system is None else self.systems.setdefault(system, len(self.systems))


class _Log:
    """The lines of a log that stands in dataset order, dialogue by dialogue."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lines = enumerate(read_records(path), start=1)
        self._next = next(self._lines, None)

    def take(self, dialogue_id: str) -> list[tuple[int, Record]]:
        """Take the lines of the next dialogue; none where it has none."""
        taken = []
        while self._next is not None and self._next[1]["dialogue_id"] == dialogue_id:
            taken.append(self._next)
            self._next = next(self._lines, None)
        return taken

    def check_end(self) -> None:
        """Raise RunFolderError where a line was left over."""
        if self._next is not None:
            number, record = self._next
            raise RunFolderError(
                f"{self._path}:{number}: a line of {record['dialogue_id']} stands where the order "
                "of dialogues.jsonl has none; resume the run, which puts its logs into order"
            )


def write_html(folder: Path, target: Path) -> None:
    """Write the report of a run folder into one file, which is replaced as a whole.

    Raise RunFolderError where the folder isn't whole, UsageError where `target` can't be written.
    """
    if target.exists() and not target.is_file():
        raise UsageError(f"{target} can't be written: it is no file")
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with draft.open("w", encoding="utf-8", newline="\n") as file:
            file.writelines(_write_page(folder))
        draft.replace(target)
    except OSError as error:
        raise UsageError(f"{target} can't be written: {error}") from error
    except (AttributeError, KeyError, TypeError) as error:
        raise RunFolderError(f"{folder} is no whole run folder: {error!r}") from error
    finally:
        with suppress(OSError):
            draft.unlink()


def _write_page(folder: Path) -> Iterator[str]:
    """Yield the page piece by piece: the dialogues go by, one at a time, before the rest."""
    run, summary, seen = read_run(folder), _read_summary(folder), _Seen()
    style, library, script = _read_parts()
    before, after = _read_part("page.html").split("$dialogues")
    title = f"{summary['experiment_id']}: {summary['model']}"
    policy = _allow(scripts=(library, script), style=style)
    yield Template(before).substitute(
        policy=policy, title=html.escape(make_plain(title)), style=style
    )
    for number, entry in enumerate(_read_entries(folder, run, seen)):
        yield (",\n" if number else "\n") + _encode(entry)
    unjudged = sorted(seen.unjudged)
    verdict = judge_run(run, summary, broken=seen.broken, unjudged=unjudged)
    rest = {
        "run": run,
        "summary": summary,
        "systems": list(seen.systems),
        "unjudged": unjudged,
        "folder": str(folder),
        "rerun": _rerun(run),
        "commands": [command._asdict() for command in list_commands(folder, run, summary)],
    }
    yield Template(after).substitute(
        run=_encode(rest),
        kind=verdict.kind,
        verdict=html.escape(make_plain(verdict.sentence)),
        experiment_id=html.escape(make_plain(summary["experiment_id"])),
        library=library,
        script=script,
    )


def _read_summary(folder: Path) -> Record:
    path = folder / "summary.json"
    try:
        values: Record = json.loads(path.read_text("utf-8"))
    except FileNotFoundError as error:
        raise RunFolderError(
            f"{folder} holds no summary.json: its run has not ended; resume it first"
        ) from error
    except (OSError, ValueError) as error:
        raise RunFolderError(f"{path} can't be read: {error}") from error
    return values


def _read_parts() -> tuple[str, str, str]:
    """Read style, library and script; the library's line for debuggers would make them ask."""
    library = _read_part("tabulator.min.js").partition("//# sourceMappingURL=")[0]
    return _read_part("page.css"), library, _read_part("page.js")


def _read_part(name: str) -> str:
    return (PARTS / name).read_text("utf-8")


def _allow(*, scripts: Iterable[str], style: str) -> str:
    """Make a policy under which nothing is loaded, and nothing runs but these scripts."""
    hashes = " ".join(map(_hash, scripts))
    return (
        f"default-src 'none'; script-src {hashes}; style-src {_hash(style)}; "
        "base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _encode(values: object) -> str:
    """Write JSON that can't end the element it stands in."""
    text = json.dumps(_make_plain(values), ensure_ascii=False, separators=(",", ":"))
    for character, escape in _ESCAPES.items():
        text = text.replace(character, escape)
    return text


def _make_plain(value: Any) -> Any:  # noqa: ANN401 -- any JSON
    if isinstance(value, str):
        return make_plain(value)
    if isinstance(value, dict):
        return {make_plain(key): _make_plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_make_plain(item) for item in value]
    return value


# --- the dialogues


def _read_entries(folder: Path, run: Record, seen: _Seen) -> Iterator[Record]:
    """Yield what the page shows of each dialogue and repeat."""
    limits = run["experiment"]["gates"].get("dialogue", {})
    logs = [_Log(folder / f"{name}.jsonl") for name in ("requests", "responses", "scores")]
    for dialogue in read_records(folder / "dialogues.jsonl"):
        requests, responses, scores = (log.take(dialogue["dialogue_id"]) for log in logs)
        held = [score for _, score in scores if score["outcome"] != "not_run"]
        broken = list(_find_broken(limits, held, seen)) if held else []
        seen.broken += bool(broken)
        for repeat in range(run["experiment"]["repeats"]):
            sent = {r["turn"]: r for _, r in requests if r["repeat"] == repeat}
            came = [(line, r) for line, r in responses if r["repeat"] == repeat]
            turns = [_turn_entry(sent[r["turn"]], r, line, seen) for line, r in came]
            score = next((s for _, s in scores if s["repeat"] == repeat), None)
            if turns and score is None:
                raise RunFolderError(
                    f"{folder / 'scores.jsonl'} lacks {dialogue['dialogue_id']}; "
                    "write it anew with summarize --rescore"
                )
            yield _entry(dialogue, repeat, turns, score or {}) | {"broken": broken}
    for log in logs:
        log.check_end()


def _entry(dialogue: Record, repeat: int, turns: list[Record], score: Record) -> Record:
    place = dialogue["_place"]
    asked = dialogue.get("turns") or [dialogue["user"]]
    return {
        "id": dialogue["dialogue_id"],
        "repeat": repeat,
        "place": f"{place['file']}:{place['line']}",
        "extra": {key: value for key, value in dialogue.items() if key not in _DIALOGUE_KEYS},
        "outcome": score.get("outcome", "not_run"),
        "coverage": score.get("fact_coverage"),
        "facts": score.get("facts", []),
        "expected": [] if score else dialogue["required_facts"],
        "refusal": score.get("refusal", []),
        "own": {name: ratio([join_repeats([value])]) for name, value in _own(score)},
        "turns": turns,
        "unsent": asked[len(turns) :],
    }


def _own(score: Record) -> Iterator[tuple[str, Any]]:
    """Yield the own metrics of a line of scores.jsonl."""
    for name, value in score.items():
        if name not in _SCORE_KEYS:
            yield name, tuple(value) if isinstance(value, list) else value


def _turn_entry(request: Record, response: Record, line: int, seen: _Seen) -> Record:
    return {
        "system": seen.number(request["prompt"]["system"]),
        "user": request["prompt"]["user"],
        "answer": response["completion"],
        "line": line,
        **{key: request[key] for key in _REQUEST_KEYS},
        **{key: response[key] for key in _RESPONSE_KEYS},
        **{key: response.get(key) for key in _LATER_KEYS},
    }


def _find_broken(
    limits: Mapping[str, Mapping[str, float]], scores: Sequence[Record], seen: _Seen
) -> Iterator[str]:
    """Say which gates for single dialogues one dialogue breaks."""
    values = [dict(_values(score)) for score in scores]
    for metric, bounds in limits.items():
        if not any(metric in known for known in values):
            seen.unjudged.add(metric)
            continue
        value = ratio([join_repeats(known.get(metric) for known in values)])
        if value is None:
            yield f"{metric} has no value"
        elif value < bounds.get("min", value):
            yield f"{metric} {value:.4f} is below its minimum of {bounds['min']}"
        elif value > bounds.get("max", value):
            yield f"{metric} {value:.4f} is above its maximum of {bounds['max']}"


def _values(score: Record) -> Iterator[tuple[str, Any]]:
    """Yield the metrics that a line of scores.jsonl tells."""
    labels = [refusal["label"] for refusal in score["refusal"]]
    yield "fact_coverage", score["fact_coverage"]
    yield "refusal_rate", (labels.count("full"), len(labels))
    yield from _own(score)


# --- what stands on top, and at the end


def judge_run(
    run: Record, summary: Record, *, broken: int, unjudged: Sequence[str] = ()
) -> Verdict:
    """Put a run into one sentence.

    `broken` dialogues break a gate of their own; those on the metrics `unjudged` aren't known.
    """
    counts, gates = summary["counts"], summary["gates"]
    selected = _count(counts["selected"], "dialogue")
    failures = list(_list_failures(run, summary, broken))
    if failures:
        kind, sentence = "failed", f"Failed: {_join(failures)}."
    elif summary["status"] != "complete":
        kind, sentence = "partial", "Partial: this is no whole run."
    elif unjudged:
        kind = "measured"
        sentence = f"Measured: {selected}; each one's {_join(unjudged)} is judged in a run only."
    elif gates or run["experiment"]["gates"]:
        kind, sentence = "passed", f"Passed: every gate holds over {selected}."
    else:
        kind, sentence = "measured", f"Measured: {selected}; no gate is set that could fail."
    return Verdict(kind, " ".join([sentence, *_list_remarks(summary)]))


def _list_failures(run: Record, summary: Record, broken: int) -> Iterator[str]:
    counts, gates = summary["counts"], summary["gates"]
    fallen = sum(not gate["holds"] for gate in gates)
    if fallen:
        yield f"{fallen} of {_count(len(gates), 'gate')} {_verb(fallen, 'does', 'do')} not hold"
    if broken:
        yield f"{_count(broken, 'dialogue')} {_verb(broken, 'breaks', 'break')} a gate"
    if counts["errors"]:
        whole = counts["selected"] * run["experiment"]["repeats"]
        yield f"{counts['errors']:,} of {_count(whole, 'dialogue')} ended in an error"


def _list_remarks(summary: Record) -> Iterator[str]:
    counts = summary["counts"]
    if counts["selected"] != counts["dialogues"]:
        yield f"Only {counts['selected']:,} of {_count(counts['dialogues'], 'dialogue')} selected."
    if counts["not_run"]:
        yield f"{_count(counts['not_run'], 'dialogue')} not run."
    if summary["metric_errors"]:
        yield f"{_count(len(summary['metric_errors']), 'metric')} could not be computed."
    kept = sum(gate["outcome"] == "inconclusive" and gate["holds"] for gate in summary["gates"])
    if kept:
        yield f"{_count(kept, 'gate')} {_verb(kept, 'is', 'are')} inconclusive, not failed."
    yield from _list_contrasts(summary["comparison"] or {})


def _list_contrasts(comparison: Record) -> Iterator[str]:
    verdicts: dict[str, list[str]] = {}
    for name, contrast in comparison.items():
        if isinstance(contrast, dict) and "verdict" in contrast:
            verdicts.setdefault(contrast["verdict"], []).append(name)
    first = [word for word in ("worse", "better") if word in verdicts]
    words = [*first, *(word for word in verdicts if word not in first)]
    told = [f"{word} in {_join(verdicts[word])}" for word in words]
    if told:
        yield f"Against the baseline: {'; '.join(told)}."


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _verb(number: int, one: str, many: str) -> str:
    return one if number == 1 else many


def _join(parts: Sequence[str]) -> str:
    return " and ".join([", ".join(parts[:-1]), parts[-1]]) if len(parts) > 1 else parts[0]


def list_commands(folder: Path, run: Record, summary: Record) -> list[Command]:
    """List what reproduces a run, and what can be asked of its folder."""
    manifest, client = run["experiment"]["path"], run["client"]
    chosen = [f"--experiment-client={client}"] if client in {"mock", "anthropic"} else []
    commands = [
        Command("run it again", shlex.join(["pytest", f"--experiment={manifest}", *chosen])),
        Command(
            "give the same answers again, for nothing",
            shlex.join(["pytest", f"--experiment={manifest}", f"--experiment-client={folder}"]),
        ),
        Command(
            "print the table",
            shlex.join(["experiment-profiler", "summarize", "--log-dir", str(folder)]),
        ),
    ]
    if summary["comparison"]:
        runs = [summary["comparison"]["baseline"], str(folder)]
        line = shlex.join(["experiment-profiler", "compare", *runs])
        commands.append(Command("compare with the baseline", line))
    return commands


def _rerun(run: Record) -> str | None:
    """Give the node id that a dialogue's name completes; None where quotes can't hold it."""
    node = f"{run['experiment']['path']}::{run['experiment']['experiment_id']}::"
    return node if _SAFE_IN_QUOTES.fullmatch(node) else None
