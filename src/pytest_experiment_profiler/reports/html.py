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
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any, NamedTuple

from pytest_experiment_profiler.errors import RunFolderError, UsageError
from pytest_experiment_profiler.reports.entries import Seen, read_entries
from pytest_experiment_profiler.reports.headline import judge_run
from pytest_experiment_profiler.reports.plain import make_plain
from pytest_experiment_profiler.runfolder import read_run

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pytest_experiment_profiler.records import Record

PARTS = Path(__file__).with_suffix("")
"""Where the page, its style and scripts lie."""

_ESCAPES = {character: f"\\u{ord(character):04x}" for character in "<>&\u2028\u2029"}
_SAFE_IN_QUOTES = re.compile(r"[\w ./:\\-]+")


class Command(NamedTuple):
    """What to type, and what it does."""

    does: str
    line: str


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
    run, summary, seen = read_run(folder), _read_summary(folder), Seen()
    style, library, script = _read_parts()
    before, after = _read_part("page.html").split("$dialogues")
    title = f"{summary['experiment_id']}: {summary['model']}"
    policy = _allow(scripts=(library, script), style=style)
    yield Template(before).substitute(
        policy=policy, title=html.escape(make_plain(title)), style=style
    )
    for number, entry in enumerate(read_entries(folder, run, seen)):
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
