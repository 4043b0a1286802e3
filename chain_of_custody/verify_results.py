"""Comparing what lies in the case with what the log says was made: runs, outputs, and anchored checkpoint files."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from chain_of_custody.encoding import sha256_hex
from chain_of_custody.errors import FormatError
from chain_of_custody.manifest import MAX_MANIFEST_BYTES, RUN_NAME, differences, manifest_name, parse_manifest
from chain_of_custody.regular_file import digest_regular, open_folder, read_regular

if TYPE_CHECKING:
    from chain_of_custody.account import Account, SealedRun
    from chain_of_custody.findings import Findings
    from chain_of_custody.statement import Subject


def verify_runs(case: Path, account: Account, findings: Findings) -> None:
    """Holds every sealed run to its manifest, and every folder under runs/ to a process.start."""
    for sealed in account.sealed_runs:
        _verify_run(case, sealed, findings)
    try:
        with open_folder(case, "runs") as folder:
            found = sorted(os.listdir(folder))  # noqa: PTH208  # pathlib takes no descriptor
    except FileNotFoundError:
        return
    except FormatError as error:
        findings.add("E_TABLE_KIND", str(error), file="runs")
        return
    for name in found:
        if name not in account.started:
            findings.add("E_RUN_UNLISTED", "no process.start names it", file=f"runs/{name}")


def verify_outputs(case: Path, account: Account, findings: Findings) -> None:
    """Holds every recorded output that names a file of the case to its last recorded digest."""
    for subject, entry in account.outputs.values():
        path = PurePosixPath(subject.name)
        # Only reports are kept in the case; another name is something that was handed out.
        if path.parts[:1] != ("reports",) or ".." in path.parts:
            continue
        digest, why = _digest(case, path)
        if why == "gone":
            findings.add("I_OUTPUT_MISSING", entry=entry, file=subject.name)
        elif digest != subject.sha256:
            findings.add("E_OUTPUT_CHANGED", why, entry=entry, file=subject.name)


def verify_anchored(case: Path, account: Account, findings: Findings) -> None:
    """Holds every file that checkpoint.anchor names to its digest, so that no time stamp can vanish unseen."""
    for subject, entry in account.anchored:
        path = PurePosixPath("custody/checkpoints") / PurePosixPath(subject.name).name
        digest, why = _digest(case, path)
        if digest != subject.sha256:
            findings.add("E_ANCHOR", why or "its SHA-256 differs", entry=entry, file=str(path))


def _verify_run(case: Path, sealed: SealedRun, findings: Findings) -> None:
    run = sealed.run
    if not isinstance(run, str) or not RUN_NAME.fullmatch(run) or PurePosixPath(sealed.manifest.name).name != f"{run}.sha256":
        findings.add("E_MANIFEST", "process.end names no manifest of its run", entry=sealed.entry)
        return
    listed = _read_manifest(case, run, sealed.manifest, sealed.entry, findings)
    for difference in differences(case, run, listed) if listed is not None else ():
        findings.add(difference.code, difference.why, entry=sealed.entry, file=difference.file)


def _read_manifest(case: Path, run: str, manifest: Subject, entry: int, findings: Findings) -> dict[bytes, str] | None:
    file = manifest_name(run)
    try:
        with open_folder(case, "custody", "manifests") as folder:
            data = read_regular(f"{run}.sha256", folder, MAX_MANIFEST_BYTES)
        if sha256_hex(data) == manifest.sha256:
            return parse_manifest(data)
        findings.add("E_MANIFEST_CHANGED", "its SHA-256 is not the one that process.end names", entry=entry, file=file)
    except FileNotFoundError:
        findings.add("E_MANIFEST_MISSING", entry=entry, file=file)
    except FormatError as error:
        findings.add(error.code, str(error), entry=entry, file=file)
    return None


def _digest(case: Path, path: PurePosixPath) -> tuple[str | None, str]:
    """The SHA-256 of a file of the case, or None and why there is none ("gone" if it is not there)."""
    try:
        with open_folder(case, *path.parts[:-1]) as folder:
            return digest_regular(path.name, folder), ""
    except FileNotFoundError:
        return None, "gone"
    except (FormatError, OSError, ValueError) as error:  # ValueError: a name with a NUL, which no file has
        return None, str(error)
