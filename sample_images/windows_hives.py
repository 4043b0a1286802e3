"""The registry hives of the Windows sample, from stated keys and values."""

from __future__ import annotations

import codecs
import struct
import zlib

from sample_images.regf import Key, Type, hive
from sample_images.stated import filetime, utc

COMPUTER = "EVX-DESK01"
SID = "S-1-5-21-1004336348-1177238915-682003330-1001"
USER = "alice"
INSTALLED = utc("2024-01-10 08:00:00")
RUN_WRITTEN = utc("2024-03-08 21:15:30")
USER_RUN_WRITTEN = utc("2024-03-09 02:03:04")
USB_WRITTEN = utc("2024-03-07 14:22:10")
SERVICE_WRITTEN = utc("2024-03-08 21:16:00")
MRU_WRITTEN = utc("2024-03-09 11:45:00")
RUN = "Microsoft\\Windows\\CurrentVersion\\Run"
UPDATER = "C:\\ProgramData\\updater\\svch0st.exe"
# Path, last run, runs, focus count, focus time in milliseconds
USED_PROGRAMS = (
    ("C:\\Users\\alice\\Downloads\\setup.exe", utc("2024-03-08 21:14:02"), 3, 2, 41_000),
    ("C:\\Windows\\System32\\notepad.exe", utc("2024-03-09 08:30:00"), 7, 9, 600_000),
)
SHIMCACHE = (
    ("C:\\Users\\alice\\Downloads\\setup.exe", utc("2024-03-08 21:10:00")),
    (UPDATER, utc("2024-03-08 21:14:30")),
)
RUN_COMMANDS = ("cmd.exe", "\\\\10.0.0.5\\share")
RECENT_DOCUMENTS = ("plan.txt", "invoice.pdf")


def system() -> bytes:
    """SYSTEM: name of the computer, time zone, services, USB storage, shimcache."""
    root = Key()
    root.key("Select").set(Current=1, Default=1, Failed=0, LastKnownGood=1)
    control = root.key("ControlSet001\\Control")
    control.key("ComputerName\\ComputerName").set(ComputerName=COMPUTER)
    control.key("TimeZoneInformation").set(TimeZoneKeyName="W. Europe Standard Time", Bias=0xFFFFFFC4, ActiveTimeBias=0xFFFFFFC4)
    control.key("Session Manager\\Environment").set(PROCESSOR_ARCHITECTURE="AMD64", windir="C:\\Windows", Path="C:\\Windows\\System32")
    control.key("Session Manager\\AppCompatCache").set(AppCompatCache=_shimcache())
    control.key("Nls\\CodePage").set(ACP="1252", OEMCP="850")
    control.key("Keyboard Layout\\DosKeybCodes").put([("00000409", "us")])
    adapter = "{0E71DE00-0000-4000-8000-0000000000AA}"
    control.key("Class\\{4d36e972-e325-11ce-bfc1-08002be10318}\\0001").put(
        [("NetCfgInstanceId", adapter), ("NetworkAddress", "02-00-00-00-00-17"), ("*IfType", 6)]
    )
    control.key(f"Network\\{{4D36E972-E325-11CE-BFC1-08002BE10318}}\\{adapter}\\Connection").set(Name="Ethernet")
    services = root.key("ControlSet001\\Services")
    services.key("EventLog\\Security").set(File="%SystemRoot%\\System32\\winevt\\Logs\\Security.evtx")
    tcpip = services.key("Tcpip\\Parameters").set(Hostname=COMPUTER, Domain="evidex.example")
    tcpip.key(f"Interfaces\\{adapter}").set(
        EnableDHCP=0, IPAddress=["192.0.2.17"], SubnetMask=["255.255.255.0"], DefaultGateway=["192.0.2.1"]
    )
    services.key("Tcpip").set(
        Type=1, Start=0, ErrorControl=1, DisplayName="TCP/IP Protocol Driver", ImagePath="System32\\drivers\\tcpip.sys"
    )
    services.key("EvilUpdate", written=SERVICE_WRITTEN).set(
        Type=16, Start=2, ErrorControl=1, DisplayName="Update Helper", ImagePath=f'"{UPDATER}" -k', ObjectName="LocalSystem"
    )
    storage = root.key("ControlSet001\\Enum\\USBSTOR\\Disk&Ven_Example&Prod_Stick&Rev_1.00\\0123456789&0", written=USB_WRITTEN)
    storage.set(FriendlyName="Example Stick USB Device", ContainerID="{0e71de00-0000-4000-8000-0000000000bb}")
    properties = storage.key("Properties\\{83da6326-97a6-4088-9453-a1923f573b29}")
    for number, when in (("0064", USB_WRITTEN), ("0065", USB_WRITTEN), ("0066", USB_WRITTEN), ("0067", utc("2024-03-07 15:00:00"))):
        properties.key(number).values[""] = (Type.BINARY, struct.pack("<Q", filetime(when)))
    return hive(root, name="SYSTEM")


def software() -> bytes:
    """SOFTWARE: version of Windows, profiles, autostart, installed programs, time zones."""
    root = Key()
    version = root.key("Microsoft\\Windows NT\\CurrentVersion")
    version.set(
        ProductName="Windows 10 Pro", CurrentVersion="6.3", CurrentBuild="19045", CurrentBuildNumber="19045", UBR=4046,
        CurrentMajorVersionNumber=10, CurrentMinorVersionNumber=0, InstallDate=int(INSTALLED.timestamp()), RegisteredOwner="Alice",
        SystemRoot="C:\\Windows", DisplayVersion="22H2",
    )  # fmt: skip
    for sid, home in (("S-1-5-18", "C:\\Windows\\System32\\config\\systemprofile"), (SID, f"C:\\Users\\{USER}")):
        version.key(f"ProfileList\\{sid}").set(ProfileImagePath=home)
    # Bias, StandardBias, DaylightBias in minutes, then the two days of change as SYSTEMTIME (last Sunday of October and March).
    zone = struct.pack("<iii8H8H", -60, 0, -60, 0, 10, 0, 5, 3, 0, 0, 0, 0, 3, 0, 5, 2, 0, 0, 0)
    version.key("Time Zones\\W. Europe Standard Time").set(
        TZI=zone, Display="(UTC+01:00) Amsterdam", Std="W. Europe Standard Time", Dlt="W. Europe Daylight Time"
    )
    root.key(RUN, written=RUN_WRITTEN).set(Updater=f'"{UPDATER}" /quiet')
    root.key("Microsoft\\Windows\\CurrentVersion\\Uninstall\\Example Viewer").set(
        DisplayName="Example Viewer", DisplayVersion="1.2.3", Publisher="Example Ltd", InstallDate="20240115"
    )
    return hive(root, name="SOFTWARE")


def user() -> bytes:
    """NTUSER.DAT: autostart, used programs, commands run, recent documents."""
    root = Key()
    explorer = root.key("Software\\Microsoft\\Windows\\CurrentVersion\\Explorer")
    root.key("Control Panel\\International\\User Profile\\en-US").set(CachedLanguageName="@Winlangdb.dll,-1121")
    root.key("Keyboard Layout\\Preload").put([("1", "00000409")])
    root.key(f"Software\\{RUN}", written=USER_RUN_WRITTEN).set(
        OneDrive="C:\\Users\\alice\\AppData\\Local\\OneDrive\\OneDrive.exe /background"
    )
    assist = explorer.key("UserAssist\\{CEBFF5CD-ACE2-4F4F-9178-9926F41749EA}").set(Version=5)
    for path, when, runs, focus, milliseconds in USED_PROGRAMS:
        data = struct.pack("<IIII", 0, runs, focus, milliseconds) + bytes(44) + struct.pack("<QI", filetime(when), 0)
        assist.key("Count").values[codecs.encode(path, "rot13")] = (Type.BINARY, data)
    # Explorer ends each command with "\1"; the list begins with the latest.
    commands = [(chr(ord("a") + i), f"{command}\\1") for i, command in enumerate(RUN_COMMANDS)]
    explorer.key("RunMRU", written=MRU_WRITTEN).put([*commands, ("MRUList", "ba")])
    documents = [(str(i), f"{name}\0".encode("utf-16-le") + _shell_item(name)) for i, name in enumerate(RECENT_DOCUMENTS)]
    order = struct.pack("<3I", 1, 0, 0xFFFFFFFF)
    explorer.key("RecentDocs", written=MRU_WRITTEN).put([*documents, ("MRUListEx", order)])
    return hive(root, name="NTUSER.DAT")


def empty(name: str) -> bytes:
    """A hive without keys, for the files that Windows always has."""
    return hive(Key(), name=name)


def _shimcache() -> bytes:
    """AppCompatCache of Windows 10 1703 and later: a header of 0x34 bytes, then entries "10ts"."""
    out = struct.pack("<I", 0x34).ljust(0x34, b"\0")
    for path, when in SHIMCACHE:
        name = path.encode("utf-16-le")
        body = struct.pack("<H", len(name)) + name + struct.pack("<QI", filetime(when), 0)
        out += b"10ts" + struct.pack("<II", zlib.crc32(body), len(body)) + body
    return out


def _shell_item(name: str) -> bytes:
    """A file entry of a shell item list: class 0x32 (file, in ASCII), then the end of the list."""
    short = f"{name}.lnk".encode("ascii") + b"\0"
    body = struct.pack("<BBIIH", 0x32, 0, 0, 0, 0x20) + short
    body += bytes(len(body) % 2)
    long_name = f"{name}.lnk\0".encode("utf-16-le")
    # Extension 0xBEEF0004, version 3 (Windows XP): DOS times, identifier, size of a localised name, long name, offset of this block.
    size = 20 + len(long_name) + 2
    offset = len(body) + 2
    body += struct.pack("<HHIIIHH", size, 3, 0xBEEF0004, 0, 0, 0x14, 0) + long_name + struct.pack("<H", offset)
    return struct.pack("<H", len(body) + 2) + body + b"\0\0"
