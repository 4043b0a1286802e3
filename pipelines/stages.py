"""What happens between process.start and process.end: survey, list, read, extract, and the tables made from all of it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq

from forensics.artifacts.functions import functions_for
from forensics.expansion.encrypted_container import together
from forensics.schema import COVERAGE, SOURCES, TABLES, VOLUMES
from forensics.survey import survey
from pipelines.batch import SYSTEM_FILE
from pipelines.batches import cut_batches
from pipelines.coverage import count_streams, coverage_rows, volume_rows
from pipelines.cross_check import is_cross_checked
from pipelines.problems import write_problems
from pipelines.profiles import Profile
from pipelines.scheduler import InlineScheduler
from pipelines.tables import write_rows
from pipelines.tasks import CrossCheck, ListVolume, ReadArtifact, ReadContents, RecogniseSystem, RunContext, read_receipt
from pipelines.timeline import write_timeline
from pipelines.worker import close_exhibits

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from forensics.disks import Disks
    from forensics.errors import Problem
    from forensics.expansion.encrypted_container import RandomFiles
    from forensics.found_volume import Survey
    from forensics.volume_tree import VolumeNode
    from forensics.yara_rules import RuleSet
    from pipelines.evidence import Checked
    from pipelines.profiles import Configuration
    from pipelines.progress import Reporter
    from pipelines.run import ProcessRequest
    from pipelines.scheduler import Scheduler
    from pipelines.tasks import Receipt, Task

_INLINE_MEDIA_BYTES = 64 << 20  # below, starting workers costs more than they save
# Functions that take longest go first, so that no worker is left alone with one at the end.
_SLOW = ("evtx", "prefetch", "mft.records", "usnjrnl", "shimcache", "firewall.rules", "services", "amcache")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How many tasks were planned and how many have a receipt; equal, or the run would not have ended."""

    planned: int
    written: int


class RunStages:
    """Fills CASE/runs/<run>/tables."""

    def __init__(
        self,
        *,
        request: ProcessRequest,
        disks: Disks,
        rules: RuleSet | None,
        configuration: Configuration,
        folder: Path,
        work: Path,
        reporter: Reporter,
    ) -> None:
        self._request, self._disks, self._rules, self._configuration = request, disks, rules, configuration
        self._folder, self._work, self._reporter = folder, work, reporter
        self._survey: Survey | None = None
        self._planned = self._written = 0
        self._random_files: list[RandomFiles] = []

    def do(self, problems: Sequence[Problem]) -> Outcome:
        """Runs all tasks.

        Args:
            problems: met before, to be recorded with those of the survey.
        """
        self._reporter.stage("look at the volumes")
        spool = self._work / "spool"
        spool.mkdir(parents=True, exist_ok=True)
        found = self._survey = survey(self._disks, spool=spool, credentials=self._request.credentials, forced=self._request.readers)
        exhibit = self._request.exhibit
        write_rows(self._tables, VOLUMES, "000000", volume_rows(exhibit, found.volumes))
        write_problems(self._tables, "000000", exhibit, [*problems, *found.problems])
        context = self._context(found)
        try:
            with self._scheduler() as scheduler:
                self._list(scheduler, context)
                self._read(scheduler, context)
        finally:
            close_exhibits()
        return Outcome(planned=self._planned, written=self._written)

    def finish(self, checked: Checked, unchanged_check: str) -> dict[str, int]:
        """Writes the tables that are made from others; gives the rows of every table."""
        assert self._survey is not None, "do() comes first"
        self._reporter.stage("write the ledger and the timeline")
        exhibit = self._request.exhibit
        random_files = together(self._random_files).problem()
        write_problems(self._tables, "random-files", exhibit, [random_files] if random_files is not None else [])
        for table in TABLES:
            if not any((self._tables / table.name).glob("part-*.parquet")):
                write_rows(self._tables, table, "000000", [])
        write_rows(self._tables, SOURCES, "000000", self._source_rows(checked, unchanged_check))
        reads = self._request.profile is not Profile.TRIAGE
        coverage = coverage_rows(exhibit, self._survey.volumes, count_streams(self._tables), reads=reads)
        write_rows(self._tables, COVERAGE, "000000", coverage)
        write_timeline(self._folder, exhibit, self._work)
        return {folder.name: _rows(folder) for folder in sorted(self._tables.iterdir())}

    @property
    def _tables(self) -> Path:
        return self._folder / "tables"

    def _context(self, found: Survey) -> RunContext:
        rules = None
        if self._rules is not None and self._request.profile is not Profile.TRIAGE:
            rules = self._work / "rules"
            self._rules.save(rules)
        return RunContext(
            images=tuple(path.absolute() for path in self._disks.paths),
            folder=self._folder.absolute(),
            work=self._work.absolute(),
            exhibit=self._request.exhibit,
            nodes=found.nodes,
            limits=self._configuration.limits,
            bounds=self._configuration.bounds,
            rules=rules.absolute() if rules else None,
            read_contents=self._request.profile is not Profile.TRIAGE,
            credentials=self._request.credentials,
            cross_check=self._request.cross_check,
        )

    def _scheduler(self) -> Scheduler:
        workers = self._request.workers
        if workers is None:
            workers = 0 if self._disks.size < _INLINE_MEDIA_BYTES else os.cpu_count() or 1
        if not self._request.scheduler and not workers:
            return InlineScheduler()
        from pipelines.cluster import local_cluster, running_cluster  # importing Dask takes longer than a small image

        if self._request.scheduler:
            return running_cluster(self._request.scheduler)
        return local_cluster(workers, self._work / "dask")

    def _list(self, scheduler: Scheduler, context: RunContext) -> None:
        # Raw space is listed only to be read.
        readers = [(node, node.found.reader) for node in context.nodes if node.found is not None]
        tasks: list[Task] = [ListVolume(volume=node.volume) for node, reader in readers if context.read_contents or reader != "raw"]
        if context.cross_check:
            tasks += [CrossCheck(volume=node.volume) for node, _ in readers if is_cross_checked(node)]
        self._reporter.stage("list the filesystems", items=len(tasks) + 1)
        self._run(scheduler, context, [*tasks, RecogniseSystem()])

    def _read(self, scheduler: Scheduler, context: RunContext) -> None:
        contents, size = cut_batches(context.work, read_contents=context.read_contents, present=_present(context.nodes))
        system = (context.work / SYSTEM_FILE).read_text(encoding="utf-8")
        functions = functions_for(str(self._request.profile), system)
        artifacts = [ReadArtifact(function=name) for name in functions]
        slow: list[Task] = [task for task in artifacts if task.function in _SLOW]
        quick: list[Task] = [task for task in artifacts if task.function not in _SLOW]
        self._reporter.stage("read contents and artifacts", items=len(contents) + len(artifacts), size_bytes=size)
        self._run(scheduler, context, [*slow, *contents, *quick])

    def _run(self, scheduler: Scheduler, context: RunContext, tasks: Sequence[Task]) -> None:
        """Runs the tasks that have no receipt yet."""
        done = {task.name: receipt for task in tasks if self._is_kept(task) and (receipt := read_receipt(self._folder, task))}
        waiting = [task for task in tasks if task.name not in done]
        self._planned += len(tasks)
        for receipt in done.values():
            self._count(receipt)
        for receipt in scheduler.iter_receipts(context, waiting):
            self._count(receipt)

    def _is_kept(self, task: Task) -> bool:
        """Whether what the task left in the work folder is there still, so that its receipt can be trusted."""
        if isinstance(task, ListVolume):
            return (self._work / "listings" / f"{task.volume}.arrow").is_file()
        if isinstance(task, RecogniseSystem):
            return (self._work / SYSTEM_FILE).is_file()
        return isinstance(task, (CrossCheck, ReadContents, ReadArtifact))

    def _count(self, receipt: Receipt) -> None:
        self._written += 1
        self._random_files.append(receipt.random_files)
        self._reporter.advance(items=1, size_bytes=receipt.bytes_read)

    def _source_rows(self, checked: Checked, unchanged_check: str) -> list[dict[str, Any]]:
        return [
            {
                "exhibit": self._request.exhibit,
                "disk": number,
                "disk_start": start,
                "container": image.container,
                "segments": [segment.name for segment in image.segments],
                "segment_sizes": [segment.size for segment in image.segments],
                "media_size": image.size,
                "sector_size": image.sector_size,
                "md5": one.media.md5,
                "sha1": one.media.sha1,
                "sha256": one.media.sha256,
                "stated_md5": image.stated.md5,
                "stated_sha1": image.stated.sha1,
                "expected_hash": self._request.expect_hash,
                "digest_match": str(one.match.verdict),
                "mismatch_accepted": self._request.accept_mismatch if one.match.verdict == "mismatch" else None,
                "damaged_chunks": one.media.damaged_chunks,
                "header_values": sorted(image.header_values.items()),
                "unchanged_check": unchanged_check,
                "unchanged": True,
            }
            for number, (image, start, one) in enumerate(zip(self._disks.images, self._disks.starts, checked.images, strict=True), start=1)
        ]


def _present(nodes: Sequence[VolumeNode]) -> dict[str, str]:
    """Of each volume that is an earlier state, the one that it was derived from, which is no earlier state itself."""
    parents = {node.volume: node.derived.parents[0] for node in nodes if node.snapshot and node.derived is not None}
    present = {}
    for volume, parent in parents.items():
        while parent in parents:
            parent = parents[parent]  # noqa: PLW2901 - up to what is no snapshot
        present[volume] = parent
    return present


def _rows(folder: Path) -> int:
    return sum(pq.read_metadata(part).num_rows for part in folder.glob("part-*.parquet"))
