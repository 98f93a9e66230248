"""The report as people meet it: opened, searched, sorted and read in a headless Chromium."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from pytest_experiment_profiler.reports.html import write_html
from pytest_experiment_profiler.reports.plain import make_plain
from tests.builders import read_lines, write_project

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from selenium.webdriver import Chrome
    from selenium.webdriver.remote.webelement import WebElement

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
DRIVER = shutil.which("chromedriver")
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--disable-dev-shm-usage", "--force-prefers-reduced-motion"),
)
BREAK_OUT = "</script></template></textarea><script>window.hacked=1</script>"
ANSWERS: dict[str, Any] = {
    "script": f"It rains. {BREAK_OUT} <script>hacked=1</script>",
    "comment": "It rains. <!--<script> and <![CDATA[ and --!> &lt;img&gt;",
    "handler": "It rains. <img src=x onerror=window.hacked=1><svg/onload=window.hacked=1>",
    "link": "It rains. <a href='javascript:hacked=1'>x</a> <iframe srcdoc='<script>'></iframe>",
    "style": "It rains. <style>*{display:none}</style> <b style='position:fixed'>y</b>",
    "template": "It rains. ${window.hacked=1} {{constructor.constructor('hacked=1')()}}",
    "control": "It rains. \x00\x07\x1b[31m\x9b \u2028\u2029 \ufeff",
    "bidi": "It rains. \u202e\u2066gnp.exe\u2069 \u200bzero\u200dwidth",
    "surrogate": "It rains. \ud83d and \udc00 and \ud800",
    "long": f"It rains. {'word ' * 210_000}",
    "blank": " \n ",
    "refused": "I'm sorry, but I can't help with that.",
    "failed": {"error": {"status": 400, "type": "<b>bad</b>", "message": f"no 17 {BREAK_OUT}"}},
    "failed_too": {"error": {"status": 400, "type": "<b>bad</b>", "message": f"no 4 {BREAK_OUT}"}},
    "</script><img src=x onerror=window.hacked=1>": "It rains.",
    "talk": ["It rains.", {"completion": "Enough.", "usage": {"output_tokens": 7}}],
}
TOLD = {name: answer for name, answer in ANSWERS.items() if isinstance(answer, str)}


def write_report(folder: Path, *arguments: str, **project: Any) -> Path:
    """Run a project by its shell command and write the report of its run folder."""
    manifest = write_project(folder, **project)
    command = [sys.executable, "-m", "pytest_experiment_profiler", "run", "--client=mock"]
    command += ["--config", str(manifest), "--output-dir", str(folder / "runs"), *arguments]
    subprocess.run(command, check=False, capture_output=True, timeout=120)
    write_html(folder / "runs" / "demo_run", folder / "report.html")
    return folder / "report.html"


def list_dialogues() -> list[dict[str, Any]]:
    talk = {"dialogue_id": "talk", "turns": ["First?", "Then?"], "required_facts": ["rains", "7"]}
    asked = [
        {"dialogue_id": name, "user": f"{name}? {BREAK_OUT}", "required_facts": ["rains"]}
        for name in ANSWERS
        if name != "talk"
    ]
    return [*asked, talk]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    gates = {"fact_coverage": {"min": 0.99}, "dialogue": {"fact_coverage": {"min": 0.5}}}
    folder = tmp_path_factory.mktemp("hostile")
    return write_report(folder, dialogues=list_dialogues(), answers=ANSWERS, gates=gates)


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    if CHROMIUM is None or DRIVER is None:
        pytest.skip("Chromium is missing: apt-get install chromium chromium-driver")
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is missing")
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(DRIVER))
    yield driver
    driver.quit()


class Page:
    """A report that stands open."""

    def __init__(self, driver: Chrome) -> None:
        self.driver = driver

    def open(self, path: Path, fragment: str = "") -> Page:
        self.driver.get("about:blank")
        self.driver.get_log("browser")
        self.driver.get_log("performance")
        self.resize(1280)
        self.prefer("light")
        self.driver.get(path.as_uri() + fragment)
        self.wait(lambda: self.run("return document.documentElement.dataset.ready === 'yes'"))
        return self

    def run(self, script: str, *arguments: Any) -> Any:
        return self.driver.execute_script(script, *arguments)

    def wait(self, holds: Callable[[], Any]) -> None:
        from selenium.webdriver.support.wait import WebDriverWait  # noqa: PLC0415 -- may be missing

        WebDriverWait(self.driver, 20, poll_frequency=0.02).until(lambda _: holds())

    def all(self, selector: str) -> list[WebElement]:
        return self.driver.find_elements("css selector", selector)

    def one(self, selector: str) -> WebElement:
        [element] = self.all(selector)
        return element

    def text(self, selector: str) -> str:
        return str(self.run("return document.querySelector(arguments[0]).textContent", selector))

    def ids(self) -> list[str]:
        cells = ".tabulator-row .tabulator-cell[tabulator-field=id]"
        script = "return [...document.querySelectorAll(arguments[0])].map((e) => e.textContent)"
        return [str(text) for text in self.run(script, cells)]

    def search(self, words: str) -> None:
        script = "arguments[0].value = arguments[1]; arguments[0].dispatchEvent(new Event('input'))"
        self.run(script, self.one("#search"), words)

    def click(self, selector: str, text: str = "") -> None:
        next(element for element in self.all(selector) if text in element.text).click()

    def press(self, *keys: str) -> None:
        from selenium.webdriver.common.keys import Keys  # noqa: PLC0415 -- may be missing

        for key in keys:
            pressed = getattr(Keys, key, key)
            self.driver.switch_to.active_element.send_keys(pressed)

    def read(self, name: str) -> None:
        """Open a dialogue by a click on its row."""
        self.run("document.querySelector('dialog').close()")
        row = self.ids().index(name)
        self.run("arguments[0].click()", self.all(".tabulator-row")[row])

    def prefer(self, scheme: str) -> None:
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    def resize(self, width: int) -> None:
        size = {"width": width, "height": 1200, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)

    def complaints(self) -> list[str]:
        return [str(line["message"]) for line in self.driver.get_log("browser")]

    def requests(self) -> list[str]:
        messages = [json.loads(line["message"]) for line in self.driver.get_log("performance")]
        sent = [m["message"] for m in messages]
        return [
            m["params"]["request"]["url"]
            for m in sent
            if m["method"] == "Network.requestWillBeSent"
        ]


@pytest.fixture
def page(chromium: Chrome, report: Path) -> Page:
    return Page(chromium).open(report)


# --- hostile text


def test_nothing_runs_is_asked_for_or_complained_about(page, report):
    for name in ANSWERS:
        page.read(name)
    page.run("document.querySelector('dialog').close()")
    page.search("script")
    page.wait(lambda: " of " in page.text("#count"))
    assert page.run("return window.hacked") is None
    assert page.requests() == [report.as_uri()]
    assert page.complaints() == []


@pytest.mark.parametrize("name", [name for name in TOLD if name not in {"long", "blank"}])
def test_an_answer_is_shown_to_the_letter(page, name):
    page.read(name)
    assert page.text("dialog .answer .text") == make_plain(TOLD[name])
    assert page.text("dialog .user .text") == f"{name}? {BREAK_OUT}"
    assert page.text("dialog h2") == name
    kinds = page.run("return [...document.querySelectorAll('dialog *')].map((e) => e.localName)")
    assert not {"script", "img", "svg", "a", "iframe", "style", "b"} & set(kinds)


def test_the_policy_stops_what_got_in_all_the_same(page):
    page.run(
        "window.stopped = [];"
        "addEventListener('securitypolicyviolation', (e) => stopped.push(e.effectiveDirective));"
        "document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=hacked=1>');"
        "const script = document.createElement('script'); script.textContent = 'hacked=1';"
        "document.body.append(script);"
        "fetch('data:text/plain,x').catch(() => {});"
    )
    wanted = {"img-src", "script-src-elem", "connect-src"}
    page.wait(lambda: wanted <= set(page.run("return stopped")))
    assert page.run("return window.hacked") is None


def test_a_megabyte_is_cut_until_asked_for(page):
    page.read("long")
    assert len(page.text("dialog .answer .text")) < 21_000
    page.click("dialog .answer .link", f"{len(TOLD['long']):,} characters")
    assert page.text("dialog .answer .text") == TOLD["long"]


# --- reading


def test_the_verdict_and_the_metrics_stand_on_top(page, report):
    summary = json.loads((report.parent / "runs/demo_run/summary.json").read_text("utf-8"))
    assert page.text("#verdict").startswith("Failed: 2 of 2 gates do not hold, 4 dialogues")
    assert "failed" in page.one("#verdict").get_attribute("class")
    values = [element.text for element in page.all(".metric .value")]
    assert values == [f"{summary[name]:.4f}" for name in summary["metrics"]]
    assert len(page.all(".metric .range")) == len(values)


def test_facts_are_marked_where_they_stand(page):
    page.read("talk")
    marks = [(mark.text, mark.get_attribute("title")) for mark in page.all("dialog mark")]
    assert marks == [("rains", "found: rains")]
    assert [item.text for item in page.all("dialog .facts li")] == ["✓\nrains", "✗\n7"]


def test_facts_of_all_forms_are_marked_in_their_turn(page, tmp_path):
    facts = [{"all_of": ["rain", "snow"]}, {"none_of": ["hail"]}, {"regex": "s.ow", "turn": 1}]
    talk = [{"dialogue_id": "a", "turns": ["One?", "Two?"], "required_facts": facts}]
    answers = {"a": ["rain and snow", "hail, slow"]}
    page.open(write_report(tmp_path, dialogues=talk, answers=answers, repeats=2))
    assert page.ids() == ["a", "a"]
    page.read("a")
    marks = [(mark.text, mark.get_attribute("class")) for mark in page.all("dialog mark")]
    assert marks == [("rain", "fact"), ("snow", "fact"), ("hail", "forbidden"), ("slow", "fact")]
    assert page.text("dialog h2") == "a, repeat 1 of 2"


def test_a_refusal_shows_its_label_and_evidence(page):
    page.read("refused")
    assert "full refusal" in page.one("dialog .standing").text
    assert page.one("dialog mark.evidence").text.startswith("I'm sorry")


def test_a_call_shows_its_parameters_and_usage(page):
    page.read("talk")
    page.run("document.querySelectorAll('dialog .call').forEach((call) => { call.open = true; })")
    first, second = (call.text for call in page.all("dialog .call"))
    assert "max_tokens\n200" in first
    assert "the model's default" in first
    assert "status 200" in first
    assert "responses.jsonl:" in first
    assert "output_tokens 7" in second


def test_an_empty_answer_is_called_empty(page):
    page.read("blank")
    assert page.text("dialog .answer .text") == "The answer is empty."


def test_facts_of_a_dialogue_that_errored_are_not_judged(page):
    page.search("failed_too")
    page.wait(lambda: page.ids() == ["failed_too"])
    assert page.text(".tabulator-row .tabulator-cell[tabulator-field=coverage]") == "\u2013"
    page.read("failed_too")
    assert page.text("dialog .facts") == "·rains"
    assert "fact" not in page.text("dialog .standing .badge:nth-child(2)").split()


def test_a_dialogue_that_breaks_a_gate_is_not_called_ok(page):
    page.read("refused")
    assert page.text("dialog .standing .badge") == "gate"


def test_ids_are_whole_on_a_narrow_screen(page):
    page.resize(400)
    page.driver.refresh()
    page.wait(lambda: page.run("return document.documentElement.dataset.ready === 'yes'"))
    wide = "(cell) => cell.scrollWidth > cell.clientWidth && cell.textContent.length < 18"
    cells = "document.querySelectorAll('.tabulator-cell[tabulator-field=id]')"
    assert page.run(f"return [...{cells}].filter({wide}).map((c) => c.textContent)") == []


def test_like_errors_make_one_group(page):
    [group] = page.all(".errors li")
    assert group.text.startswith("2 \N{MULTIPLICATION SIGN}")
    assert BREAK_OUT in group.text
    page.click(".errors .link", "Show these")
    page.wait(lambda: page.ids() == ["failed", "failed_too"])


# --- searching, filtering, sorting


def test_search_finds_all_words_anywhere(page):
    page.search("DISPLAY:none rains")
    page.wait(lambda: page.ids() == ["style"])
    assert page.text("#count") == "1 of 16 dialogues"


def test_nothing_found_is_said_with_a_way_back(page):
    page.search("no such words")
    page.wait(lambda: page.ids() == [])
    page.click("#nothing .link", "Show all")
    page.wait(lambda: len(page.ids()) == 16)


def test_chips_narrow_the_table(page):
    page.click(".chip", "Facts missing")
    page.wait(lambda: page.ids() == ["blank", "refused", "talk"])
    page.click(".chip", "Refused")
    page.wait(lambda: page.ids() == ["refused"])
    assert len(page.all(".chip[aria-pressed=true]")) == 2
    page.click("#chips .link", "Show all")
    page.wait(lambda: len(page.ids()) == 16)


def test_a_click_on_a_header_sorts(page):
    page.click(".tabulator-col", "Dialogue")
    page.wait(lambda: page.ids()[-1] == "template")
    page.click(".tabulator-col", "Dialogue")
    page.wait(lambda: page.ids()[0] == "template")
    page.click(".tabulator-col", "Dialogue")
    page.wait(lambda: page.ids() == list(ANSWERS))


def test_values_that_are_missing_stand_last(page):
    page.click(".tabulator-col", "Facts")
    page.wait(lambda: page.ids()[-2:] == ["failed", "failed_too"])


# --- keys, links, windows, colours


def test_all_can_be_done_with_keys(page):
    page.press("/")
    page.press("rains.")
    page.wait(lambda: page.text("#count") == "12 of 16 dialogues")
    shown = page.ids()
    page.run("document.querySelector('.tabulator-tableholder').focus()")
    page.press("ARROW_DOWN", "ARROW_DOWN", "ENTER")
    assert page.text("dialog h2") == shown[1]
    page.press("ARROW_RIGHT")
    assert page.text("dialog h2") == shown[2]
    page.press("ESCAPE")
    focused = "return document.activeElement.querySelector('[tabulator-field=id]')?.textContent"
    page.wait(lambda: page.run(focused) == shown[2])


def test_a_header_sorts_by_key(page):
    page.run("document.querySelector('.tabulator-col[tabulator-field=id]').focus()")
    page.press("ENTER")
    page.wait(lambda: page.ids()[-1] == "template")


def test_every_control_has_a_name(page):
    page.read("talk")
    names = page.run(
        "return [...document.querySelectorAll('button, input, [role=img]')]"
        ".map((e) => e.getAttribute('aria-label') || e.textContent)"
    )
    assert names
    assert all(name.strip() for name in names)


def test_an_open_dialogue_is_in_the_address(page, report):
    name = "</script><img src=x onerror=window.hacked=1>"
    page.read(name)
    fragment = page.run("return location.hash")
    assert page.open(report, fragment).text("dialog h2") == name
    page.press("ESCAPE")
    page.wait(lambda: not page.run("return location.hash"))


@pytest.mark.parametrize("width", [320, 480, 800, 1920])
def test_no_window_is_too_narrow(page, width):
    page.resize(width)
    page.read("talk")
    for selector in ("html", "dialog"):
        element = page.one(selector)
        assert page.run("return arguments[0].scrollWidth <= arguments[0].clientWidth", element)


CONTRASTS = """
const parse = (colour) => colour.match(/[\\d.]+/g).map(Number);
const light = (colour) => parse(colour).slice(0, 3).map((c) => c / 255)
  .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
  .reduce((sum, c, at) => sum + c * [0.2126, 0.7152, 0.0722][at], 0);
const ground = (element) => {
  const colour = getComputedStyle(element).backgroundColor;
  return (parse(colour)[3] ?? 1) > 0 ? colour : ground(element.parentElement);
};
return [...document.querySelectorAll('main *, dialog *')]
  .filter((e) => [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim()))
  .filter((e) => e.checkVisibility() && !e.closest('.unsent, :disabled'))
  .map((e) => {
    const [a, b] = [light(getComputedStyle(e).color), light(ground(e))].sort((x, y) => y - x);
    return [(a + 0.05) / (b + 0.05), e.className, e.textContent.slice(0, 30)];
  });
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_both_colour_schemes_can_be_read(page, scheme):
    page.prefer(scheme)
    page.read("refused")
    paper = page.run("return getComputedStyle(document.body).backgroundColor")
    assert (int(paper[4:].split(",")[0]) > 128) == (scheme == "light")
    contrasts = page.run(CONTRASTS)
    assert len(contrasts) > 50
    assert [found for found in contrasts if found[0] < 4.5] == []


# --- a comparison, a plain run, a large one


def test_a_comparison_is_drawn_and_leads_to_its_dialogues(page, tmp_path):
    rows = [{"dialogue_id": f"d{i}", "user": "?", "required_facts": ["rain"]} for i in range(12)]
    for name, said in (("old", "rain"), ("new", "snow")):
        answers = {f"d{i}": said if i % 2 else "rain" for i in range(12)}
        arguments = ["--baseline", str(tmp_path / "old" / "runs")] if name == "new" else []
        write_report(tmp_path / name, *arguments, dialogues=rows, answers=answers)
    page.open(tmp_path / "new" / "report.html")
    assert "worse in fact_coverage" in page.text("#verdict")
    assert len(page.all("#comparison .axis .range")) == 3
    page.click("#comparison summary", "fact_coverage: 6 worse")
    page.wait(lambda: page.all("#comparison .ids .link"))
    page.click("#comparison .ids .link", "d3")
    assert "worse than baseline" in page.one("dialog .standing").text
    assert page.complaints() == []


def test_a_run_without_gates_errors_or_baseline_has_no_empty_boxes(page, tmp_path):
    page.open(write_report(tmp_path))
    assert page.text("#verdict").startswith("Measured: 3 dialogues")
    assert "No gate is set" in page.one("#gates").text
    assert not page.one("#errors").is_displayed()
    assert not page.one("#comparison").is_displayed()
    assert page.all(".chip") == []


def multiply(folder: Path, number: int) -> None:
    """Make a run folder's one dialogue into many that differ in name, tokens and question."""
    for name in ("dialogues", "requests", "responses", "scores"):
        [line] = read_lines(folder / f"{name}.jsonl")
        with (folder / f"{name}.jsonl").open("w", encoding="utf-8") as file:
            for i in range(number):
                changes: dict[str, Any] = {"dialogue_id": f"d{i}"}
                if name == "responses":
                    changes["usage"] = {"output_tokens": i * 7919 % number}
                file.write(json.dumps(line | changes) + "\n")


def test_ten_thousand_dialogues_stay_quick(page, tmp_path):
    write_report(tmp_path, dialogues=1)
    multiply(tmp_path / "runs" / "demo_run", 10_000)
    write_html(tmp_path / "runs" / "demo_run", tmp_path / "report.html")
    page.open(tmp_path / "report.html")
    assert page.text("#count") == "10,000 dialogues"
    assert len(page.all(".tabulator-row")) < 200
    spent = page.run(
        "const start = performance.now();"
        "document.querySelector('.tabulator-col[tabulator-field=tokens]').click();"
        "return performance.now() - start;"
    )
    page.wait(lambda: page.ids()[:2] == ["d0", "d7679"])
    assert spent < 2000
    page.search("d9999")
    page.wait(lambda: page.ids() == ["d9999"])
