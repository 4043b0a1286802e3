"""APFS containers through dissect.apfs: their volumes and snapshots, unlocked where a credential does it.

The owner file of dissect.apfs. What lies inside a volume is read by our own modules (apfs_records.py says why); of the library's
trees only the object maps are searched, each node checked so that no pointer leads back up.
"""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from uuid import UUID

from dissect.apfs.apfs import APFS
from dissect.apfs.cursor import Cursor
from dissect.apfs.objects import BTreeNode
from dissect.apfs.stream import DecmpfsStream
from dissect.apfs.util import cmp_omap, fletcher64

from forensics.boundary import attempt
from forensics.credentials import CredentialKind, of_kind
from forensics.errors import FilesystemError, StreamReadError
from forensics.names import escape_text
from forensics.source import SourceStream

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from forensics.credentials import Credential
    from forensics.source import ByteSource

MAGIC = b"NXSB"
_SMALLEST_BLOCK, _LARGEST_BLOCK = 4096, 1 << 16  # Apple File System Reference, nx_superblock_t
_MOST_CHECKPOINT_BLOCKS = 1 << 16
_MOST_ITERATIONS = 50_000_000  # of PBKDF2; macOS takes about 100,000
_MOST_KEYS = 256
_MOST_SNAPSHOTS = 10_000
_NO_HEADER = 0x10  # BTNODE_NOHEADER: a node of a sealed volume, which has a hash in its parent instead of a checksum


class ApfsVolume:
    """One volume of a container, or one snapshot of it."""

    def __init__(self, filesystem: Any, container: Any) -> None:
        self._fs, self._container = filesystem, container
        self.block_size = int(container.block_size)
        self.root_tree = int(filesystem.object.apfs_root_tree_oid)
        self.extent_tree = int(filesystem.object.apfs_fext_tree_oid)
        self.is_sealed = bool(filesystem.is_sealed)
        self.has_hashed_names = bool(filesystem.is_case_insensitive or filesystem.is_normalization_insensitive)
        self.is_encrypted = bool(filesystem.is_encrypted)
        self.is_onekey = bool(filesystem.is_onekey)
        self._place = lru_cache(4096)(self._find)

    def node_of(self, identifier: int) -> bytes:
        """The node of the volume's file tree with that virtual identifier, decrypted and with its checksum verified.

        Raises:
            StreamReadError: there is none, or it is damaged.
        """
        return self.node_at(self._place(identifier), encrypted=self.is_encrypted)

    def node_at(self, address: int, *, encrypted: bool = False) -> bytes:
        """The node at that block."""
        cipher = self._fs._cipher if encrypted else None  # noqa: SLF001 - the library has no other way to ask
        node = BTreeNode.from_address(self._container, address, cipher=cipher)
        _check_node(node, f"block {address}")
        return bytes(node.block)

    def check_root(self) -> None:
        """Passes when the root of the file tree can be read.

        Raises:
            StreamReadError: it cannot, e.g. because the key is wrong.
        """
        self.node_of(self.root_tree)

    def decrypt(self, data: bytes, block: int) -> bytes:
        """Blocks of a file's data as they are in clear; `block` is the number that the extent states for the first of them.

        Raises:
            StreamReadError: the volume has a key a file, which no library here unwraps.
        """
        if not self.is_encrypted:
            return data
        if not self.is_onekey:
            message = "the volume has a key for each file, which cannot be unwrapped here"
            raise StreamReadError(message)
        return bytes(self._fs._cipher.decrypt(data, block * self._container.sectors_per_block))  # noqa: SLF001

    def _find(self, identifier: int) -> int:
        base = self.root_tree if self.is_sealed and identifier != self.root_tree else 0
        return int(_lookup(self._fs.omap, base + identifier, int(self._fs.xid)))


class ApfsContainer:
    """An open container."""

    def __init__(self, source: ByteSource) -> None:
        """Opens it at its newest valid checkpoint.

        Raises:
            FilesystemError: it is damaged.
        """
        _check_superblock(source.read_at(0, _SMALLEST_BLOCK))
        self._source = source
        self._apfs: Any = _called(lambda: APFS(SourceStream(source)))
        self.block_size = int(self._apfs.block_size)
        self.size = self.block_size * int(self._apfs.block_count)
        self.superblock = bytes(self._apfs.sb.block)
        self.volumes: tuple[Any, ...] = tuple(_called(self._read_volumes))

    def block_at(self, block: int, count: int = 1) -> bytes:
        """Blocks of the container.

        Raises:
            StreamReadError: it does not have them.
            ImageReadError: they cannot be read.
        """
        length = count * self.block_size
        data = self._source.read_at(block * self.block_size, length) if 0 <= block * self.block_size < self._source.size else b""
        if len(data) < length:
            message = f"the container has no block {block}"
            raise StreamReadError(message)
        return data

    def object_at(self, block: int, count: int, kind: int) -> bytes:
        """The object of that type (OBJECT_TYPE_…) at a block, its checksum verified.

        Raises:
            StreamReadError: there is none, or it is damaged.
            ImageReadError: it cannot be read.
        """
        raw = self.block_at(block, count)
        if fletcher64(raw[8:]) != int.from_bytes(raw[:8], "little") or int.from_bytes(raw[24:26], "little") != kind:
            message = f"block {block} of the container is damaged, or is no object of type {kind}"
            raise StreamReadError(message)
        return raw

    def _read_volumes(self) -> list[Any]:
        from dissect.apfs.objects.fs import FS

        superblock = self._apfs.sb
        numbers = [int(number) for number in superblock.object.nx_fs_oid if number]
        return [FS(self._apfs, _lookup(superblock.omap, number, int(superblock.xid))) for number in numbers]

    def unlock(self, volume: Any, name: str, credentials: tuple[Credential, ...]) -> tuple[str, str]:
        """Kind of the credential that opened an encrypted volume, or why none did; both "" if it is not encrypted."""
        if not volume.is_encrypted:
            return "", ""
        suitable = of_kind(credentials, name, CredentialKind.PASSPHRASE, CredentialKind.RECOVERY_KEY)
        keys: list[Any] = []
        failure = attempt(lambda: keys.extend(_keys_of(volume)))
        if failure is not None:
            return "", f"its key bag cannot be read ({type(failure).__name__}: {escape_text(str(failure))[:200]})"
        for credential in suitable:
            if attempt(lambda: volume.unlock(credential.text)) is None:  # noqa: B023 - called at once
                opened = ApfsVolume(volume, self._apfs)
                if attempt(opened.check_root) is None:
                    return str(credential.kind), ""
                volume._cipher = None  # noqa: SLF001
                return "", "a credential opens its key, but not its data; a Mac's hardware may hold a part of the key"
        hint = _hint(volume)
        if suitable:
            return "", f"none of the {len(suitable)} credentials for it opens it{hint}"
        return "", f"it is encrypted, and no passphrase or recovery key for it was given{hint}"

    def snapshots(self, volume: Any) -> list[Any]:
        """The snapshots of a volume, oldest first.

        Raises:
            FilesystemError: their tree cannot be read.
        """
        return list(_called(lambda: sorted(_guarded_snapshots(volume), key=lambda one: int(one.xid))))

    def open(self, volume: Any, transaction: int | None) -> ApfsVolume:
        """A volume, or its snapshot of that transaction.

        Raises:
            FilesystemError: there is no such snapshot, or it cannot be read.
        """
        if transaction is None:
            return self._volume(volume)
        for one in self.snapshots(volume):
            if int(one.xid) == transaction:
                return self._open_snapshot(volume, one)
        message = f"the volume has no snapshot of transaction {transaction}"
        raise FilesystemError(message)

    def _open_snapshot(self, volume: Any, snapshot: Any) -> ApfsVolume:
        filesystem = _called(snapshot.open)
        filesystem._cipher = volume._cipher  # noqa: SLF001 - the library opens a snapshot without its volume's key
        return self._volume(filesystem)

    def _volume(self, filesystem: Any) -> ApfsVolume:
        made: ApfsVolume = _called(lambda: ApfsVolume(filesystem, self._apfs))
        return made


def identifier_of(volume: Any) -> str:
    """UUID of a volume, as macOS shows it; the library reads it with bytes swapped."""
    return str(UUID(bytes=bytes(volume.object.apfs_vol_uuid)))


def name_of(volume: Any) -> str:
    """Name of a volume."""
    return bytes(volume.object.apfs_volname).partition(b"\0")[0].decode("utf-8", "backslashreplace")


def open_compressed(attributes: Mapping[str, Callable[[], Any]]) -> Any:
    """A file's content as a file object, decompressed from what its attributes of these names hold (decmpfs)."""

    class _Attribute:
        def __init__(self, begin: Callable[[], Any]) -> None:
            self.open = begin

    class _Inode:
        xattr = {name: _Attribute(begin) for name, begin in attributes.items()}  # noqa: RUF012

    return DecmpfsStream(_Inode())


def _guarded_snapshots(volume: Any) -> list[Any]:
    tree = volume.snap_meta_tree
    _guard(tree)
    found: list[Any] = []
    cursor = Cursor(tree)
    more = cursor.first()
    from dissect.apfs.objects.fs import Snapshot

    while more and len(found) < _MOST_SNAPSHOTS:
        header = struct.unpack_from("<Q", cursor.key())[0]
        if header >> 60 == 1:  # APFS_TYPE_SNAP_METADATA
            found.append(Snapshot(volume, header & ((1 << 60) - 1), cursor.value()))
        more = cursor.next()
    return found


def _lookup(object_map: Any, identifier: int, transaction: int) -> int:
    """Block of an object as of a transaction; the library gives a neighbour's where there is none, and so does not answer for it."""
    tree = object_map.btree
    _guard(tree)
    cursor = Cursor(tree).search((identifier, transaction), cmp=cmp_omap)
    found, at = struct.unpack("<QQ", cursor.key())
    if found != identifier or at > transaction:
        message = f"the object map does not know object {identifier} as of transaction {transaction}"
        raise StreamReadError(message)
    return int(struct.unpack_from("<IIQ", cursor.value())[2])


def _guard(tree: Any) -> None:
    """Makes every step down a tree of the library's check the node that it comes to."""
    if getattr(tree, "_is_guarded", False):
        return
    step = tree._node_child  # noqa: SLF001

    def checked(node: Any, *rest: Any) -> Any:
        child = step(node, *rest)
        if int(child.level) != int(node.level) - 1:
            message = f"a tree of the container is damaged: below level {int(node.level)} stands level {int(child.level)}"
            raise StreamReadError(message)
        _check_node(child, "a tree node of the container")
        return child

    _check_node(tree.root, "the root node of a tree of the container")
    tree._node_child, tree._is_guarded = checked, True  # noqa: SLF001


def _check_node(node: Any, where: str) -> None:
    if not int(node.object.btn_flags) & _NO_HEADER and not node.is_valid():
        message = f"{where} is damaged: its checksum is not that of its bytes"
        raise StreamReadError(message)


def _check_superblock(head: bytes) -> None:
    if len(head) < _SMALLEST_BLOCK or head[32:36] != MAGIC:
        message = "the APFS container superblock is not there"
        raise FilesystemError(message)
    size = struct.unpack_from("<I", head, 36)[0]
    checkpoint_blocks = struct.unpack_from("<I", head, 104)[0]
    if size & (size - 1) or not _SMALLEST_BLOCK <= size <= _LARGEST_BLOCK:
        message = f"the APFS container superblock is damaged: blocks of {size} bytes"
        raise FilesystemError(message)
    if checkpoint_blocks > _MOST_CHECKPOINT_BLOCKS:
        message = "the APFS container keeps its checkpoints in pieces, or is damaged; such a container is not read"
        raise FilesystemError(message)


def _keys_of(volume: Any) -> list[Any]:
    """The keys that a credential may unwrap, none of which states a number of iterations without end."""
    keys = list(volume.keybag.keks())
    if len(keys) > _MOST_KEYS or any(int(key["blob"]["iterations"].native) > _MOST_ITERATIONS for key in keys):
        message = "it states more keys, or more iterations for one, than macOS makes"
        raise StreamReadError(message)
    return keys


def _hint(volume: Any) -> str:
    found: list[str] = []
    attempt(lambda: found.append(volume.password_hint or ""))
    return f"; its password hint is {escape_text(found[0])!r}" if found and found[0] else ""


def _called(action: Callable[[], Any]) -> Any:
    """What the action gives.

    Raises:
        FilesystemError: whatever it raised.
    """
    got: list[Any] = []
    failure = attempt(lambda: got.append(action()))
    if failure is not None:
        message = f"the APFS container cannot be read: {escape_text(str(failure))[:500] or type(failure).__name__}"
        raise FilesystemError(message) from failure
    return got[0]
