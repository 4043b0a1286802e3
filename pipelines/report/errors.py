"""What stops a report: ReportError, fatal to the report and to nothing else."""

from __future__ import annotations

from pipelines.errors import PipelineError


class ReportError(PipelineError):
    """The report cannot be made from what is there. The message says what is missing and what to do."""
