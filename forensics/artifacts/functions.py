"""Which functions of dissect.target a profile runs: literal lists, so that a run can be read here.

The names are always sub-functions, never the compound of a namespace: `amcache.applications`, not `amcache`, so each table has
records of few kinds and nothing is read twice. For the same reason a function that gathers from many programs stands for them:
`browser.history` (not `chrome.history`), `webserver.access` (not `apache.access`), `packagemanager.logs` (not `apt.logs`),
`commandhistory` (not `bashhistory`), `syslog` (not `messages`), `authlog` (not `securelog`), `wtmp` and `utmp` read two files.

triage is contained in standard, standard in full. An operating system that has no list of its own gets what every image has.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TypeAlias

Names: TypeAlias = tuple[str, ...]


class Profile(StrEnum):
    """How much is read."""

    TRIAGE = "triage"
    STANDARD = "standard"
    FULL = "full"


_PLAIN: Names = ("hostname", "version", "os", "architecture", "ips")
_BROWSER: Names = ("browser.history", "browser.downloads", "browser.cookies", "browser.extensions", "browser.passwords")
_SSH: Names = ("ssh.authorized_keys", "ssh.known_hosts", "ssh.private_keys", "ssh.public_keys", "ssh.config", "ssh.sessions")
_REMOTE: Names = ("remoteaccess.logs", "remoteaccess.filetransfer", "remoteaccess.incoming")
_WEBSERVER: Names = ("webserver.access", "webserver.error", "webserver.hosts", "webserver.certificates")

_WINDOWS_TRIAGE: Names = (
    *_PLAIN,
    "domain",
    "timezone",
    "language",
    "codepage",
    "install_date",
    "users",
    "machine_sid",
    "domain_sid",
    "network.interfaces",
    "network_history",
    "runkeys",
    "services",
    "tasks",
    "alternateshell",
    "appinit",
    "bootshell",
    "commandprocautorun",
    "filerenameop",
    "winlogon.winlogon",
    "userassist",
    "bam",
    "muicache",
    "shellbags",
    "lnk",
    "jumplist.automatic_destination",
    "jumplist.custom_destination",
    "mru.recentdocs",
    "mru.opensave",
    "mru.lastvisited",
    "mru.run",
    "mru.acmru",
    "mru.msoffice",
    "mru.mstsc",
    "mru.networkdrive",
    "trusteddocs",
    "usb",
    "recyclebin",
    "powershell_history",
)
_WINDOWS_STANDARD: Names = (
    "activitiescache",
    "amcache.application_files",
    "amcache.applications",
    "amcache.applaunches",
    "amcache.device_containers",
    "amcache.drivers",
    "amcache.files",
    "amcache.programs",
    "amcache.shortcuts",
    "amcache_install",
    "applications",
    "auditpol",
    *_BROWSER,
    "cam.history",
    "cam.registry",
    "cim.consumerbindings",
    "clsid.machine",
    "clsid.user",
    "defender.evtx",
    "defender.exclusions",
    "defender.mpcmdrun",
    "defender.mplog",
    "defender.quarantine",
    "environment_variables",
    "evt",
    "evtx",
    "firewall.logs",
    "firewall.rules",
    "iis.logs",
    "keyboard",
    "knowndlls",
    "msoffice.native",
    "msoffice.startup",
    "msoffice.web",
    "ndis",
    "notifications.appdb",
    "notifications.wpndatabase",
    "nullsessionpipes",
    "pathenvironment",
    "pfro",
    "prefetch",
    "recentfilecache",
    *_REMOTE,
    "sam",
    "schedlgu",
    "sessionmanager",
    "shimcache",
    "sru.application",
    "sru.application_timeline",
    "sru.energy_estimator",
    "sru.energy_usage",
    "sru.energy_usage_lt",
    "sru.network_connectivity",
    "sru.network_data",
    "sru.push_notification",
    "sru.sdp_cpu_provider",
    "sru.sdp_network_provider",
    "sru.sdp_physical_disk_provider",
    "sru.sdp_volume_provider",
    "sru.vfu",
    *_SSH,
    "startupinfo",
    "syscache",
    *_WEBSERVER,
    "wer",
    "windowsnotepad.tabs",
    "winrar",
    "winsocknamespaceprovider",
)
_WINDOWS_FULL: Names = (
    "catroot.catdb",
    "catroot.files",
    "etl.etl",
    "lsa.secrets",
    "mft.records",
    "path_extensions",
    "rdpcache.paths",
    "regf",
    "sevenzip",
    "thumbcache.iconcache",
    "thumbcache.thumbcache",
    "ual.client_access",
    "ual.domains_seen",
    "ual.role_access",
    "ual.system_identities",
    "ual.virtual_machines",
    "usnjrnl",
    "wget.hsts",
)

_UNIX_TRIAGE: Names = (
    *_PLAIN,
    "timezone",
    "language",
    "install_date",
    "users",
    "passwords",
    "network.interfaces",
    "commandhistory",
    "wtmp",
    "btmp",
    "utmp",
    "lastlog",
    "authlog",
    "cronjobs",
    "services",
    *_SSH,
)
_UNIX_STANDARD: Names = (
    "atop",
    "audit",
    *_BROWSER,
    "container.containers",
    "container.images",
    "container.logs",
    "dpkg.log",
    "dpkg.status",
    "iptables",
    "journal",
    "openvpn.config",
    "opensshd.config",
    "packagemanager.logs",
    "recently_used",
    *_REMOTE,
    "snaps",
    "syslog",
    "trash",
    *_WEBSERVER,
    "wget.hsts",
    "wireguard.config",
)
# capability_binaries walks every file through dissect, a hundred times slower than TSK lists them. What suid_binaries would find
# that way stands in the column `mode` of the table entries.
_UNIX_FULL: Names = ("capability_binaries", "cpanel.lastlogin", "environ", "locate.locate", "osinfo")

_MACOS_TRIAGE: Names = (*_PLAIN, "timezone", "language", "install_date", "users", "network.interfaces", "commandhistory", *_SSH)
_MACOS_STANDARD: Names = ("account_policy", "authlog", *_BROWSER, *_REMOTE, "syslog", "trash", *_WEBSERVER)

_PROFILES: dict[str, tuple[Names, Names, Names]] = {
    "windows": (_WINDOWS_TRIAGE, _WINDOWS_STANDARD, _WINDOWS_FULL),
    "unix": (_UNIX_TRIAGE, _UNIX_STANDARD, _UNIX_FULL),
    "macos": (_MACOS_TRIAGE, _MACOS_STANDARD, ()),
    "other": (("recyclebin",), (), ("mft.records", "usnjrnl")),
}


def functions_for(profile: str, os: str) -> tuple[str, ...]:
    """The functions of a profile for an operating system as dissect names it, in the order of the lists.

    Raises:
        ValueError: there is no such profile.
    """
    triage, standard, full = _PROFILES[_family(os)]
    match Profile(profile):
        case Profile.TRIAGE:
            return triage
        case Profile.STANDARD:
            return triage + standard
        case Profile.FULL:
            return triage + standard + full


def _family(os: str) -> str:
    if os == "windows":
        return "windows"
    if os in {"macos", "darwin", "osx", "ios"}:
        return "macos"
    return "other" if os == "default" else "unix"
