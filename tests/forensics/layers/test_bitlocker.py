"""BitLocker volumes of cryptsetup's test suite, which Windows made and which states the SHA-256 of what its kernel module decrypts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from layer_members import Bytes, FileBytes, members, opened, recognised, sha256

from forensics.credentials import Credential, CredentialKind
from forensics.errors import ImageReadError, VolumeError
from forensics.layers.bitlocker import BitLocker

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

# tests/bitlk-images.tar.xz of cryptsetup, images.conf: PW, RP, SHA256SUM
_IMAGES = {
    "bitlk-aes-xts-128": (
        "235818-357951-253979-013365-241120-245575-342914-591910",
        "674e3a976927fd62f3fc26df2c695cac75b8d364e3b45393717efa971f16db0f",
    ),
    "bitlk-togo-aes-xts-128": (
        "243067-548680-059818-148852-287771-550088-628265-631653",
        "5954795eb41764b59a10d86c26fd3b43fb6d89f433c8edc1e8fd48067d198591",
    ),
}
_PASSPHRASE = Credential(kind=CredentialKind.PASSPHRASE, value=b"anaconda")


@pytest.mark.corpus
@pytest.mark.parametrize("identifier", sorted(_IMAGES))
def test_a_volume_opens_with_passphrase_and_recovery_key(identifier: str, corpus_image: Callable[[str], Path]) -> None:
    recovery, digest = _IMAGES[identifier]
    source = FileBytes(corpus_image(identifier))
    found = recognised(BitLocker(), members(source))
    for credential in (_PASSPHRASE, Credential(kind=CredentialKind.RECOVERY_KEY, value=recovery.encode())):
        unfolded = BitLocker().unfold(found, (credential,))
        (derived,) = unfolded.derived
        assert (derived.unlocked_with, derived.size, unfolded.problems) == (str(credential.kind), source.size, ())
        plain = opened(BitLocker(), derived, found, (credential,))
        if credential is _PASSPHRASE:
            assert sha256(plain, step=1 << 20) == digest
        else:
            assert plain.read_at(3, 4) in (b"NTFS", b"MSDO")
    source.close()


@pytest.mark.corpus
def test_a_volume_that_stays_locked_says_what_would_open_it(corpus_image: Callable[[str], Path]) -> None:
    source = FileBytes(corpus_image("bitlk-aes-xts-128"))
    found = members(source)
    (none,) = BitLocker().unfold(found, ()).locked
    assert (none.code, none.encrypted) == ("volume-encrypted", True)
    assert "recovery" in none.why
    wrong = (
        Credential(kind=CredentialKind.PASSPHRASE, value=b"tortoise"),
        Credential(kind=CredentialKind.RECOVERY_KEY, value=b"111111-22"),
    )
    (locked,) = BitLocker().unfold(found, wrong).locked
    assert locked.code == "credential-wrong"
    assert "1 of the recovery keys" in locked.why
    assert "tortoise" not in repr(locked)
    assert "111111" not in repr(locked)
    source.close()


@pytest.mark.corpus
def test_what_the_volume_has_no_protector_for_is_not_called_wrong(corpus_image: Callable[[str], Path]) -> None:
    """cryptsetup bitlkDump shows a passphrase and a recovery key as protectors of this volume, and no startup key."""
    source = FileBytes(corpus_image("bitlk-aes-xts-128"))
    key_file = Credential(kind=CredentialKind.KEY_FILE, value=b"some file")
    (locked,) = BitLocker().unfold(members(source), (key_file,)).locked
    assert locked.code == "volume-encrypted"
    assert "nothing to try on it: 1 key-file" in locked.why
    assert "startup key" not in locked.advice
    assert "recovery key" in locked.advice
    wrong = Credential(kind=CredentialKind.PASSPHRASE, value=b"tortoise")
    (locked,) = BitLocker().unfold(members(source), (wrong, key_file)).locked
    assert (locked.code, "tried: 1 passphrase)" in locked.why) == ("credential-wrong", True)
    source.close()


@pytest.mark.corpus
def test_damaged_metadata_are_said(corpus_image: Callable[[str], Path]) -> None:
    source = FileBytes(corpus_image("bitlk-aes-xts-128"))
    head = source.read_at(0, 1 << 16)
    for size in (512, 1000, 1 << 16):
        (locked,) = BitLocker().unfold(recognised(BitLocker(), members(Bytes(head[:size]))), (_PASSPHRASE,)).locked
        assert locked.code == "volume-not-read"
    for place in range(0, 512, 7):
        changed = members(Bytes(head[:place] + b"\xff\xff" + head[place + 2 :]))
        for member in recognised(BitLocker(), changed):
            unfolded = BitLocker().unfold([member], (_PASSPHRASE,))
            assert unfolded.locked or unfolded.derived
            for derived in unfolded.derived:
                try:
                    opened(BitLocker(), derived, changed, (_PASSPHRASE,)).read_at(0, 512)
                except (ImageReadError, VolumeError):
                    continue
    source.close()
