"""APFS containers of the public corpus, damaged on purpose, and with wrong credentials. What they list is in test_corpus_truth.py."""

from __future__ import annotations

import hashlib
import json
import random
import struct
from typing import TYPE_CHECKING

import pytest
from laid_tree import EVERYTHING, Changed, FileBytes

import forensics.filesystems.dissect_fs as beyond_tsk
from forensics.content import iter_blocks
from forensics.credentials import Credential, CredentialKind
from forensics.errors import FilesystemError, Problem, StreamReadError
from forensics.filesystems.base import Content
from forensics.signatures import HEAD_BYTES
from forensics.source import SourceSlice

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from forensics.filesystems.base import Entry
    from forensics.source import ByteSource

pytestmark = pytest.mark.corpus
_BLOCK = 4096
_Listed = tuple[dict[bytes, "Entry"], dict[bytes, str], list[Problem]]


def _container(path: Path) -> SourceSlice:
    """The container in the image: its superblock's magic stands at byte 32 of it."""
    data = FileBytes(path)
    start = next(place for place in range(0, data.size, 512) if data.read_at(place + 32, 4) == b"NXSB")
    return SourceSlice(data, start, data.size - start)


def _listed(source: ByteSource, credentials: tuple[Credential, ...] = ()) -> _Listed:
    """Entries, digests of what can be read, and problems, of the container's first volume."""
    found = beyond_tsk.find_filesystems(source, source.read_at(0, HEAD_BYTES), volume="v01", credentials=credentials)
    reader = beyond_tsk.open_reader(source, found[0], volume="v01", credentials=credentials)
    entries: dict[bytes, Entry] = {}
    digests: dict[bytes, str] = {}
    problems: list[Problem] = []
    for one in reader.iter_entries(EVERYTHING):
        if isinstance(one, Problem):
            problems.append(one)
        elif not one.stream:
            entries[one.path] = one
            if one.content is Content.READ and one.address is not None:
                try:
                    digests[one.path] = hashlib.sha256(b"".join(iter_blocks(reader.open_stream(one.address)))).hexdigest()
                except StreamReadError:
                    continue
    return entries, digests, problems


@pytest.fixture(scope="module")
def plain(corpus_image: Callable[[str], Path]) -> SourceSlice:
    return _container(corpus_image("apfs-dfvfs"))


@pytest.fixture(scope="module")
def encrypted(corpus_image: Callable[[str], Path]) -> SourceSlice:
    return _container(corpus_image("dissect-apfs-encrypted"))


def _password(corpus: Path) -> str:
    images = json.loads((corpus / "open" / "MANIFEST.json").read_text())["images"]
    (password,) = [image["password"] for image in images if image["id"] == "dissect-apfs-encrypted"]
    return str(password)


def test_damage_to_metadata_costs_a_node_and_gives_no_other_content(plain: SourceSlice) -> None:
    """Each node has a checksum, which this reader verifies; contents have none, so only blocks of objects are struck."""
    entries, digests, problems = _listed(plain)
    assert digests
    assert problems == []
    objects = [
        place for place in range(0, plain.size, _BLOCK) if struct.unpack_from("<Q", plain.read_at(place + 16, 8))[0] in range(1, 1000)
    ]
    data_of = set(digests.values())
    chance = random.Random(14)
    outcomes = set()
    for _ in range(60):
        place = chance.choice(objects) + chance.randrange(_BLOCK)
        try:
            changed_entries, changed, _ = _listed(Changed(plain, {place: bytes([plain.read_at(place, 1)[0] ^ 0x5A])}))
        except FilesystemError:
            outcomes.add("refused")
            continue
        outcomes.add("listed")
        assert set(changed.values()) <= data_of
        assert {path for path in changed_entries if not path.startswith(b"$OrphanFiles")} <= entries.keys()
    assert "listed" in outcomes


def test_a_container_that_is_cut_off_is_refused_or_listed_with_problems(plain: SourceSlice) -> None:
    whole = _listed(plain)
    chance = random.Random(15)
    for size in (0, 100, _BLOCK, *(chance.randrange(plain.size) for _ in range(25))):
        source = Changed(plain, {}, size=size)
        if source.read_at(32, 4) != b"NXSB":
            continue
        try:
            entries, digests, problems = _listed(source)
        except FilesystemError:
            continue
        assert problems or (len(entries), digests.keys() <= whole[1].keys()) == (len(whole[0]), True)


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        (36, struct.pack("<I", 0), "blocks of 0 bytes"),
        (36, struct.pack("<I", 4097), "blocks of 4097 bytes"),
        (36, struct.pack("<I", 1 << 31), "blocks of 2147483648 bytes"),
        (104, struct.pack("<I", 0xFFFFFFFF), "checkpoints"),
    ],
)
def test_a_superblock_that_cannot_be_is_an_error_that_says_so(plain: SourceSlice, place: int, value: bytes, said: str) -> None:
    with pytest.raises(FilesystemError, match=said):
        _listed(Changed(plain, {place: value}))


def test_a_locked_volume_says_so_and_its_passphrase_opens_it(encrypted: SourceSlice, corpus: Path) -> None:
    head = encrypted.read_at(0, HEAD_BYTES)
    (locked, *_) = beyond_tsk.find_filesystems(encrypted, head, volume="v01", credentials=())
    assert locked.encrypted
    assert "no passphrase or recovery key for it was given" in locked.reason
    wrong = (Credential(kind=CredentialKind.PASSPHRASE, value=b"a wrong one"),)
    (refused, *_) = beyond_tsk.find_filesystems(encrypted, head, volume="v01", credentials=wrong)
    assert refused.encrypted
    assert "none of the 1 credentials for it opens it" in refused.reason
    assert "a wrong one" not in refused.reason
    right = Credential(kind=CredentialKind.PASSPHRASE, value=_password(corpus).encode())
    (opened, *_) = beyond_tsk.find_filesystems(encrypted, head, volume="v01", credentials=(*wrong, right))
    assert (opened.encrypted, opened.reason, opened.unlocked_with) == (False, "", "passphrase")
    entries, digests, problems = _listed(encrypted, (*wrong, right))
    assert len(entries) >= 40
    assert len(digests) >= 10
    assert problems == []
