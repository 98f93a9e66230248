"""What can go wrong in a grade, by whose fault it is.

GraderError        ours: no verdict can be given (`status: error`)
SubmissionError    theirs: what was handed in can't be accepted (`status: fail`)
ArtifactError      theirs: a file that a command left behind is not what the prompt asks for
"""

from __future__ import annotations

import errno

OUR_ERRNOS = {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EIO}
"""What says of a file that can't be opened that the machine is to blame."""


class GraderError(Exception):
    """Say that the grader can't judge, and what would help."""


class SubmissionError(Exception):
    """Say what is wrong with the files that were handed in."""


class ArtifactError(Exception):
    """Say what is wrong with a file that the submission wrote."""
