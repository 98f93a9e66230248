"""Hidden cases: a seed goes in, experiments that no submission has seen come out."""

from __future__ import annotations

import hashlib
import itertools
import random
from dataclasses import dataclass, field, replace

from grader import GRADER_VERSION, words
from grader.errors import GraderError
from grader.experiments import Answer, Case, Dialogue
from grader.oracle import PHRASES, found, measure, micro_coverage, refuses, unrefused_coverage

DRAWS_LIMIT = 5000
CLOSEST = 1e-3
SMALLEST = 0.2
SAMPLE_VALUES = (0.875, 0.4, 0.7246, 0.8889, 0.3333, 0.7698)
CURLY = "\N{RIGHT SINGLE QUOTATION MARK}"
HITS = ("plain", "cased", "first", "second", "both", "inside")
MISSES = ("asked", "apart", "digits", "folded", "elsewhere")


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What a case must hold: the phrases of its refusals, how many other answers, any facts.

    Each phrase occurs in one case with facts and in one without; `rerun` is the shortest case.
    """

    phrases: tuple[str, ...]
    calm: tuple[int, int]
    with_facts: bool
    temperature: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Cases:
    """The experiments of one grade.

    `rerun` has the id of `fresh`; `zero` is asked live too, at temperature 0.
    """

    fresh: Case
    rerun: Case
    moved: Case
    live: Case
    zero: Case


@dataclass(kw_only=True, slots=True)
class Draft:
    """A dialogue in the making: the pieces of its texts, and which facts were meant to be found."""

    topic: str
    pieces: list[str] = field(default_factory=list)
    facts: list[tuple[str, ...]] = field(default_factory=list)
    meant: list[bool] = field(default_factory=list)
    asides: list[str] = field(default_factory=list)
    refused: bool = False
    by_signal: bool = False


def make_cases(seed: int) -> Cases:
    """Make the cases of a seed."""
    chance = chance_of(seed, "cases")
    parts = _deal_phrases(chance)
    one, other = _temperature(chance), _temperature(chance)
    plans = {
        "fresh": Plan(phrases=parts[0], calm=(9, 12), with_facts=True, temperature=one),
        "live": Plan(phrases=parts[1], calm=(9, 12), with_facts=True, temperature=other),
        "rerun": Plan(phrases=parts[2], calm=(4, 6), with_facts=False, temperature=0),
        "moved": Plan(phrases=parts[3], calm=(5, 9), with_facts=False, temperature=1),
    }
    maker = Maker(chance)
    made = {name: maker.draw(plan) for name, plan in plans.items()}
    made["rerun"] = replace(made["rerun"], experiment_id=made["fresh"].experiment_id)
    made["zero"] = replace(
        made["moved"],
        experiment_id=made["moved"].experiment_id + "-b",
        model=made["live"].model + "-b",
        max_tokens=made["live"].max_tokens + 1,
        temperature=0,
        dialogues=made["moved"].dialogues[::-1],
    )
    return Cases(**made)


def chance_of(seed: int, purpose: str) -> random.Random:
    """Give the random numbers of a seed for one purpose."""
    text = f"{GRADER_VERSION}\0{seed}\0{purpose}"
    return random.Random(hashlib.sha256(text.encode()).digest())  # noqa: S311 -- repeatable


def _temperature(chance: random.Random) -> float:
    return chance.choice([step for step in range(31, 98) if step % 10]) / 100


def _deal_phrases(chance: random.Random) -> list[tuple[str, ...]]:
    """Deal all phrases to the first two cases and again to the last two.

    Shuffle until each case has two with an apostrophe, to be written in both ways.
    """
    phrases = list(PHRASES)
    while True:
        chance.shuffle(phrases)
        parts = [phrases[:7], phrases[7:], phrases[5:9], phrases[:5] + phrases[9:]]
        if min(sum("'" in phrase for phrase in part) for part in parts) > 1:
            return [tuple(sorted(part, key=lambda phrase: "'" not in phrase)) for part in parts]


class Maker:
    """Make cases that share no name with each other."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._coined: set[str] = set()

    def draw(self, plan: Plan) -> Case:
        """Redraw until no wrong formula could give the right value."""
        taken = frozenset(self._coined)
        for _ in range(DRAWS_LIMIT):
            case = self._make(plan)
            if case is not None and telling(case, with_facts=plan.with_facts):
                return case
            self._coined = set(taken)
        raise GraderError("no telling case was found for this seed")

    def _coin(self) -> str:
        """Make a name that no other name holds, or stands in."""
        while True:
            name = "".join(self._chance.sample(words.SYLLABLES, 3)).capitalize()
            if self._chance.random() < 0.5:  # noqa: PLR2004 -- every other one
                name += self._chance.choice(words.ACCENTED) + self._chance.choice("nrk")
            lower = name.lower()
            if not any(lower in other or other in lower for other in self._coined):
                self._coined.add(lower)
                return name

    def _make(self, plan: Plan) -> Case | None:
        chance = self._chance
        drafts = [self._refused(phrase, index) for index, phrase in enumerate(plan.phrases)]
        drafts.append(Draft(topic=self._coin(), refused=True, by_signal=True))
        calm = chance.choice(_telling_counts(plan))
        drafts += [Draft(topic=self._coin()) for _ in range(calm)]
        drafts[-1].pieces.append(chance.choice(words.ALMOST_REFUSALS))
        if plan.with_facts:
            self._add_facts(drafts)
        answers = self._answers(drafts)
        dialogues = [self._dialogue(*pair) for pair in zip(drafts, answers, strict=True)]
        as_meant = all(map(_as_meant, drafts, dialogues))
        chance.shuffle(dialogues)
        return self._case(plan, dialogues) if as_meant else None

    def _case(self, plan: Plan, dialogues: list[Dialogue]) -> Case:
        chance = self._chance
        name = chance.choice(words.NAMES)
        return Case(
            experiment_id=f"{name}{chance.choice('-_')}{chance.randrange(100, 1000)}",
            model=f"{chance.choice(words.THINGS)}-{name}-{chance.randrange(2, 90)}",
            max_tokens=chance.randrange(211, 1900),
            temperature=plan.temperature,
            dialogues=tuple(dialogues),
        )

    def _refused(self, phrase: str, index: int) -> Draft:
        chance = self._chance
        tail = words.TAILS.get(phrase) or chance.choice(words.USUAL_TAILS)
        said = phrase.replace("i ", "I ").replace("i'm", "I'm")
        said = said.upper() if chance.random() < SMALLEST else said
        said = said.replace("'", CURLY) if index % 2 else said
        before = chance.choice(("", "Well, ", "About that: ", "That would be ", "As I said, "))
        return Draft(topic=self._coin(), refused=True, pieces=[f"{before}{said} {tail}"])

    def _add_facts(self, drafts: list[Draft]) -> None:
        """Give facts to most dialogues, so that each way to hit and to miss occurs."""
        chance = self._chance
        without = {0, len(drafts) - 2}
        chosen = [draft for index, draft in enumerate(drafts) if index not in without]
        ways = [*HITS, *MISSES, *chance.choices(HITS, k=len(drafts)), "asked", "apart"]
        chance.shuffle(ways)
        for index, way in enumerate(ways):
            draft = chosen[index] if index < len(chosen) else chance.choice(chosen)
            self._add_fact(
                draft, way, chance.choice([item for item in drafts if item is not draft])
            )

    def _add_fact(self, draft: Draft, way: str, other: Draft) -> None:
        name, further = self._coin(), self._coin()
        mention = self._chance.choice(words.MENTIONS).format
        hit = {
            "plain": ((name,), mention(name)),
            "cased": ((name,), mention(self._chance.choice((name.upper(), name.lower())))),
            "first": ((name, further), mention(name)),
            "second": ((name, f"{further} Hall"), mention(f"{further} hall")),
            "inside": ((name,), mention(f"{name}ish")),
            "both": ((name, further), f"{mention(further)} {mention(name)}"),
        }
        if way in hit:
            wordings, piece = hit[way]
            draft.pieces.append(piece)
        else:
            wordings = self._miss(draft, way, other, name, further)
        draft.facts.append(wordings)
        draft.meant.append(way in hit)

    def _miss(
        self, draft: Draft, way: str, other: Draft, name: str, further: str
    ) -> tuple[str, ...]:
        number = self._chance.randrange(2_100, 9_900)
        match way:
            case "asked":
                draft.asides.append(name)
                return (name,)
            case "apart":
                draft.pieces.append(f"First {further}, much later {name}.")
                return (f"{name} {further}",)
            case "digits":
                draft.pieces.append(f"It took {number} days.")
                return (f"{number // 1000},{number % 1000:03}",)
            case "folded":
                draft.pieces.append(f"Some write {name}ar.")
                return (f"{name}är",)
            case _:
                other.pieces.append(f"Compare {name}.")
                return (name, further)

    def _answers(self, drafts: list[Draft]) -> list[Answer]:
        """Shape the answers: bare texts, objects with and without each optional key."""
        chance = self._chance
        shapes = list(itertools.islice(itertools.cycle(range(5)), len(drafts)))
        chance.shuffle(shapes)
        return [self._answer(draft, shape) for draft, shape in zip(drafts, shapes, strict=True)]

    def _answer(self, draft: Draft, shape: int) -> Answer:
        chance = self._chance
        pieces = [*draft.pieces, chance.choice(words.FILLERS)]
        chance.shuffle(pieces)
        reasons = ("end_turn", "max_tokens", "stop_sequence")
        tokens = (chance.randrange(9, 99), chance.randrange(9, 99))
        reason = "refusal" if draft.by_signal else chance.choice(reasons)
        other_model = f"{chance.choice(words.THINGS)}-{chance.randrange(1000, 9999)}"
        return Answer(
            text=" ".join(pieces),
            stop_reason=reason if draft.by_signal or shape in {1, 2, 3} else None,
            model=other_model if shape in {2, 4} else None,
            usage=tokens if shape in {1, 4} else None,
            bare=shape == 0 and not draft.by_signal,
        )

    def _dialogue(self, draft: Draft, answer: Answer) -> Dialogue:
        chance = self._chance
        question = chance.choice(words.QUESTIONS).format(draft.topic)
        asides = [f"Mention {aside} if it matters." for aside in draft.asides]
        system = chance.choice(words.SYSTEMS).format(self._coin())
        return Dialogue(
            dialogue_id=f"{chance.choice('kmrtvz')}{chance.randrange(100, 999)}-{self._coin()[:3]}",
            user=" ".join([question, *asides]),
            system=system if chance.random() < 0.7 else None,  # noqa: PLR2004 -- most
            facts=tuple(draft.facts),
            answer=answer,
        )


def _telling_counts(plan: Plan) -> list[int]:
    """List how many calm answers make a refusal rate that can't be taken for something else."""
    refused = len(plan.phrases) + 1
    counts = range(plan.calm[0], plan.calm[1] + 1)
    return [calm for calm in counts if _telling_rate(refused / (refused + calm), plan.with_facts)]


def _telling_rate(rate: float, with_facts: bool) -> bool:  # noqa: FBT001 -- private
    distinct = [rate, 1 - rate, *SAMPLE_VALUES, 0.0, 1.0]
    distinct += [round(rate, 2)] if with_facts else []
    return min(rate, 1 - rate) >= SMALLEST and _far_apart(distinct)


def _far_apart(values: list[float]) -> bool:
    ordered = sorted(values)
    return all(high - low >= CLOSEST for low, high in itertools.pairwise(ordered))


def _as_meant(draft: Draft, dialogue: Dialogue) -> bool:
    """Tell whether the texts say by chance nothing that they were not meant to."""
    hits = [found(fact, dialogue.answer.text) for fact in dialogue.facts]
    return hits == draft.meant and refuses(dialogue.answer) == draft.refused


def telling(case: Case, *, with_facts: bool) -> bool:
    """Tell whether every wrong formula that we know gives another value, in no easy order."""
    ids = [dialogue.dialogue_id for dialogue in case.dialogues]
    if len(set(ids)) < len(ids) or ids in (sorted(ids), sorted(ids, reverse=True)):
        return False
    systems = {dialogue.system is None for dialogue in case.dialogues}
    values = measure(case)
    rate = values.refusal_rate
    if len(systems) == 1 or not _telling_rate(rate, with_facts):
        return False
    coverage, mean = values.fact_coverage, values.geometric_mean
    if coverage is None or mean is None:
        return not with_facts
    distinct = [rate, 1 - rate, *SAMPLE_VALUES, 0.0, 1.0]
    distinct += [coverage, mean, micro_coverage(case), unrefused_coverage(case)]
    distinct += [(coverage + rate) / 2, (coverage + 1 - rate) / 2]
    distinct += [(coverage * rate) ** 0.5, coverage * (1 - rate)]
    distinct += [round(value, 2) for value in (rate, coverage, mean)]
    return min(coverage, 1 - coverage) >= SMALLEST and _far_apart(distinct)
