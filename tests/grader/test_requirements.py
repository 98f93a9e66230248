"""No check without a sentence of the prompt, no sentence without a check."""

from __future__ import annotations

import re

from grader.checks import CHECK_IDS
from grader.places import PROMPT
from grader.requirements import prompt_sentences, requirements


def test_each_marked_sentence_has_a_check():
    marks = re.findall(r"\[(R\d+)\]", PROMPT.read_text("utf-8"))
    assert len(set(marks)) == len(marks)
    assert set(requirements()) == set(marks)
    assert all(requirements().values())


def test_each_check_has_a_sentence():
    assert {check for checks in requirements().values() for check in checks} == set(CHECK_IDS)


def test_the_sentences_can_be_quoted():
    assert all(len(text) > 3 for text in prompt_sentences().values())
