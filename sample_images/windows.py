"""A Windows-shaped NTFS volume on which artifact functions yield rows that are known beforehand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sample_images import windows_hives as hives
from sample_images.commands import blank, join_partitions, mounted, pack, run, write_all
from sample_images.evtx import Event, event_log
from sample_images.stated import NEVER_SET, StatedFile, stated, utc
from sample_images.suspicious import php_shell, ransom_note
from sample_images.windows_files import database, prefetch, recycled, shortcut

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

NAME = "windows"
STATED_ROWS = NEVER_SET
_START_SECTOR = 2048
_PARTITION = 12 << 20
_HOME = f"Users/{hives.USER}"
_RECYCLED = "This file lies in the recycle bin.\r\n"
# Path, size and time of deletion of what lies in the recycle bin.
DELETED = (f"C:\\Users\\{hives.USER}\\Documents\\secret plan.txt", len(_RECYCLED), utc("2024-03-09 03:00:00"))
LOADED = ("\\DEVICE\\HARDDISKVOLUME2\\USERS\\ALICE\\DOWNLOADS\\SETUP.EXE", "\\DEVICE\\HARDDISKVOLUME2\\WINDOWS\\SYSTEM32\\NTDLL.DLL")
PREFETCH_RUN = utc("2024-03-08 21:14:02")
LINK_TIME = utc("2024-03-09 11:44:00")
COMMANDS = ("whoami /all", "net user helper Passw0rd! /add", "Get-ChildItem C:\\Users -Recurse")
VISITS = (  # Chrome: address, title, time
    ("https://example.com/", "Example Domain", utc("2024-03-08 21:05:00")),
    ("http://downloads.example/setup.exe", "setup.exe", utc("2024-03-08 21:09:30")),
)
FIREFOX_VISIT = ("https://example.org/howto", "How to", utc("2024-03-07 10:00:00"))
LOGONS = (
    Event(
        provider="Microsoft-Windows-Security-Auditing",
        event_id=4624,
        when=utc("2024-03-08 20:58:11"),
        channel="Security",
        computer=hives.COMPUTER,
        data={"TargetUserName": hives.USER, "LogonType": "2", "IpAddress": "127.0.0.1"},
    ),
    Event(
        provider="Microsoft-Windows-Security-Auditing",
        event_id=4720,
        when=utc("2024-03-08 21:20:45"),
        channel="Security",
        computer=hives.COMPUTER,
        data={"TargetUserName": "helper", "SubjectUserName": hives.USER},
    ),
)
_URL_COLUMNS = "url, title, visit_count INT, typed_count INT, last_visit_time INT, hidden INT"
_DOWNLOAD_COLUMNS = "target_path, start_time INT, end_time INT, state INT, total_bytes INT, tab_url, tab_referrer_url, mime_type"
_PLACE_COLUMNS = "url, title, rev_host, visit_count INT, hidden INT, typed INT, frecency INT, last_visit_date INT, guid, description"
_PLACE_VISIT_COLUMNS = "from_visit INT, place_id INT, visit_date INT, visit_type INT, session INT"
_TASK = (
    '<?xml version="1.0" encoding="UTF-16"?>\r\n'
    '<Task version="1.2" xmlns="http://schemas.microsoft.com/windows/2004/02/mit/task">\r\n'
    "  <RegistrationInfo><Date>2024-03-08T21:17:00</Date><Author>EVX-DESK01\\alice</Author><URI>\\Updater</URI></RegistrationInfo>\r\n"
    "  <Triggers><LogonTrigger><Enabled>true</Enabled></LogonTrigger></Triggers>\r\n"
    '  <Principals><Principal id="Author"><UserId>S-1-5-18</UserId><RunLevel>HighestAvailable</RunLevel></Principal></Principals>\r\n'
    "  <Settings><Enabled>true</Enabled><Hidden>true</Hidden></Settings>\r\n"
    f'  <Actions Context="Author"><Exec><Command>{hives.UPDATER}</Command><Arguments>/quiet</Arguments></Exec></Actions>\r\n'
    "</Task>\r\n"
)


def _webkit(when: datetime) -> int:
    """Microseconds since 1601, as Chrome counts."""
    return round((when.timestamp() + 11_644_473_600) * 1_000_000)


def _chrome() -> bytes:
    urls = [(i, url, title, 1, 0, _webkit(when), 0) for i, (url, title, when) in enumerate(VISITS, start=1)]
    visits = [(i, i, _webkit(when), i - 1, 0) for i, (_, _, when) in enumerate(VISITS, start=1)]
    target = f"C:\\Users\\{hives.USER}\\Downloads\\setup.exe"
    start, end = _webkit(VISITS[1][2]), _webkit(utc("2024-03-08 21:09:33"))
    return database(
        [
            (f"CREATE TABLE urls (id INTEGER PRIMARY KEY, {_URL_COLUMNS})", ()),
            ("CREATE TABLE visits (id INTEGER PRIMARY KEY, url INT, visit_time INT, from_visit INT, transition INT)", ()),
            (f"CREATE TABLE downloads (id INTEGER PRIMARY KEY, {_DOWNLOAD_COLUMNS})", ()),
            ("CREATE TABLE downloads_url_chains (id INT, chain_index INT, url, PRIMARY KEY (id, chain_index))", ()),
            *(("INSERT INTO urls VALUES (?,?,?,?,?,?,?)", row) for row in urls),
            *(("INSERT INTO visits VALUES (?,?,?,?,?)", row) for row in visits),
            ("INSERT INTO downloads VALUES (1,?,?,?,1,1234,?,?,'application/octet-stream')",
             (target, start, end, VISITS[1][0], VISITS[0][0])),
            ("INSERT INTO downloads_url_chains VALUES (1,0,?)", (VISITS[1][0],)),
        ]
    )  # fmt: skip


def _firefox() -> bytes:
    url, title, when = FIREFOX_VISIT
    micro = round(when.timestamp() * 1_000_000)
    return database(
        [
            (f"CREATE TABLE moz_places (id INTEGER PRIMARY KEY, {_PLACE_COLUMNS})", ()),
            (f"CREATE TABLE moz_historyvisits (id INTEGER PRIMARY KEY, {_PLACE_VISIT_COLUMNS})", ()),
            ("INSERT INTO moz_places VALUES (1,?,?,'gro.elpmaxe.',1,0,0,100,?,'sampleguid01',NULL)", (url, title, micro)),
            ("INSERT INTO moz_historyvisits VALUES (1,0,1,?,1,0)", (micro,)),
        ]
    )  # fmt: skip


def files() -> tuple[StatedFile, ...]:
    """Every file of the volume."""
    config = "Windows/System32/config"
    chrome = f"{_HOME}/AppData/Local/Google/Chrome/User Data/Default/History"
    shell = f"{_HOME}/AppData/Roaming/Microsoft/Windows"
    bin_ = f"$Recycle.Bin/{hives.SID}"
    return (
        stated(f"{config}/SYSTEM", hives.system()),
        stated(f"{config}/SOFTWARE", hives.software()),
        stated(f"{config}/SAM", hives.empty("SAM")),
        stated(f"{config}/SECURITY", hives.empty("SECURITY")),
        stated(f"{config}/DEFAULT", hives.empty("DEFAULT")),
        stated(f"{_HOME}/NTUSER.DAT", hives.user()),
        stated("Windows/System32/Tasks/Updater", b"\xff\xfe" + _TASK.encode("utf-16-le")),
        stated("Windows/System32/winevt/Logs/Security.evtx", event_log(LOGONS)),
        stated("Windows/System32/drivers/etc/hosts", "127.0.0.1 localhost\r\n"),
        stated(
            "Windows/Prefetch/SETUP.EXE-0E71DE01.pf",
            prefetch("SETUP.EXE", path_hash=0x0E71DE01, runs=3, last=PREFETCH_RUN, files=LOADED, device="\\DEVICE\\HARDDISKVOLUME2"),
        ),
        stated(f"{bin_}/$IEVX001.txt", recycled(DELETED[0], size=DELETED[1], when=DELETED[2])),
        stated(f"{bin_}/$REVX001.txt", _RECYCLED),
        stated(f"{shell}/PowerShell/PSReadLine/ConsoleHost_history.txt", "".join(f"{line}\r\n" for line in COMMANDS)),
        stated(f"{shell}/Recent/invoice.lnk", shortcut(f"C:\\Users\\{hives.USER}\\Documents\\invoice.pdf", size=15, when=LINK_TIME)),
        stated(chrome, _chrome()),
        stated(f"{_HOME}/AppData/Roaming/Mozilla/Firefox/Profiles/evx.default/places.sqlite", _firefox()),
        stated(f"{_HOME}/Documents/invoice.pdf", "%PDF-1.4\n%%EOF\n"),
        stated(
            f"{_HOME}/Downloads/setup.exe",
            b"MZ" + bytes(1232),
            **{"Zone.Identifier": f"[ZoneTransfer]\r\nZoneId=3\r\nHostUrl={VISITS[1][0]}\r\n"},
        ),
        stated(f"{_HOME}/Desktop/HOW_TO_RECOVER.txt", ransom_note()),
        stated("inetpub/wwwroot/upload.php", php_shell()),
        stated("ProgramData/updater/svch0st.exe", b"MZ" + bytes(510)),
    )


def build(folder: Path, work: Path) -> None:
    """Makes the sample's image in `folder`."""
    part = blank(work / "windows-part.dd", _PARTITION)
    run("mkntfs", "-q", "-F", "-s", "512", "-c", "4096", "-p", str(_START_SECTOR), "-H", "16", "-S", "63", "-L", "Windows", part)
    with mounted(part, "ntfs") as root:
        write_all(root, files(), kind="ntfs")
    script = f"label: dos\nlabel-id: 0xe71de002\nstart={_START_SECTOR}, size={_PARTITION // 512}, type=7, bootable\n"
    disk = work / f"{NAME}.dd"
    join_partitions(disk, (_START_SECTOR * 512) + _PARTITION, script, [(_START_SECTOR, part)])
    pack(disk, folder / f"{disk.name}.xz")
