"""An image as dissect.target sees it: the operating system found on it, and what its functions yield.

The owner file of dissect.target. The image is given as one raw disk, because the container is already opened by us: no path
of the host is handed on, nothing on the host is read for it (dissect's own configuration files are not honoured).

What dissect gets wrong or leaves to chance is put right here:
- exFAT volumes are not mounted, since dissect.fat 3.13 returns wrong bytes for files on them whenever a cluster is larger than
  a sector, without an error;
- each function runs on a target of its own over the filesystems opened once, so what it yields and reports does not depend on
  which functions ran before it (plugins keep what they read, and report a failure only the first time);
- what corrections.py lists.
"""

from __future__ import annotations

import contextlib
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dissect.target import Target, plugin, volume
from dissect.target.containers.raw import RawContainer
from dissect.target.exceptions import PluginError, PluginNotFoundError, UnsupportedPluginError
from dissect.target.helpers import config, loaderutil

from forensics.artifacts.corrections import correct_environment, correct_plugin
from forensics.artifacts.ntfs_names import remember_names
from forensics.artifacts.remarks import Remarks, listening
from forensics.boundary import attempt, crash_behind
from forensics.errors import ForensicsError
from forensics.source import SourceStream

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from forensics.errors import Problem
    from forensics.image import Image
    from forensics.source import ByteSource

_EXFAT_SIGNATURE = b"EXFAT   "  # bytes 3 to 11 of the boot sector (exFAT specification, 3.1.2)
# dissect's name for an image on which it finds no operating system.
NO_SYSTEM = "default"
# What tools that collect files make of $UsnJrnl:$J and $Secure:$SDS: acquire, old acquire, Velociraptor, KAPE, others.
_USN_JOURNALS = [f"$Extend/{name}" for name in ("$UsnJrnl:$J", "$UsnJrnl:J", "$J", "$UsnJrnl$J", "$UsnJrnl_$J")]
_SECURITY = ["$Secure:$SDS", "$Secure_$SDS", "$Secure$SDS"]


class NotApplicableError(ForensicsError):
    """The function has nothing to read on this image: another operating system, or the program was never used. Normal."""


@dataclass(frozen=True, slots=True)
class FunctionRun:
    """A function that applies to the image, ready to run once.

    Attributes:
        declared: the record descriptors that the function says it yields; none where it makes them as it goes.
    """

    declared: tuple[Any, ...]
    _plugin: Any
    _found: Any

    def iter_values(self) -> Iterator[Any]:
        """What the function yields: records, or plain values; a property's value as one.

        Raises:
            NotApplicableError: it finds only now that it has nothing to read.
            Exception: whatever the third-party function raises (see boundary.py).
        """
        try:
            value = self._found.__get__(self._plugin) if isinstance(self._found, property) else self._found
            if callable(value):
                value = value()
            yield from _each(value)
        except UnsupportedPluginError as error:
            raise NotApplicableError(str(error)) from error


class ArtifactSource:
    """An opened image, ready for functions. Not picklable: each process opens its own.

    Attributes:
        os: the operating system as dissect names it: windows, linux, macos, …; "default" where none was found.
        reported: the causes among the problems, so that functions need not repeat them.
    """

    def __init__(self, target: Any, remarks: Remarks) -> None:
        self._opened = target
        self._problems = remarks.problems()
        self.reported = remarks.messages()
        self.os = str(target.os)

    def problems(self) -> tuple[Problem, ...]:
        """What was found wrong while opening."""
        return self._problems

    def prepare(self, function: str) -> FunctionRun:
        """The function, ready to run.

        Raises:
            NotApplicableError: the function has nothing to read here.
            Exception: whatever it raises while it looks whether it has (see boundary.py).
        """
        target = self._fresh_target()
        try:
            plugin_, found = target.get_function(function)
        except (UnsupportedPluginError, PluginNotFoundError) as error:
            crash = crash_behind(error)
            if crash is not None:
                raise crash from None
            raise NotApplicableError(str(error)) from error
        correct_plugin(plugin_)
        declared = getattr(found, "__record__", None) or ()
        # A descriptor without "/" in its name stands for records whose fields are known only when they come.
        several = declared if isinstance(declared, (list, tuple)) else (declared,)
        return FunctionRun(tuple(one for one in several if "/" in one.name), plugin_, found)

    def _fresh_target(self) -> Any:
        with listening(Remarks("")):  # what this reports, opening the image has reported
            target = _new_target()
            for name in ("disks", "volumes", "filesystems"):
                getattr(target, name).entries = list(getattr(self._opened, name).entries)
            _start_system(target)
        return target


def open_artifact_source(images: Sequence[Image], volumes: Sequence[ByteSource] = ()) -> ArtifactSource:
    """The exhibit with its volumes and filesystems opened by dissect and its operating system recognised.

    Args:
        images: its disks.
        volumes: volumes that were unlocked or put together, which dissect has no credential and perhaps no disks for. It is handed them
            as disks of their own, and opens no encrypted volume, volume group or array by itself, so that each is there once.

    Raises:
        ForensicsError: dissect cannot open it at all.
    """
    remarks = Remarks("")
    target = _new_target()
    for source in (*images, *volumes):
        target.disks.add(RawContainer(SourceStream(source)))

    def open_all() -> None:
        _open_filesystems(target, remarks)
        _start_system(target)
        # Half of the functions ask for the users; what fails there is reported once, here.
        with contextlib.suppress(PluginError):
            list(target.get_function("user_details")[0].all_with_home())

    with listening(remarks):
        error = attempt(open_all)
    if error is not None:
        message = f"{images[0].path.name}: dissect cannot open it for artifacts: {type(error).__name__}: {error}"
        raise ForensicsError(message) from error
    return ArtifactSource(target, remarks)


def open_filesystem_source(mounts: Sequence[tuple[str, Any]], name: str) -> ArtifactSource:
    """Files that are no disk, as a system of its own.

    Args:
        mounts: (mount point, dissect filesystem), e.g. "sysvol" for Windows' own volume and "/" for a Unix root.
        name: what it is called in messages.

    Raises:
        ForensicsError: dissect cannot open it at all.
    """
    remarks = Remarks("")
    target = _new_target()

    def open_all() -> None:
        for point, filesystem in mounts:
            target.filesystems.add(filesystem)
            target.fs.mount(point, filesystem)
            # Where $MFT was collected, functions that read an NTFS by its metadata have one to read.
            loaderutil.add_virtual_ntfs_filesystem(target, filesystem, usnjrnl_path=_USN_JOURNALS, sds_path=_SECURITY)
        _start_system(target)
        with contextlib.suppress(PluginError):
            list(target.get_function("user_details")[0].all_with_home())

    with listening(remarks):
        error = attempt(open_all)
    if error is not None:
        message = f"{name}: dissect cannot open it for artifacts: {type(error).__name__}: {error}"
        raise ForensicsError(message) from error
    return ArtifactSource(target, remarks)


def known_functions() -> frozenset[str]:
    """The names of all functions that this version of dissect.target has, for any operating system."""
    indexes = ("__regular__", "__os__")
    return frozenset(one.name for index in indexes for one in plugin.functions(index=index))


def _new_target() -> Any:
    logger = logging.getLogger("dissect.target.target")
    level = logger.level
    target = Target()
    logger.setLevel(level)  # Target() silences it unless the root logger has a handler
    # Target() has looked for .targetcfg.py in the working folder and at home: a run must not depend on those.
    target._config = config.load(None)  # noqa: SLF001 - there is no public way
    return target


def _open_filesystems(target: Any, remarks: Remarks) -> None:
    """The first half of Target.apply(), without exFAT, without what we derive ourselves, and without volumes that make dissect fail."""
    target.disks.apply()
    volumes = [one for one in target.volumes.entries if not (_is_derived_by_us(one) or _is_exfat(one, remarks))]
    target.volumes.entries = list(volumes)
    if attempt(target.volumes.apply) is not None:
        target.volumes.entries = [one for one in volumes if _opens(one, remarks)]
        target.filesystems.entries = []
        target.volumes.apply()
    # Inside of an encrypted or a logical volume exFAT is seen only now.
    target.filesystems.entries = [one for one in target.filesystems.entries if one.__type__ != "exfat"]
    target.filesystems.apply()
    for one in target.filesystems.entries:
        if one.__type__ == "ntfs":
            remember_names(one)


def _is_derived_by_us(one: Any) -> bool:
    """Whether it holds other volumes, which are handed over by themselves where they could be opened; a survey says where not."""
    found: list[bool] = []
    attempt(lambda: found.append(bool(volume.is_lvm_volume(one) or volume.is_encrypted(one))))
    return found == [True]


def _opens(one: Any, remarks: Remarks) -> bool:
    """Whether dissect survives this volume alone; if not, a remark says so."""
    alone = _new_target()
    alone.volumes.add(one)
    error = attempt(alone.volumes.apply)
    if error is not None:
        what = f"no artifacts are read from the volume at byte {one.offset}"
        remarks.note("artifact-volume", what, f"{type(error).__name__}: {error}", "its files are in the table entries, where TSK reads it")
    return error is None


def _start_system(target: Any) -> None:
    """The second half of Target.apply()."""
    target._init_os()  # noqa: SLF001 - apply() as a whole would open everything again
    target._mount_others()  # noqa: SLF001
    target._applied = True  # noqa: SLF001
    if target.os == "windows":
        correct_environment(target.get_function("pathext")[0])


def _is_exfat(one: Any, remarks: Remarks) -> bool:
    sector = b""
    with contextlib.suppress(ForensicsError, OSError):  # what cannot be read is found again when the volume is opened
        one.seek(0)
        sector = one.read(512)
    if sector[3:11] != _EXFAT_SIGNATURE:
        return False
    what = f"no artifacts are read from the exFAT volume at byte {one.offset}"
    why = "dissect returns wrong contents for files on exFAT, so rows read from there could be wrong"
    remarks.note("exfat-artifacts", what, why, "the files themselves are in the table entries, read by TSK")
    return True


def _each(value: Any) -> Iterable[Any]:
    if value is None or value == "":
        return ()
    if isinstance(value, (str, bytes)) or not hasattr(value, "__iter__"):
        return (value,)
    return value  # type: ignore[no-any-return]
