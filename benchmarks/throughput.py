"""Evidex against the same work done by hand with fls, icat or tsk_recover, hashdeep and yara; the same image, the same rules.

    python benchmarks/throughput.py [--megabytes N] [--rounds N] [--write FILE.md]

The image is an ext4 filesystem of files that a Debian machine has (documentation, programs, data from /usr), made here, so nothing is
fetched and it differs a little from machine to machine. The ways are run in turn, one round after the other, on a cached image; what
counts is each way's median. A comparison of different work would be worth nothing: the digests must be equal, or there is no result.

Both do: digests of the media, a list of all entries, MD5, SHA-1 and SHA-256 and YARA of every allocated file. Evidex alone: times, type and
entropy of every content, deleted files, artifacts, checks, tables, signed log, report.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
EVIDEX = Path(sys.executable).parent / "evidex"
_SOURCES = ("/usr/bin", "/usr/share", "/usr/lib")
_TOOLS = ("mke2fs", "fls", "icat", "tsk_recover", "hashdeep", "yara")
_LARGEST = 32 << 20
_MIB = 1 << 20

_MEDIA_AND_LIST = 'hashdeep -c md5,sha1,sha256 "$IMAGE" > media.txt; fls -r -p -m / "$IMAGE" > list.txt; mkdir out;'
_DIGEST_AND_SCAN = (
    "hashdeep -s -c md5,sha1,sha256 -r out > digests.txt;"
    'yara -w -r -d filename="" -d filepath="" -d extension="" -d filetype="" -d owner="" $RULES out > hits.txt'
)
_ICAT = """fls -r -p -F -u "$IMAGE" | while read -r kind inode name; do icat "$IMAGE" "${inode%:}" > "out/${inode%:}"; done;"""
BY_HAND = {
    "fls, icat, hashdeep, yara": f"set -eu; {_MEDIA_AND_LIST} {_ICAT} {_DIGEST_AND_SCAN}",
    "fls, tsk_recover, hashdeep, yara": f'set -eu; {_MEDIA_AND_LIST} tsk_recover -a "$IMAGE" out > /dev/null; {_DIGEST_AND_SCAN}',
}
OURS = "evidex process"


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """One way, run once: elapsed and processor time in seconds, the digests of the files it found."""

    elapsed: float
    processor: float
    digests: frozenset[str]


def make_image(folder: Path, megabytes: int) -> tuple[Path, int]:
    """An ext4 image with about that many MiB of files of this machine; the image and the number of its files."""
    tree, total, count = folder / "tree", 0, 0
    for source in _SOURCES:
        share = total + (megabytes * _MIB - total) // (len(_SOURCES) - _SOURCES.index(source))
        for path in sorted(Path(source).rglob("*")):
            if total >= share:
                break
            if path.is_symlink() or not path.is_file() or path.stat().st_size > _LARGEST or not os.access(path, os.R_OK):
                continue
            target = tree / path.relative_to("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
            total, count = total + path.stat().st_size, count + 1
    image = folder / "image.dd"
    size = (total * 5 // 4 // _MIB + 32) * _MIB
    subprocess.run(["mke2fs", "-q", "-t", "ext4", "-d", tree, image, f"{size // 1024}k"], check=True)
    shutil.rmtree(tree)
    return image, count


def timed(command: list[str | Path], folder: Path, environment: dict[str, str], *, ok: tuple[int, ...] = (0,)) -> tuple[float, float]:
    """Elapsed and processor seconds of the command and of all it started."""
    start, before = time.perf_counter(), os.times()
    done = subprocess.run(command, cwd=folder, env={**os.environ, **environment}, capture_output=True, text=True, check=False)
    elapsed, after = time.perf_counter() - start, os.times()
    if done.returncode not in ok:
        message = f"{command}: code {done.returncode}: {done.stderr[-2000:]}"
        raise SystemExit(message)
    used = after.children_user + after.children_system - before.children_user - before.children_system
    return elapsed, used


def by_hand(script: str, image: Path, folder: Path) -> Round:
    """The tools, one after the other."""
    rules = " ".join(map(str, sorted((ROOT / "rules").rglob("*.yar"))))
    elapsed, processor = timed(["sh", "-c", script], folder, {"IMAGE": str(image), "RULES": rules})
    lines = [line.split(",") for line in (folder / "digests.txt").read_text().splitlines() if line[:1].isdigit()]
    # tsk_recover writes no empty files, so these are left out everywhere.
    return Round(elapsed=elapsed, processor=processor, digests=frozenset(sha256 for size, _, _, sha256, *_ in lines if size != "0"))


def ours(image: Path, folder: Path) -> Round:
    """The main job, with its own choice of workers."""
    state = {"XDG_STATE_HOME": str(folder / "state")}
    command = [EVIDEX, "process", image, "--case", "case", "--exhibit", "B-1", "--examiner", "benchmark"]
    elapsed, processor = timed(command, folder, state, ok=(0, 3))
    sql = "SELECT DISTINCT sha256 FROM entries WHERE kind = 'file' AND recovery = 'allocated' AND size > 0"
    answer = subprocess.run([EVIDEX, "query", "case", sql, "--format", "csv"], cwd=folder, capture_output=True, text=True, check=True)
    return Round(elapsed=elapsed, processor=processor, digests=frozenset(answer.stdout.split()[1:]))


def machine() -> str:
    """Processor, cores, memory, system, versions."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    tools = (("fls", "-V"), ("yara", "-v"))
    versions = [subprocess.run(tool, capture_output=True, text=True, check=False).stdout.split("\n")[0] for tool in tools]
    return (
        f"{model}, {len(os.sched_getaffinity(0))} cores, {memory:.0f} GiB, Linux {platform.release()}, Python {platform.python_version()}; "
        f"{versions[0]}; yara {versions[1]}"
    )


def report(image: Path, files: int, rounds: dict[str, list[Round]], load: float) -> str:
    """The results as Markdown."""
    size = image.stat().st_size
    base = statistics.median(one.elapsed for one in rounds[OURS])
    rows = []
    for way, runs in rounds.items():
        elapsed = statistics.median(one.elapsed for one in runs)
        processor = statistics.median(one.processor for one in runs)
        spread = f"{min(one.elapsed for one in runs):.1f} to {max(one.elapsed for one in runs):.1f}"
        rows.append(f"| {way} | {elapsed:.1f} | {spread} | {processor:.1f} | {size / _MIB / elapsed:.1f} | {elapsed / base:.2f} |")
    head = (
        f"ext4 image of {size / _MIB:.0f} MiB with {files} files, made of this machine's own; "
        f"{len(rounds[OURS])} rounds, the ways in turn, image in the cache. All ways found the same contents by SHA-256."
    )
    alone = (
        "All do: digests of the media, a list of entries, MD5, SHA-1, SHA-256 and YARA (the shipped rules) of every allocated file.\n"
        "Evidex also reads types, entropy, times, deleted files and artifacts, checks what it read,\n"
        "and writes tables, a signed log and a report."
    )
    return "\n".join(
        [
            "# Results",
            "",
            "Written by `make bench`; other machines and images give other figures.",
            "",
            f"{machine()}. Load average before the first round: {load:.1f}.",
            "",
            head,
            "",
            "| way | seconds, median | from, to | processor seconds | MiB/s | time beside Evidex |",
            "| --- | --- | --- | --- | --- | --- |",
            *rows,
            "",
            alone,
            "",
        ]
    )


def main() -> None:
    """Measures, prints the results, and writes them where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=100, help="size of the files, in MiB")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--write", type=Path, help="Markdown file for the results")
    options = parser.parse_args()
    os.environ["PATH"] += os.pathsep + "/usr/sbin"
    missing = [tool for tool in _TOOLS if shutil.which(tool) is None]
    if missing:
        parser.error(f"not installed: {', '.join(missing)}; on Debian: e2fsprogs sleuthkit hashdeep yara")
    rounds: dict[str, list[Round]] = {OURS: [], **{way: [] for way in BY_HAND}}
    with tempfile.TemporaryDirectory() as work:
        image, files = make_image(Path(work), options.megabytes)
        image.read_bytes()
        load = os.getloadavg()[0]
        for number in range(options.rounds):
            for way, runs in rounds.items():
                with tempfile.TemporaryDirectory() as folder:
                    runs.append(ours(image, Path(folder)) if way == OURS else by_hand(BY_HAND[way], image, Path(folder)))
                print(f"round {number + 1}: {way}: {runs[-1].elapsed:.1f} s", flush=True)
        found = {way: {one.digests for one in runs} for way, runs in rounds.items()}
        if len(set.union(*found.values())) != 1:
            message = f"the ways found different contents: { {way: [len(one) for one in digests] for way, digests in found.items()} }"
            raise SystemExit(message)
        text = report(image, files, rounds, load)
    print(text)
    if options.write is not None:
        options.write.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
