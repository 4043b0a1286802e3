"""Virtual disks built byte by byte after their formats' documents, for tests: small, with blocks stored in any order and holes."""

from __future__ import annotations

import random
import struct
import zlib
from typing import TYPE_CHECKING
from uuid import UUID

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

SECTOR = 512
CLUSTER = 512
VDI_BLOCK = 4096
VHD_BLOCK = 4096


def some_bytes(length: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(length)


def qcow2(
    media: bytes,
    *,
    backing: bytes = b"",
    crypt: int = 0,
    features: int = 0,
    snapshots: int = 0,
    version: int = 3,
    compressed: tuple[int, ...] = (),
    backing_format: bytes = b"",
    data_file: bytes = b"",
) -> bytes:
    """A QCOW2 image (QEMU docs/interop/qcow2.rst) with clusters of 512 bytes, stored last first; an all-zero one is not stored."""
    count = -(-len(media) // CLUSTER)
    assert count <= CLUSTER // 8
    l1, l2 = 2 * CLUSTER, 3 * CLUSTER
    body, entries = bytearray(), [0] * (CLUSTER // 8)
    for index in reversed(range(count)):
        cluster = media[index * CLUSTER : (index + 1) * CLUSTER].ljust(CLUSTER, b"\0")
        if not any(cluster):
            continue
        at = 4 * CLUSTER + len(body)
        if index in compressed:
            packer = zlib.compressobj(9, zlib.DEFLATED, -12)
            packed = packer.compress(cluster) + packer.flush()
            # Compressed Clusters Descriptor: with clusters of 512 bytes, bits 61 and up count further sectors.
            entries[index] = 1 << 62 | (len(packed) - 1) // 512 << 61 | at
            body += packed.ljust(2 * CLUSTER, b"\0")
        else:
            entries[index] = 1 << 63 | at
            body += cluster
    named = ((0xE2792ACA, backing_format), (0x44415441, data_file))
    extensions = b"".join(struct.pack(">II", kind, len(text)) + text.ljust(-(-len(text) // 8) * 8, b"\0") for kind, text in named if text)
    name_at = 104 + len(extensions) + 8 if backing else 0
    header = struct.pack(">4sIQIIQIIQQIIQ", b"QFI\xfb", version, name_at, len(backing), 9, len(media), crypt, 1, l1, 0, 0, snapshots, 0)
    header += struct.pack(">QQQII", features, 0, 0, 4, 104) + extensions + bytes(8) + backing
    head = header.ljust(l1, b"\0") + struct.pack(">Q", 1 << 63 | l2).ljust(CLUSTER, b"\0")
    return head + struct.pack(f">{len(entries)}Q", *entries) + bytes(body)


def vdi(
    media: bytes,
    *,
    kind: int = 1,
    own: tuple[bytes, bytes] = (bytes(16), bytes(16)),
    parent: tuple[bytes, bytes] = (bytes(16), bytes(16)),
    zeroed: Collection[int] = (),
) -> bytes:
    """A VDI (VirtualBox VDICore.h) with blocks of 4 KiB, stored last first; an all-zero one is not stored.

    `own` and `parent` are the identifiers of creation and of the last modification; `zeroed` are blocks stated to be zeros.
    """
    count = -(-len(media) // VDI_BLOCK)
    blocks = [media[at : at + VDI_BLOCK].ljust(VDI_BLOCK, b"\0") for at in range(0, len(media), VDI_BLOCK)]
    stored = [index for index in reversed(range(count)) if any(blocks[index])]
    places = [-2 if index in zeroed else stored.index(index) if index in stored else -1 for index in range(count)]
    header = b"<<< Evidex test >>>".ljust(64, b"\0") + struct.pack("<III", 0xBEDA107F, 0x00010001, 400)
    header += struct.pack("<II256xII12xI4x", kind, 0, 512, 4096, SECTOR)
    header += struct.pack("<QIIII", len(media), VDI_BLOCK, 0, count, len(stored))
    header += b"".join(own) + b"".join(parent)
    head = (header.ljust(512, b"\0") + struct.pack(f"<{count}i", *places)).ljust(4096, b"\0")
    return head + b"".join(blocks[index] for index in stored)


def vhd_footer(size: int, kind: int, data_offset: int, identifier: bytes = bytes(16)) -> bytes:
    fields = struct.pack(">8sIIQIIIIQQII", b"conectix", 2, 0x10000, data_offset, 0, 0, 0, 0, size, size, 0, kind)
    return (fields + struct.pack(">I", ~(sum(fields) + sum(identifier)) & 0xFFFFFFFF) + identifier).ljust(512, b"\0")


def vhd_dynamic(
    media: bytes,
    *,
    identifier: bytes = bytes(16),
    parent: tuple[bytes, str] | None = None,
    own: Collection[int] = (),
    locators: Mapping[bytes, str] | None = None,
) -> bytes:
    """A dynamic VHD (format specification 1.0) with blocks of 4 KiB, stored last first; an all-zero one is not stored.

    With a `parent` (identifier and name) it is a differencing one: `own` are its sectors, and a block without one is not stored.
    """
    count, sectors = -(-len(media) // VHD_BLOCK), VHD_BLOCK // SECTOR
    footer = vhd_footer(len(media), 4 if parent else 3, 512, identifier)
    texts = {code: text.encode("utf-16-le") for code, text in (locators or {}).items()}
    table_at = 1536 + 512 * len(texts)
    entries, body, body_at = [0xFFFFFFFF] * count, bytearray(), table_at + 512 * -(-count * 4 // 512)
    header = struct.pack(">8sQQIII", b"cxsparse", 2**64 - 1, table_at, 0x10000, count, VHD_BLOCK)
    pointers = b"".join(
        struct.pack(">4sIIIQ", code, 512, len(text), 0, 1536 + 512 * number) for number, (code, text) in enumerate(texts.items())
    )
    header += b"\0" * 4 + (parent[0] if parent else bytes(16)) + bytes(8)
    header += (parent[1] if parent else "").encode("utf-16-be").ljust(512, b"\0") + pointers
    header = header[:36] + struct.pack(">I", ~sum(header) & 0xFFFFFFFF) + header[40:]
    for index in reversed(range(count)):
        block = media[index * VHD_BLOCK : (index + 1) * VHD_BLOCK].ljust(VHD_BLOCK, b"\0")
        bits = sum(1 << 7 - number for number in range(sectors) if not parent or index * sectors + number in own)
        if bits if parent else any(block):
            entries[index] = (body_at + len(body)) // 512
            body += bytes([bits]).ljust(512, b"\0") + block
    stored = b"".join(text.ljust(512, b"\0") for text in texts.values())
    table = struct.pack(f">{count}I", *entries).ljust(body_at - table_at, b"\xff")
    return footer + header.ljust(1024, b"\0") + stored + table + bytes(body) + footer


MIB = 1 << 20
FIRST_STATE = UUID(int=1)
CHUNK_BLOCKS = 4096  # [MS-VHDX] 2.5: 2^23 sectors of 512 bytes in blocks of 1 MiB


def crc32c(data: bytes) -> int:
    """CRC-32C, Castagnoli; RFC 3720, B.4 gives 0x8a9136aa for 32 zeros."""
    value = 0xFFFFFFFF
    for byte in data:
        value = _CRC32C[(value ^ byte) & 0xFF] ^ value >> 8
    return value ^ 0xFFFFFFFF


def _crc32c_entry(value: int) -> int:
    for _ in range(8):
        value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
    return value


_CRC32C = [_crc32c_entry(value) for value in range(256)]


def vhdx(
    media: bytes,
    *,
    data_write: UUID = FIRST_STATE,
    locator: Mapping[str, str] | None = None,
    own: Collection[int] | None = None,
    states: Mapping[int, int] | None = None,
) -> bytes:
    """A VHDX ([MS-VHDX]) with blocks of 1 MiB, stored last first.

    With a `locator` it is a differencing one: `own` are its sectors (None for all), and a block without one is not stored. `states`
    overrides the state of a block.
    """
    count, sectors = -(-len(media) // MIB), MIB // SECTOR
    blocks = {index: media[index * MIB : (index + 1) * MIB].ljust(MIB, b"\0") for index in reversed(range(count))}
    bits = bytearray(MIB)
    for sector in range(count * sectors) if own is None else own:
        bits[sector // 8] |= 1 << sector % 8
    has = {index: bits[index * sectors // 8 : (index + 1) * sectors // 8].count(b"\xff") * 8 for index in blocks}
    any_own = {index: any(bits[index * sectors // 8 : (index + 1) * sectors // 8]) for index in blocks}
    table, body = [0] * (CHUNK_BLOCKS + 1), bytearray()
    for index, block in blocks.items():
        if any_own[index] if locator else any(block):
            table[index] = (4 + len(body) // MIB) << 20 | (6 if has[index] == sectors else 7)
            body += block
    for index, state in (states or {}).items():
        table[index] = table[index] & ~7 | state
    if locator:
        table[CHUNK_BLOCKS] = (4 + len(body) // MIB) << 20 | 6
        body += bits
    file = bytearray(4 * MIB)
    file[0:8] = b"vhdxfile"
    for at, sequence in ((64 << 10, 1), (128 << 10, 2)):
        fields = struct.pack(
            "<4sIQ16s16s16sHHIQ", b"head", 0, sequence, UUID(int=9).bytes_le, data_write.bytes_le, bytes(16), 0, 1, MIB, MIB
        )
        file[at : at + 4096] = _summed(fields.ljust(4096, b"\0"))
    regions = struct.pack("<4sIII", b"regi", 0, 2, 0)
    regions += struct.pack("<16sQII", UUID("2DC27766-F623-4200-9D64-115E9BFD4A08").bytes_le, 3 * MIB, MIB, 1)
    regions += struct.pack("<16sQII", UUID("8B7CA206-4790-4B9A-B8FE-575F050F886E").bytes_le, 2 * MIB, MIB, 1)
    for at in (192 << 10, 256 << 10):
        file[at : at + (64 << 10)] = _summed(regions.ljust(64 << 10, b"\0"))
    file[2 * MIB : 3 * MIB] = _vhdx_metadata(len(media), locator).ljust(MIB, b"\0")
    file[3 * MIB : 4 * MIB] = struct.pack(f"<{len(table)}Q", *table).ljust(MIB, b"\0")
    return bytes(file + body)


def _summed(data: bytes) -> bytes:
    return data[:4] + struct.pack("<I", crc32c(data)) + data[8:]


def _vhdx_metadata(size: int, locator: Mapping[str, str] | None) -> bytes:
    items = [
        ("CAA16737-FA36-4D43-B3B6-33F0AA44E76B", struct.pack("<II", MIB, 2 if locator else 0), 4),
        ("2FA54224-CD1B-4876-B211-5DBED83BF4B8", struct.pack("<Q", size), 6),
        ("BECA12AB-B2E6-4523-93EF-C309E000C746", UUID(int=7).bytes_le, 6),
        ("8141BF1D-A96F-4709-BA47-F233A8FAAB5F", struct.pack("<I", SECTOR), 6),
        ("CDA348C7-445D-4471-9CC9-E9885251C556", struct.pack("<I", 4096), 6),
    ]
    if locator:
        entries, texts = b"", b""
        text_at = 20 + 12 * len(locator)
        for key, value in locator.items():
            raw = key.encode("utf-16-le"), value.encode("utf-16-le")
            at = text_at + len(texts)
            entries += struct.pack("<IIHH", at, at + len(raw[0]), len(raw[0]), len(raw[1]))
            texts += b"".join(raw)
        kind = UUID("B04AEFB7-D19E-4A81-B789-25B8E9445913").bytes_le
        items.append(("A8D35F2D-B30B-454D-ABF7-D3D84834AB0C", kind + struct.pack("<HH", 0, len(locator)) + entries + texts, 4))
    table, data = struct.pack("<8sHH20x", b"metadata", 0, len(items)), b""
    for identifier, raw, flags in items:
        table += struct.pack("<16sIIII", UUID(identifier).bytes_le, (64 << 10) + len(data), len(raw), flags, 0)
        data += raw
    return table.ljust(64 << 10, b"\0") + data


def descriptor(*extents: str, parent: str = "ffffffff", hint: str = "", content: str = "12345678", lines: tuple[str, ...] = ()) -> bytes:
    """A VMDK descriptor (VMware Virtual Disk Format 1.1)."""
    stated = ["# Disk DescriptorFile", "version=1", f"CID={content}", f"parentCID={parent}", 'createType="monolithicFlat"']
    stated += [f'parentFileNameHint="{hint}"'] * bool(hint)
    return "\n".join([*stated, "# Extent description", *extents, "ddb.virtualHWVersion = 4", *lines, ""]).encode()


GRAIN = 4096


def cowd(grains: Mapping[int, bytes], count: int) -> bytes:
    """An ESX Server sparse extent (VMware Virtual Disk Format 1.1) of that many grains of 4 KiB, of which some are stored."""
    table, body = [0] * 4096, b""
    for index, grain in grains.items():
        table[index] = 5 + 32 + len(body) // SECTOR
        body += grain
    header = struct.pack("<4sIIIIIII", b"COWD", 1, 3, count * GRAIN // SECTOR, GRAIN // SECTOR, 4, 1, 0).ljust(4 * SECTOR, b"\0")
    return header + struct.pack("<I", 5).ljust(SECTOR, b"\0") + struct.pack("<4096I", *table) + body


UNMAPPED, ZEROED = 1, 2


def sesparse(grains: Mapping[int, bytes | int], count: int, *, replay: int = 0) -> bytes:
    """An SESparse extent (QEMU block/vmdk.c) of that many grains of 4 KiB; a number instead of a grain is its type."""
    table, body = [0] * 4096, b""
    for index, grain in grains.items():
        if isinstance(grain, int):
            table[index] = grain << 60
            continue
        number = len(body) // GRAIN
        table[index] = 3 << 60 | (number & 0xFFF) << 48 | number >> 12
        body += grain
    # Constant header, volatile header, journals, directory, tables, bitmap, backmap, grains: places and sizes in sectors.
    places = (1, 1, 2, 1, 3, 1, 4, 1, 5, 64, 69, 1, 70, 1, 71, max(1, len(body) // SECTOR))
    constant = struct.pack("<26Q", 0xCAFEBABE, 0x200000001, count * 8, 8, 64, 0, 0, 0, 0, 0, *places)
    volatile = struct.pack("<4Q", 0xCAFECAFE, 0, 0, replay)
    head = constant.ljust(SECTOR, b"\0") + volatile.ljust(3 * SECTOR, b"\0") + struct.pack("<Q", 1 << 60).ljust(SECTOR, b"\0")
    return head + struct.pack("<4096Q", *table) + bytes(2 * SECTOR) + body


def hds(blocks: Mapping[int, bytes], count: int, *, older: bool = False, in_use: int = 0) -> bytes:
    """A file of Parallels' blocks (QEMU docs/interop/parallels.rst) of 4 KiB each, of which some are stored."""
    sectors, first = 8, 4096
    table, body = [0] * count, b""
    for index, block in blocks.items():
        table[index] = (first + len(body)) // (SECTOR if older else 4096)
        body += block
    magic = b"WithoutFreeSpace" if older else b"WithouFreSpacExt"
    # In the older format the upper half of the size is not used, so it may hold anything.
    size = count * sectors | (0xABCD << 32 if older else 0)
    header = struct.pack("<16sIIIIIQIIIQ", magic, 2, 16, 1, sectors, count, size, in_use, first // SECTOR, 0, 0)
    return (header + struct.pack(f"<{count}I", *table)).ljust(first, b"\0") + body


TOP, ROOT = "{5fbaabe3-6958-40ff-92a7-860e329aab41}", "{11111111-2222-3333-4444-555555555555}"


def parallels_xml(*storages: str, shots: Mapping[str, str] | None = None, extra: str = "", before: str = "") -> bytes:
    """A DiskDescriptor.xml (QEMU docs/interop/prl-xml.rst)."""
    told = "".join(f"<Shot><GUID>{one}</GUID><ParentGUID>{of}</ParentGUID></Shot>" for one, of in (shots or {TOP: NOTHING}).items())
    return (
        f"<?xml version='1.0' encoding='UTF-8'?>{before}<Parallels_disk_image Version='1.0'><Disk_Parameters>{extra}</Disk_Parameters>"
        f"<StorageData>{''.join(storages)}</StorageData><Snapshots>{told}</Snapshots></Parallels_disk_image>"
    ).encode()


NOTHING = "{00000000-0000-0000-0000-000000000000}"


def parallels_storage(start: int, end: int, *images: tuple[str, str, str]) -> str:
    """A storage from sector to sector; images as GUID, type and file name."""
    told = "".join(f"<Image><GUID>{one}</GUID><Type>{kind}</Type><File>{name}</File></Image>" for one, kind, name in images)
    return f"<Storage><Start>{start}</Start><End>{end}</End><Blocksize>8</Blocksize>{told}</Storage>"


ASIF_CHUNK, ASIF_GROUP = 64 * 1024, 4 * SECTOR  # smaller than Apple's chunks of 1 MiB; then three groups fit into a table


def asif(chunks: Mapping[int, bytes | tuple[bytes, bytes]], sectors: int, *, sequences: tuple[int, int] = (1, 2)) -> bytes:
    """An ASIF image (huven/asif-format) with one table; a chunk is its bytes, or its bytes and a state for each of its sectors.

    Of the two directories only that of the higher sequence number leads to the table. Partly written chunks lie in the first group.
    """
    entries, body, bitmap = [0] * (3 * (ASIF_GROUP + 1)), bytearray(), bytearray(ASIF_CHUNK)
    entries[ASIF_GROUP] = 2  # the bitmap's chunk
    for index, chunk in chunks.items():
        data, states = (chunk, b"") if isinstance(chunk, bytes) else chunk
        entries[index + index // ASIF_GROUP] = (0b11 if states else 0b01) << 62 | 3 + len(body) // ASIF_CHUNK
        for number, state in enumerate(states):
            at = index * (ASIF_CHUNK // SECTOR) + number
            bitmap[at // 4] |= state << at % 4 * 2
        body += data
    head = struct.pack(">4sIIIQQ16sQQIHHQ", b"shdw", 1, 512, 0, 512, 1024, bytes(16), sectors, 1 << 30, ASIF_CHUNK, SECTOR, 0, 0)
    head = head.ljust(512, b"\0")
    for sequence in sequences:
        head += struct.pack(">QQ", sequence, 1 if sequence == max(sequences) else 77).ljust(512, b"\0")
    table = struct.pack(f">{len(entries)}Q", *entries)
    return head.ljust(ASIF_CHUNK, b"\0") + table.ljust(ASIF_CHUNK, b"\0") + bytes(bitmap) + bytes(body)


def laid(folder: Path, name: str, data: bytes) -> Path:
    (folder / name).write_bytes(data)
    return folder / name


def holed(length: int) -> bytes:
    """Bytes with an all-zero part, so that some blocks are stored and some are not."""
    data = bytearray(some_bytes(length))
    data[length // 3 : length // 3 + 10000] = bytes(len(data[length // 3 : length // 3 + 10000]))
    return bytes(data[:length])
