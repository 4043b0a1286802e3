"""FileVault 2: the public image of cryptsetup's test suite, of which only what cryptsetup reads is left."""

from __future__ import annotations

import os
import shutil
import subprocess
import traceback
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, modes
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from layer_members import Bytes, FileBytes, members, opened, recognised

from forensics.credentials import Credential, CredentialKind
from forensics.errors import ImageReadError, VolumeError
from forensics.layers.corestorage import CoreStorage
from forensics.layers.filevault import read_filevault

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_PASSPHRASE = (Credential(kind=CredentialKind.PASSPHRASE, value=b"heslo123"),)
_KEPT_BYTES = 5 << 20  # as far as the metadata of the image go


@pytest.mark.corpus
@pytest.mark.skipif(shutil.which("cryptsetup") is None and not os.environ.get("CI"), reason="cryptsetup is not installed")
def test_the_plain_bytes_are_those_that_the_key_stated_by_cryptsetup_gives(corpus_image: Callable[[str], Path]) -> None:
    path = corpus_image("fvault2-small")
    command = ["cryptsetup", "--batch-mode", "fvault2Dump", "--dump-volume-key", str(path)]
    said = subprocess.run(command, input=b"heslo123", check=True, capture_output=True).stdout.decode()
    key = bytes.fromhex(said.partition("Volume key:")[2])
    start, size = (int(said.partition(word)[2].split()[0]) for word in ("volume offset:", "volume size:"))
    source = FileBytes(path)
    found = recognised(CoreStorage(), members(source))
    (derived,) = CoreStorage().unfold(found, _PASSPHRASE).derived
    assert (derived.size, derived.name, derived.unlocked_with) == (size, "Untitled", "passphrase")
    plain = opened(CoreStorage(), derived, found, _PASSPHRASE)
    for sector in (0, 2, 100, size // 512 - 1):
        decryptor = Cipher(AES(key), modes.XTS(sector.to_bytes(16, "little"))).decryptor()
        assert plain.read_at(sector * 512, 512) == decryptor.update(source.read_at(start + sector * 512, 512))
    assert plain.read_at(1024, 12) == b"H+\0\4\x80\0!\0HFSJ"  # the only sector of the filesystem that the image still has
    source.close()


@pytest.mark.corpus
def test_a_volume_that_stays_locked_says_so_without_a_secret(corpus_image: Callable[[str], Path]) -> None:
    source = FileBytes(corpus_image("fvault2-small"))
    found = members(source)
    (none,) = CoreStorage().unfold(found, ()).locked
    assert (none.code, none.encrypted) == ("volume-encrypted", True)
    wrong = (Credential(kind=CredentialKind.RECOVERY_KEY, value=b"giraffe"),)
    (locked,) = CoreStorage().unfold(found, wrong).locked
    assert locked.code == "credential-wrong"
    assert "giraffe" not in repr(locked)
    (derived,) = CoreStorage().unfold(found, _PASSPHRASE).derived
    with pytest.raises(VolumeError) as raised:
        opened(CoreStorage(), derived, found, wrong)
    assert "giraffe" not in "".join(traceback.format_exception(raised.value))
    source.close()


@pytest.mark.corpus
def test_a_passphrase_that_fits_is_not_called_wrong_where_the_key_behind_it_is_damaged(corpus_image: Callable[[str], Path]) -> None:
    """RFC 3394: unwrapping checks itself, so a passphrase whose own key unwraps is the right one."""
    source = FileBytes(corpus_image("fvault2-small"))
    volume = replace(read_filevault(source), wrapped_key=bytes(24))
    with pytest.raises(VolumeError, match="a credential fits"):
        volume.key(b"heslo123")
    assert volume.key(b"giraffe") is None
    source.close()


@pytest.mark.corpus
def test_damaged_metadata_are_said(corpus_image: Callable[[str], Path]) -> None:
    source = FileBytes(corpus_image("fvault2-small"))
    data = source.read_at(0, _KEPT_BYTES)
    places = [at for at in range(0, len(data), 4096) if any(data[at : at + 4096])]
    assert places
    for at in places:
        for place in (at + 3, at + 100, at + 200):
            changed = members(Bytes(data[:place] + bytes([data[place] ^ 0x55]) + data[place + 1 :]))
            unfolded = CoreStorage().unfold(recognised(CoreStorage(), changed), _PASSPHRASE)
            assert {one.code for one in unfolded.locked} == {"volume-not-read"}
    for size in (512, 4096, 100_000):
        (locked,) = CoreStorage().unfold(members(Bytes(data[:size])), _PASSPHRASE).locked
        assert locked.code == "volume-not-read"
    source.close()


@pytest.mark.corpus
def test_bytes_beyond_a_volume_that_is_cut_off_are_an_error(corpus_image: Callable[[str], Path]) -> None:
    source = FileBytes(corpus_image("fvault2-small"))
    whole = members(source)
    (derived,) = CoreStorage().unfold(whole, _PASSPHRASE).derived
    plain = opened(CoreStorage(), derived, [type(whole[0])("v01", _Damaged(source))], _PASSPHRASE)
    with pytest.raises(ImageReadError):
        plain.read_at(0, 512)
    source.close()


class _Damaged:
    """A volume that cannot be read behind its metadata."""

    def __init__(self, source: FileBytes) -> None:
        self._source, self.size = source, source.size

    def read_at(self, offset: int, length: int) -> bytes:
        if offset + length > _KEPT_BYTES * 8:
            message = "damaged"
            raise ImageReadError(message)
        return self._source.read_at(offset, length)
