"""The chain of custody for one case, kept by a process of its own.

No process that parses evidence holds a key: this module starts `service_process` and talks to it. Typical use:

    with CustodyService.start(case=case, key=key, passphrase=passphrase, actor=Actor(name="K. Hansen"),
                              tool=Tool(name="evidex", version="0.1"), case_number="2026-0142", host="ws-17") as custody:
        exhibit = Subject(name="KH-1", sha256=…, md5=…, sha1=…)
        start = custody.append("process.start", subject=(exhibit,), details={"run": run, …}, purpose="…")
        …  # write CASE/runs/<run>; from here on it is only read
        counts = {"tables": {…}, "problems": 3, "planned": 9, "written": 9}
        end = custody.append_end_of_run(case, run, details=counts, answers=start)
        print(custody.identity.demonstration, custody.checkpoint().text)

`start` takes the case while it runs (`exclusive=False` lets several services append in turn), makes CASE/custody with log.init and its
checkpoint if there is none, declares what a crash left, and raises a CustodyError with one clear line otherwise: PassphraseError,
KeyFileError, IdentityError (not enrolled, expired, another person's key), LogBusyError, RollbackError, LogDamagedError, LogWriteError.
After process.end, process.abort and log.seal the checkpoint is made by itself.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Self

from chain_of_custody.checkpoint import Head
from chain_of_custody.encoding import to_base64
from chain_of_custody.errors import KINDS, CustodyError, ServiceError
from chain_of_custody.events import Relation
from chain_of_custody.identity import state_folder
from chain_of_custody.manifest import write_manifest
from chain_of_custody.recorder import Appended
from chain_of_custody.statement import Actor, Ref, Subject, Tool

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType

_END_SECONDS = 10.0
# This package's folder comes last, so that it can be found without being installed and can hide nothing.
_CHILD = "import sys; sys.path.append(sys.argv[1]); from chain_of_custody.service_process import serve; serve()"
_DEFAULT_LOCK_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who signs while the service runs.

    Attributes:
        demonstration: made by a first run without a key; it identifies nobody and must be shown as such.
        signer, role, agency: as enrolled in the roster.
        keyid: SHA-256 of the key's SPKI DER, hex.
        root_fingerprint: what a verifier gives as trust, after hearing it from the agency.
        origin: the log's name.
    """

    demonstration: bool
    signer: str
    role: str
    agency: str
    keyid: str
    root_fingerprint: str
    origin: str


class CustodyService:
    """A running custody process. A context manager; not picklable, for the calling process alone.

    Attributes:
        identity: who signs.
    """

    identity: Identity

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._asked = 0

    @classmethod
    def start(
        cls,
        *,
        case: Path,
        key: Path | None,
        passphrase: bytes | None,
        actor: Actor,
        tool: Tool,
        case_number: str = "",
        basis: str = "",
        location: str = "",
        host: str = "",
        state: Path | None = None,
        exclusive: bool = True,
        lock_seconds: float = _DEFAULT_LOCK_SECONDS,
    ) -> Self:
        """The service, with the case's log open or begun.

        Args:
            case: the case folder.
            key: the signer's private key, with roster and log key beside it; None for the demonstration identity.
            passphrase: for both keys; None for keys without one.
            actor: who answers for the entries; empty members come from the roster. Another person's name than the key's is refused.
            tool: the program and its version.
            case_number: becomes part of a new log's origin.
            basis: the legal basis, e.g. a court order.
            location: where the work is done.
            host: on which machine.
            state: where high-water marks and the demonstration identity are kept; None for EVIDEX_STATE_DIR or the platform's folder.
            exclusive: refuse at once if another session holds the case.
            lock_seconds: how long an append waits for another process's append.

        Raises:
            CustodyError: as the module's docstring lists.
        """
        service = cls(_spawn())
        try:
            answer = service._ask(
                {
                    "op": "start",
                    "case": os.fspath(case.absolute()),
                    "key": None if key is None else os.fspath(key.absolute()),
                    "passphrase": None if passphrase is None else to_base64(passphrase),
                    "actor": asdict(actor),
                    "tool": asdict(tool),
                    "case_number": case_number,
                    "basis": basis,
                    "location": location,
                    "host": host,
                    "state": os.fspath((state or state_folder(os.environ)).absolute()),
                    "exclusive": exclusive,
                    "lock_seconds": lock_seconds,
                }
            )
        except BaseException:
            service.close()
            raise
        service.identity = Identity(**answer)
        return service

    def append(
        self,
        event: str,
        *,
        subject: Sequence[Subject] = (),
        details: Mapping[str, Any] | None = None,
        purpose: str = "",
        refs: Sequence[Ref] = (),
    ) -> Appended:
        """The entry, once it is in the log and synced.

        Args:
            event: one of `events.Event`; `events.REQUIREMENTS` says what each must carry.
            subject: what it speaks of, by SHA-256 at least.
            details: JSON values without floats; integers up to 2^53-1, larger ones as strings.
            purpose: why, in the examiner's words.
            refs: earlier entries that it answers or corrects.

        Raises:
            CustodyError: nothing was recorded; a LogError means that nothing more can be.
        """
        answer = self._ask(
            {
                "op": "append",
                "event": str(event),
                "subject": [asdict(item) for item in subject],
                "details": dict(details or {}),
                "purpose": purpose,
                "refs": [{"rel": str(ref.rel), "entry": ref.entry} for ref in refs],
            }
        )
        return Appended(seq=answer["seq"], leaf=answer["leaf"])

    def append_end_of_run(self, case: Path, run: str, *, details: Mapping[str, Any], answers: Appended, purpose: str = "") -> Appended:
        """The process.end of a run: hashes CASE/runs/<run> into its manifest (in this process), and records the manifest's digest.

        Args:
            case: the case folder.
            run: the name of the run's folder, e.g. "001-KH-1". From now on it is only read.
            details: tables (name to row count), problems, planned, written; `run` is added.
            answers: the process.start.
            purpose: as for `append`.

        Raises:
            ManifestError: the folder holds something that cannot be sealed, or nothing.
            CustodyError: as for `append`.
        """
        manifest = write_manifest(case, run)
        ref = Ref(rel=Relation.ANSWERS, entry=answers.leaf)
        return self.append("process.end", subject=(manifest,), details={**details, "run": run}, purpose=purpose, refs=(ref,))

    def checkpoint(self) -> Head:
        """The head of the log as it is now; `.text` goes on the report and is what `--expect-head` takes."""
        answer = self._ask({"op": "checkpoint"})
        return Head(origin=answer["origin"], size=answer["size"], root=bytes.fromhex(answer["root"]))

    def close(self) -> None:
        """Ends the custody process. Repeated calls do nothing."""
        process = self._process
        for pipe in (process.stdin, process.stdout):
            # A request that the dead process never took is still in the pipe's buffer.
            with contextlib.suppress(BrokenPipeError):
                if pipe is not None:
                    pipe.close()
        try:
            process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        self._asked += 1
        try:
            stdin.write(json.dumps({**request, "id": self._asked}).encode("ascii") + b"\n")
            stdin.flush()
            answer = self._read_answer(stdout)
        except (OSError, ValueError) as error:
            message = "the custody process has ended; nothing more can be recorded"
            raise ServiceError(message) from error
        if "error" in answer:
            raise KINDS.get(answer["error"]["kind"], CustodyError)(answer["error"]["message"])
        result: dict[str, Any] = answer["ok"]
        return result

    def _read_answer(self, stdout: IO[bytes]) -> dict[str, Any]:
        while line := stdout.readline():
            answer: dict[str, Any] = json.loads(line)
            # Ctrl-C may have come between an earlier request and its answer, which then still lies here.
            if answer["id"] == self._asked:
                return answer
        message = "the custody process ended without an answer; nothing more can be recorded"
        raise ServiceError(message)


def _spawn() -> subprocess.Popen[bytes]:
    # -P keeps the working directory, which may hold evidence, off the import path; a new session keeps Ctrl-C from it.
    here = os.fspath(Path(__file__).resolve().parent.parent)
    try:
        return subprocess.Popen(  # noqa: S603  # our own interpreter and our own text
            [sys.executable, "-P", "-c", _CHILD, here], stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
        )
    except OSError as error:
        message = f"the custody process cannot be started: {error.strerror}"
        raise ServiceError(message) from error
