"""Shadow copies of a public image, beside what libvshadow's own tools and TSK make of them; and volumes whose catalogue is damaged."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import pytest
import pytsk3
from layer_members import Bytes, members, opened, recognised

from forensics.errors import ImageReadError
from forensics.image import open_image
from forensics.layers.shadow_copies import ShadowCopies
from forensics.sleuthkit import open_media

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_IMAGE = "qcow2-vss-plaso"


@pytest.mark.corpus
def test_files_in_shadow_copies_are_those_of_the_reference(corpus: Path, corpus_image: Callable[[str], Path]) -> None:
    rows = [json.loads(line) for line in (corpus / "open" / "truth" / f"{_IMAGE}.jsonl").read_text().splitlines()]
    with open_image(corpus_image(_IMAGE)) as image:
        found = recognised(ShadowCopies(), members(image))
        unfolded = ShadowCopies().unfold(found, ())
        assert [one.name for one in unfolded.derived] == ["shadow copy 1", "shadow copy 2"]
        assert all(one.size == image.size for one in unfolded.derived)
        assert [one.created for one in unfolded.derived] == [1386052509736378700, 1386052668919058300]
        compared = 0
        for number, derived in enumerate(unfolded.derived, start=1):
            filesystem = pytsk3.FS_Info(open_media(opened(ShadowCopies(), derived, found)))
            for row in rows:
                if row.get("volume") == f"vss{number}" and row.get("sha256"):
                    assert hashlib.sha256(_content(filesystem, row["path"])).hexdigest() == row["sha256"], row["path"]
                    compared += 1
        assert compared == sum(bool(row.get("volume") and row.get("sha256")) for row in rows)


@pytest.mark.corpus
def test_a_damaged_catalogue_is_a_problem(corpus_image: Callable[[str], Path]) -> None:
    with open_image(corpus_image(_IMAGE)) as image:
        head = image.read_at(0, 1 << 16)
        catalogue = int.from_bytes(head[0x1E30:0x1E38], "little")
        cut = Bytes(head)
        wiped = _Patched(image, catalogue, bytes(16))
        unreadable = _Patched(image, catalogue, None)
        for source in (cut, wiped, unreadable):
            found = recognised(ShadowCopies(), members(source))
            unfolded = ShadowCopies().unfold(found, ())
            assert found
            assert unfolded.derived == ()
            assert [(one.code, one.volume) for one in unfolded.problems] == [("shadow-copy-unreadable", "v01")]


@pytest.mark.corpus
def test_what_is_damaged_below_a_shadow_copy_is_an_error(corpus_image: Callable[[str], Path]) -> None:
    with open_image(corpus_image(_IMAGE)) as image:
        whole = members(image)
        derived = ShadowCopies().unfold(whole, ()).derived[0]
        with pytest.raises(ImageReadError, match="shadow copy 1 cannot be read: damaged"):
            opened(ShadowCopies(), derived, members(_Patched(image, image.size // 2, None))).read_at(image.size // 2, 512)


def test_a_volume_without_a_catalogue_has_no_shadow_copies() -> None:
    """Windows leaves the header in place, and zeroes where it points, when the last shadow copy is deleted."""
    identifier = bytes.fromhex("6b87083876c1484eb7ae04046e6cc752")
    empty = bytes(0x1E00) + identifier + (1).to_bytes(4, "little") * 2 + bytes(200)
    assert recognised(ShadowCopies(), members(Bytes(empty), Bytes(bytes(0x2000)), Bytes(b""))) == []


class _Patched:
    """An image with other bytes at one place, or none that can be read there."""

    def __init__(self, image: object, at: int, new: bytes | None) -> None:
        self._image, self._at, self._new = image, at, new
        self.size: int = image.size  # type: ignore[attr-defined]

    def read_at(self, offset: int, length: int) -> bytes:
        data = bytearray(self._image.read_at(offset, length))  # type: ignore[attr-defined]
        size = 16 if self._new is None else len(self._new)
        if offset < self._at + size and self._at < offset + length:
            if self._new is None:
                message = "damaged"
                raise ImageReadError(message)
            for index, value in enumerate(self._new):
                if offset <= self._at + index < offset + len(data):
                    data[self._at + index - offset] = value
        return bytes(data)


def _content(filesystem: pytsk3.FS_Info, path: str) -> bytes:
    """The content of a file, or of its named stream where TSK writes `path:name`."""
    name, _, stream = path.partition(":")
    file = filesystem.open(name)
    for attribute in file:
        if attribute.info.type in (pytsk3.TSK_FS_ATTR_TYPE_NTFS_IDXROOT, pytsk3.TSK_FS_ATTR_TYPE_NTFS_DATA) or stream:
            own = (attribute.info.name or b"").decode()
            if own in (stream, stream or "$Data") and attribute.info.size:
                return bytes(file.read_random(0, attribute.info.size, attribute.info.type, attribute.info.id))
    return b""
