"""What each profile does, and the configuration that a run is answerable for."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from forensics.expansion.bounds import Bounds
from forensics.filesystems.base import ListingLimits
from forensics.filetype import libmagic_version
from forensics.yara_rules import engine_version

if TYPE_CHECKING:
    from forensics.yara_rules import RuleSet

TOOL = "evidex"
_ORPHANS = 1_000_000
_ORPHAN_BYTES_A_MEDIA_BYTE = 2  # damaged metadata claims the same clusters again and again; twice the media is generous


class Profile(StrEnum):
    """How much a run does.

    triage lists every entry and reads the quickest artifacts, but no contents; standard hashes, types and scans every content, free
    space and slack too, carves files from these, looks into files that hold others, and reads the usual artifacts; full reads MFT and
    USN journal too and hashes the source a second time at the end.
    """

    TRIAGE = "triage"
    STANDARD = "standard"
    FULL = "full"


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """Everything that decides what the tables of a run say, beside the image."""

    profile: Profile
    limits: ListingLimits
    bounds: Bounds
    readers: tuple[tuple[str, str], ...]
    cross_check: bool
    rules_digest: str | None
    rules_files: int
    rules_count: int
    versions: tuple[tuple[str, str], ...]

    @property
    def sha256(self) -> str:
        """Digest of the configuration as canonical JSON."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True, separators=(",", ":")).encode()).hexdigest()

    @property
    def lock_sha256(self) -> str:
        """Digest of the installed packages, one `name==version` a line."""
        return hashlib.sha256("".join(f"{name}=={version}\n" for name, version in self.versions).encode()).hexdigest()

    def as_json(self) -> dict[str, Any]:
        """What run.json says of it."""
        return {
            "profile": str(self.profile),
            "limits": {"orphan entries": self.limits.orphans, "orphan content, bytes": self.limits.orphan_bytes},
            "files inside files": asdict(self.bounds),
            "readers asked for": dict(self.readers),
            "cross-check": self.cross_check,
            "rules": {
                "digest": self.rules_digest,
                "files": self.rules_files,
                "count": self.rules_count,
                "engine": engine_version(),
            },
            "versions": {**dict(self.versions), "libmagic": libmagic_version()},
            "config_sha256": self.sha256,
            "lock_sha256": self.lock_sha256,
        }


def configure(
    profile: Profile, rules: RuleSet | None, media_size: int, *, readers: tuple[tuple[str, str], ...] = (), cross_check: bool = False
) -> Configuration:
    """The configuration of a run over media of `media_size` bytes.

    Args:
        profile: how much it does.
        rules: what it scans with.
        media_size: size of the exhibit's media in bytes.
        readers: (volume, reader) that the examiner asked for.
        cross_check: whether a second engine lists each filesystem too.
    """
    reads = profile is not Profile.TRIAGE
    return Configuration(
        profile=profile,
        limits=ListingLimits(
            orphans=_ORPHANS,
            orphan_bytes=_ORPHAN_BYTES_A_MEDIA_BYTE * media_size,
            slack=reads,
            unallocated=reads,
            overwritten=True,
            attributes=True,
        ),
        bounds=Bounds(),
        readers=readers,
        cross_check=cross_check,
        rules_digest=rules.digest if rules is not None else None,
        rules_files=len(rules.files) if rules is not None else 0,
        rules_count=rules.rule_count if rules is not None else 0,
        versions=installed_versions(),
    )


def tool_version() -> str:
    """Version of Evidex."""
    return importlib.metadata.version(TOOL)


def installed_versions() -> tuple[tuple[str, str], ...]:
    """Name and version of every installed package, by name."""
    return tuple(sorted({(d.metadata["Name"].lower(), d.version) for d in importlib.metadata.distributions() if d.metadata["Name"]}))
