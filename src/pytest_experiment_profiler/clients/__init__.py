"""What answers prompts: the catalogue of clients, and which one a run takes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pytest_experiment_profiler.errors import UsageError
from pytest_experiment_profiler.validation import find_near

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pytest_experiment_profiler.experiment import Client, Experiment

CREDENTIALS = (
    "ANTHROPIC_API_KEY",
    "ANTHROPIC_AUTH_TOKEN",
    "ANTHROPIC_PROFILE",
    "ANTHROPIC_IDENTITY_TOKEN",
    "ANTHROPIC_IDENTITY_TOKEN_FILE",
)
"""Environment variables that name credentials, in the SDK's order."""

NAMES = ("auto", "anthropic", "mock")
"""Clients that can be asked for; another word is a run folder to replay."""

SHORTEST_SECRET = 8
SECRETS = ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_IDENTITY_TOKEN")

ANTHROPIC_URL = "https://api.anthropic.com"


class Choice(NamedTuple):
    """Which client a run takes, what is told of it, and why; `base_url` if it isn't Anthropic's."""

    name: str
    told: str
    why: str = "asked for"
    base_url: str | None = None

    def __str__(self) -> str:
        text = f"client: {self.name} ({self.told})"
        return f"{text} at {self.base_url}" if self.base_url else text


def check_client(asked: str) -> None:
    """Raise UsageError for what is neither a client's name nor a folder that may be replayed."""
    if asked not in NAMES and not (asked and Path(asked).is_dir()):
        hint = find_near(asked, NAMES)
        raise UsageError(f"{asked!r} is none of {', '.join(NAMES)} and no run folder{hint}")


def choose_client(asked: str, experiment: Experiment, environment: Mapping[str, str]) -> Choice:
    """Settle which client answers; `asked` is "auto", a name in CLIENTS or a run folder.

    Raise UsageError where "auto" finds neither credentials nor mock answers.
    """
    check_client(asked)
    if asked == "mock":
        return Choice(name="mock", told="asked for")
    if asked not in NAMES:
        return Choice(name="replay", told=asked)
    named = next((name for name in CREDENTIALS if environment.get(name)), None)
    if asked == "anthropic" or named:
        base_url = hide_userinfo(environment.get("ANTHROPIC_BASE_URL", "").rstrip("/"))
        foreign = base_url if base_url and base_url != ANTHROPIC_URL else None
        why = "asked for" if asked == "anthropic" else f"{named} is set"
        return Choice(name="anthropic", told=experiment.model, why=why, base_url=foreign)
    if experiment.mock_responses:
        return Choice(name="mock", told="no credentials", why="no credentials")
    expected = experiment.dataset_path.parent / "mock_responses.json"
    raise UsageError(
        "nothing can answer: the environment names no credentials and there are no mock answers; "
        f"set ANTHROPIC_API_KEY for the real API, or write {expected} for the mock"
    )


def hide_userinfo(url: str) -> str:
    """Leave out a URL's user and password."""
    return re.sub(r"//[^/@]*@", "//", url)


def list_secrets(environment: Mapping[str, str]) -> list[str]:
    """List what must stand in no file; what is too short would be found by chance."""
    found = [environment.get(name, "") for name in SECRETS]
    return [secret for secret in found if len(secret) >= SHORTEST_SECRET]


def open_client(choice: Choice, experiment: Experiment) -> Client:
    """Make the client that was chosen for an experiment."""
    return CLIENTS[choice.name](choice, experiment)


def name_client(client: Client) -> str:
    """Name a client: its name in CLIENTS, else its class."""
    package, _, module = type(client).__module__.rpartition(".")
    return module if package == __name__ and module in CLIENTS else type(client).__name__


def _anthropic(_choice: Choice, experiment: Experiment) -> Client:
    from pytest_experiment_profiler.clients.anthropic import AnthropicClient  # noqa: PLC0415 -- 2 s

    return AnthropicClient(experiment.timeout_s)


def _mock(_choice: Choice, experiment: Experiment) -> Client:
    from pytest_experiment_profiler.clients.mock import MockClient  # noqa: PLC0415 -- one of several

    return MockClient(experiment.mock_responses)


def _replay(choice: Choice, experiment: Experiment) -> Client:
    from pytest_experiment_profiler.clients.replay import ReplayClient  # noqa: PLC0415 -- likewise

    folder = Path(choice.told)
    below = folder / experiment.experiment_id
    return ReplayClient(below if (below / "run.json").exists() else folder)


CLIENTS: Mapping[str, Callable[[Choice, Experiment], Client]] = {
    "anthropic": _anthropic,
    "mock": _mock,
    "replay": _replay,
}
