"""The metadata that belongs to a name in a directory, as The Sleuth Kit has both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytsk3

from forensics.errors import Problem, Stage, StreamReadError
from forensics.filesystems.tsk_stream import TskStream, attributes_of
from forensics.names import display_path
from forensics.sleuthkit import TSK_ERRORS, tsk_reason

if TYPE_CHECKING:
    from forensics.sleuthkit import OpenFilesystem

META_ALLOCATED = int(pytsk3.TSK_FS_META_FLAG_ALLOC)
NAME_ALLOCATED = int(pytsk3.TSK_FS_NAME_FLAG_ALLOC)
_MFT_RECORD = b"FILE"  # NTFS documentation (Linux-NTFS project), FILE record, offset 0


@dataclass(frozen=True, slots=True)
class Named:
    """A name, the file it leads to, and the metadata that belongs to both; None where it is another file's by now."""

    name: Any
    file: Any
    meta: Any


class NameResolver:
    """Finds the metadata of names."""

    def __init__(self, filesystem: OpenFilesystem) -> None:
        self._fs = filesystem.handle
        self._is_ntfs = filesystem.name == "ntfs"
        self._mft: tuple[TskStream, int] | None = None

    def resolve(self, file: Any, path: bytes) -> tuple[Named, Problem | None]:
        """The name with the file to read and the metadata that belongs to it, and what is wrong.

        pytsk3 gives no metadata with a deleted NTFS name, because deleting raises the sequence number of the MFT entry by one; it
        is loaded here, and taken where it is still that file's.
        """
        name = file.info.name
        allocated = bool(int(name.flags) & NAME_ALLOCATED)
        address = int(name.meta_addr)
        if file.info.meta is not None or not (allocated or address):
            return Named(name, file, file.info.meta), None
        try:
            loaded = self._fs.open_meta(inode=address)
            meta = loaded.info.meta
        except TSK_ERRORS as error:
            damaged = entry_problem(address, path, "metadata-damaged", "the metadata of an entry cannot be read", tsk_reason(error))
            return Named(name, file, None), damaged if allocated else None
        if meta is None and allocated:
            damaged = entry_problem(address, path, "metadata-damaged", "an entry has no metadata", "TSK gives none")
            return Named(name, file, None), damaged
        if meta is None or not (allocated or self._is_of_deleted(name, meta)):
            return Named(name, file, None), None
        return Named(name, loaded, meta), None

    def record_problem(self, address: int, path: bytes) -> Problem | None:
        """What is wrong with the first bytes of an NTFS file's MFT entry. TSK does not look at them."""
        if not self._is_ntfs or (seen := self._record_signature(address)) in (b"", _MFT_RECORD):
            return None
        why = f"the MFT entry begins with {seen!r}, not {_MFT_RECORD!r}; BAAD is what NTFS writes over an entry it could not write whole"
        return entry_problem(address, path, "metadata-damaged", "what an entry says of its file may be wrong", why)

    def _record_signature(self, entry: int) -> bytes:
        """The four bytes with which an MFT entry begins; empty where the MFT cannot be read."""
        if self._mft is None:
            file = self._fs.open_meta(inode=0)
            data = next(one for one in attributes_of(file) if one.is_plain_data)
            self._mft = TskStream(file, data), data.size // int(self._fs.info.last_inum)
        stream, record_size = self._mft
        try:
            return stream.read_at(entry * record_size, len(_MFT_RECORD))
        except StreamReadError:
            return b""

    def _is_of_deleted(self, name: Any, meta: Any) -> bool:
        """Whether the metadata that a deleted name leads to is unallocated and still that of the deleted file."""
        if int(meta.flags) & META_ALLOCATED:
            return False
        raised = int(meta.seq) - int(name.meta_seq)
        return not self._is_ntfs or raised in (0, 1) or (int(meta.seq), int(name.meta_seq)) == (1, 0xFFFF)


def entry_problem(metadata_address: int, path: bytes, code: str, what: str, why: str) -> Problem:
    """A problem of one entry."""
    return Problem(
        stage=Stage.FILESYSTEM,
        code=code,
        what=what,
        why=why,
        path=display_path(path)[0],
        metadata_address=metadata_address,
    )
