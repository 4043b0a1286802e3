"""An image as dissect.target sees it: the operating system found on it, and what its functions yield.

The owner file of dissect.target. The image is given as one raw disk, because the container is already opened by us: no path
of the host is handed on, nothing on the host is read for it (dissect's own configuration files are not honoured).

What dissect gets wrong is kept out here: exFAT volumes are not mounted, since dissect.fat 3.13 returns wrong bytes for files on
them whenever a cluster is larger than a sector, without an error.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dissect.target import Target, plugin
from dissect.target.containers.raw import RawContainer
from dissect.target.exceptions import Error as DissectError
from dissect.target.exceptions import PluginNotFoundError, UnsupportedPluginError
from dissect.target.helpers import config

from forensics.artifacts.remarks import Remarks, listening
from forensics.errors import ForensicsError
from forensics.image import ImageStream

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from forensics.errors import Problem
    from forensics.image import Image

_EXFAT_SIGNATURE = b"EXFAT   "  # bytes 3 to 11 of the boot sector (exFAT specification, 3.1.2)
# What is no failure: most data disks have no operating system, and many no partition table.
_EXPECTED = ("Failed to find OS plugin", "Can't identify volume system or no volumes found")


class NotApplicableError(ForensicsError):
    """The function has nothing to read on this image: another operating system, or the program was never used. Normal."""


class ArtifactSource:
    """An opened image, ready for functions. Not picklable: each process opens its own.

    Attributes:
        os: the operating system as dissect names it: windows, linux, macos, …; "default" where none was found.
    """

    def __init__(self, target: Any, problems: tuple[Problem, ...]) -> None:
        self._target = target
        self._problems = problems
        self.os = str(target.os)

    def problems(self) -> tuple[Problem, ...]:
        """What was found wrong while opening."""
        return self._problems

    def declared_records(self, function: str) -> tuple[Any, ...]:
        """The record descriptors that a function says it yields; none where it makes them as it goes.

        Raises:
            NotApplicableError: the function has nothing to read here.
        """
        _, found = self._find(function)
        declared = getattr(found, "__record__", None) or ()
        return tuple(one for one in (declared if isinstance(declared, (list, tuple)) else (declared,)) if "/" in one.name)

    def iter_values(self, function: str) -> Iterator[Any]:
        """What a function yields: records, or plain values; a property's value as one.

        Raises:
            NotApplicableError: the function has nothing to read here.
            Exception: whatever the third-party function raises.
        """
        plugin_, found = self._find(function)
        try:
            value = found.__get__(plugin_) if isinstance(found, property) else found
            if callable(value):
                value = value()
            yield from _each(value)
        except UnsupportedPluginError as error:
            raise NotApplicableError(str(error)) from error

    def _find(self, function: str) -> tuple[Any, Any]:
        try:
            return self._target.get_function(function)  # type: ignore[no-any-return]
        except (UnsupportedPluginError, PluginNotFoundError) as error:
            raise NotApplicableError(str(error)) from error


def open_artifact_source(image: Image) -> ArtifactSource:
    """The image with its volumes and filesystems opened by dissect and its operating system recognised.

    Raises:
        ForensicsError: dissect cannot open it at all.
    """
    remarks = Remarks("")
    target = Target()
    # Target() has looked for .targetcfg.py in the working folder and at home: a run must not depend on those.
    target._config = config.load(None)  # noqa: SLF001 - there is no public way
    target.disks.add(RawContainer(ImageStream(image)))
    with listening(remarks):
        try:
            _apply(target, remarks)
        except DissectError as error:
            message = f"{image.path.name}: dissect cannot open it for artifacts: {error}"
            raise ForensicsError(message) from error
    return ArtifactSource(target, remarks.problems())


def known_functions() -> frozenset[str]:
    """The names of all functions that this version of dissect.target has, for any operating system."""
    indexes = ("__regular__", "__os__")
    return frozenset(one.name for index in indexes for one in plugin.functions(index=index))


def _apply(target: Any, remarks: Remarks) -> None:
    """Target.apply(), without exFAT."""
    target.disks.apply()
    target.volumes.entries = [one for one in target.volumes.entries if not _is_exfat(one, remarks)]
    target.volumes.apply()
    target.filesystems.entries = [one for one in target.filesystems.entries if one.__type__ != "exfat"]
    target.filesystems.apply()
    target._init_os()  # noqa: SLF001 - apply() as a whole would mount exFAT
    target._mount_others()  # noqa: SLF001
    target._applied = True  # noqa: SLF001


def _is_exfat(volume: Any, remarks: Remarks) -> bool:
    volume.seek(0)
    if volume.read(512)[3:11] != _EXFAT_SIGNATURE:
        return False
    what = f"no artifacts are read from the exFAT volume at byte {volume.offset}"
    why = "dissect returns wrong contents for files on exFAT, so rows read from there could be wrong"
    remarks.note("exfat-artifacts", what, why, "the files themselves are in the table entries, read by TSK")
    return True


def _each(value: Any) -> Iterable[Any]:
    if value is None or value == "":
        return ()
    if isinstance(value, (str, bytes)) or not hasattr(value, "__iter__"):
        return (value,)
    return value  # type: ignore[no-any-return]
