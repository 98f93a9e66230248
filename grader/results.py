"""What a run left, read once, beside the case that it was given."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from grader.artifacts import decode, parse_lines, parse_object
from grader.bench import ARTIFACTS
from grader.errors import ArtifactError
from grader.oracle import Measures, measure

if TYPE_CHECKING:
    from grader.experiments import Case, Dialogue
    from grader.trials import RunEvidence

LOGS = ("requests.jsonl", "responses.jsonl")


@dataclass(frozen=True, kw_only=True)
class Run:
    """A run beside the case that it was given."""

    case: Case
    evidence: RunEvidence

    def rows(self, name: str) -> list[tuple[Dialogue, dict[str, Any]]]:
        """Pair each dialogue with its line, in the order of the dataset."""
        rows = self._content(name)
        want = [dialogue.dialogue_id for dialogue in self.case.dialogues]
        got = [row.get("dialogue_id") for row in rows]
        if got != want:
            raise ArtifactError(f"{name}: not one line a dialogue in the dataset's order")
        return list(zip(self.case.dialogues, rows, strict=True))

    def summary(self) -> dict[str, Any]:
        """Give the summary."""
        summary: dict[str, Any] = self._content("summary.json")
        return summary

    @cached_property
    def measures(self) -> Measures:
        """Compute the three numbers that are right."""
        return measure(self.case)

    def _content(self, name: str) -> Any:  # noqa: ANN401 -- lines or an object
        content = self._contents[name]
        if isinstance(content, ArtifactError):
            raise content
        return content

    @cached_property
    def _contents(self) -> dict[str, Any]:
        """Parse each file once, however many checks ask for it: it may be made to take long."""
        return {name: self._parse(name) for name in ARTIFACTS}

    def _parse(self, name: str) -> Any:  # noqa: ANN401 -- lines, an object or what is wrong
        if name in self.evidence.problems:
            return ArtifactError(self.evidence.problems[name])
        data = self.evidence.files[name]
        try:
            if name in LOGS:
                return parse_lines(data, name)
            return parse_object(decode(data, name), name)
        except ArtifactError as error:
            return error
