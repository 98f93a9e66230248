"""The pytest layer: one item a check, read from the report of one grade."""

from __future__ import annotations

import importlib.util
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from types import FrameType

    from grader.verdict import Verdict

GRADER = Path(__file__).resolve().parent
HARDENED = bool(sys.flags.isolated)
collect_ignore_glob = [] if HARDENED else ["*"]


def _load_package() -> None:
    """Import `grader` from this folder without putting any folder on the search path."""
    if "grader" in sys.modules:
        return
    spec = importlib.util.spec_from_file_location(
        "grader", GRADER / "__init__.py", submodule_search_locations=[str(GRADER)]
    )
    if spec is None or spec.loader is None:
        raise pytest.UsageError(f"no grader in {GRADER}")
    module = importlib.util.module_from_spec(spec)
    sys.modules["grader"] = module
    spec.loader.exec_module(module)


def _calling_config() -> pytest.Config | None:
    """Find the configuration of whoever imports this file; pytest hands it to no import."""
    frame: FrameType | None = sys._getframe()  # noqa: SLF001 -- CPython's name
    while frame is not None:
        owner = frame.f_locals.get("self")
        if isinstance(owner, pytest.PytestPluginManager):
            found: pytest.Config | None = owner.get_plugin("pytestconfig")
            return found
        frame = frame.f_back
    return None


_load_package()

from grader.entry import add_options, take_over  # noqa: E402 -- after the package is there

if not HARDENED and (_config := _calling_config()):
    # Here and not in `pytest_configure`: pytest takes DIR of `--submission DIR` for a test path,
    # and would import a conftest.py in it next.
    take_over(_config)

from grader.checks import CHECK_IDS  # noqa: E402
from grader.errors import GraderError  # noqa: E402
from grader.grade import Options, grade  # noqa: E402
from grader.places import STARTER  # noqa: E402
from grader.requirements import prompt_sentences, requirements  # noqa: E402
from grader.verdict import EXIT_CODES, forget_verdict, write_verdict  # noqa: E402

VERDICT = pytest.StashKey["Verdict"]()
PASSED_CHECKS: set[str] = set()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Take the options of `grade`."""
    add_options(parser.getgroup("grader").addoption)


def pytest_configure() -> None:
    """End as with Ctrl-C when told to stop, so that nothing is left behind."""
    if HARDENED:
        signal.signal(signal.SIGTERM, signal.default_int_handler)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make one item of each check."""
    metafunc.parametrize("check", CHECK_IDS)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Grade, once."""
    option = session.config.option
    if option.collectonly or not HARDENED:
        return
    target = Path(option.json) if option.json else None
    options = Options(
        seed=option.seed,
        feedback=option.feedback,
        required=option.require_isolation,
        real_sdk=option.real_sdk,
        python=Path(option.box_python) if option.box_python else None,
    )
    try:
        if target:
            forget_verdict(target)
        verdict = grade(Path(option.submission or STARTER), options)
        if target:
            write_verdict(verdict, target)
    except GraderError as error:
        pytest.exit(str(error), returncode=EXIT_CODES["error"])
    session.config.stash[VERDICT] = verdict


@pytest.fixture
def verdict(request: pytest.FixtureRequest) -> Verdict:
    """Give the verdict of the grade."""
    return request.config.stash[VERDICT]


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Note which checks passed, by the reports alone."""
    if report.when == "call" and report.outcome == "passed":
        PASSED_CHECKS.add(report.nodeid.partition("[")[2].rstrip("]"))


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Turn the verdict into the exit code; a pass needs a passed report of each check."""
    found = session.config.stash.get(VERDICT, None)
    if found is None:
        return
    whole = found.status != "pass" or set(CHECK_IDS) == PASSED_CHECKS
    session.exitstatus = found.exit_code if whole else EXIT_CODES["error"]


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Say what is missing, in the prompt's words, and print the verdict as one line."""
    found = config.stash.get(VERDICT, None)
    if found is None:
        return
    terminalreporter.section(f"verdict: {found.status}")
    for line in _missing(found, config.option.feedback):
        terminalreporter.line(line)
    terminalreporter.line(found.to_json())


def _missing(found: Verdict, feedback: str) -> list[str]:
    """List each sentence of the prompt that isn't met, and the checks that say so."""
    if found.status == "error" or not found.isolation.backend:
        return [found.reason]
    lines = []
    for mark, checks in requirements().items():
        failed = [name for name in checks if not found.checks[name]]
        if failed and feedback != "none":
            lines.append(f"missing [{mark}] {prompt_sentences().get(mark, '')}")
            lines.append(f"        {' '.join(failed)}")
    return lines
