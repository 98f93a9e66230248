"""The nouns: an experiment, its dialogues, what is sent, what comes back, what it is worth."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_experiment_profiler.errors import RateLimit

FactMode: TypeAlias = Literal["lenient", "strict", "exact"]
FactForm: TypeAlias = Literal["any_of", "all_of", "none_of", "regex"]
Detector: TypeAlias = Literal["text", "keywords", "own"]
Outcome: TypeAlias = Literal["ok", "error", "not_run"]

REFUSED = frozenset(
    {"refusal", "content_filter", "safety", "prohibited_content", "blocklist", "spii"}
)
"""Stop reasons by which providers say that they refuse, in any case."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Fact:
    """Something that a dialogue's answer must hold.

    `any_of`: one of the wordings; `all_of`: each; `none_of`: none; `regex`: the one pattern.
    With `turn` (from 0) only that turn's answer is looked at.
    """

    wordings: tuple[str, ...]
    form: FactForm = "any_of"
    turn: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Dialogue:
    """One row of a dataset: what the user says, turn by turn, and the facts to expect.

    `position` counts from 0 in the dataset, `line` from 1 in `file`; `extra` keeps further keys.
    """

    dialogue_id: str
    turns: tuple[str, ...]
    file: Path
    line: int
    position: int
    system: str | None = None
    required_facts: tuple[Fact, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Message:
    """One message of a prompt; `role` is "user" or "assistant"."""

    role: Literal["user", "assistant"]
    content: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Prompt:
    """What one call sends and, never sent, for which dialogue, turn and repeat (from 0)."""

    model: str
    system: str | None
    messages: tuple[Message, ...]
    max_tokens: int
    temperature: float | None
    dialogue_id: str
    turn: int
    repeat: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Reply:
    """What came back; `usage` counts tokens under the API's own names.

    `limits`, which is not logged, is what the service said of its rate limits.
    """

    text: str
    stop_reason: str | None = None
    usage: Mapping[str, Any] = field(default_factory=dict)
    request_id: str | None = None
    model: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    limits: tuple[RateLimit, ...] = ()

    @property
    def refused(self) -> bool:
        """Tell whether the provider refused, whatever the text says."""
        return self.stop_reason is not None and self.stop_reason.casefold() in REFUSED


class Client(Protocol):
    """What answers a prompt, async or plain; raises ClientError where the call failed."""

    def complete(self, prompt: Prompt, /) -> Reply | Awaitable[Reply]:
        """Answer one prompt."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Attempt:
    """One try of a call: HTTP status, what failed (None: nothing), seconds waited before it.

    `lost`: an answer may have been made, and be billed, that never arrived.
    """

    status: int | None
    error: str | None
    waited_s: float
    lost: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Failure:
    """Why a call failed for good."""

    type: str
    message: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Turn:
    """A prompt and what became of it: a reply, or a failure.

    `sent_at` is Unix time of the last attempt, `latency_s` the seconds that it took; `reused`
    where the answer was taken over from an earlier part of the run.
    """

    prompt: Prompt
    reply: Reply | None
    error: Failure | None = None
    attempts: tuple[Attempt, ...] = ()
    sent_at: float | None = None
    latency_s: float | None = None
    reused: bool = False

    @property
    def refused(self) -> bool:
        """Tell whether the provider refused, which ends the dialogue."""
        return self.reply is not None and self.reply.refused


@dataclass(frozen=True, kw_only=True, slots=True)
class FactMatch:
    """Whether a fact stands in an answer, the text that showed it, and where (start, end)."""

    fact: Fact
    found: bool
    matched: str | None = None
    span: tuple[int, int] | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Refusal:
    """How far an answer declines: label, score from 0 to 1, and the sentence that decided."""

    label: Literal["none", "partial", "full"]
    score: float
    evidence: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Transcript:
    """All turns of a dialogue in one repeat, and what the readers found in the answers.

    `facts` and `refusals` (one a turn with a reply) are None until the answers are read.
    """

    dialogue: Dialogue
    repeat: int
    turns: tuple[Turn, ...]
    not_run: str | None = None
    facts: tuple[FactMatch, ...] | None = None
    refusals: tuple[Refusal, ...] | None = None

    @property
    def outcome(self) -> Outcome:
        """Tell "ok" (each turn answered), "error" or "not_run"."""
        if self.turns and self.turns[-1].error:
            return "error"
        return "not_run" if self.not_run else "ok"

    @property
    def text(self) -> str:
        """Join the answers with a blank line."""
        return "\n\n".join(turn.reply.text for turn in self.turns if turn.reply)


Value: TypeAlias = "float | tuple[float, float] | None"
Metric: TypeAlias = Callable[[Transcript], Value]


@dataclass(frozen=True, kw_only=True, slots=True)
class Budget:
    """Hard limits of a run; None is no limit."""

    usd: float | None = None
    tokens: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Experiment:
    """A manifest, checked: everything a run needs."""

    experiment_id: str
    model: str
    max_tokens: int
    path: Path
    dataset_path: Path
    mock_responses: Path | None
    metrics: tuple[str, ...]
    temperature: float | None = None
    system: str | None = None
    output_fields: tuple[str, ...] = ("completion", "metadata")
    concurrency: int = 16
    timeout_s: float = 600.0
    budget: Budget = Budget()
    repeats: int = 1
    fact_mode: FactMode = "lenient"
    detector: Detector = "text"
    refusal_patterns: tuple[str, ...] = ()
    gates: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Interval:
    """A confidence interval; `n` counts the independent units behind it."""

    low: float
    high: float
    level: float
    n: int
    method: str
