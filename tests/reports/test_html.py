"""The report as one file: what it holds, what it can't do, and what it is written from."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import tracemalloc
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_experiment_profiler import cli
from pytest_experiment_profiler.errors import RunFolderError, UsageError
from pytest_experiment_profiler.reports import html
from pytest_experiment_profiler.reports.html import list_commands, write_html
from pytest_experiment_profiler.reports.plain import make_plain
from tests.builders import make_read_transcript, read_lines, write_project

ASKED = "</script><script>window.hacked=1</script><!-- & \u2028 \u202e \x1b[31m"
HOSTILE = f"{ASKED} \ud800"
HOW_TO = Path(__file__).parents[2] / "docs" / "how-to" / "html-report.md"
make = make_read_transcript


class Page(HTMLParser):
    """The elements of a page with their attributes and, of scripts and styles, their text."""

    def __init__(self, path: Path) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self.styles: list[str] = []
        self._open = ""
        self.feed(path.read_bytes().decode("utf-8"))
        self.close()

    def handle_starttag(self, tag, attrs):
        self._open = tag
        self.elements.append((tag, dict(attrs)))
        if tag == "script":
            self.scripts.append((dict(attrs), ""))
        if tag == "style":
            self.styles.append("")

    def handle_data(self, data):
        if self._open == "script":
            attributes, text = self.scripts[-1]
            self.scripts[-1] = (attributes, text + data)
        if self._open == "style":
            self.styles[-1] += data

    def handle_endtag(self, _tag):
        self._open = ""

    def data(self, name):
        [text] = [text for attributes, text in self.scripts if attributes.get("id") == name]
        return json.loads(text)

    @property
    def policy(self):
        [content] = [
            attributes["content"]
            for tag, attributes in self.elements
            if tag == "meta" and attributes.get("http-equiv") == "Content-Security-Policy"
        ]
        return content


def run(folder, *arguments, **project):
    manifest = write_project(folder, **project)
    output = folder / "runs"
    cli.main(
        ["run", "--client=mock", "--config", str(manifest), "--output-dir", str(output), *arguments]
    )
    return output / "demo_run"


def show(run_folder):
    target = run_folder.parent / "report.html"
    write_html(run_folder, target)
    return Page(target)


def rows(*ids, **keys):
    return [{"dialogue_id": i, "user": "Why?", "required_facts": ["rain"], **keys} for i in ids]


def write_lines(path, lines):
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")


# --- what the page holds


def test_each_dialogue_is_told_with_its_calls(tmp_path):
    page = show(run(tmp_path, dialogues=3))
    entries = page.data("data-dialogues")
    assert [entry["id"] for entry in entries] == ["d0", "d1", "d2"]
    assert entries[1]["facts"] == [{"fact": "fact1", "found": True, "matched": "fact1"}]
    [turn] = entries[1]["turns"]
    assert (turn["user"], turn["answer"], turn["line"]) == ("Question 1?", "It is fact1.", 2)
    assert turn["attempts"][0]["status"] == 200
    assert turn["max_tokens"] == 200


def test_summary_and_run_are_told_whole(tmp_path):
    folder = run(tmp_path)
    rest = show(folder).data("data-run")
    assert rest["summary"] == json.loads((folder / "summary.json").read_text("utf-8"))
    assert rest["run"] == json.loads((folder / "run.json").read_text("utf-8"))
    assert rest["folder"] == str(folder)


def test_a_system_prompt_that_all_share_is_written_once(tmp_path):
    system = "You are a teacher." * 50
    page = show(run(tmp_path, dialogues=rows("a", "b", "c", system=system), answers={"a": "rain"}))
    assert page.data("data-run")["systems"] == [system]
    assert [turn["system"] for e in page.data("data-dialogues") for turn in e["turns"]] == [0] * 3


def test_turns_and_what_was_not_sent(tmp_path):
    talk = [{"dialogue_id": "a", "turns": ["One?", "Two?", "Three?"], "required_facts": []}]
    stop = {"completion": "No.", "stop_reason": "refusal"}
    [entry] = show(run(tmp_path, dialogues=talk, answers={"a": ["Yes.", stop]})).data(
        "data-dialogues"
    )
    assert [turn["user"] for turn in entry["turns"]] == ["One?", "Two?"]
    assert entry["unsent"] == ["Three?"]


def test_repeats_stand_one_by_one(tmp_path):
    entries = show(run(tmp_path, dialogues=2, repeats=3)).data("data-dialogues")
    assert [(e["id"], e["repeat"]) for e in entries] == [
        (f"d{i}", r) for i in (0, 1) for r in range(3)
    ]
    assert all(len(entry["turns"]) == 1 for entry in entries)


def test_further_keys_and_the_place_are_kept(tmp_path):
    [entry] = show(run(tmp_path, dialogues=rows("a", tags=["x"]))).data("data-dialogues")
    assert entry["extra"] == {"tags": ["x"]}
    assert entry["place"].endswith("dialogues.json:2")


def test_own_metrics_are_values_or_ratios(tmp_path):
    folder = run(tmp_path, dialogues=2)
    first, second = read_lines(folder / "scores.jsonl")
    write_lines(
        folder / "scores.jsonl",
        [first | {"brevity": 0.25, "words": [3, 4]}, second | {"brevity": None, "words": [0, 0]}],
    )
    entries = show(folder).data("data-dialogues")
    assert entries[0]["own"] == {"brevity": 0.25, "words": 0.75}
    assert entries[1]["own"] == {"brevity": None, "words": None}


def test_errors_are_kept_with_their_attempts(tmp_path):
    failure = {"error": {"status": 400, "type": "invalid_request_error", "message": "too long"}}
    [entry] = show(run(tmp_path, dialogues=rows("a"), answers={"a": failure})).data(
        "data-dialogues"
    )
    assert entry["outcome"] == "error"
    assert entry["turns"][0]["error"]["message"] == "too long"
    assert entry["turns"][0]["answer"] is None


def test_a_dialogue_that_breaks_a_gate_says_which(tmp_path):
    gates = {"dialogue": {"fact_coverage": {"min": 0.5}, "refusal_rate": {"max": 0}}}
    answers = {"a": "rain", "b": "I'm sorry, but I can't help with that."}
    page = show(run(tmp_path, dialogues=rows("a", "b"), answers=answers, gates=gates))
    good, bad = page.data("data-dialogues")
    assert good["broken"] == []
    assert bad["broken"] == [
        "fact_coverage 0.0000 is below its minimum of 0.5",
        "refusal_rate 1.0000 is above its maximum of 0",
    ]


# --- what the page can't do


@pytest.fixture(scope="module")
def hostile_page(tmp_path_factory):
    name = "</script><img src=x onerror=hacked()>"
    dialogues = [{"dialogue_id": name, "user": ASKED, "required_facts": [ASKED], "x": ASKED}]
    path = tmp_path_factory.mktemp("hostile")
    folder = run(path, dialogues=dialogues, answers={name: HOSTILE})
    summary = json.loads((folder / "summary.json").read_text("utf-8"))
    changes = {"model": HOSTILE, "experiment_id": HOSTILE, "metrics": [HOSTILE], HOSTILE: 0.5}
    (folder / "summary.json").write_text(json.dumps(summary | changes), "utf-8")
    return show(folder)


def test_the_page_asks_nobody(hostile_page):
    for tag, attributes in hostile_page.elements:
        assert not {"src", "srcset", "action", "data", "poster", "background"} & attributes.keys()
        assert tag not in {"base", "iframe", "object", "embed", "img", "link", "form"}
        assert attributes.get("href", "#").startswith("#")
        assert not [name for name in attributes if name.startswith("on") or name == "style"]
    assert not re.search(r"@import|url\(", hostile_page.styles[0])


def test_only_two_scripts_run_and_the_policy_names_them(hostile_page):
    run_at_all = [text for attributes, text in hostile_page.scripts if not attributes]
    assert len(hostile_page.scripts) == 4
    assert len(run_at_all) == 2
    hashes = [
        f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
        for text in [*run_at_all, *hostile_page.styles]
    ]
    assert hostile_page.policy == (
        f"default-src 'none'; script-src {hashes[0]} {hashes[1]}; style-src {hashes[2]}; "
        "base-uri 'none'; form-action 'none'"
    )


def test_hostile_text_stands_there_made_visible(hostile_page):
    [entry] = hostile_page.data("data-dialogues")
    assert entry["turns"][0]["answer"] == make_plain(HOSTILE)
    assert entry["turns"][0]["user"] == entry["extra"]["x"] == make_plain(ASKED)
    assert make_plain(HOSTILE).isprintable()


@pytest.mark.parametrize("name", ["data-dialogues", "data-run"])
def test_data_hold_no_character_that_markup_needs(hostile_page, name):
    [text] = [text for attributes, text in hostile_page.scripts if attributes.get("id") == name]
    assert not re.search("[<>&\u2028\u2029]", text)


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(text=st.text(max_size=60))
def test_any_answer_comes_through(tmp_path, text):
    folder = tmp_path / "runs" / "demo_run"
    if not folder.exists():
        run(tmp_path, dialogues=1)
    [response] = read_lines(folder / "responses.jsonl")
    write_lines(folder / "responses.jsonl", [response | {"completion": text}])
    page = show(folder)
    assert len(page.scripts) == 4
    assert page.data("data-dialogues")[0]["turns"][0]["answer"] == make_plain(text)


def test_the_script_sets_text_as_text_only():
    script = (html.PARTS / "page.js").read_text("utf-8")
    ways = (
        r"innerHTML|outerHTML|insertAdjacent|document\.write|eval\(|Function\(|\.style\s*=|https?:"
    )
    assert not re.search(ways, script)


def test_no_part_can_end_its_element():
    for path in html.PARTS.iterdir():
        if path.suffix in {".js", ".css"}:
            assert not re.search(
                r"</(script|style)|<!--|\r", path.read_text("utf-8"), re.IGNORECASE
            )


def test_the_how_to_tells_where_the_library_is_from():
    content = (html.PARTS / "tabulator.min.js").read_bytes()
    [version] = re.findall(rb"Tabulator v([\d.]+) ", content[:100])
    text = HOW_TO.read_text("utf-8")
    assert f"tabulator-tables@{version.decode()}" in text
    assert hashlib.sha256(content).hexdigest() in text
    assert "MIT" in (html.PARTS / "tabulator.LICENSE").read_text("utf-8")


# --- gates of single dialogues


def test_no_gate_is_called_held_that_the_scores_do_not_tell(tmp_path):
    gates = {"dialogue": {"empty_rate": {"max": 0}}}
    page = show(run(tmp_path, gates=gates))
    assert page.data("data-run")["unjudged"] == ["empty_rate"]


# --- how to do it again


def list_lines(client="mock", manifest="m.yaml", folder=Path("runs/x"), comparison=None):
    run = {"client": client, "experiment": {"path": manifest}}
    return [c.line for c in list_commands(folder, run, {"comparison": comparison})]


def test_commands_of_a_run():
    assert list_lines() == [
        "pytest --experiment=m.yaml --experiment-client=mock",
        "pytest --experiment=m.yaml --experiment-client=runs/x",
        "experiment-profiler summarize --log-dir runs/x",
    ]


def test_a_client_of_the_users_own_is_no_option():
    assert list_lines(client="Teller")[0] == "pytest --experiment=m.yaml"


def test_a_comparison_can_be_made_again():
    [*_, last] = list_lines(comparison={"baseline": "old runs/x"})
    assert last == "experiment-profiler compare 'old runs/x' runs/x"


def test_paths_are_quoted_for_the_shell():
    assert list_lines(manifest="a b$(id).yaml")[0].startswith("pytest '--experiment=a b$(id).yaml'")


# --- from what it is written, and where


@pytest.mark.parametrize(
    "name", ["run.json", "summary.json", *(f"{n}.jsonl" for n in ("dialogues", "requests"))]
)
def test_a_folder_that_lacks_a_file_is_refused(tmp_path, name):
    folder = run(tmp_path)
    (folder / name).unlink()
    with pytest.raises(RunFolderError, match=name.split(".", maxsplit=1)[0]):
        show(folder)
    assert list(folder.parent.glob("*.html")) == list(folder.parent.glob(".report*")) == []


@pytest.mark.parametrize("name", ["run.json", "summary.json", "scores.jsonl"])
@pytest.mark.parametrize("content", ["{", "[]\n", "{}\n", "3\n"])
def test_a_folder_with_a_broken_file_is_refused(tmp_path, name, content):
    folder = run(tmp_path)
    (folder / name).write_text(content, "utf-8")
    with pytest.raises(RunFolderError):
        show(folder)


def test_logs_out_of_order_are_refused_rather_than_shown_in_part(tmp_path):
    folder = run(tmp_path)
    lines = read_lines(folder / "responses.jsonl")
    write_lines(folder / "responses.jsonl", reversed(lines))
    with pytest.raises(RunFolderError, match=r"responses\.jsonl:2: a line of d1"):
        show(folder)


def test_answers_without_scores_are_refused(tmp_path):
    folder = run(tmp_path)
    write_lines(folder / "scores.jsonl", read_lines(folder / "scores.jsonl")[:2])
    with pytest.raises(RunFolderError, match="lacks d2"):
        show(folder)


def test_a_report_is_replaced_and_its_folder_made(tmp_path):
    folder = run(tmp_path)
    target = tmp_path / "new" / "folder" / "report.html"
    for _ in range(2):
        write_html(folder, target)
    assert [path.name for path in target.parent.iterdir()] == ["report.html"]


def test_a_target_that_is_no_file_is_refused(tmp_path):
    folder = run(tmp_path)
    with pytest.raises(UsageError, match="it is no file"):
        write_html(folder, tmp_path)


def test_a_target_below_a_file_is_refused(tmp_path):
    folder = run(tmp_path)
    with pytest.raises(UsageError, match="can't be written"):
        write_html(folder, folder / "run.json" / "report.html")


def test_memory_does_not_grow_with_the_dialogues(tmp_path):
    peaks = []
    for number in (50, 500):
        folder = run(tmp_path / str(number), dialogues=number)
        tracemalloc.start()
        write_html(folder, tmp_path / "report.html")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 200_000
