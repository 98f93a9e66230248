"""pytest hooks and fixtures, quick to import. PYTEST_DONT_REWRITE."""

from __future__ import annotations

import signal
import threading
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_experiment_profiler.challenge import start_grader
from pytest_experiment_profiler.finder import install_finder
from pytest_experiment_profiler.options import add_options, find_manifest, refuse_outside_words
from pytest_experiment_profiler.selection import (
    LAYOUTS,
    PATTERN,
    find_folders,
    list_failures,
    list_reports,
    name_failures,
    split_ids,
)

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

    from pytest_experiment_profiler.board import Board
    from pytest_experiment_profiler.engine import Run
    from pytest_experiment_profiler.experiment import Client
    from pytest_experiment_profiler.loop import LoopThread

_asked = pytest.StashKey[list[Path]]()
_loop = pytest.StashKey["LoopThread"]()
_folders = pytest.StashKey[dict[str, None]]()
_crashed = pytest.StashKey[bool]()
_chosen = pytest.StashKey[dict[str, list[str]]]()
_unknown = pytest.StashKey[list[str]]()
_failed = pytest.StashKey[set[str]]()
_board = pytest.StashKey["Board"]()
_ITEMS = "pytest_experiment_profiler.items"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of experiments."""
    add_options(parser)


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """Declare the hooks of experiments."""
    from pytest_experiment_profiler import hooks  # noqa: PLC0415 -- keeps this import quick

    pluginmanager.add_hookspecs(hooks)


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(
    early_config: pytest.Config, parser: pytest.Parser, args: list[str]
) -> None:
    """Turn each --experiment into a path to collect, and ids of dialogues into a choice."""
    start_grader(early_config)
    refuse_outside_words(args)
    known = parser.parse_known_args(args)
    asked = [find_manifest(early_config, text) for text in known.experiment]
    early_config.stash[_asked] = [Path(path.partition("::")[0]) for path in asked]
    positional = list(known.file_or_dir)
    if not any("::" in arg for arg in positional):
        added = [path for path in dict.fromkeys(asked) if path not in positional]
        args.extend(added)
        positional += added
    chosen = split_ids(args, positional, early_config.invocation_params.dir)
    args[:] = chosen.arguments
    if known.experiment_plan and getattr(known, "numprocesses", None):
        args.append("-n0")  # workers would keep the plan to themselves
    early_config.stash[_chosen] = chosen.names


def pytest_configure(config: pytest.Config) -> None:
    """Check the settings; take over, in a worker of pytest-xdist, what the command line chose."""
    layout = config.getini("experiment_layout")
    if layout not in LAYOUTS:
        allowed = ", ".join(LAYOUTS)
        raise pytest.UsageError(f"experiment_layout = {layout!r} is not one of {allowed}")
    if config.getoption("--experiment-client") != "auto":
        _check_client(config.getoption("--experiment-client"))
    config.add_cleanup(install_finder())
    worker: dict[str, Any] = getattr(config, "workerinput", {})
    if "experiment_chosen" in worker:
        config.stash[_chosen] = worker["experiment_chosen"]


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:  # noqa: ANN401 -- xdist's WorkerController
    """Tell a worker which dialogues were chosen, whether another crashed, and of the board."""
    stash = node.config.stash
    node.workerinput["experiment_chosen"] = stash.get(_chosen, {})
    node.workerinput["experiment_crashed"] = stash.get(_crashed, False)
    board = _put_up_board(node.config)
    node.workerinput["experiment_board"] = board and board.path


def _put_up_board(config: pytest.Config) -> Board | None:
    """Make the board of a session with experiments, and take SIGTERM for Ctrl-C while it stands."""
    from pytest_experiment_profiler import board, distribution  # noqa: PLC0415 -- in few sessions

    if _board not in config.stash and distribution.names_manifests(config):
        config.stash[_board] = put_up = board.Board()
        config.pluginmanager.register(put_up)
        with ExitStack() as stack:
            stack.callback(put_up.remove)
            stack.enter_context(_sigterm_as_ctrl_c())
            config.add_cleanup(stack.pop_all().close)
    return config.stash.get(_board, None)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:  # noqa: ANN401 -- xdist's
    """Remember that a worker crashed."""
    if error:
        node.config.stash[_crashed] = True


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:  # noqa: ANN401 -- xdist's
    """Keep a manifest's items in one worker, so that no call is sent twice."""
    from pytest_experiment_profiler.distribution import make_scheduler  # noqa: PLC0415

    return make_scheduler(config, log)


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
    if session.config.getoption("--experiment-baseline") is not None:
        from pytest_experiment_profiler import items, orders  # noqa: PLC0415 -- see pytest_addhooks
        from pytest_experiment_profiler.errors import UsageError  # noqa: PLC0415

        try:
            for file in _manifests(session.items):
                orders.find_baseline(file, items.find_selected(file))
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
            from pytest_experiment_profiler.errors import ExperimentError  # noqa: PLC0415

            try:
                lines |= dict.fromkeys(orders.describe_plan(file, nodes.find_selected(file)))
            except ExperimentError as error:
                raise pytest.UsageError(str(error)) from None
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
    from pytest_experiment_profiler import board, items, judging, orders  # noqa: PLC0415

    file: Any = request.node
    with _failing():
        manifests = _manifests(request.session.items)
        orders.open_budget(request.session, ((m, items.find_selected(m)) for m in manifests))
        selected = items.find_selected(file)
        run = orders.start_run(file, model_client, _loop_thread(request.session), selected)
    request.config.stash.setdefault(_folders, {})[str(run.folder)] = None
    board.name_run(request.config, run.folder)
    file.run, file.status = run, judging.open_status(request.config)
    with _sigterm_as_ctrl_c():
        yield run
    file.run = None
    problems = judging.close_run(file, run)
    if problems:
        pytest.fail("\n".join(problems), pytrace=False)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Put a dialogue's time and place on its report."""
    report = yield
    if type(item).__module__ == _ITEMS:
        from pytest_experiment_profiler.properties import describe_report  # noqa: PLC0415

        describe_report(item, report)
    return report


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """End the thread of the runs, after the fixtures, and remember which dialogues failed."""
    loop = session.stash.get(_loop, None)
    if loop is not None:
        loop.close()
    cache = session.config.cache if hasattr(session.config, "cache") else None
    if cache is not None and find_folders(session.config):
        failed = cache.get("cache/lastfailed", {})
        cache.set("cache/lastfailed", name_failures(failed, list_reports(session.config)))


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Print the table of each run."""
    if hasattr(config, "workerinput"):
        return
    folders = dict.fromkeys([*config.stash.get(_folders, {}), *find_folders(config)])
    if _board in config.stash:
        folders |= dict.fromkeys(config.stash[_board].list_runs())
    if folders or list_failures(config):
        from pytest_experiment_profiler import terminal  # noqa: PLC0415 -- see pytest_addhooks

        terminal.show_runs(terminalreporter, [Path(folder) for folder in folders])


def _describe_client(file: Any) -> list[str]:  # noqa: ANN401 -- ManifestFile, imported late
    from pytest_experiment_profiler import orders  # noqa: PLC0415 -- see pytest_addhooks
    from pytest_experiment_profiler.errors import UsageError  # noqa: PLC0415

    try:
        return orders.describe_client(file)
    except UsageError:
        return ["client: none (no credentials and no mock answers)"]


def _check_client(asked: str) -> None:
    from pytest_experiment_profiler import clients  # noqa: PLC0415 -- see pytest_addhooks
    from pytest_experiment_profiler.errors import UsageError  # noqa: PLC0415

    try:
        clients.check_client(asked)
    except UsageError as error:
        raise pytest.UsageError(f"--experiment-client: {error}") from None


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


def _loop_thread(session: pytest.Session) -> LoopThread:
    from pytest_experiment_profiler import orders  # noqa: PLC0415 -- see pytest_addhooks
    from pytest_experiment_profiler.loop import LoopThread  # noqa: PLC0415

    if _loop not in session.stash:
        session.stash[_loop] = LoopThread(orders.find_share(session))
    return session.stash[_loop]
