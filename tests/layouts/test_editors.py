"""Editors: what VS Code's adapter and PyCharm's (TeamCity's) see is what happened."""

from __future__ import annotations

import json
import os
import re
import threading
from contextlib import contextmanager

import pytest

from tests.layouts.project import DEMO, MANIFEST, names

VSCODE = '''
"""A stand-in for the plugin of VS Code's extension: its hooks, its rules, its way to name tests.

What it has to say goes into a named pipe at once, as messages of JSON-RPC.
"""

import json
import os
from pathlib import Path

import pytest

TOLD = set()
TREE = {}
ERRORS = []
PATHS = {}


def send(**params):
    text = json.dumps({"jsonrpc": "2.0", "params": params})
    head = f"content-length: {len(text)}\\r\\ncontent-type: application/json\\r\\n\\r\\n"
    with open(os.environ["TEST_RUN_PIPE"], "wb", buffering=0) as pipe:
        pipe.write((head + text).encode())


def tell(test, outcome):
    """The first that is told of a test stands."""
    if test not in TOLD:
        TOLD.add(test)
        send(outcomes={test: outcome})


def name_test(node_id, path):
    return "::".join([str(path), *node_id.split("::")[1:]])


def pytest_exception_interact(node, call, report):
    if report.when == "collect":
        ERRORS.append(report.longreprtext)
    else:
        kind = "failure" if call.excinfo.typename == "AssertionError" else "error"
        tell(name_test(node.nodeid, node.path), kind)


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_report_teststatus(report, config):
    if report.when == "call" or (report.when == "setup" and report.skipped):
        words = {"passed": "success", "failed": "failure", "skipped": "skipped"}
        path = PATHS.get(report.nodeid, Path.cwd())
        tell(name_test(report.nodeid, path), words[report.outcome])
    return (yield)


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_runtest_protocol(item, nextitem):
    PATHS[item.nodeid] = item.path
    return (yield)


def pytest_collection_finish(session):
    for item in session.items:
        line = item.location[1]
        group = []
        parent = item.parent
        while isinstance(parent, pytest.Class):
            group.append(parent.name)
            parent = parent.parent
        TREE[name_test(item.nodeid, item.path)] = {
            "name": item.name,
            "line": "Library" if line is None else line + 1,
            "groups": group[::-1],
            "file": str(parent.path),
        }


def pytest_sessionfinish(session, exitstatus):
    send(tree=TREE, errors=ERRORS, exit=int(exitstatus))
'''


@contextmanager
def reading_pipe(path):
    """Give the list of messages that come through a named pipe; it is whole at the end."""
    os.mkfifo(path)
    end, content = os.open(path, os.O_RDWR), bytearray()

    def read():
        while not content.endswith(b"\0"):
            content.extend(os.read(end, 1 << 16))

    reader = threading.Thread(target=read)
    reader.start()
    messages: list[dict[str, object]] = []
    try:
        yield messages
    finally:
        os.write(end, b"\0")
        reader.join()
        os.close(end)
    rest = bytes(content[:-1])
    while rest:
        head, _, rest = rest.partition(b"\r\n\r\n")
        length = int(head.split()[1])
        messages.append(json.loads(rest[:length])["params"])
        rest = rest[length:]


class Code:
    """VS Code with this project open: how it calls pytest, what it then shows."""

    def __init__(self, project, *settings):
        self.project = project
        self.settings = settings
        (project.path / "vscode_pytest.py").write_text(VSCODE, "utf-8")
        project.pytester.syspathinsert()

    def _call(self, *words):
        root, pipe = f"--rootdir={self.project.path}", self.project.path / "vscode.pipe"
        with pytest.MonkeyPatch.context() as patch, reading_pipe(pipe) as messages:
            patch.setenv("TEST_RUN_PIPE", str(pipe))
            self.result = self.project.run(root, "-p", "vscode_pytest", *words)
        pipe.unlink()
        *outcomes, told = messages
        self.exit, self.errors = told["exit"], told["errors"]
        told["outcomes"] = {test: kind for m in outcomes for test, kind in m["outcomes"].items()}
        return told

    def discover(self):
        return self._call("--collect-only", *self.settings)["tree"]

    def execute(self, *tests):
        """Run tests by id: positional settings are left out, as the extension does it."""
        options = [word for word in self.settings if word.startswith("-")]
        return self._call(*options, *tests)["outcomes"]


@pytest.fixture
def code(project):
    return Code(project, "tests", "experiments")


def test_a_tree_of_file_experiment_dialogue(code):
    tree = code.discover()
    manifest = code.project.path / MANIFEST
    dialogues = {key: node for key, node in tree.items() if key.startswith(str(manifest))}
    assert list(dialogues) == [f"{manifest}::demo_run::{name}" for name in names(6)]
    for node in dialogues.values():
        assert node["groups"] == ["demo_run"]
        assert node["file"] == str(manifest)
    assert code.errors == []
    assert code.project.take_calls() == []


def test_each_test_has_a_line_of_its_file(code):
    """The adapter joins a test's path, the manifest's, with the line."""
    count = len((code.project.path / MANIFEST).read_text("utf-8").splitlines())
    for node in code.discover().values():
        assert 1 <= node["line"] <= count


def test_run_all_sends_every_id(code):
    code.project.fail("d1", "d4")
    tree = code.discover()
    outcomes = code.execute(*tree)
    assert outcomes.keys() == tree.keys()
    found = {key.rpartition("::")[2]: outcome for key, outcome in outcomes.items()}
    assert found == {
        **dict.fromkeys(["test_it", "d0", "d2", "d3", "d5"], "success"),
        **dict.fromkeys(["d1", "d4"], found["d1"]),
    }
    assert found["d1"] in {"failure", "error"}
    assert code.exit == pytest.ExitCode.TESTS_FAILED
    assert code.project.take_calls() == names(6)
    assert code.project.summary()["status"] == "complete"


def test_run_one(code):
    tree = list(code.discover())
    [wanted] = [key for key in tree if key.endswith("::d3")]
    assert code.execute(wanted) == {wanted: "success"}
    assert code.project.take_calls() == ["d3"]
    assert code.project.partial_summary()["status"] == "partial"


def test_a_forced_layout_shows_no_green_over_red(project):
    project.fail("d4")
    code = Code(project, "experiments", "--experiment-layout=subtests")
    outcomes = code.execute(*code.discover())
    assert [name.rpartition("::")[2] for name, kind in outcomes.items() if kind != "success"] == [
        "d4"
    ]


def test_a_setting_that_names_a_manifest(project):
    code = Code(project, f"--experiment={MANIFEST}")
    tree = code.discover()
    assert [key.rpartition("::")[2] for key in tree] == names(6)
    outcomes = code.execute(*list(tree)[:2])
    assert list(outcomes.values()) == ["success", "success"]
    assert project.take_calls() == ["d0", "d1"]


def test_a_gate_is_red(bare):
    bare.write(2, gates={"fact_coverage": {"min": 0.99}})
    path = bare.path / "experiments" / "demo_data" / "dialogues.json"
    path.write_text(path.read_text("utf-8").replace("fact1", "unheard of"), "utf-8")
    code = Code(bare, "experiments")
    outcomes = code.execute(*code.discover())
    assert [value for key, value in outcomes.items() if key.endswith("::gates")] != ["success"]
    assert [value == "success" for value in outcomes.values()] == [True, True, False]


def test_a_bad_manifest_is_told_and_the_others_are_there(code):
    code.project.write(2, name="bad", max_tokens=0)
    tree = code.discover()
    assert len([key for key in tree if "::demo_run::" in key]) == 6
    assert any("max_tokens must be a whole number" in text for text in code.errors)


def test_a_client_that_cannot_be_had_is_no_green(code):
    tree = [key for key in code.discover() if "demo_run" in key]
    (code.project.path / "experiments" / "conftest.py").unlink()
    outcomes = code.execute(*tree)
    assert outcomes.keys() == set(tree)
    assert set(outcomes.values()) == {"error"}


def test_odd_ids_go_there_and_back(bare):
    odd = ("a[b]", "path/to.file", "one::two", "größe x", "-k", "x" * 120)
    bare.write([{"dialogue_id": name, "user": "Why?"} for name in odd])
    code = Code(bare, "experiments")
    tree = code.discover()
    outcomes = code.execute(*tree)
    assert outcomes.keys() == tree.keys()
    assert set(outcomes.values()) == {"success"}
    assert sorted(bare.logged()) == sorted(odd)


# --- TeamCity's messages, which PyCharm reads too

MESSAGE = re.compile(r"##teamcity\[(\w+)((?: \w+='(?:\|.|[^'|])*')*)\]")
ATTRIBUTE = re.compile(r" (\w+)='((?:\|.|[^'|])*)'")
ESCAPES = {"n": "\n", "r": "\r"}


def unescape(text):
    one = re.sub(r"\|0x([0-9A-Fa-f]{4})", lambda m: chr(int(m[1], 16)), text)
    return re.sub(r"\|(.)", lambda m: ESCAPES.get(m[1], m[1]), one, flags=re.DOTALL)


def read_messages(result):
    """List (kind, attributes) of each service message."""
    found = []
    for kind, attributes in MESSAGE.findall(result.stdout.str()):
        values = {key: unescape(value) for key, value in ATTRIBUTE.findall(attributes)}
        found.append((kind, values))
    return found


@pytest.fixture
def city(project, monkeypatch):
    """The project under TeamCity."""
    pytest.importorskip("teamcity")
    monkeypatch.setenv("TEAMCITY_VERSION", "2026.1")
    return project


def by_test(messages):
    tests: dict[str, list[str]] = {}
    for kind, values in messages:
        if kind.startswith("test") and "name" in values:
            tests.setdefault(values["name"].rpartition(".")[2], []).append(kind)
    return tests


def test_each_dialogue_starts_and_ends_once(city):
    city.fail("d1", "d4")
    messages = read_messages(city.run(MANIFEST))
    tests = by_test(messages)
    for name in names(6):
        kinds = [kind for kind in tests[name] if kind != "testStdOut"]
        failed = ["testFailed"] if name in {"d1", "d4"} else []
        assert kinds == ["testStarted", *failed, "testFinished"]
    assert set(tests) == set(names(6))
    [count] = [values["count"] for kind, values in messages if kind == "testCount"]
    assert count == "6"


def test_each_failure_says_its_own(city):
    city.fail("d1", "d4")
    failures = [values for kind, values in read_messages(city.run(MANIFEST)) if "Failed" in kind]
    assert ["dialogue d1" in failures[0]["details"], "dialogue d4" in failures[1]["details"]] == [
        True,
        True,
    ]
    assert all("the model is out" in values["details"] for values in failures)
    assert "dialogues.json" in failures[0]["message"]


def test_run_this_test_names_the_dialogue(city):
    """PyCharm takes the name to run one test from `metainfo`, its id from the tree."""
    messages = read_messages(city.run(MANIFEST))
    started = [values for kind, values in messages if kind == "testStarted"]
    assert [values["metainfo"] for values in started] == names(6)
    city.take_calls()
    city.run(f"{DEMO}::{started[3]['metainfo']}").assert_outcomes(passed=1)
    assert city.take_calls() == ["d3"]


def test_names_make_no_levels_of_their_own(bare, monkeypatch):
    pytest.importorskip("teamcity")
    monkeypatch.setenv("TEAMCITY_VERSION", "2026.1")
    bare.write([{"dialogue_id": name, "user": "Why?"} for name in ("a.b", "c/d", "e[f]", "g::h")])
    messages = read_messages(bare.run(MANIFEST))
    started = [values["name"] for kind, values in messages if kind == "testStarted"]
    assert len(started) == 4
    assert len({name.rpartition(".")[0] for name in started}) == 1


def test_hostile_text_stays_inside_its_message(bare, monkeypatch):
    pytest.importorskip("teamcity")
    monkeypatch.setenv("TEAMCITY_VERSION", "2026.1")
    fake = "##teamcity[testFinished name='d0']"
    code = f"""
import pytest
from pytest_experiment_profiler import ClientError

class Hostile:
    def complete(self, prompt):
        raise ClientError("out\\n" + {fake!r} + "|'[]")

@pytest.fixture(scope="module")
def model_client():
    return Hostile()
"""
    (bare.path / "experiments" / "conftest.py").write_text(code, "utf-8")
    bare.write(1)
    result = bare.run(MANIFEST)
    lines = [line for line in result.outlines if line.startswith("##teamcity")]
    assert fake not in lines
    assert [kind for kind, _ in read_messages(result) if kind == "testFailed"] == ["testFailed"]
