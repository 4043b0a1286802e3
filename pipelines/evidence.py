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
    from forensics.exhibit import SourceState
    from forensics.image import Image
    from pipelines.progress import Reporter
    from pipelines.run import ProcessRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """The media as it was before the run: its digests, how they compare, and the state of its files."""

    media: MediaDigests
    match: DigestMatch
    state: SourceState


def check_before(image: Image, request: ProcessRequest, custody: CustodyService, reporter: Reporter) -> Checked:
    """Hashes the media once, compares, and records evidence.verify.

    Raises:
        DigestMismatchError: the digests differ and no reason was given to go on.
    """
    state = source_state(image)
    reporter.stage("hash the media", size_bytes=image.size)
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
    custody.append("evidence.verify", subject=(_subject(request.exhibit, media),), details=details, purpose="integrity of the exhibit")
    if mismatch and not request.accept_mismatch:
        raise DigestMismatchError(_mismatch_message(image, match, media))
    return Checked(media=media, match=match, state=state)


def check_unchanged(image: Image, request: ProcessRequest, before: Checked, custody: CustodyService, reporter: Reporter) -> str:
    """Checks after the run that the source is as it was, and records evidence.verify.

    Returns:
        How it was checked: "digests" (profile full) or "size and times".

    Raises:
        SourceChangedError: it is not.
    """
    state = source_state(image)
    changed = "size or times of its files differ" if state != before.state else ""
    how, media = "size and times", before.media
    if request.profile is Profile.FULL:
        how = "digests"
        reporter.stage("hash the media again", size_bytes=image.size)
        media = digest_media(image, on_bytes=lambda read: reporter.advance(size_bytes=read))
        if media.sha256 != before.media.sha256:
            changed = f"its SHA-256 was {before.media.sha256} and is {media.sha256}"
    details = {"when": "after the run", "match": "mismatch" if changed else "match", "checked": how, "bytes": image.size}
    custody.append("evidence.verify", subject=(_subject(request.exhibit, media),), details=details, purpose="exhibit unchanged")
    if changed:
        message = f"{image.path.name} changed while it was being read: {changed}; this run cannot be relied on. Find out what wrote to it."
        raise SourceChangedError(message)
    return how


def evidence_subject(path: Path, reporter: Reporter) -> Subject:
    """The media of an image at hand, by its digests, to be held against those in a log.

    Raises:
        ImageError: the image cannot be opened.
    """
    with open_image(path) as image:
        reporter.stage("hash the media", size_bytes=image.size)
        media = digest_media(image, on_bytes=lambda read: reporter.advance(size_bytes=read))
    return _subject(path.name, media)


def _subject(exhibit: str, media: MediaDigests) -> Subject:
    return Subject(name=exhibit, sha256=media.sha256, md5=media.md5, sha1=media.sha1)


def _mismatch_message(image: Image, match: DigestMatch, media: MediaDigests) -> str:
    wrong = "; ".join(f"{c.algorithm} by the {c.by} {c.stated}, computed {c.computed}" for c in match.checks if not c.agrees)
    damage = "".join(f"; {problem.what} ({problem.why})" for problem in media.problems[:3])
    return (
        f"{image.path.name}: the media is not what was stated: {wrong}{damage}. Use another copy, "
        'or go on with --accept-mismatch "reason", which is recorded'
    )
