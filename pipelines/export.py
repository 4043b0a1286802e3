"""The report of a run, and the custody event that records it."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from chain_of_custody.statement import Subject
from pipelines.report.write import write_report
from pipelines.tables import file_sha256, write_atomically

if TYPE_CHECKING:
    from pathlib import Path

    from chain_of_custody.service import CustodyService
    from pipelines.progress import Reporter

PAGES = "pages.sha256"
_PROCESSOR = "processor"


def write_and_record_report(case: Path, run: str, custody: CustodyService, reporter: Reporter) -> Path:
    """Writes CASE/reports/<run>/, lists its pages in pages.sha256 (`sha256sum --check`), and records both with output.export.

    Returns:
        The report's first page.
    """
    reporter.stage("write the report")
    index = write_report(case, run)
    folder = index.parent
    pages = sorted(path for path in folder.rglob("*") if path.is_file())
    listing = "".join(f"{file_sha256(path)}  {path.relative_to(folder).as_posix()}\n" for path in pages).encode()
    write_atomically(folder / PAGES, listing)
    subjects = (
        Subject(name=f"reports/{run}/{index.name}", sha256=file_sha256(index)),
        Subject(name=f"reports/{run}/{PAGES}", sha256=hashlib.sha256(listing).hexdigest()),
    )
    if custody.identity.role == _PROCESSOR:
        reporter.note("the report is not in the log: a processor key may not record it; `evidex report --key` with a person's key does")
        return index
    custody.append("output.export", subject=subjects, details={"run": run, "what": "report", "pages": len(pages)}, purpose="report")
    return index
