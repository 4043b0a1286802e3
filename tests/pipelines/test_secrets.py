"""No process that reads evidence holds a key or its passphrase (custody-format, section 6; architecture, law on workers)."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

from running import command, unpack

_SECRET = "correct horse battery staple"


def test_no_worker_has_the_passphrase_in_its_environment_or_the_key_open(tmp_path: Path) -> None:
    image = unpack("windows", tmp_path / "windows.dd")
    environment = {**os.environ, "EVIDEX_PASSPHRASE": _SECRET, "EVIDEX_STATE_DIR": str(tmp_path / "state")}
    keys = tmp_path / "keys"
    new = ["keys", "new", keys, "--agency", "A", "--name", "N", "--origin", "a.example"]
    subprocess.run(command(*new), env=environment, check=True, capture_output=True)
    run = ["process", image, "--case", tmp_path / "case", "--exhibit", "E", "--examiner", "N", "--workers", "1"]
    with subprocess.Popen(
        command(*run, "--key", keys / "examiner.key.pem"),
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        workers = _workers(process, tmp_path / "case" / "work")
        seen = [(Path(f"/proc/{pid}/environ").read_bytes(), _open_files(pid)) for pid in workers]
        assert process.wait() in (0, 3)
    assert seen, "no worker was seen at work"
    for memory, files in seen:
        assert _SECRET.encode() not in memory
        assert not [name for name in files if name.startswith(str(keys))]


def _workers(process: subprocess.Popen[bytes], work: Path) -> list[int]:
    """The processes below `process` that have a file of the run's work folder open, once there are some."""
    while process.poll() is None:
        found = [pid for pid in _processes() if any(name.startswith(str(work)) for name in _open_files(pid))]
        found = [pid for pid in found if pid != process.pid]
        if found:
            return found
        time.sleep(0.02)
    return []


def _processes() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _open_files(pid: int) -> list[str]:
    try:
        return [str(link.readlink()) for link in list(Path(f"/proc/{pid}/fd").iterdir())]
    except OSError:
        return []
