"""JUnit XML, parsed back: a case a dialogue, with its own failure, time and properties."""

from __future__ import annotations

import json
import re
from xml.etree import ElementTree as ET

import pytest

from tests.layouts.project import MANIFEST, names

CASE_CHILDREN = {"properties", "skipped", "error", "failure", "system-out", "system-err"}
CASE_ATTRIBUTES = {"name", "classname", "time", "file", "line", "group"}
SUITE_ATTRIBUTES = {
    *("name", "tests", "failures", "errors", "skipped", "time", "timestamp", "hostname"),
    *("id", "package", "file"),
}
SECONDS = re.compile(r"\d+\.\d+")


def read_suite(path):
    """Parse a report and check its form; give its one suite."""
    root = ET.parse(path).getroot()  # noqa: S314 -- a file that pytest wrote
    assert root.tag == "testsuites"
    [suite] = root
    assert set(suite.attrib) <= SUITE_ATTRIBUTES
    cases = suite.findall("testcase")
    assert len(cases) + len(suite.findall("properties")) == len(suite)
    assert int(suite.attrib["tests"]) == len(cases)
    for kind in ("failure", "error", "skipped"):
        total = suite.attrib[{"failure": "failures", "error": "errors"}.get(kind, kind)]
        assert int(total) == len(suite.findall(f"testcase/{kind}"))
    for case in cases:
        check_case(case)
    return suite


def check_case(case):
    assert {child.tag for child in case} <= CASE_CHILDREN
    assert set(case.attrib) <= CASE_ATTRIBUTES
    assert case.attrib["name"]
    assert SECONDS.fullmatch(case.attrib["time"])
    verdicts = [child for child in case if child.tag in {"failure", "error", "skipped"}]
    assert len(verdicts) <= 1
    for found in case.iter("property"):
        assert set(found.attrib) == {"name", "value"}


def properties(case):
    return {found.attrib["name"]: found.attrib["value"] for found in case.iter("property")}


@pytest.fixture
def report(project):
    """The suite of a run in which d1 failed."""
    project.fail("d1")
    project.run(MANIFEST, "--junitxml=junit.xml").assert_outcomes(passed=5, failed=1)
    return read_suite(project.path / "junit.xml")


def test_a_case_a_dialogue(report):
    assert [case.attrib["name"] for case in report.findall("testcase")] == names(6)
    assert len({case.attrib["classname"] for case in report.findall("testcase")}) == 1
    [case, *_] = report.findall("testcase")
    assert "demo_run" in case.attrib["classname"]


def test_a_failed_dialogue_has_its_own_failure(report):
    [failed] = [case for case in report.findall("testcase") if case.find("failure") is not None]
    assert failed.attrib["name"] == "d1"
    text = failed.find("failure").text
    assert "the model is out" in text
    assert "dialogues.json:3" in text
    assert failed.find("failure").attrib["message"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("input_tokens", "7"),
        ("output_tokens", "5"),
        ("fact_coverage", "1.0"),
        ("refusal", "none"),
        ("cost_usd", None),
    ],
)
def test_a_case_has_its_numbers(report, name, value):
    [case, failed, *_] = report.findall("testcase")
    assert properties(case)[name] == (value or properties(case)[name])
    assert name not in properties(failed)


def test_a_cost_is_a_number(report):
    [case, *_] = report.findall("testcase")
    assert 0 < float(properties(case)["cost_usd"]) < 0.01


def test_gates_are_a_case(bare):
    bare.write(2, gates={"refusal_rate": {"max": 0.1}, "fact_coverage": {"min": 0.99}})
    path = bare.path / "experiments" / "demo_data" / "dialogues.json"
    path.write_text(path.read_text("utf-8").replace("fact1", "unheard of"), "utf-8")
    bare.run(MANIFEST, "--junitxml=junit.xml").assert_outcomes(passed=2, failed=1)
    suite = read_suite(bare.path / "junit.xml")
    last = suite.findall("testcase")[-1]
    assert last.attrib["name"] == "gates"
    assert "fact_coverage" in last.find("failure").text


def test_dialogues_that_were_not_run_are_skipped_or_failed(bare):
    bare.write(5, budget={"tokens": 130}, concurrency=1, max_tokens=20)
    bare.run(MANIFEST, "--junitxml=junit.xml")
    suite = read_suite(bare.path / "junit.xml")
    passed = [case for case in suite.findall("testcase") if not set(case) - {*case.iter("p")}]
    assert len(suite.findall("testcase")) == 5
    assert int(suite.attrib["failures"]) == 1
    assert int(suite.attrib["skipped"]) >= 1
    assert len(passed) < 5


HOSTILE = "\x00\x07\x1b[31m ]]> &amp; <b> \u202e \ufffe \ud800 日本"


def test_model_text_cannot_break_the_file(bare):
    code = f"""
import pytest
from pytest_experiment_profiler import ClientError

class Hostile:
    def complete(self, prompt):
        raise ClientError({HOSTILE!r})

@pytest.fixture(scope="module")
def model_client():
    return Hostile()
"""
    (bare.path / "experiments" / "conftest.py").write_text(code, "utf-8")
    bare.write([{"dialogue_id": "<d&0>", "user": HOSTILE.replace("\ud800", "")}])
    bare.run(MANIFEST, "--junitxml=junit.xml").assert_outcomes(failed=1)
    suite = read_suite(bare.path / "junit.xml")
    [case] = suite.findall("testcase")
    assert case.attrib["name"] == "<d&0>"
    assert "日本" in case.find("failure").text


def test_the_time_is_that_of_the_calls(bare):
    code = """
import pytest
from pytest_experiment_profiler import Reply

class Local:
    def complete(self, prompt):
        return Reply(text="x")

@pytest.fixture(scope="module")
def model_client():
    return Local()

def pytest_runtest_logreport(report):
    if report.when == "call":
        print("TOOK", report.duration)
"""
    (bare.path / "conftest.py").write_text(code, "utf-8")
    (bare.path / "experiments" / "conftest.py").unlink()
    bare.write(2)
    bare.run(MANIFEST, "--junitxml=junit.xml", "-o", "junit_duration_report=call")
    suite = read_suite(bare.path / "junit.xml")
    lines = (bare.run_folder / "responses.jsonl").read_text("utf-8").splitlines()
    spent = [json.loads(line)["latency_s"] for line in lines]
    times = [float(case.attrib["time"]) for case in suite.findall("testcase")]
    assert times == [round(seconds, 3) for seconds in spent]


def test_no_case_has_two_results_in_either_family(project):
    project.fail("d1")
    for family in ("xunit1", "xunit2"):
        project.run(MANIFEST, "--junitxml=junit.xml", "-o", f"junit_family={family}")
        suite = read_suite(project.path / "junit.xml")
        assert len(suite.findall("testcase")) == 6
