"""Ways in which a run fails, beside those of the evidence (forensics.errors) and of the log (chain_of_custody.errors).

PipelineError             base; the message says what, where, why and what to do next
    CaseError             the case folder cannot be used
        CaseBusyError     another process is writing it
    DigestMismatchError   the media is not what the image or the examiner states
    SourceChangedError    the evidence changed while it was being read
    RunError              the run cannot be begun or gone on with
        ResumeError       an unfinished run was begun with something else; a new one can be begun
"""

from __future__ import annotations


class PipelineError(Exception):
    """A run could not be done as asked."""


class CaseError(PipelineError):
    """The case folder cannot be used."""


class CaseBusyError(CaseError):
    """Another process is writing the case."""


class DigestMismatchError(PipelineError):
    """The media's digests are not those that the image or the examiner states."""


class SourceChangedError(PipelineError):
    """The evidence is not what it was when the run began."""


class RunError(PipelineError):
    """The run cannot be begun or gone on with."""


class ResumeError(RunError):
    """The unfinished run was begun with other settings or over another image, so it cannot be gone on with; a new one can be begun."""
