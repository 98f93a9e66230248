"""Each dialogue asked several times: all are sent, logged with their index, and counted."""

from __future__ import annotations

from tests.live.runs import cut_short


def test_every_repeat_is_asked_logged_and_counted(service, shell, project):
    api = service()
    ended = shell(project(5, repeats=3))
    assert ended.code == 0
    assert set(api.asked.values()) == {3}
    places = [(f"d{d}", repeat) for d in range(5) for repeat in range(3)]
    for name in ("requests", "responses", "scores"):
        assert [(line["dialogue_id"], line["repeat"]) for line in ended.lines(name)] == places
    counts = ended.summary["counts"]
    assert (counts["dialogues"], counts["calls"]) == (5, 15)


def test_a_failed_repeat_is_one_error(service, shell, project):
    service(faults={"400": 1.0}, only_first=True)
    ended = shell(project(4, repeats=3, concurrency=1))
    counts = ended.summary["counts"]
    assert (ended.code, counts["errors"], counts["calls"]) == (1, 4, 12)


def test_each_repeat_is_resumed_by_itself(service, shell, project):
    api = service()
    manifest = project(4, repeats=3)
    cut_short(shell(manifest).folder, 7)
    ended = shell(manifest, "--resume")
    assert (ended.code, ended.summary["counts"]["reused"], api.requests) == (0, 7, 17)


def test_more_repeats_keep_the_first_ones(service, shell, project):
    api = service()
    manifest = project(4, repeats=2)
    shell(manifest)
    manifest.write_text(manifest.read_text("utf-8").replace("repeats: 2", "repeats: 5"), "utf-8")
    ended = shell(manifest, "--resume")
    assert (ended.code, ended.summary["counts"]["reused"], api.requests) == (0, 8, 20)
