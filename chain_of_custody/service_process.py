"""The custody process: the only one that holds private keys. JSON lines come in on standard input and go out on standard output.

It reads no evidence: it gets digests and words, and imports only this package, cryptography, rfc8785 and filelock. It ends when its input
ends, and it ignores Ctrl-C, because whoever started it decides what is still to be recorded.

A request is `{"op", "id", …}` with that operation's members; an answer is `{"id", "ok": …}` or `{"id", "error": {"kind", "message"}}`.
The first request is "start".
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import resource
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from chain_of_custody.encoding import parse_base64
from chain_of_custody.errors import CustodyError, FormatError, LogBusyError, LogWriteError
from chain_of_custody.events import Event, Relation
from chain_of_custody.identity import demonstration_identity, load_identity
from chain_of_custody.recorder import Context, Recorded, Recorder
from chain_of_custody.statement import Actor, Ref, Subject, Tool

if TYPE_CHECKING:
    from collections.abc import Iterator

_PR_SET_DUMPABLE = 4


def serve() -> None:
    """Answers requests until standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _keep_memory_private()
    requests = iter(sys.stdin.buffer.readline, b"")
    with contextlib.ExitStack() as session:
        recorder: Recorder | None = None
        for line in requests:
            request = json.loads(line)
            try:
                if recorder is None:
                    recorder, answer = _start(request, session)
                else:
                    answer = _answer(recorder, request)
                reply = {"ok": answer}
            except CustodyError as error:
                kind = "CustodyError" if isinstance(error, FormatError) else type(error).__name__
                reply = {"error": {"kind": kind, "message": str(error)}}
            sys.stdout.buffer.write(json.dumps({**reply, "id": request["id"]}).encode("ascii") + b"\n")
            sys.stdout.buffer.flush()


def _keep_memory_private() -> None:
    """No core dump, and no other process of the same user may read this one's memory (Linux; elsewhere without effect)."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def _start(request: dict[str, Any], session: contextlib.ExitStack) -> tuple[Recorder, dict[str, Any]]:
    case, state = Path(request["case"]), Path(request["state"])
    passphrase = None if request["passphrase"] is None else parse_base64(request["passphrase"])
    key = request["key"]
    # Before anything is made: a wrong passphrase leaves no case behind.
    identity = demonstration_identity(state, datetime.now(UTC)) if key is None else load_identity(Path(key), passphrase)
    if request["exclusive"]:
        session.enter_context(_only_writer(case))
    recorder = Recorder(
        case=case,
        state=state,
        identity=identity,
        context=Context(
            actor=Actor(**request["actor"]),
            tool=Tool(**request["tool"]),
            case=request["case_number"],
            basis=request["basis"],
            location=request["location"],
            host=request["host"],
        ),
        clock=lambda: datetime.now(UTC),
        lock_seconds=request["lock_seconds"],
    )
    return recorder, {
        "demonstration": identity.roster.demonstration,
        "signer": identity.signer.name,
        "role": identity.signer.role,
        "agency": identity.signer.agency,
        "keyid": identity.keyid,
        "root_fingerprint": identity.roster.fingerprint,
        "origin": recorder.origin,
    }


@contextlib.contextmanager
def _only_writer(case: Path) -> Iterator[None]:
    """Holds the case while the service runs: a second run over it at the same time is refused at once."""
    path = case / "custody" / ".session"
    lock = FileLock(path, timeout=0, fallback_to_soft=False)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout as error:
        message = f"another process is writing the case {case}; wait for it to end"
        raise LogBusyError(message) from error
    except OSError as error:
        message = f"the case {case} cannot be written: {os.strerror(error.errno or 0)}"
        raise LogWriteError(message) from error
    try:
        yield
    finally:
        lock.release()


def _answer(recorder: Recorder, request: dict[str, Any]) -> dict[str, Any]:
    if request["op"] == "checkpoint":
        head = recorder.checkpoint()
        return {"origin": head.origin, "size": head.size, "root": head.root.hex()}
    try:
        recorded = Recorded(
            event=Event(request["event"]),
            subjects=tuple(Subject(**subject) for subject in request["subject"]),
            details=request["details"],
            purpose=request["purpose"],
            refs=tuple(Ref(rel=Relation(ref["rel"]), entry=ref["entry"]) for ref in request["refs"]),
        )
    except ValueError as error:
        message = f"no such event or relation: {error}"
        raise CustodyError(message) from error
    appended = recorder.record(recorded)
    return {"seq": appended.seq, "leaf": appended.leaf}
