"""The documentation is true: its commands run, its links resolve, its picture is the code's.

Each page of `docs/how-to/`, and `docs/METRICS.md`, is one session in a copy of the repository's
experiments, without a key:

* a block after a line that ends with ":" and names one file is that file;
* in a `console` block a line that begins with "$ " is a command; it ends with exit code 0, or with
  the one that a comment after it says; the lines below it stand in its output, in their order;
* in a block without a language, lines that begin with one of this project's commands are run, too.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.test_layers import FLOORS

ROOT = Path(__file__).parent.parent
PAGES = [*sorted((ROOT / "docs" / "how-to").glob("*.md")), ROOT / "docs" / "METRICS.md"]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
NOT_RUN = {"local-model.md": "it downloads a server and a model of 130 MB"}

BLOCK = re.compile(r"^( *)```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"`([\w./-]+\.(?:ya?ml|jsonl?|csv|py))`")
EXIT_CODE = re.compile(r"  # exit code (\d+)$")
OWN = ("pytest ", "experiment-profiler ")
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the docs' commands are a shell's")


class Block(NamedTuple):
    """A fenced block: its language, its text, the line of prose before it."""

    language: str
    text: str
    before: str


def read_blocks(path):
    text = path.read_text("utf-8")
    found = []
    for match in BLOCK.finditer(text):
        prose = text[: match.start()].rstrip().rpartition("\n")[2]
        found.append(Block(match[2], match[3], prose))
    return found


def name_file(block):
    """Give the path of the file that a block is, if it is one."""
    names = FILE.findall(block.before)
    is_file = block.language != "console" and block.before.endswith(":") and len(names) == 1
    return names[0] if is_file else None


class Session:
    """A shell in a copy of the repository's experiments, with no key and no colours."""

    def __init__(self, folder):
        self.folder = folder
        shutil.copytree(ROOT / "experiments", folder / "experiments")
        shutil.copy(ROOT / "pyproject.toml", folder)
        (folder / "tests").mkdir()
        keep = {key: value for key, value in os.environ.items() if not key.startswith("GITHUB_")}
        here = str(Path(sys.executable).parent)
        self.environment = keep | {
            "PATH": os.pathsep.join([here, keep.get("PATH", "")]),
            "PYTHONIOENCODING": "utf-8",
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            "PYTEST_PLUGINS": "pytest_experiment_profiler.plugin",
        }

    def write(self, name, text):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")

    def run(self, command, code=0):
        """Run a command and give what it wrote."""
        done = subprocess.run(
            ["/bin/sh", "-c", command],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            encoding="utf-8",
            check=False,
            timeout=120,
        )
        said = done.stdout + done.stderr
        assert done.returncode == code, f"$ {command}\n{said}"
        assert "Traceback" not in said, f"$ {command}\n{said}"
        return said


def read_commands(text):
    """Yield (command, exit code, expected lines) of a console block."""
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        command, *expected = part.splitlines()
        code = EXIT_CODE.search(command)
        yield EXIT_CODE.sub("", command), int(code[1]) if code else 0, expected


def check_output(said, expected, command):
    lines = iter(said.splitlines())
    for wanted in filter(str.strip, expected):
        assert any(wanted.rstrip() in line for line in lines), f"$ {command}\n{wanted!r} in\n{said}"


@pytest.mark.parametrize("page", PAGES, ids=[page.stem for page in PAGES])
def test_how_to(page, tmp_path):
    if page.name in NOT_RUN:
        pytest.skip(NOT_RUN[page.name])
    session = Session(tmp_path)
    count = 0
    for block in read_blocks(page):
        if name := name_file(block):
            session.write(name, block.text)
        elif block.language == "console":
            for command, code, expected in read_commands(block.text):
                check_output(session.run(command, code), expected, command)
                count += 1
        elif not block.language:
            for command in block.text.splitlines():
                if command.startswith(OWN):
                    session.run(command)
                    count += 1
    assert count, "a how-to without a command"


def test_the_workflow_runs_what_it_says(tmp_path):
    yaml = pytest.importorskip("yaml")
    session = Session(tmp_path)
    for block in read_blocks(ROOT / "docs" / "how-to" / "gate-in-ci.md"):
        if name := name_file(block):
            session.write(name, block.text)
    text = (tmp_path / ".github" / "workflows" / "experiments.yml").read_text("utf-8")
    [job] = yaml.safe_load(text)["jobs"].values()
    commands = [step["run"] for step in job["steps"] if "run" in step]
    assert commands[0] == "pip install -e ."
    for command in commands[1:]:
        session.run(command)
    assert (tmp_path / "junit.xml").exists()
    assert list((tmp_path / "runs").iterdir())


def test_the_settings_of_the_editor_collect_the_experiments(tmp_path):
    session = Session(tmp_path)
    blocks = read_blocks(ROOT / "docs" / "how-to" / "editors.md")
    [text] = [block.text for block in blocks if block.language == "json"]
    words = json.loads(text)["python.testing.pytestArgs"]
    said = session.run(f"pytest --collect-only -q {' '.join(words)}")
    assert "sample_experiment.yaml::demo_run" in said


# --- the README


@pytest.fixture(scope="module")
def readme():
    return ROOT / "README.md"


def test_the_readmes_first_line_prints_its_table(readme, tmp_path):
    blocks = read_blocks(readme)
    [line] = re.findall(r"^pip install -e \. && (.*?)(?:\s+#.*)?$", blocks[0].text, re.MULTILINE)
    session = Session(tmp_path)
    shutil.copy(ROOT / "tests" / "conftest.py", tmp_path / "tests")
    for name in ("hypothesis", "numpy", "scipy", "selenium", "teamcity", "xdist"):
        session.write(f"absent/{name}.py", "raise ModuleNotFoundError(__name__)")
    session.environment["PYTHONPATH"] = str(tmp_path / "absent")
    said = session.run(line)
    check_output(said, blocks[1].text.splitlines(), line)
    assert (tmp_path / "runs" / "demo_run").is_dir()


def test_the_readmes_calls_work(readme, tmp_path):
    session = Session(tmp_path)
    files = {name: block.text for block in read_blocks(readme) if (name := name_file(block))}
    assert len(files) == 2
    for name, text in files.items():
        session.write(name, text)
    answers = tmp_path / "experiments" / "data" / "mock_responses.json"
    more = {"france": "It is Paris.", "peru": "Lima."}
    answers.write_text(json.dumps(json.loads(answers.read_text("utf-8")) | more), "utf-8")
    [manifest] = [name for name in files if name.endswith(".yaml")]
    calls = re.findall(
        r"^\| `(pytest [^`]+|experiment-profiler [^`]+)` \|",
        readme.read_text("utf-8"),
        re.MULTILINE,
    )
    assert len(calls) >= 15
    words = {"M": manifest, "DIR": "out", "FILE": "page.html", "RUN": "kept", "A": "kept"}
    words["B"] = "runs/capitals"
    session.run(f"pytest --experiment {manifest}")
    shutil.copytree(tmp_path / "runs" / "capitals", tmp_path / "kept")
    for call in calls:
        session.run(re.sub(r"\b[A-Z]+\b", lambda match: words[match[0]], call))


def test_the_readmes_conftest_works(readme, tmp_path):
    session = Session(tmp_path)
    [code] = [block.text for block in read_blocks(readme) if block.language == "python"]
    session.write("experiments/conftest.py", code)
    check_output(session.run("pytest --experiment=configs/sample_experiment.yaml"), ["│ words"], "")


def test_the_results_of_the_sample_are_its_results(tmp_path):
    blocks = read_blocks(ROOT / "docs" / "RESULTS.md")
    shown = next(
        block.text for block in blocks if '"dialogue_id": "chemical_storage"' in block.text
    )
    Session(tmp_path).run("pytest --experiment=configs/sample_experiment.yaml")
    lines = (tmp_path / "runs" / "demo_run" / "scores.jsonl").read_text("utf-8").splitlines()
    record, expected = json.loads(lines[2]), json.loads(shown)
    scores = [values["refusal"][0].pop("score") for values in (record, expected)]
    assert record == expected
    assert scores[0] == pytest.approx(scores[1], abs=0.05)


# --- links and picture


def slug(heading):
    """Name a heading as GitHub does."""
    text = re.sub(r"[^\w\- ]", "", heading.strip().lower())
    return text.replace(" ", "-")


def list_anchors(path):
    text = BLOCK.sub("", path.read_text("utf-8"))
    return {slug(heading) for heading in re.findall(r"^#+ (.*)$", text, re.MULTILINE)}


@pytest.mark.parametrize(
    "path", DOCUMENTS, ids=[path.relative_to(ROOT).as_posix() for path in DOCUMENTS]
)
def test_links_resolve(path):
    text = BLOCK.sub("", path.read_text("utf-8"))
    broken = []
    for link in LINK.findall(text):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (path.parent / name).resolve() if name else path
        if not target.exists() or (anchor and anchor not in list_anchors(target)):
            broken.append(link)
    assert broken == []


def read_picture():
    """Read the floors from the technical overview, the lowest first."""
    [picture] = [
        block.text
        for block in read_blocks(ROOT / "docs" / "TECHNICAL_OVERVIEW.md")
        if block.text.startswith("floor │")
    ]
    floors: list[set[str]] = []
    for line in picture.splitlines()[2:]:
        number, modules, _ = (cell.strip() for cell in line.split("│"))
        if number:
            floors.append(set())
            assert int(number) == len(FLOORS) + 1 - len(floors)
        floors[-1] |= set(modules.split())
    return tuple(reversed(floors))


def test_the_picture_is_the_codes():
    assert read_picture() == FLOORS


def test_the_overview_names_what_is_there():
    text = (ROOT / "docs" / "TECHNICAL_OVERVIEW.md").read_text("utf-8")
    modules = set().union(*FLOORS)
    missing = []
    for words in re.findall(r"`(\w+(?:\.\w+)+)`", text):
        module, *names = words.split(".")
        if module in modules and names not in (["py"], ["json"], ["jsonl"]):
            found: Any = import_module(f"pytest_experiment_profiler.{module}")
            for name in names:
                found = getattr(found, name, None)
            if found is None:
                missing.append(words)
    source = ROOT / "src" / "pytest_experiment_profiler"
    files = re.findall(r"`([\w/]+\.py|[\w]+/[\w.]*)`", text)
    files = [name for name in files if name != "conftest.py"]
    missing += [name for name in files if not any((p / name).exists() for p in (source, ROOT))]
    assert missing == []


def test_each_task_of_users_has_its_page():
    wanted = {
        *("first-experiment", "compare-two-models", "gate-in-ci", "add-a-metric", "add-a-provider"),
        *("override-the-client", "editors", "local-model", "resume-and-budget", "replay"),
        "html-report",
    }
    assert wanted <= {page.stem for page in PAGES}


def test_recipes_name_files_that_are_there():
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    named = set(re.findall(r"`([\w./-]+/[\w./-]*|[\w-]+\.(?:py|json|md|toml))`", text))
    named.discard("summary.json")  # of run folders
    roots = (ROOT, ROOT / "src" / "pytest_experiment_profiler")
    missing = {
        name
        for name in named
        if "NAME" not in name and not any((root / name).exists() for root in roots)
    }
    assert missing == set()
    recipes = text.partition("## Recipes")[2].split("\n### ")[1:]
    assert len(recipes) == 7
    assert all("\nFiles: " in recipe for recipe in recipes)
