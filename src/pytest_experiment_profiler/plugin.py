"""pytest hooks and fixtures, quick to import. PYTEST_DONT_REWRITE."""

from __future__ import annotations

import itertools
import json
import os
import shlex
import signal
import sys
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_experiment_profiler.selection import LAYOUTS, split_ids

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

    from pytest_experiment_profiler.engine import Run
    from pytest_experiment_profiler.experiment import Client
    from pytest_experiment_profiler.loop import LoopThread

PATTERN = "*_experiment.yaml"
PATH_OPTIONS = (
    "--experiment",
    "--experiment-output",
    "--experiment-client",
    "--experiment-baseline",
    "--experiment-html",
)

_asked = pytest.StashKey[list[Path]]()
_loop = pytest.StashKey["LoopThread"]()
_folders = pytest.StashKey[dict[str, None]]()
_chosen = pytest.StashKey[dict[str, list[str]]]()
_unknown = pytest.StashKey[list[str]]()
_failed = pytest.StashKey[set[str]]()
_ITEMS = "pytest_experiment_profiler.items"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of experiments."""
    group = parser.getgroup("experiment", "LLM experiments")
    group.addoption(
        "--experiment",
        action="append",
        default=[],
        metavar="MANIFEST",
        help="run this manifest (repeatable); tried from here, then below experiment_paths",
    )
    group.addoption(
        "--experiment-output",
        default="runs",
        metavar="DIR",
        help="where run folders go: DIR/<experiment_id>/ (default: runs)",
    )
    group.addoption(
        "--experiment-client",
        default="auto",
        metavar="CLIENT",
        help="who answers: auto (default), anthropic, mock, or a run folder to replay",
    )
    group.addoption(
        "--experiment-resume",
        action="store_true",
        help="go on with an unfinished run: answers that are there are not asked again",
    )
    group.addoption(
        "--experiment-plan",
        action="store_true",
        help="say what would be sent and what it would cost, and send nothing",
    )
    group.addoption(
        "--experiment-budget-usd",
        type=_amount,
        metavar="USD",
        help="most money that the session may spend, worst cases of calls included",
    )
    group.addoption(
        "--experiment-baseline", metavar="RUN", help="compare with another run, pair by pair"
    )
    group.addoption(
        "--experiment-intersection",
        action="store_true",
        help="compare what both runs share, where their datasets or definitions differ",
    )
    group.addoption(
        "--experiment-layout",
        choices=LAYOUTS,
        help="one item an experiment (subtests), one a dialogue (tree), or as the caller needs it",
    )
    group.addoption(
        "--experiment-html",
        metavar="FILE",
        help="write a page for a browser",
    )
    parser.addini("experiment_layout", "auto (default), subtests or tree", default="auto")
    parser.addini(
        "experiment_paths", "folders in which --experiment looks", type="paths", default=[]
    )


def _amount(text: str) -> float:
    amount = float(text)
    if not 0 < amount < float("inf"):
        raise ValueError(text)
    return amount


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """Declare the hooks of experiments."""
    from pytest_experiment_profiler import hooks  # noqa: PLC0415 -- keeps this import quick

    pluginmanager.add_hookspecs(hooks)


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(
    early_config: pytest.Config, parser: pytest.Parser, args: list[str]
) -> None:
    """Turn each --experiment into a path to collect, and ids of dialogues into a choice."""
    _refuse_outside_words(args)
    known = parser.parse_known_args(args)
    asked = [_resolve(early_config, text) for text in known.experiment]
    early_config.stash[_asked] = [Path(path.partition("::")[0]) for path in asked]
    positional = list(known.file_or_dir)
    if not any("::" in arg for arg in positional):
        added = [path for path in dict.fromkeys(asked) if path not in positional]
        args.extend(added)
        positional += added
    chosen = split_ids(args, positional, early_config.invocation_params.dir)
    args[:] = chosen.arguments
    early_config.stash[_chosen] = chosen.names


def pytest_configure(config: pytest.Config) -> None:
    """Check the settings; take over, in a worker of pytest-xdist, what the command line chose."""
    layout = config.getini("experiment_layout")
    if layout not in LAYOUTS:
        allowed = ", ".join(LAYOUTS)
        raise pytest.UsageError(f"experiment_layout = {layout!r} is not one of {allowed}")
    worker: dict[str, Any] = getattr(config, "workerinput", {})
    if "experiment_chosen" in worker:
        config.stash[_chosen] = worker["experiment_chosen"]


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:  # noqa: ANN401 -- xdist's WorkerController
    """Hand over to a worker which dialogues were chosen."""
    node.workerinput["experiment_chosen"] = node.config.stash.get(_chosen, {})


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:  # noqa: ANN401 -- xdist's
    """Keep a manifest's items in one worker, so that no call is sent twice."""
    base = {
        "load": "LoadScopeScheduling",
        "worksteal": "LoadScopeScheduling",
        "loadgroup": "LoadGroupScheduling",
    }.get(config.getoption("dist"))
    if base is None or not _names_manifests(config):
        return None
    from xdist import scheduler  # noqa: PLC0415 -- it called us

    class ManifestScheduling(getattr(scheduler, base)):  # type: ignore[misc]
        """Spread tests as before, but those of a manifest together."""

        def _split_scope(self, nodeid: str) -> Any:  # noqa: ANN401 -- xdist's
            path = nodeid.partition("::")[0]
            if path.endswith((".yaml", ".yml")):
                return path
            return super()._split_scope(nodeid) if base == "LoadGroupScheduling" else nodeid

    return ManifestScheduling(config, log)


def _names_manifests(config: pytest.Config) -> bool:
    """Tell whether the command line names manifests, or folders that hold some."""
    here = config.invocation_params.dir
    for argument in config.args:
        path = here / argument.partition("::")[0]
        if path.suffix in {".yaml", ".yml"} or (path.is_dir() and any(path.rglob(PATTERN))):
            return True
    return False


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Take manifests, where an argument names them or a folder above them."""
    config = parent.config
    asked = file_path in config.stash.get(_asked, [])
    named = config.args_source is pytest.Config.ArgsSource.ARGS and (
        file_path.match(PATTERN)
        or (file_path.suffix in {".yaml", ".yml"} and parent.session.isinitpath(file_path))
    )
    if not (asked or named):
        return None
    from pytest_experiment_profiler.items import CHOSEN, UNKNOWN, ManifestFile  # noqa: PLC0415

    config.stash[CHOSEN] = config.stash.get(_chosen, {})
    parent.session.stash[UNKNOWN] = parent.session.stash.setdefault(_unknown, [])
    return ManifestFile.from_parent(parent, path=file_path)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Count what can't be collected, manifests apart from all else."""
    report = yield
    if report.failed:
        kind = "manifest" if any(map(_is_manifest, collector.listchain())) else "other"
        collector.session.stash.setdefault(_failed, set()).add(kind)
    return report


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> object:
    """Let the others run where only manifests can't be collected; with a plan, run nothing."""
    if session.stash.get(_failed, None) == {"manifest"}:
        session.config.option.continue_on_collection_errors = True
    return True if session.config.getoption("--experiment-plan") else None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    """Keep a manifest's items together, whoever reordered them.

    Refuse, before anything is sent, names that don't exist and a baseline that can't be one.
    """
    if _manifests(session.items):
        from pytest_experiment_profiler.items import group_manifests  # noqa: PLC0415

        group_manifests(session.items)
    unknown = session.stash.get(_unknown, [])
    if unknown:
        raise pytest.UsageError(*unknown)
    if session.config.getoption("--experiment-baseline"):
        from pytest_experiment_profiler import orders  # noqa: PLC0415 -- see pytest_addhooks
        from pytest_experiment_profiler.errors import UsageError  # noqa: PLC0415

        try:
            for file in _manifests(session.items):
                orders.find_baseline(file)
        except UsageError as error:
            raise pytest.UsageError(str(error)) from None


def pytest_report_collectionfinish(
    config: pytest.Config, items: Sequence[pytest.Item]
) -> list[str]:
    """Say which client answers, and why; with a plan, what it would be asked."""
    lines: dict[str, None] = {}
    for file in _manifests(items):
        lines |= dict.fromkeys(_describe_client(file))
        if config.getoption("--experiment-plan"):
            from pytest_experiment_profiler import items as nodes  # noqa: PLC0415
            from pytest_experiment_profiler import orders  # noqa: PLC0415

            with _failing():
                lines |= dict.fromkeys(orders.describe_plan(file, nodes.find_selected(file)))
    return list(lines)


def _manifests(items: Sequence[pytest.Item]) -> list[Any]:
    files = (node for item in items for node in item.listchain() if _is_manifest(node))
    return list(dict.fromkeys(files))


@pytest.fixture(scope="module")
def model_client(request: pytest.FixtureRequest) -> Client:
    """Return what answers an experiment's prompts; override it in a conftest.py."""
    from pytest_experiment_profiler import clients, orders  # noqa: PLC0415 -- see pytest_addhooks

    with _failing():
        choice = orders.choose_client(request.node)
        return clients.open_client(choice, request.node.checked.experiment)


@pytest.fixture(scope="module")
def experiment_run(request: pytest.FixtureRequest, model_client: Client) -> Iterator[Run]:
    """Start an experiment's calls; end them when its last item is done."""
    from pytest_experiment_profiler import items, orders  # noqa: PLC0415 -- see pytest_addhooks

    file: Any = request.node
    with _failing():
        selected = items.find_selected(file)
        run = orders.start_run(file, model_client, _loop_thread(request.session), selected)
    request.config.stash.setdefault(_folders, {})[str(run.folder)] = None
    with _sigterm_as_ctrl_c():
        yield run
    problems = items.close_run(file, run)
    if problems:
        pytest.fail("\n".join(problems), pytrace=False)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Put a dialogue's time and place on its report."""
    report = yield
    if any(map(_is_manifest, item.listchain())):
        from pytest_experiment_profiler import items  # noqa: PLC0415 -- see pytest_addhooks

        items.describe_report(item, report)
    return report


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """End the thread of the runs, after the fixtures, and remember which dialogues failed."""
    loop = session.stash.get(_loop, None)
    if loop is not None:
        loop.close()
    reports = _list_reports(session.config)
    cache = session.config.cache if hasattr(session.config, "cache") else None
    if cache is not None and any(_find_folder(report) for report in reports):
        from pytest_experiment_profiler.selection import name_failures  # noqa: PLC0415

        failed = cache.get("cache/lastfailed", {})
        cache.set("cache/lastfailed", name_failures(failed, reports))


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Print the table of each run."""
    own = config.stash.get(_folders, {})
    folders = own | dict.fromkeys(filter(None, map(_find_folder, _list_reports(config))))
    if config.get_verbosity() < -1 or hasattr(config, "workerinput"):
        return
    for folder in folders:
        from pytest_experiment_profiler.reports import table  # noqa: PLC0415 -- see pytest_addhooks

        path = Path(folder, "summary.json")
        if not path.exists():
            continue
        summary = json.loads(path.read_text("utf-8"))
        terminalreporter.write_line("")
        terminalreporter.write_line(table.render_table(summary, _encoding()))
        for note in table.list_notes(summary):
            terminalreporter.write_line(note)
        terminalreporter.write_line(f"run folder: {folder}")
        _write_page(terminalreporter, Path(folder), several=len(folders) > 1)
        if os.environ.get("GITHUB_ACTIONS") == "true":
            _write_step_summary(Path(folder), summary)
        if summary["counts"]["errors"] or summary["counts"]["not_run"]:
            terminalreporter.write_line(f"resume: {_resume_command(config)}")

    if os.environ.get("GITHUB_ACTIONS") == "true":
        for line in _list_annotations(config):
            terminalreporter.write_line(line)


def _write_page(terminalreporter: pytest.TerminalReporter, folder: Path, *, several: bool) -> None:
    """Write the page of --experiment-html; of several experiments each gets its own."""
    config = terminalreporter.config
    if not config.getoption("--experiment-html"):
        return
    from pytest_experiment_profiler.errors import ExperimentError  # noqa: PLC0415
    from pytest_experiment_profiler.reports.html import write_html  # noqa: PLC0415

    page = Path(config.invocation_params.dir, config.getoption("--experiment-html"))
    if several:
        page = page.with_stem(f"{page.stem}-{folder.name}")
    try:
        write_html(folder, page)
    except ExperimentError as error:
        terminalreporter.write_line(f"no page: {error}", red=True)
    else:
        terminalreporter.write_line(f"page: {page}")


def _write_step_summary(folder: Path, summary: dict[str, Any]) -> None:
    """Add a run to the summary of a GitHub Actions step."""
    target = os.environ.get("GITHUB_STEP_SUMMARY")
    if not target:
        return
    from pytest_experiment_profiler.reports.markdown import render_markdown  # noqa: PLC0415
    from pytest_experiment_profiler.runlog import read_records  # noqa: PLC0415

    scores = folder / "scores.jsonl"
    text = render_markdown(summary, read_records(scores) if scores.exists() else ())
    with Path(target).open("a", encoding="utf-8") as file:
        file.write(text + "\n")


def _list_annotations(config: pytest.Config) -> Iterator[str]:
    """Write a line for GitHub Actions for each dialogue and experiment that failed."""
    from pytest_experiment_profiler.reports.github import annotate  # noqa: PLC0415

    workspace = os.environ.get("GITHUB_WORKSPACE", "")
    for report in _list_reports(config):
        if _find_folder(report) and report.failed:
            path, line, name = report.location
            title = getattr(getattr(report, "context", None), "msg", None) or name
            place = Path(config.rootpath, path)
            yield annotate(place, (line or 0) + 1, str(title), report.longreprtext, workspace)


def _list_reports(config: pytest.Config) -> list[Any]:
    """List the session's reports, those of workers too."""
    reporter: Any = config.pluginmanager.get_plugin("terminalreporter")
    stats = {} if reporter is None else reporter.stats
    return [report for reports in stats.values() for report in reports]


def _find_folder(report: Any) -> str | None:  # noqa: ANN401 -- a report, or another thing counted
    properties = dict(getattr(report, "user_properties", ()))
    folder = properties.get("experiment_folder")
    return None if folder is None else str(folder)


def _resume_command(config: pytest.Config) -> str:
    words = [*map(str, config.invocation_params.args)]
    return shlex.join(["pytest", *words, *({"--experiment-resume"} - set(words))])


def _resolve(config: pytest.Config, text: str) -> str:
    """Find the manifest that --experiment names; what follows "::" is kept."""
    name, colons, rest = text.partition("::")
    here = config.invocation_params.dir
    tried = [here / name, *(folder / name for folder in config.getini("experiment_paths"))]
    for path in dict.fromkeys(tried):
        if path.is_file():
            return f"{path.resolve()}{colons}{rest}"
    raise pytest.UsageError(_say_missing(name, list(dict.fromkeys(tried))))


def _say_missing(name: str, tried: list[Path]) -> str:
    import difflib  # noqa: PLC0415 -- for a message only

    found = sorted({str(p) for path in tried for p in path.parent.glob("*.y*ml")})
    names = {Path(path).name: path for path in found}
    near = difflib.get_close_matches(Path(name).name, names, n=1)
    hint = f"; did you mean {names[near[0]]}?" if near else ""
    if any(path.is_dir() for path in tried):
        hint = "; that is a folder: to run all its manifests, give it as an argument of its own"
    return f"--experiment {name}: no such manifest{hint} (tried {', '.join(map(str, tried))})"


def _refuse_outside_words(args: Sequence[str]) -> None:
    """Refuse a path outside the current folder that stands as a word after its option.

    pytest takes such a word for a test path and looks for the project's settings there.
    """
    for option, word in itertools.pairwise(args):
        if option not in PATH_OPTIONS:
            continue
        path = Path.cwd() / word
        if ("/" in word or os.sep in word) and not path.resolve().is_relative_to(Path.cwd()):
            raise pytest.UsageError(
                f"write {option}={word} in one word: as a word of its own, pytest takes a path "
                "outside the current folder for a test path and misses the project's settings"
            )


def _describe_client(file: Any) -> list[str]:  # noqa: ANN401 -- ManifestFile, imported late
    from pytest_experiment_profiler import orders  # noqa: PLC0415 -- see pytest_addhooks
    from pytest_experiment_profiler.errors import UsageError  # noqa: PLC0415

    try:
        return orders.describe_client(file)
    except UsageError:
        return ["client: none (no credentials and no mock answers)"]


def _is_manifest(node: object) -> bool:
    return type(node).__name__ == "ManifestFile" and type(node).__module__ == _ITEMS


@contextmanager
def _sigterm_as_ctrl_c() -> Iterator[None]:
    """Take SIGTERM for Ctrl-C while a run is under way, unless somebody else handles it."""
    ours = threading.current_thread() is threading.main_thread()
    if not ours or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


@contextmanager
def _failing() -> Iterator[None]:
    """Turn an error meant for people into a failure without a traceback."""
    from pytest_experiment_profiler.errors import ExperimentError  # noqa: PLC0415
    from pytest_experiment_profiler.reports.plain import make_plain  # noqa: PLC0415

    try:
        yield
    except ExperimentError as error:
        raise pytest.fail.Exception(make_plain(str(error)), pytrace=False) from None


def _encoding() -> str:
    return sys.__stdout__.encoding if sys.__stdout__ else "utf-8"


def _loop_thread(session: pytest.Session) -> LoopThread:
    from pytest_experiment_profiler.loop import LoopThread  # noqa: PLC0415 -- see pytest_addhooks

    if _loop not in session.stash:
        session.stash[_loop] = LoopThread()
    return session.stash[_loop]
