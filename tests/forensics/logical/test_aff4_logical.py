"""AFF4-L: the public volume beside its published digest; volumes built here after the AFF4 Standard 1.0."""

from __future__ import annotations

import hashlib
import io
import struct
import zipfile
import zlib
from typing import TYPE_CHECKING

import pytest
from listed import listed, survives

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

PREFIXES = "@prefix aff4: <http://aff4.org/Schema#> .\n"
TEXT = b"Logical evidence lies in the ZIP, or in chunks. " * 200
CHUNK = 4096


def zipped(members: Mapping[str, bytes], *, method: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        archive.comment = b"aff4://volume"
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name), data, compress_type=method)
    return buffer.getvalue()


def test_members_whose_names_lead_out_of_the_volume_open_no_file(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_bytes(b"not evidence")
    inside = tmp_path / "in"
    inside.mkdir()
    facts = "".join(
        f"<aff4://volume/{name}> a aff4:FileImage , aff4:zip_segment ; aff4:size 5 ; aff4:originalFileName {name!r} .\n".replace("'", '"')
        for name in ("../outside", "/etc/hostname", "kept")
    )
    path = inside / "l.aff4"
    path.write_bytes(zipped({"../outside": b"five!", "kept": b"fine.", "information.turtle": (PREFIXES + facts).encode()}))
    found = listed(path)
    assert found.contents["../outside"] == b"five!"
    assert found.contents["kept"] == b"fine."
    assert "has no member" in found.contents["etc/hostname"]


def test_a_file_of_logical_evidence_may_lie_in_chunks_or_in_the_zip(tmp_path: Path) -> None:
    digest = hashlib.sha1(TEXT).hexdigest()
    facts = (
        f'<aff4://volume/a/chunks> a aff4:FileImage ; aff4:dataStream <aff4://stream> ; aff4:hash "{digest}"^^aff4:SHA1 ; '
        f'aff4:originalFileName "a/chunks" ; aff4:size {len(TEXT)} .\n'
        '<aff4://volume/a> a aff4:FolderImage ; aff4:originalFileName "a" .\n'
        f'<aff4://volume/b> a aff4:FileImage , aff4:zip_segment ; aff4:originalFileName "b" ; aff4:hash "{"0" * 32}"^^aff4:MD5 .\n'
    )
    facts += (
        f"<aff4://stream> a aff4:ImageStream ; aff4:chunkSize {CHUNK} ; aff4:chunksInSegment 8 ; aff4:size {len(TEXT)} ; "
        "aff4:compressionMethod <https://www.ietf.org/rfc/rfc1950.txt> ."
    )
    chunks = [zlib.compress(TEXT[start : start + CHUNK]) for start in range(0, len(TEXT), CHUNK)]
    index = b"".join(struct.pack("<QI", sum(map(len, chunks[:at])), len(one)) for at, one in enumerate(chunks))
    members = {
        "aff4%3A%2F%2Fstream/00000000.index": index,
        "b": TEXT,
        "information.turtle": (PREFIXES + facts).encode(),
        "container.description": b"aff4://volume",
    }
    path = tmp_path / "l.aff4"
    path.write_bytes(zipped(members, method=zipfile.ZIP_DEFLATED))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("aff4%3A%2F%2Fstream/00000000", b"".join(chunks))
    found = listed(path)
    assert found.filesystem == "aff4-l"
    assert [one.path for one in found.entries] == [b"a", b"a/chunks", b"b"]
    assert found.contents == {"a/chunks": TEXT, "b": TEXT}
    assert found.codes == ["stated-digest-mismatch"]


@pytest.mark.corpus
def test_the_public_logical_volume_has_the_published_digest(corpus_image: Callable[[str], Path]) -> None:
    found = listed(corpus_image("aff4-l-dream"))
    assert (found.filesystem, found.problems) == ("aff4-l", [])
    content = found.contents["test_images/AFF4-L/dream.txt"]
    assert (len(content), hashlib.md5(content).hexdigest()) == (8688, "75d83773f8d431a3ca91bfb8859e486d")


def test_damaged_logical_volumes_give_errors_of_ours_only(tmp_path: Path) -> None:
    facts = f'<aff4://volume/b> a aff4:FileImage , aff4:zip_segment ; aff4:originalFileName "b" ; aff4:size {len(TEXT)} .\n'
    survives(tmp_path, "l.aff4", zipped({"b": TEXT, "information.turtle": (PREFIXES + facts).encode()}), times=60)
