"""Run and summary → how a run ended, in one sentence: what stands on top of its page."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_experiment_profiler.records import Record


class Verdict(NamedTuple):
    """How a run ended, in a word for the eye and in a sentence."""

    kind: str
    sentence: str


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
