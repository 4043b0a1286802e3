"""The metadata of a BitLocker volume, its keys, and where its plain bytes lie. The owner of dissect.fve's BitLocker part.

dissect.fve reads the metadata and unlocks the keys. The bytes are decrypted and put in place here, because the library decrypts in
Python at some megabytes a second, misplaces reads on sectors of 4,096 bytes, and loses count in the bitmaps of
encrypt-on-write (4.7.dev4: `_iter_bitmap` keeps the bit number of the first byte for the bytes that follow).

References:
    Joachim Metz, BitLocker Drive Encryption (BDE) format specification (libbde documentation): volume header, metadata, encrypted
    regions.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any, Protocol

from dissect.fve.bde import BDE
from dissect.fve.bde.c_bde import CIPHER_MAP, FVE_KEY_PROTECTOR
from dissect.fve.exception import Error as FveError

from forensics.boundary import attempt
from forensics.credentials import Credential, CredentialKind
from forensics.errors import ImageReadError, VolumeError
from forensics.layers.elephant import ElephantCipher
from forensics.layers.sector_cipher import CipherSpec, SectorCipher
from forensics.layers.unit_source import UnitSource, read_exactly
from forensics.source import SourceStream

if TYPE_CHECKING:
    from forensics.source import ByteSource

_FAILURES = (
    FveError,
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    NotImplementedError,
    OSError,
    TypeError,
    ValueError,
    struct.error,
)
_VISTA = 1
_VISTA_PLAIN_BYTES = 0x2000  # the start of a volume of Vista is not encrypted
_SECTOR_SIZES = (512, 1024, 2048, 4096)
_MAX_EOW_BITMAPS = 4096
_RECOVERY_KEY = re.compile(r"\D*".join([r"(\d{6})"] * 8))
_BOOT_SIGNATURE = b"\x55\xaa"
_PROTECTOR_MASK = 0xFF00
_PROTECTORS = {
    "CLEAR": "clear key",
    "TPM": "TPM",
    "EXTERNAL": "startup key file (.BEK)",
    "TPM_PIN": "TPM with PIN",
    "RECOVERY_PASSWORD": "recovery key",
    "PASSPHRASE": "passphrase",
}


class _Cipher(Protocol):
    def decrypt(self, data: bytes, first: int) -> bytes: ...


@dataclass(frozen=True, slots=True)
class _Region:
    """Bytes `plain[start:end]` that do not lie where they are shown; `stored_at` is None where zeros are shown."""

    start: int
    end: int
    stored_at: int | None


class BitLockerVolume:
    """A BitLocker volume, locked until `unlock` says otherwise."""

    def __init__(self, source: ByteSource) -> None:
        """Reads the metadata.

        Raises:
            VolumeError: it is damaged.
            ImageReadError: it cannot be read.
        """
        self._source = source
        try:
            self._bde = BDE(SourceStream(source))
            self._sector_bytes: int = self._bde.sector_size
            self.is_decrypted: bool = self._bde.decrypted
            self.is_changing: bool = self._bde.switching
        except _FAILURES as error:
            message = f"none of its metadata is readable ({type(error).__name__}: {error})"
            raise VolumeError(message) from error
        if self._sector_bytes not in _SECTOR_SIZES:
            message = f"its boot sector states sectors of {self._sector_bytes} bytes"
            raise VolumeError(message)
        if self._bde.boot_sector.eow_offsets and self._bde.eow_information is None:
            # The library only logs it, and then takes the volume as encrypted from end to end.
            message = "it was being encrypted on write, and the bitmaps that say which parts are encrypted are not there or damaged"
            raise VolumeError(message)
        self.is_altered = False
        self.failures: set[str] = set()
        """What kept passphrases and recovery keys from being tried to the end, as names of exceptions; a wrong one is none."""

    def has_clear_key(self) -> bool:
        """Whether the key lies on the volume in the clear: protection was suspended."""
        return self._try(self._bde.has_clear_key)

    def protectors(self) -> tuple[str, ...]:
        """What opens the volume, in words, with the identifier that Windows shows for it."""
        found: list[str] = []

        def look() -> None:
            for kind, identifier in zip(self._bde.vmk_types, self._bde.identifiers, strict=True):
                name = FVE_KEY_PROTECTOR(int(kind) & _PROTECTOR_MASK).name or ""
                found.append(f"{_PROTECTORS.get(name, 'another kind of key')} {{{str(identifier).upper()}}}")

        attempt(look)
        return tuple(found)

    def unlock_with_clear_key(self) -> bool:
        """Unlocks by the key that lies on the volume."""
        return self._try(self._bde.unlock_with_clear_key)

    def unlock(self, credential: Credential) -> bool:
        """Whether the credential opens the volume; then its bytes can be had."""
        if credential.kind is CredentialKind.PASSPHRASE:
            return self._try_secret(self._bde.unlock_with_passphrase, credential.text)
        if credential.kind is CredentialKind.RECOVERY_KEY:
            key = recovery_key(credential.text)
            return key is not None and self._try_secret(self._bde.unlock_with_recovery_password, key)
        if credential.kind is CredentialKind.KEY_FILE:
            return self._try(self._bde.unlock_with_bek, BytesIO(credential.value))
        return (
            self._try(self._bde.unlock, credential.value)
            or self._try(self._bde.unlock_with_external_key, credential.value)
            or self._unlock_with_volume_key(credential.value)
        )

    def open(self) -> ByteSource:
        """The plain bytes of a volume that is unlocked or was decrypted.

        Raises:
            VolumeError: it is locked, or encrypted in a way that is not known.
        """
        try:
            plain = _PlainVolume(self._source, self._bde, self._cipher())
        except _FAILURES:
            message = "its metadata is damaged: where its bytes lie cannot be told"
            raise VolumeError(message) from None
        return UnitSource(plain.read, size=self._source.size, alignment=plain.alignment)

    def _try_secret(self, step: Any, secret: str) -> bool:
        """Whether the secret opens the volume. The library says ValueError of a wrong one; anything else kept it from being tried."""

        def unlock() -> Any:
            try:
                return step(secret)
            except ValueError:
                return False

        return self._try(unlock, failures=self.failures)

    def _try(self, step: Any, *values: Any, failures: set[str] | None = None) -> bool:
        """Whether the step of the library succeeds. What it raises may quote a secret, so only its name goes into `failures`."""
        outcome: list[Any] = []
        error = attempt(lambda: outcome.append(step(*values)), passing=(ImageReadError,))
        if error is not None and failures is not None:
            failures.add(type(error).__name__)
        if error is not None or outcome[0] is False:
            return False
        if self._bde.unlocked and self._bde._vmk is not None:  # noqa: SLF001 - the library checks and drops the answer
            checked: list[bool] = []
            attempt(lambda: checked.append(self._bde.information.check_integrity(self._bde._vmk)))  # noqa: SLF001
            self.is_altered = checked != [True]
        return True

    def _unlock_with_volume_key(self, key: bytes) -> bool:
        """Takes the key as the one that encrypts the sectors, where the first sector then looks like a boot sector."""
        bde = self._bde
        bde._fvek, bde._fvek_type = key, None  # noqa: SLF001 - the library's own way demands a filesystem that it knows
        boot = b""

        def look() -> None:
            nonlocal boot
            bde._fvek_type = bde.information.dataset.fvek_type  # noqa: SLF001
            boot = self.open().read_at(0, 512)

        attempt(look, passing=(ImageReadError,))
        if boot[510:512] == _BOOT_SIGNATURE:
            return True
        bde._fvek = bde._fvek_type = None  # noqa: SLF001
        return False

    def _cipher(self) -> _Cipher | None:
        if self.is_decrypted:
            return None
        key, kind = self._bde._fvek, self._bde._fvek_type  # noqa: SLF001 - the library hands them to its own cipher only
        if key is None:
            message = "it is locked"
            raise VolumeError(message)
        if kind not in CIPHER_MAP:
            message = f"its sectors are encrypted in a way that is not decrypted by this version ({kind})"
            raise VolumeError(message)
        name, mode, bits, iv = CIPHER_MAP[kind].split("-")
        size = self._sector_bytes
        if iv == "elephant":
            return ElephantCipher(key, key_bytes=int(bits) // 8, sector_bytes=size)
        key = key[: int(bits) // 8 * (2 if mode == "xts" else 1)]
        return SectorCipher(CipherSpec(name, mode, iv), key, sector_bytes=size, iv_unit_bytes=size)


class _PlainVolume:
    """Where each plain byte lies, and whether it is encrypted there."""

    def __init__(self, source: ByteSource, bde: Any, cipher: _Cipher | None) -> None:
        self._source, self._cipher = source, cipher
        self.alignment = bde.sector_size
        self._is_vista = bde.version == _VISTA
        self._mirror = bde.information.header.Mft2StartLcn if self._is_vista else 0
        self._regions = _regions(bde, source.size)
        # Volumes of before Windows 10 are encrypted from the front up to here; 0 and the volume's size mean all of it.
        self._encrypted_end = bde.information.state_offset or source.size
        self._chunks = _EncryptedChunks(bde.eow_information) if bde.eow_information is not None else None

    def read(self, offset: int, length: int) -> bytes:
        """Whole sectors of the plain volume."""
        parts = []
        while length > 0:
            region = next((one for one in self._regions if one.start <= offset < one.end), None)
            if region is not None:
                take = min(length, region.end - offset)
                parts.append(bytes(take) if region.stored_at is None else self._stored(region.stored_at + offset - region.start, take))
            else:
                take = min([length, *(one.start - offset for one in self._regions if one.start > offset)])
                parts.append(self._stored(offset, take))
            offset += take
            length -= take
        return b"".join(parts)

    def _stored(self, offset: int, length: int) -> bytes:
        """The plain form of what is stored there."""
        parts = []
        while length > 0:
            is_encrypted, end = self._state(offset)
            take = min(length, end - offset)
            data = read_exactly(self._source, offset, take)
            if is_encrypted and self._cipher is not None:
                data = self._cipher.decrypt(data, offset // self.alignment)
            elif self._is_vista and offset == 0:
                # libbde documentation, volume header of Vista: the name is replaced, and the place of the second MFT.
                data = b"".join((data[:3], b"NTFS    ", data[11:0x38], struct.pack("<Q", self._mirror), data[0x40:]))
            parts.append(data)
            offset += take
            length -= take
        return b"".join(parts)

    def _state(self, offset: int) -> tuple[bool, int]:
        """Whether what is stored there is encrypted, and up to where the answer holds."""
        if self._is_vista and offset < _VISTA_PLAIN_BYTES:
            return False, _VISTA_PLAIN_BYTES
        if self._chunks is not None:
            return self._chunks.state(offset)
        if offset < self._encrypted_end:
            return True, self._encrypted_end
        return False, self._source.size


class _EncryptedChunks:
    """The bitmaps of encrypt-on-write: a bit a chunk, set where the chunk is encrypted."""

    def __init__(self, information: Any) -> None:
        self._chunk = int(information.chunk_size)
        if not _SECTOR_SIZES[0] <= self._chunk or information.header.BitmapOffsets is None:
            message = "chunks of no size"
            raise ValueError(message)
        if len(information.header.BitmapOffsets) > _MAX_EOW_BITMAPS:
            message = "more bitmaps than a volume has"
            raise ValueError(message)
        self._bitmaps = sorted((one.region_offset, one.region_size, bytes(one.active_record.bitmap)) for one in information.bitmaps)

    def state(self, offset: int) -> tuple[bool, int]:
        """Whether the chunk at that byte is encrypted, and where the chunk ends."""
        for start, size, bits in self._bitmaps:
            if start <= offset < start + size:
                index = (offset - start) // self._chunk
                if index // 8 < len(bits):
                    return bool(bits[index // 8] >> index % 8 & 1), start + (index + 1) * self._chunk
        message = f"byte {offset} of the volume: the bitmaps of what is encrypted do not cover it"
        raise ImageReadError(message)


def recovery_key(text: str) -> str | None:
    """The recovery key in the form that Windows prints, however its eight groups are parted; None if it is none."""
    found = _RECOVERY_KEY.fullmatch(text.strip())
    return "-".join(found.groups()) if found else None


def _regions(bde: Any, size: int) -> tuple[_Region, ...]:
    """What of the volume is shown from elsewhere, or as zeros because BitLocker's own metadata lies there; in order, disjoint."""
    sector = bde.sector_size
    found = []
    position = 0
    if bde.version != _VISTA:
        position = min(size, bde.information.virtualized_sectors * sector)
        if position:
            found.append(_Region(0, position, bde.information.virtualized_block_offset))
    for first, count in sorted(bde.reserved_regions()):
        start, end = max(position, first * sector), min(size, (first + count) * sector)
        if start < end:
            found.append(_Region(start, end, None))
            position = end
    return tuple(found)
