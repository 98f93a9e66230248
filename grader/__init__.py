"""Judge a submission to the challenge by what its commands leave behind."""

from __future__ import annotations

GRADER_VERSION = "1.4"
TASK_VERSION = "1"
