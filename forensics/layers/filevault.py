"""FileVault 2 on one disk: the metadata of a CoreStorage volume, its keys, and its one logical volume as plain bytes.

Only the common shape is read here: one physical volume, one logical volume in one run, encrypted to its end. Each block of metadata is
checked, and one of the four copies of them is enough. What is of another shape is for libfvde.

References:
    libfvde documentation, "FileVault Drive Encryption (FVDE)": volume header, metadata blocks 0x0011, 0x0019, 0x001a, 0x0305.
    O. Choudary, F. Grobert, J. Metz, "Infiltrate the Vault: Security Analysis and Decryption of Lion Full Disk Encryption", 2012.
    RFC 3394 (AES key wrap).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap

from forensics.errors import ImageReadError, VolumeError
from forensics.filesystems.checksums import crc32c
from forensics.layers.sector_cipher import SectorCipher, parse_spec
from forensics.layers.unit_source import UnitSource, read_exactly

if TYPE_CHECKING:
    from forensics.source import ByteSource

_HEADER_BYTES = 512
_BLOCK_BYTES = 8192
_CIPHER = parse_spec("aes-xts-plain64")
_KEY_BYTES = 16
_LABEL, _KEYS, _VOLUME, _RUNS = 0x0011, 0x0019, 0x001A, 0x0305
_MOST_BLOCKS = 4096
_MAX_ROUNDS = 20_000_000
_MAX_PLIST_BYTES = 1 << 20
_WRAPPED_KEK = struct.Struct("<II16sII24s112sI")
_WRAPPED_KEY = struct.Struct("<II24s")


@dataclass(frozen=True, slots=True, kw_only=True)
class FileVault:
    """A volume: its logical volume of `size` bytes from `start`, and what its keys are made of.

    Attributes:
        name: what its user calls it.
        family: identifier that goes into the key.
        wrapped_keks: for each passphrase and recovery key: salt, rounds, and the wrapped key of the next.
        wrapped_key: the volume's key, wrapped.
        fault: what was wrong with copies of the metadata, "" if nothing.
    """

    name: str
    start: int
    size: int
    family: bytes
    wrapped_keks: tuple[tuple[bytes, int, bytes], ...]
    wrapped_key: bytes
    fault: str

    def key(self, secret: bytes) -> bytes | None:
        """The volume's key, or None if the passphrase or recovery key does not open it.

        Raises:
            VolumeError: it fits, and the key that it leads to is damaged.
        """
        for salt, rounds, wrapped in self.wrapped_keks:
            try:
                kek = aes_key_unwrap(hashlib.pbkdf2_hmac("sha256", secret, salt, rounds, _KEY_BYTES), wrapped)
            except InvalidUnwrap:
                continue
            try:
                first = aes_key_unwrap(kek, self.wrapped_key)
            except InvalidUnwrap:
                message = "a credential fits, and the volume's key that it should open is damaged"
                raise VolumeError(message) from None
            return first + hashlib.sha256(first + self.family).digest()[:_KEY_BYTES]
        return None

    def plain(self, source: ByteSource, key: bytes) -> ByteSource:
        """The logical volume's bytes."""
        cipher = SectorCipher(_CIPHER, key)

        def read(offset: int, length: int) -> bytes:
            return cipher.decrypt(read_exactly(source, self.start + offset, length), offset // 512)

        return UnitSource(read, size=self.size)


def read_filevault(source: ByteSource) -> FileVault:
    """What the metadata say.

    Raises:
        VolumeError: they are damaged, or the volume is not of the common shape.
    """
    header = read_exactly(source, 0, _HEADER_BYTES)
    if not _is_whole(header):
        message = "the checksum of its volume header is wrong"
        raise VolumeError(message)
    block_size = int.from_bytes(header[96:100], "little")
    key = header[176:192] + header[304:320]
    faults: list[str] = []
    for number, (block,) in enumerate(struct.iter_unpack("<Q", header[104:136]), start=1):
        try:
            found = _blocks(source, block * block_size, block_size, key)
            return _parsed(found, block_size, source.size, "; ".join(faults))
        except (VolumeError, ImageReadError) as error:
            faults.append(f"copy {number} of its metadata: {error}")
    raise VolumeError(faults[0])


def _blocks(source: ByteSource, label_at: int, block_size: int, key: bytes) -> list[bytes]:
    """The decrypted blocks of metadata that a disk label leads to."""
    label = read_exactly(source, label_at, _BLOCK_BYTES)
    if not _is_whole(label) or _kind(label) != _LABEL:
        message = "the disk label is damaged"
        raise VolumeError(message)
    descriptor = read_exactly(source, label_at + int.from_bytes(label[220:224], "little"), 40)
    count, first = int.from_bytes(descriptor[8:16], "little"), int.from_bytes(descriptor[32:40], "little")
    cipher = SectorCipher(_CIPHER, key, sector_bytes=_BLOCK_BYTES, iv_unit_bytes=_BLOCK_BYTES)
    found = []
    for number in range(min(count, _MOST_BLOCKS)):
        encrypted = read_exactly(source, first * block_size + number * _BLOCK_BYTES, _BLOCK_BYTES)
        if not any(encrypted):
            break
        block = cipher.decrypt(encrypted, number)
        if not _is_whole(block):
            message = f"block {number} of the encrypted metadata is damaged"
            raise VolumeError(message)
        found.append(block)
    return found


def _parsed(blocks: list[bytes], block_size: int, volume_size: int, fault: str) -> FileVault:
    by_kind: dict[int, list[bytes]] = {}
    for block in blocks:
        by_kind.setdefault(_kind(block), []).append(block)
    if not all(kind in by_kind for kind in (_KEYS, _VOLUME, _RUNS)):
        message = "what describes its keys, its logical volume or where that lies is missing"
        raise VolumeError(message)
    keys = _plist(by_kind[_KEYS][-1], 112)
    volumes = [_plist(block, 128) for block in by_kind[_VOLUME]]
    families = {family for one in volumes if (family := _value(one, "com.apple.corestorage.lv.familyUUID"))}
    runs = by_kind[_RUNS][-1]
    status = _value(keys, "ConversionStatus")
    run_count, run_blocks = int.from_bytes(runs[64:68], "little"), int.from_bytes(runs[88:96], "little")
    if len(families) != 1 or run_count != 1 or status not in ("", "Complete"):
        message = "it has several logical volumes, or one in several pieces, or is only partly encrypted"
        raise VolumeError(message)
    try:
        size = int(_value(volumes[-1], "com.apple.corestorage.lv.size"), 0)
        family_bytes = UUID(families.pop()).bytes
        keks = tuple(_kek(one) for one in _data(keys, "PassphraseWrappedKEKStruct"))
        _, _, wrapped = _WRAPPED_KEY.unpack_from(_data(keys, "KEKWrappedVolumeKeyStruct")[0])
    except (ValueError, IndexError, struct.error, binascii.Error):
        message = "what describes its keys or its logical volume is damaged"
        raise VolumeError(message) from None
    start = int.from_bytes(runs[104:108], "little") * block_size
    if not 0 < size <= min(volume_size - start, run_blocks * block_size) or size % 512:
        message = f"its logical volume would have {size} bytes from byte {start} of a volume of {volume_size}"
        raise VolumeError(message)
    name = _value(volumes[-1], "com.apple.corestorage.lv.name")
    return FileVault(name=name, start=start, size=size, family=family_bytes, wrapped_keks=keks, wrapped_key=wrapped, fault=fault)


def _kek(data: bytes) -> tuple[bytes, int, bytes]:
    _, _, salt, _, _, wrapped, _, rounds = _WRAPPED_KEK.unpack_from(data)
    if not 0 < rounds <= _MAX_ROUNDS:
        message = f"it asks for {rounds} rounds of key derivation"
        raise VolumeError(message)
    return salt, rounds, wrapped


def _plist(block: bytes, at: int) -> str:
    """The property list that a block holds; its place and size stand at `at`."""
    start, size = (int.from_bytes(block[place : place + 4], "little") for place in (at, at + 4))
    data = block[start : start + size]
    if len(data) != size:
        message = "the description of its keys goes on in another block"
        raise VolumeError(message)
    if data[:1] == b"\x78":
        try:
            data = zlib.decompressobj().decompress(data, _MAX_PLIST_BYTES)
        except zlib.error:
            message = "the description of its keys cannot be decompressed"
            raise VolumeError(message) from None
    return data.decode("utf-8", "replace")


def _value(plist: str, key: str) -> str:
    """The text of the value behind a key, "" if there is none. The lists carry attributes of their own, which plist parsers refuse."""
    found = re.search(rf"<key>{re.escape(key)}</key>\s*<(?:string|integer)[^>]*>([^<]*)<", plist)
    return found[1].strip() if found else ""


def _data(plist: str, key: str) -> list[bytes]:
    found = re.findall(rf"<key>{re.escape(key)}</key>\s*<data[^>]*>([^<]*)<", plist)
    return [base64.b64decode(one) for one in found if one.strip()]


def _kind(block: bytes) -> int:
    return int.from_bytes(block[10:12], "little")


def _is_whole(block: bytes) -> bool:
    """Whether the CRC-32C at the start is that of the rest; it is stored without the inversion at its end."""
    return block[4:8] == b"\xff\xff\xff\xff" and crc32c(block[8:]) ^ 0xFFFFFFFF == int.from_bytes(block[:4], "little")
