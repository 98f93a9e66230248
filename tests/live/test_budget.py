"""What a run may cost: never a cent more, however many calls are in flight."""

from __future__ import annotations

import asyncio
import json
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_experiment_profiler.budget import NOTHING, Charge, Ledger, reserve_all
from pytest_experiment_profiler.caller import worst_case
from pytest_experiment_profiler.pricing import price_usd
from pytest_experiment_profiler.records import parse_prompt
from tests.builders import make_prompt
from tests.live.runs import cut_short
from tests.live.service import MODEL

if TYPE_CHECKING:
    from pathlib import Path

WORST = worst_case(make_prompt("Question 10?"), priced=True)

# --- the ledger


charges = st.builds(Charge, st.decimals(0, 2, places=4), st.integers(0, 500))
calls = st.lists(st.tuples(charges, st.floats(0, 1), st.integers(0, 3)), min_size=1, max_size=30)


@given(
    calls,
    st.none() | st.decimals(0, 10, places=3),
    st.none() | st.integers(0, 3000),
    st.integers(1, 8),
)
def test_a_ledger_never_overshoots(calls, usd, tokens, in_flight):
    ledgers = [Ledger(usd=usd), Ledger(usd=usd, tokens=tokens)]
    waiting, refused = iter(calls), list[Charge]()

    async def work() -> None:
        for worst, share, steps in waiting:
            if not await reserve_all(ledgers, worst, lambda: not refused):
                refused.append(worst)
                break
            assert not any(map(overshoots, ledgers))
            for _ in range(steps):
                await asyncio.sleep(0)
            part = Decimal(share)
            for ledger in ledgers:
                ledger.settle(worst, Charge(worst.usd * part, int(worst.tokens * part)))
            assert not any(map(overshoots, ledgers))
        for ledger in ledgers:
            ledger.wake()

    async def work_all() -> None:
        async with asyncio.timeout(10):
            await asyncio.gather(*(work() for _ in range(in_flight)))

    asyncio.run(work_all())
    assert all(ledger.reserved == NOTHING for ledger in ledgers)
    if refused and in_flight == 1:
        assert not all(ledger.fits(refused[0]) for ledger in ledgers)


def overshoots(ledger):
    usd, tokens = (a + b for a, b in zip(ledger.spent, ledger.reserved, strict=True))
    return (ledger.usd is not None and usd > ledger.usd) or (
        ledger.tokens is not None and tokens > ledger.tokens
    )


# --- the whole stack


def cost_of(api, ended):
    """Price all that the service answered, as it counts; what was cut off at its worst."""
    usage = {line["dialogue_id"]: line["usage"] for line in ended.lines("responses")}
    worst = {r["dialogue_id"]: r for r in ended.lines("requests")}
    total = Decimal(0)
    for call, times in api.answered.items():
        price = price_usd(MODEL, usage[f"d{call.split()[1].rstrip('?')}"])
        assert price is not None
        total += price * times
    for line in ended.lines("responses"):
        lost = sum("lost" in attempt for attempt in line["attempts"])
        prompt = parse_prompt(worst[line["dialogue_id"]])
        total += lost * worst_case(prompt, priced=True).usd
    return total


@pytest.mark.parametrize("faults", [{}, {"cut": 0.1, "529": 0.1, "429": 0.1}])
def test_64_in_flight_and_not_a_cent_over(service, shell, project, faults):
    api = service(delay_s=0.01, faults=faults)
    budget = WORST.usd * 90
    ended = shell(project(400, concurrency=64), "--budget-usd", str(budget))
    spent = cost_of(api, ended)
    assert budget - WORST.usd * Decimal("1.1") < spent <= budget
    assert ended.code == 1
    counts = ended.summary["counts"]
    assert counts["not_run"] + counts["errors"] == 400 - len(api.answered)
    assert counts["not_run"] > 0
    assert "not run: budget" in ended.err
    assert "--resume" in ended.err
    assert ended.summary["status"] == "partial"


def test_tokens_have_a_budget_too(service, shell, project):
    api = service()
    ended = shell(project(50, budget={"tokens": 3000}))
    used = sum(sum(line["usage"].values()) for line in ended.lines("responses"))
    assert 3000 - WORST.tokens < used <= 3000
    assert (ended.code, ended.summary["counts"]["not_run"]) == (1, 50 - len(api.answered))


def test_a_budget_too_small_for_one_call_sends_none(service, shell, project):
    api = service()
    ended = shell(project(3), "--budget-usd", str(WORST.usd / 2))
    assert (ended.code, api.requests, ended.summary["counts"]["not_run"]) == (1, 0, 3)


def test_a_budget_counts_what_earlier_parts_spent(service, shell, project):
    api = service()
    manifest = project(60, concurrency=4)
    budget = WORST.usd * 10
    first = shell(manifest, "--budget-usd", str(budget))
    again = shell(manifest, "--resume", "--budget-usd", str(budget))
    assert again.code == 1
    assert len(api.answered) == again.summary["counts"]["reused"]
    assert again.summary["counts"]["calls"] == first.summary["counts"]["calls"]
    assert cost_of(api, again) <= budget
    more = shell(manifest, "--resume", "--budget-usd", str(budget * 2))
    assert budget < cost_of(api, more) <= budget * 2
    last = shell(manifest, "--resume")
    assert (last.code, last.summary["status"], api.requests) == (0, "complete", 60)


def test_a_budget_counts_answers_that_a_resume_replaced(service, shell, project):
    api = service()
    manifest = project(20, concurrency=2)
    first = shell(manifest).summary["cost"]["usd"]
    manifest.write_text(f"{manifest.read_text('utf-8')}system: Be brief.\n", "utf-8")
    second = shell(manifest, "--resume")
    assert (second.summary["counts"]["reused"], api.requests) == (0, 40)
    cut_short(second.folder, 19)
    again = shell(manifest, "--resume", "--budget-usd", str(2 * first))
    assert (again.code, api.requests) == (1, 40)
    assert shell(manifest, "--resume", "--budget-usd", str(3 * first)).code == 0


def test_a_lost_answer_counts_at_its_worst(service, shell, project):
    api = service()
    manifest = project(10, concurrency=2)
    before = shell(manifest)
    cut_short(before.folder, 0)
    ended = shell(manifest, "--resume", "--budget-usd", str(WORST.usd * 12))
    assert ended.code == 1
    assert 2 <= api.requests - 10 < 10


def test_an_unknown_price_is_refused_before_the_first_call(service, shell, project):
    api = service()
    manifest = project(3, model="claude-nobody-9")
    ended = shell(manifest, "--budget-usd", "1")
    assert (ended.code, api.requests) == (2, 0)
    assert "a budget in USD needs a price" in ended.err
    assert shell(manifest).summary["cost"]["usd"] is not None  # the one that answered has one


def test_an_unknown_cost_is_none_not_zero(service, shell, project, monkeypatch):
    monkeypatch.setattr("tests.live.service.MODEL", "claude-nobody-9")
    service()
    ended = shell(project(3))
    assert ended.summary["cost"]["usd"] is None
    assert "cost unknown" in ended.out


def test_replayed_answers_need_no_budget(service, shell, project):
    service()
    manifest = project(5)
    recorded = shell(manifest)
    words = ["--client", str(recorded.folder), "--budget-usd", str(WORST.usd)]
    assert shell(manifest, *words, output="replayed").code == 0


# --- under pytest


@pytest.fixture
def session(pytester, service, project):
    """Run manifests in a pytest session against the service."""
    api = service()
    names: list[Path] = []

    def run(count, *words, **keys):
        keys |= {"concurrency": 4}
        lacking = range(len(names), count)
        names.extend(project(20, name=f"m{n}", folder=f"p{n}", **keys) for n in lacking)
        asked = [f"--experiment={name}" for name in names]
        result = pytester.runpytest_inprocess("-p", "no:cacheprovider", *asked, *words)
        return result, api

    return run


@pytest.mark.parametrize("gates", [{}, {"dialogue": {"refusal_rate": {"max": 1}}}])
def test_what_was_not_run_is_skipped_and_the_item_fails_in_one_line(session, gates):
    keys = {"gates": gates} if gates else {}
    result, api = session(1, f"--experiment-budget-usd={WORST.usd * 5}", "-v", **keys)
    left = 20 - len(api.answered)
    assert result.ret == 1
    result.stdout.fnmatch_lines([f"{left} of 20 dialogues were not run: budget"])
    result.stdout.fnmatch_lines(["resume: pytest * --experiment-resume"])
    assert result.parseoutcomes()["failed"] == 1
    assert result.parseoutcomes()["skipped"] == left


def test_a_sessions_budget_holds_for_all_its_manifests(session):
    result, api = session(2, f"--experiment-budget-usd={WORST.usd * 5}")
    assert result.ret == 1
    usd = price_usd(MODEL, {"input_tokens": 36, "output_tokens": 130})
    assert usd is not None
    assert len(api.answered) < 5 * WORST.usd / usd * 5
    assert api.requests < 40


def test_a_sessions_budget_counts_what_later_manifests_spent_before(session, pytester):
    _, api = session(2, "-k", "m1")
    assert api.requests == 20
    (summary,) = pytester.path.rglob("m1_run/summary.json")
    spent = json.loads(summary.read_text("utf-8"))["cost"]["usd"]
    for room, asked in ((WORST.usd / 2, 0), (WORST.usd, 1)):
        budget = Decimal(str(spent)) + room
        result, again = session(2, "--experiment-resume", f"--experiment-budget-usd={budget}")
        assert (result.ret, again.requests) == (1, 20 + asked)
