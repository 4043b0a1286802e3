"""The exhibit's media before and after the run: digests, comparison, and whether the source is unchanged, each as a custody event."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from chain_of_custody.statement import Subject
from forensics.digests import MediaDigests, Verdict, compare_digests, digest_media
from forensics.image import open_image, source_state
from pipelines.errors import DigestMismatchError, SourceChangedError
from pipelines.profiles import Profile

if TYPE_CHECKING:
    from pathlib import Path

    from chain_of_custody.service import CustodyService
    from forensics.digests import DigestMatch
    from forensics.disks import Disks
    from forensics.errors import Problem
    from forensics.exhibit import SourceState
    from forensics.image import Image
    from pipelines.progress import Reporter
    from pipelines.run import ProcessRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedImage:
    """The media of one image as it was before the run: its digests, how they compare, and the state of its files."""

    media: MediaDigests
    match: DigestMatch
    state: SourceState


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """The images of an exhibit as they were before the run, in their order."""

    images: tuple[CheckedImage, ...]

    @property
    def subjects_digest(self) -> str:
        """What identifies the exhibit's media: the SHA-256 of each image, in order."""
        return "".join(f"{one.media.sha256}\n" for one in self.images)

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What was damaged, over all images."""
        return tuple(problem for one in self.images for problem in one.media.problems)


def check_before(disks: Disks, request: ProcessRequest, custody: CustodyService, reporter: Reporter) -> Checked:
    """Hashes the media of each image once, compares, and records evidence.verify for each.

    Raises:
        DigestMismatchError: the digests differ and no reason was given to go on.
    """
    states = [source_state(image) for image in disks.images]
    reporter.stage("hash the media", size_bytes=disks.size)
    return Checked(
        images=tuple(
            _check_image(image, state, subject_name(request.exhibit, disks, number), request=request, custody=custody, reporter=reporter)
            for number, (image, state) in enumerate(zip(disks.images, states, strict=True))
        )
    )


def _check_image(
    image: Image, state: SourceState, name: str, *, request: ProcessRequest, custody: CustodyService, reporter: Reporter
) -> CheckedImage:
    media = digest_media(image, on_bytes=lambda read: reporter.advance(size_bytes=read))
    match = compare_digests(image.stated, request.expect_hash, media)
    details: dict[str, Any] = {
        "when": "before the run",
        "match": str(match.verdict),
        "checks": [{"by": c.by, "algorithm": c.algorithm, "stated": c.stated, "computed": c.computed} for c in match.checks],
        "bytes": image.size,
        "damaged_chunks": media.damaged_chunks,
    }
    mismatch = match.verdict is Verdict.MISMATCH
    if mismatch and request.accept_mismatch:
        details["accepted"] = {"by": request.examiner, "reason": request.accept_mismatch}
    custody.append("evidence.verify", subject=(media_subject(name, media),), details=details, purpose="integrity of the exhibit")
    if mismatch and not request.accept_mismatch:
        raise DigestMismatchError(_mismatch_message(image, match, media))
    return CheckedImage(media=media, match=match, state=state)


def check_unchanged(disks: Disks, request: ProcessRequest, before: Checked, custody: CustodyService, reporter: Reporter) -> str:
    """Checks after the run that the sources are as they were, and records evidence.verify for each.

    Returns:
        How it was checked: "digests" (profile full) or "size and times".

    Raises:
        SourceChangedError: one of them is not.
    """
    how = "digests" if request.profile is Profile.FULL else "size and times"
    if request.profile is Profile.FULL:
        reporter.stage("hash the media again", size_bytes=disks.size)
    for number, (image, checked) in enumerate(zip(disks.images, before.images, strict=True)):
        changed = "size or times of its files differ" if source_state(image) != checked.state else ""
        media = checked.media
        if request.profile is Profile.FULL:
            media = digest_media(image, on_bytes=lambda read: reporter.advance(size_bytes=read))
            if media.sha256 != checked.media.sha256:
                changed = f"its SHA-256 was {checked.media.sha256} and is {media.sha256}"
        details = {"when": "after the run", "match": "mismatch" if changed else "match", "checked": how, "bytes": image.size}
        subject = media_subject(subject_name(request.exhibit, disks, number), media)
        custody.append("evidence.verify", subject=(subject,), details=details, purpose="exhibit unchanged")
        if changed:
            message = (
                f"{image.path.name} changed while it was being read: {changed}; this run cannot be relied on. Find out what wrote to it."
            )
            raise SourceChangedError(message)
    return how


def subject_name(exhibit: str, disks: Disks, number: int) -> str:
    """What an image is called in the log: its exhibit's number, and where that has several images, which of them."""
    return exhibit if len(disks.images) == 1 else f"{exhibit} disk {number + 1}"


def media_subject(name: str, media: MediaDigests) -> Subject:
    """The media of an image as the subject of a custody event."""
    return Subject(name=name, sha256=media.sha256, md5=media.md5, sha1=media.sha1)


def evidence_subject(path: Path, reporter: Reporter) -> Subject:
    """The media of an image at hand, by its digests, to be held against those in a log.

    Raises:
        ImageError: the image cannot be opened.
    """
    with open_image(path) as image:
        reporter.stage("hash the media", size_bytes=image.size)
        media = digest_media(image, on_bytes=lambda read: reporter.advance(size_bytes=read))
    return media_subject(path.name, media)


def _mismatch_message(image: Image, match: DigestMatch, media: MediaDigests) -> str:
    wrong = "; ".join(f"{c.algorithm} by the {c.by} {c.stated}, computed {c.computed}" for c in match.checks if not c.agrees)
    damage = "".join(f"; {problem.what} ({problem.why})" for problem in media.problems[:3])
    return (
        f"{image.path.name}: the media is not what was stated: {wrong}{damage}. Use another copy, "
        'or go on with --accept-mismatch "reason", which is recorded'
    )
