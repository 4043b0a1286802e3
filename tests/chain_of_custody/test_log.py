"""What a writer must survive: other writers, a kill at any moment, an old copy, a full disk, a clock set back."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from custody_cases import LATER, Agency, Clock, Finished, body_of, log_path, make_agency, open_recorder, read_lines, write_lines

from chain_of_custody.envelope import MAX_LINE_BYTES
from chain_of_custody.errors import FormatError, IdentityError, LogBusyError, LogDamagedError, LogError, LogWriteError, RollbackError
from chain_of_custody.events import Event
from chain_of_custody.findings import Claim, Result, Verdict
from chain_of_custody.high_water import mark_path
from chain_of_custody.log import CustodyLog
from chain_of_custody.recorder import Recorded, Recorder
from chain_of_custody.verify import verify_case

WRITER = """
import sys, time
from datetime import timedelta
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from custody_cases import LATER, Agency, open_recorder
from chain_of_custody.events import Event
from chain_of_custody.recorder import Recorded
case, state, folder, count = (Path(text) for text in sys.argv[2:6])
def clock():
    return LATER + timedelta(seconds=time.time() - float(sys.argv[6]))
recorder = open_recorder(case, state, Agency(folder=folder, fingerprint="").identity("examiner"), clock)
print("ready", flush=True)
for number in range(int(str(count))):
    recorder.record(Recorded(event=Event.NOTE_ADD, details={"number": number}))
"""


def writer(finished: Finished, count: int) -> subprocess.Popen[bytes]:
    here = os.fspath(Path(__file__).parent)
    arguments = [
        here,
        *map(os.fspath, (finished.case, finished.state, finished.agency.folder)),
        str(count),
        str(finished.case.stat().st_ctime),
    ]
    return subprocess.Popen([sys.executable, "-c", WRITER, *arguments], stdout=subprocess.PIPE, cwd=Path(__file__).resolve().parents[2])


def recorder_of(finished: Finished, clock: Clock | None = None) -> Recorder:
    return open_recorder(finished.case, finished.state, finished.agency.identity("examiner"), clock or Clock(LATER))


def note(text: str = "x") -> Recorded:
    return Recorded(event=Event.NOTE_ADD, details={"text": text})


def verdict_on(finished: Finished) -> Verdict:
    return verify_case(finished.case, trust=finished.agency.fingerprint)


def assert_whole(finished: Finished, entries: int | None = None) -> None:
    verdict = verdict_on(finished)
    assert verdict.result_of(Claim.INTEGRITY) is Result.PASS, verdict.counts
    assert verdict.result_of(Claim.IDENTITY) is Result.PASS, verdict.counts
    assert "I_TORN" not in verdict.counts
    assert entries is None or verdict.entries == entries


def test_eight_processes_append_at_once_and_no_entry_is_lost(finished: Finished) -> None:
    processes = [writer(finished, 15) for _ in range(8)]
    for process in processes:
        process.communicate()
        assert process.returncode == 0
    assert_whole(finished, 7 + 8 * 15)


def test_twenty_five_kills_in_mid_append_leave_a_log_that_is_continued_and_verifies(finished: Finished) -> None:
    for number in range(25):
        process = writer(finished, 100_000)
        assert process.stdout is not None
        process.stdout.readline()
        before = log_path(finished.case).stat().st_size
        while log_path(finished.case).stat().st_size < before + 1500 * (number % 5):
            pass
        process.send_signal(signal.SIGKILL)
        process.communicate()
    before = len(read_lines(finished.case))
    recorder_of(finished, Clock(LATER + timedelta(days=200))).record(note())
    assert_whole(finished)
    assert len(read_lines(finished.case)) > before


@pytest.mark.parametrize("kept", [1, 200, 700])
def test_a_torn_tail_is_set_aside_cut_and_declared(finished: Finished, kept: int) -> None:
    torn = read_lines(finished.case)[5][:kept]
    with log_path(finished.case).open("ab") as stream:
        stream.write(torn)
    recorder_of(finished).record(note())
    lines = read_lines(finished.case)
    recovered = body_of(lines[7])
    assert recovered["predicate"]["event"] == "log.recovered"
    assert recovered["predicate"]["details"] == {"bytes": kept}
    name = recovered["subject"][0]["digest"]["sha256"]
    assert (finished.case / "custody/recovered" / name).read_bytes() == torn
    assert_whole(finished, 9)


def test_a_crash_between_cut_and_declaration_is_declared_by_the_next_writer(finished: Finished) -> None:
    with log_path(finished.case).open("ab") as stream:
        stream.write(b'{"payload":"abc')
    with CustodyLog(finished.case / "custody", finished.state).locked() as opened:
        assert len(opened.undeclared) == 1  # cut and marked; the process dies here
    recorder_of(finished)
    assert body_of(read_lines(finished.case)[7])["predicate"]["event"] == "log.recovered"
    recorder_of(finished)
    assert_whole(finished, 8)


def test_a_crash_between_log_and_mark_is_caught_up(finished: Finished) -> None:
    mark = next((finished.state / "heads").iterdir())
    old = mark.read_bytes()
    recorder_of(finished).record(note())
    mark.write_bytes(old)
    recorder_of(finished, Clock(LATER + timedelta(hours=1))).record(note())
    assert_whole(finished, 9)


def test_an_entry_of_another_signer_with_their_own_state_is_caught_up(finished: Finished, tmp_path: Path) -> None:
    officer = open_recorder(finished.case, tmp_path / "officers-state", finished.agency.identity("case-officer"), Clock(LATER))
    officer.record(note())
    recorder_of(finished, Clock(LATER + timedelta(hours=1))).record(note())
    assert_whole(finished, 9)


def test_an_old_backup_put_back_is_refused(finished: Finished, tmp_path: Path) -> None:
    shutil.copytree(finished.case, tmp_path / "backup")
    recorder_of(finished).record(note())
    shutil.rmtree(finished.case)
    shutil.copytree(tmp_path / "backup", finished.case)
    with pytest.raises(RollbackError, match="shorter than was written"):
        recorder_of(finished).record(note())
    assert len(read_lines(finished.case)) == 7


def test_a_log_changed_before_its_end_is_refused(finished: Finished) -> None:
    lines = read_lines(finished.case)
    write_lines(finished.case, [*lines[:6], lines[6][:-20] + b"A" + lines[6][-19:]])
    with pytest.raises(RollbackError, match="entry 6"):
        recorder_of(finished)


def test_a_log_emptied_or_removed_is_not_begun_anew(finished: Finished) -> None:
    log_path(finished.case).write_bytes(b"")
    with pytest.raises(LogError):
        recorder_of(finished)
    log_path(finished.case).unlink()
    with pytest.raises(LogError):
        recorder_of(finished)
    assert not log_path(finished.case).exists()


def test_a_complete_bad_line_is_never_repaired(finished: Finished) -> None:
    with log_path(finished.case).open("ab") as stream:
        stream.write(b"{}\n")
    data = log_path(finished.case).read_bytes()
    with pytest.raises(LogDamagedError, match="run verify"):
        recorder_of(finished)
    assert log_path(finished.case).read_bytes() == data


def test_a_log_that_is_a_link_or_fifo_is_not_written(finished: Finished, tmp_path: Path) -> None:
    path = log_path(finished.case)
    shutil.move(path, tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(LogDamagedError):
        recorder_of(finished)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(LogDamagedError):
        recorder_of(finished)


def test_a_half_write_on_a_full_disk_is_cut_back_and_stops_the_writer(finished: Finished) -> None:
    """RLIMIT_FSIZE makes the kernel write the bytes that fit and no more, as a full disk does."""
    recorder = recorder_of(finished)
    before = log_path(finished.case).read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 500, hard))
    try:
        with pytest.raises(LogWriteError, match="nothing of it is left"):
            recorder.record(note("y" * 1000))
        assert log_path(finished.case).read_bytes() == before
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    with pytest.raises(LogError, match="failed before"):
        recorder.record(note())
    recorder_of(finished).record(note())
    assert_whole(finished, 8)


def test_an_entry_of_more_than_a_mebibyte_is_refused_before_it_is_written(finished: Finished) -> None:
    before = log_path(finished.case).read_bytes()
    with pytest.raises(FormatError):
        recorder_of(finished).record(note("y" * MAX_LINE_BYTES))
    assert log_path(finished.case).read_bytes() == before


def test_a_writer_that_waits_too_long_says_who_is_in_the_way(finished: Finished) -> None:
    recorder = open_recorder(finished.case, finished.state, finished.agency.identity("examiner"), Clock(LATER), lock_seconds=0.05)
    with CustodyLog(finished.case / "custody", finished.state).locked(), pytest.raises(LogBusyError, match="another process is writing"):
        recorder.record(note())


def test_a_clock_three_hours_back_is_declared_and_verifies(finished: Finished) -> None:
    recorder_of(finished).record(note())
    recorder_of(finished, Clock(LATER - timedelta(hours=3))).record(note())
    assert [body_of(line)["predicate"]["event"] for line in read_lines(finished.case)[-2:]] == ["clock.adjust", "note.add"]
    assert_whole(finished)
    assert verdict_on(finished).result_of(Claim.TIME) is not Result.FAIL


def test_a_clock_three_days_ahead_and_set_right_again_is_declared(finished: Finished) -> None:
    recorder_of(finished, Clock(LATER + timedelta(days=3))).record(note())
    recorder_of(finished).record(note())
    assert_whole(finished, 10)


def test_a_processors_key_does_not_declare_a_clock_and_says_so(finished: Finished) -> None:
    processor = open_recorder(finished.case, finished.state, finished.agency.identity("processor"), Clock(LATER - timedelta(days=1)))
    with pytest.raises(IdentityError, match="or let a person's key sign"):
        processor.record(Recorded(event=Event.PROCESS_ABORT, details={"run": "001-KH-1", "reason": "x"}))
    assert_whole(finished, 7)


def test_an_expired_roster_is_refused_before_anything_is_written(finished: Finished) -> None:
    with pytest.raises(IdentityError, match="get a new one"):
        recorder_of(finished, Clock(LATER + timedelta(days=3000))).record(note())
    assert_whole(finished, 7)


def test_a_key_that_the_case_does_not_know_is_refused(finished: Finished, tmp_path: Path) -> None:
    other = make_agency(tmp_path / "other")
    with pytest.raises(IdentityError, match="not enrolled"):
        open_recorder(finished.case, finished.state, other.identity("examiner"), Clock(LATER))
    assert_whole(finished, 7)


def test_a_processors_key_may_not_begin_a_log(agency: Agency, tmp_path: Path) -> None:
    with pytest.raises(IdentityError, match=r"may not sign log\.init"):
        open_recorder(tmp_path / "case", tmp_path / "state", agency.identity("processor"), Clock())


def test_a_state_folder_that_cannot_be_written_is_said_before_an_entry_is(finished: Finished, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(LogError, match="EVIDEX_STATE_DIR"):
        open_recorder(finished.case, tmp_path / "file", finished.agency.identity("examiner"), Clock(LATER))
    assert_whole(finished, 7)


def test_a_begun_case_without_its_roster_gets_no_other(finished: Finished) -> None:
    (finished.case / "custody/roster.dsse.json").unlink()
    with pytest.raises(LogError):
        recorder_of(finished)
    assert not (finished.case / "custody/roster.dsse.json").exists()


def test_a_custody_folder_that_is_a_link_is_not_written(finished: Finished, tmp_path: Path) -> None:
    shutil.move(finished.case / "custody", tmp_path / "elsewhere")
    (finished.case / "custody").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(LogDamagedError, match="is a link"):
        recorder_of(finished)
    assert verdict_on(finished).result_of(Claim.INTEGRITY) is Result.FAIL


def test_the_mark_is_kept_outside_the_case(finished: Finished) -> None:
    origin = body_of(read_lines(finished.case)[0])["predicate"]["log"]["origin"]
    assert mark_path(finished.state, origin).is_file()
    assert not list(finished.case.rglob("heads"))


def test_a_crash_before_the_first_line_is_whole_leaves_a_case_that_can_be_begun(agency: Agency, tmp_path: Path) -> None:
    custody = tmp_path / "case" / "custody"
    custody.mkdir(parents=True)
    shutil.copy(agency.folder / "roster.dsse.json", custody)
    (custody / "custody.intoto.jsonl").write_bytes(b'{"payload":"eyJ')
    open_recorder(tmp_path / "case", tmp_path / "state", agency.identity("examiner"), Clock())
    events = [body_of(line)["predicate"]["event"] for line in read_lines(tmp_path / "case")]
    assert events == ["log.init", "log.recovered"]
    assert verify_case(tmp_path / "case").result_of(Claim.INTEGRITY) is Result.PASS
