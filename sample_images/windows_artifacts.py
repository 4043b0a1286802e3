"""The rows that the artifact tables of the Windows sample must have, because the statement put them there.

Only columns whose value the statement gives are listed; the words that a reader chooses ("Auto Start (2)") are not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sample_images import windows_hives as hives
from sample_images.windows import COMMANDS, DELETED, FIREFOX_VISIT, LINK_TIME, LOADED, LOGONS, PREFETCH_RUN, VISITS

if TYPE_CHECKING:
    from datetime import datetime

Rows = list[dict[str, Any]]


def _text(when: datetime) -> str:
    return when.strftime("%Y-%m-%dT%H:%M:%SZ")


def _registry() -> dict[str, tuple[tuple[str, ...], Rows]]:
    mru = _text(hives.MRU_WRITTEN)
    used = [
        {"path": path, "ts": _text(when), "number_of_executions": runs, "application_focus_count": focus, "application_focus_duration": ms}
        for path, when, runs, focus, ms in hives.USED_PROGRAMS
    ]
    stick = {
        "serial": "0123456789&0",
        "vendor": "Example",
        "product": "Stick",
        "revision": "1.00",
        "friendly_name": "Example Stick USB Device",
    }
    return {
        "hostname": (("value",), [{"value": hives.COMPUTER}]),
        "version": (("value",), [{"value": "Windows 10 Pro (NT 10.0) 19045.4046"}]),
        "install_date": (("value",), [{"value": _text(hives.INSTALLED)}]),
        "timezone": (("value",), [{"value": "Europe/Berlin"}]),
        "ips": (("value",), [{"value": "192.0.2.17"}]),
        "users": (("sid",), [{"sid": "S-1-5-18"}, {"sid": hives.SID, "name": hives.USER, "home": f"C:\\Users\\{hives.USER}"}]),
        "runkeys": (
            ("name",),
            [
                {"name": "Updater", "ts": _text(hives.RUN_WRITTEN), "command": f"{hives.UPDATER} /quiet", "username": None},
                {"name": "OneDrive", "ts": _text(hives.USER_RUN_WRITTEN), "username": hives.USER, "user_id": hives.SID},
            ],
        ),
        "services": (
            ("name",),
            [
                {"name": "EvilUpdate", "ts": _text(hives.SERVICE_WRITTEN), "displayname": "Update Helper", "imagepath": hives.UPDATER},
                {"name": "Tcpip", "displayname": "TCP/IP Protocol Driver", "imagepath": "System32\\drivers\\tcpip.sys"},
            ],
        ),
        "usb": (("serial",), [stick | {"first_insert": _text(hives.USB_WRITTEN), "last_removal": "2024-03-07T15:00:00Z"}]),
        "userassist": (("path",), used),
        "mru_run": (
            ("index",),
            [{"index": 1 - i, "value": f"{command}\\1", "regf_mtime": mru} for i, command in enumerate(hives.RUN_COMMANDS)],
        ),
        "mru_recentdocs": (
            ("index",),
            [{"index": 1 - i, "value": name, "regf_mtime": mru, "username": hives.USER} for i, name in enumerate(hives.RECENT_DOCUMENTS)],
        ),
        "shimcache": (
            ("index",),
            [{"index": i, "path": path, "last_modified": _text(when)} for i, (path, when) in enumerate(hives.SHIMCACHE)],
        ),
        "applications": (("name",), [{"name": "Example Viewer", "version": "1.2.3", "author": "Example Ltd"}]),
    }


def _files() -> dict[str, tuple[tuple[str, ...], Rows]]:
    chrome = [
        {"browser": "chrome", "id": i, "url": url, "title": title, "ts": _text(when), "username": hives.USER}
        for i, (url, title, when) in enumerate(VISITS, start=1)
    ]
    url, title, when = FIREFOX_VISIT
    firefox = {"browser": "firefox", "id": 1, "url": url, "title": title, "ts": _text(when), "host": "example.org"}
    download = {"browser": "chrome", "id": 1, "path": f"C:\\Users\\{hives.USER}\\Downloads\\setup.exe", "url": VISITS[1][0], "size": 1234}
    events = [
        {
            "EventRecordID": str(i),
            "ts": _text(one.when),
            "EventID": one.event_id,
            "Channel": one.channel,
            "Computer": one.computer,
            **one.data,
        }
        for i, one in enumerate(LOGONS, start=1)
    ]
    task = {
        "record_type": "filesystem/windows/task",
        "uri": "\\Updater",
        "author": "EVX-DESK01\\alice",
        "hidden": True,
        "user_id": "S-1-5-18",
    }
    action = {"record_type": "filesystem/windows/task/action", "command": hives.UPDATER, "arguments": "/quiet"}
    path, size, deleted_at = DELETED
    target = f"C:\\Users\\{hives.USER}\\Documents\\invoice.pdf"
    return {
        "tasks": (("record_type",), [task, action, {"record_type": "filesystem/windows/task/trigger", "trigger_enabled": True}]),
        "evtx": (("EventRecordID",), events),
        "prefetch": (
            ("linkedfile",),
            [{"linkedfile": one, "filename": "SETUP.EXE", "runcount": 3, "ts": _text(PREFETCH_RUN)} for one in LOADED],
        ),
        "recyclebin": (("path",), [{"path": path, "filesize": size, "ts": _text(deleted_at), "user_id": hives.SID}]),
        "powershell_history": (
            ("order",),
            [{"order": i, "command": command, "username": hives.USER} for i, command in enumerate(COMMANDS)],
        ),
        "lnk": (("local_base_path",), [{"local_base_path": target, "target_mtime": _text(LINK_TIME)}]),
        "browser_history": (("browser", "id"), [*chrome, firefox]),
        "browser_downloads": (("id",), [download | {"ts_start": _text(VISITS[1][2]), "ts_end": "2024-03-08T21:09:33Z"}]),
    }


def artifacts() -> dict[str, tuple[tuple[str, ...], Rows]]:
    """By artifact table, without its prefix: the columns that name a row, and the rows."""
    return {**_registry(), **_files()}
