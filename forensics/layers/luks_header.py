"""The header of a LUKS volume -> what it states of key slots, digests and segments; checked for sense before anything is derived from it.

References:
    LUKS1 On-Disk Format Specification 1.2.3, 2 (phdr, key slots).
    LUKS2 On-Disk Format Specification 1.1.3, 2 (binary header), 3 (JSON area), 4 (keyslots, digests, segments).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from forensics.errors import ImageReadError, VolumeError

if TYPE_CHECKING:
    from forensics.source import ByteSource

MAGIC = b"LUKS\xba\xbe"
SECOND_MAGIC = b"SKUL\xba\xbe"
# LUKS2 1.1.3, 2.1: the second header begins where the first ends, and these are the sizes that a header may have.
HEADER_SIZES = tuple(0x4000 << power for power in range(9))
_BINARY_BYTES = 4096
_SLOTS = 8
_SLOT_ACTIVE = 0x00AC71F3
_SECTOR_BYTES = 512
_MAX_KEY_BYTES = 512
_MAX_STRIPES = 16384  # LUKS has always 4000
_MAX_OBJECTS = 256  # LUKS2 knows 32 slots
_MAX_NUMBER = 2**63
_PHDR = struct.Struct(">6sH32s32s32sII20s32sI40s")
_SLOT = struct.Struct(">II32sII")
_HDR2 = struct.Struct(">6sHQQ48s32s64s40s48sQ184s64s")
_CHECKSUM_AT = _HDR2.size - 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Derivation:
    """How a passphrase becomes a key: "pbkdf2" with `hash` and `rounds`, or "argon2i", "argon2id" with `rounds`, `memory_kib`, `lanes`."""

    type: str
    salt: bytes
    hash: str
    rounds: int
    memory_kib: int = 0
    lanes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class KeySlot:
    """A key slot: the volume's key, split into stripes and encrypted with a key that a passphrase gives. Offsets and lengths in bytes."""

    number: int
    derivation: Derivation
    key_bytes: int
    area_start: int
    area_cipher: str
    area_key_bytes: int
    stripes: int
    split_hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyDigest:
    """How a key of the volume is known to be right, and which slots and segments it belongs to."""

    derivation: Derivation
    digest: bytes
    slots: frozenset[int]
    segments: frozenset[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A run of the volume's data: `size` bytes from `start`; None where it goes on to the end. `cipher` is "" where it is not encrypted."""

    number: int
    start: int
    size: int | None
    cipher: str
    sector_bytes: int
    first_iv: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LuksHeader:
    """A header.

    Attributes:
        version: 1 or 2.
        sequence: how often it was written; the higher of two is the newer.
        label: what its user calls the volume; "" if nothing.
        segments: the data in order; those kept for a re-encryption that was cut short are left out.
        unread: why the data cannot be read even with the key; "" if they can.
    """

    version: int
    sequence: int
    label: str
    slots: tuple[KeySlot, ...]
    digests: tuple[KeyDigest, ...]
    segments: tuple[Segment, ...]
    unread: str = ""


def read_headers(source: ByteSource) -> tuple[LuksHeader, str]:
    """The newest header that is whole, and what is wrong with its twin ("" if nothing, or if there is none).

    Raises:
        VolumeError: none is whole.
    """
    head = source.read_at(0, _BINARY_BYTES)
    if head[:6] == MAGIC and head[6:8] == b"\0\1":
        return _checked(lambda: _parse_first(head)), ""
    found: list[LuksHeader] = []
    faults: list[str] = []
    for start, magic in [(0, MAGIC), *((size, SECOND_MAGIC) for size in _second_places(head))]:
        name = "first" if start == 0 else "second"
        try:
            found.append(_checked(lambda start=start, magic=magic: _parse_second(source, start, magic)))
        except (VolumeError, ImageReadError) as error:
            faults.append(f"the {name} header {error}")
            continue
        if start:
            break
    if not found:
        message = "; ".join(faults[:2]) or "it has no header"
        raise VolumeError(message)
    expected = 2
    return max(found, key=lambda header: header.sequence), "" if len(found) == expected else faults[0]


def _second_places(head: bytes) -> tuple[int, ...]:
    size = int.from_bytes(head[8:16], "big")
    return (size,) if head[:6] == MAGIC and size in HEADER_SIZES else HEADER_SIZES


def _checked(parse: Any) -> LuksHeader:
    try:
        header: LuksHeader = parse()
    except (ValueError, TypeError, KeyError, LookupError, AttributeError, struct.error, RecursionError, binascii.Error) as error:
        message = f"is damaged ({type(error).__name__}: {str(error)[:100]})"
        raise VolumeError(message) from error
    return header


def _parse_first(head: bytes) -> LuksHeader:
    _, _, cipher, mode, hash_, payload, key_bytes, digest, salt, rounds, _ = _PHDR.unpack_from(head)
    spec, hash_name = f"{_text(cipher)}-{_text(mode)}", _text(hash_)
    slots = []
    for number in range(_SLOTS):
        active, slot_rounds, slot_salt, start, stripes = _SLOT.unpack_from(head, _PHDR.size + number * _SLOT.size)
        if active != _SLOT_ACTIVE:
            continue
        slots.append(
            KeySlot(
                number=number,
                derivation=Derivation(type="pbkdf2", salt=slot_salt, hash=hash_name, rounds=_within(slot_rounds, 1, 2**32)),
                key_bytes=_within(key_bytes, 1, _MAX_KEY_BYTES),
                area_start=start * _SECTOR_BYTES,
                area_cipher=spec,
                area_key_bytes=key_bytes,
                stripes=_within(stripes, 1, _MAX_STRIPES),
                split_hash=hash_name,
            )
        )
    derivation = Derivation(type="pbkdf2", salt=salt, hash=hash_name, rounds=_within(rounds, 1, 2**32))
    numbers = frozenset(one.number for one in slots)
    segment = Segment(number=0, start=payload * _SECTOR_BYTES, size=None, cipher=spec, sector_bytes=_SECTOR_BYTES, first_iv=0)
    return LuksHeader(
        version=1,
        sequence=0,
        label="",
        slots=tuple(slots),
        digests=(KeyDigest(derivation=derivation, digest=digest, slots=numbers, segments=frozenset({0})),),
        segments=(segment,),
    )


def _parse_second(source: ByteSource, start: int, magic: bytes) -> LuksHeader:
    binary = source.read_at(start, _BINARY_BYTES)
    found, version, size, sequence, label, algorithm, _, _, _, offset, _, checksum = _HDR2.unpack_from(binary)
    if found != magic or version != 2 or size not in HEADER_SIZES or offset != start:  # noqa: PLR2004 - the version
        message = "is not there"
        raise ValueError(message)
    whole = bytearray(source.read_at(start, size))
    whole[_CHECKSUM_AT : _CHECKSUM_AT + 64] = bytes(64)
    digest = hashlib.new(_text(algorithm), whole).digest()
    if len(whole) != size or checksum[: len(digest)] != digest:
        message = "its checksum does not fit"
        raise ValueError(message)
    stated = json.loads(bytes(whole[_BINARY_BYTES:]).split(b"\0", 1)[0])
    segments, unread = _segments(_objects(stated, "segments"))
    return LuksHeader(
        version=2,
        sequence=sequence,
        label=_text(label),
        slots=tuple(_slot(int(number), one) for number, one in _objects(stated, "keyslots") if one["type"] == "luks2"),
        digests=tuple(_digest(one) for _, one in _objects(stated, "digests")),
        segments=segments,
        unread=unread,
    )


def _objects(stated: Any, name: str) -> list[tuple[str, Any]]:
    objects = sorted(stated[name].items(), key=lambda item: int(item[0]))
    if len(objects) > _MAX_OBJECTS:
        message = f"it states {len(objects)} {name}"
        raise ValueError(message)
    return objects


def _slot(number: int, one: Any) -> KeySlot:
    kdf, area, split = one["kdf"], one["area"], one["af"]
    if area["type"] != "raw" or split["type"] != "luks1":
        message = f"slot {number} is of another kind"
        raise ValueError(message)
    derivation = Derivation(
        type=str(kdf["type"]),
        salt=base64.b64decode(kdf["salt"], validate=True),
        hash=str(kdf.get("hash", "")),
        rounds=_within(kdf["iterations"] if kdf["type"] == "pbkdf2" else kdf["time"], 1, 2**32),
        memory_kib=_within(kdf.get("memory", 0), 0, 2**32),
        lanes=_within(kdf.get("cpus", 0), 0, 2**32),
    )
    return KeySlot(
        number=number,
        derivation=derivation,
        key_bytes=_within(one["key_size"], 1, _MAX_KEY_BYTES),
        area_start=_within(int(area["offset"]), 0, _MAX_NUMBER),
        area_cipher=str(area["encryption"]),
        area_key_bytes=_within(area["key_size"], 1, _MAX_KEY_BYTES),
        stripes=_within(split["stripes"], 1, _MAX_STRIPES),
        split_hash=str(split["hash"]),
    )


def _digest(one: Any) -> KeyDigest:
    if one["type"] != "pbkdf2":
        message = "a digest is of another kind than pbkdf2"
        raise ValueError(message)
    salt = base64.b64decode(one["salt"], validate=True)
    return KeyDigest(
        derivation=Derivation(type="pbkdf2", salt=salt, hash=str(one["hash"]), rounds=_within(one["iterations"], 1, 2**32)),
        digest=base64.b64decode(one["digest"], validate=True),
        slots=frozenset(map(int, one["keyslots"])),
        segments=frozenset(map(int, one["segments"])),
    )


def _segments(stated: list[tuple[str, Any]]) -> tuple[tuple[Segment, ...], str]:
    """The segments that make the volume's data, and why they cannot be read ("" if they can)."""
    found, unread = [], ""
    for number, one in stated:
        flags = one.get("flags", [])
        if any(str(flag).startswith("backup-") for flag in flags):
            continue
        if "in-reencryption" in flags:
            unread = "it was being re-encrypted: in one part of it old and new sectors are mixed"
        if one.get("integrity"):
            unread = "its sectors carry integrity tags (dm-integrity), which are not read"
        if one["type"] not in ("crypt", "linear"):
            unread = f"it has a segment of the kind {str(one['type'])[:32]!a}"
            continue
        is_encrypted = one["type"] == "crypt"
        found.append(
            Segment(
                number=int(number),
                start=_within(int(one["offset"]), 0, _MAX_NUMBER),
                size=None if one["size"] == "dynamic" else _within(int(one["size"]), 1, _MAX_NUMBER),
                cipher=str(one["encryption"]) if is_encrypted else "",
                sector_bytes=_sector(one["sector_size"]) if is_encrypted else _SECTOR_BYTES,
                first_iv=_within(int(one["iv_tweak"]), 0, _MAX_NUMBER) if is_encrypted else 0,
            )
        )
    if not found and not unread:
        message = "it states no segment"
        raise ValueError(message)
    if any(one.size is None for one in found[:-1]):
        message = "a segment without an end is not the last"
        raise ValueError(message)
    return tuple(found), unread


def _sector(stated: int) -> int:
    if stated not in (512, 1024, 2048, 4096):
        message = f"sectors of {stated!r} bytes"
        raise ValueError(message)
    return stated


def _within(number: Any, low: int, high: int) -> int:
    if not isinstance(number, int) or not low <= number <= high:
        message = f"the number {str(number)[:32]} is out of bounds"
        raise ValueError(message)
    return number


def _text(raw: bytes) -> str:
    return raw.split(b"\0", 1)[0].decode("utf-8", "backslashreplace")
