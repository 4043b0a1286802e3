"""VeraCrypt and TrueCrypt volumes built here after the published format, with OpenSSL and hashlib."""

from __future__ import annotations

import hashlib
import struct
import traceback
import zlib

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, modes
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from layer_members import Bytes, members, opened, recognised, sha256

from forensics.credentials import Credential, CredentialKind
from forensics.errors import VolumeError
from forensics.layers.block_ciphers import codebook
from forensics.layers.veracrypt import VeraCrypt
from forensics.layers.veracrypt_header import with_key_files

_AREA = 0x20000
_SIZE = _AREA + (1 << 17) + _AREA
_OUTER, _HIDDEN = b"outer passphrase", b"hidden passphrase"


def _random(label: str, size: int) -> bytes:
    return hashlib.shake_256(label.encode()).digest(size)


def _xts(key: bytes, data: bytes, first: int) -> bytes:
    sectors = range(0, len(data), 512)
    return b"".join(
        Cipher(AES(key), modes.XTS((first + at // 512).to_bytes(16, "little"))).encryptor().update(data[at : at + 512]) for at in sectors
    )


def _xts_chain(ciphers: tuple[str, ...], key: bytes, data: bytes) -> bytes:
    """One XTS unit, number 0, through the ciphers of a cascade, the last named first (IEEE 1619-2007, 5.3).

    VeraCrypt keeps the keys in the order in which they encrypt, and behind them the second keys.
    """
    for place, cipher in enumerate(reversed(ciphers)):
        first, second = key[32 * place :][:32], key[32 * (len(ciphers) + place) :][:32]
        tweak = int.from_bytes(codebook(cipher, second, decrypting=False)(bytes(16)), "little")
        tweaks = b""
        for _ in range(len(data) // 16):
            tweaks += tweak.to_bytes(16, "little")
            tweak = (tweak << 1 ^ (0x87 if tweak >> 127 else 0)) & ((1 << 128) - 1)
        data = _xor(codebook(cipher, first, decrypting=False)(_xor(data, tweaks)), tweaks)
    return data


def _xor(one: bytes, other: bytes) -> bytes:
    return (int.from_bytes(one) ^ int.from_bytes(other)).to_bytes(len(one))


def _cascade(*ciphers: str) -> bytes:
    """A TrueCrypt volume whose data are random bytes, as if encrypted by the ciphers with a known key."""
    data = bytearray(_random("encrypted", _SIZE))
    key, salt = _random("cascade key", 64 * len(ciphers)), _random("cascade salt", 64)
    size = _SIZE - 2 * _AREA
    fields = struct.pack(
        ">4sHHI16sQQQQII120s", b"TRUE", 5, 0x0700, zlib.crc32(key.ljust(256, b"\0")), b"", 0, size, _AREA, size, 0, 512, b""
    )
    plain = fields + struct.pack(">I", zlib.crc32(fields)) + key.ljust(256, b"\0")
    header_key = hashlib.pbkdf2_hmac("sha512", _OUTER, salt, 1000, 64 * len(ciphers))
    data[:512] = salt + _xts_chain(ciphers, header_key, plain)
    return bytes(data)


def _header(secret: bytes, key: bytes, start: int, size: int, *, magic: bytes, algorithm: str, rounds: int) -> bytes:
    """VeraCrypt documentation, Volume Format Specification: the fields from byte 64 on, version 5, encrypted as one XTS unit."""
    salt = _random(f"salt {start}", 64)
    fields = struct.pack(">4sHHI16sQQQQII120s", magic, 5, 0x010B, zlib.crc32(key.ljust(256, b"\0")), b"", 0, size, start, size, 0, 512, b"")
    plain = fields + struct.pack(">I", zlib.crc32(fields)) + key.ljust(256, b"\0")
    header_key = hashlib.pbkdf2_hmac(algorithm, secret, salt, rounds, 64)
    return salt + Cipher(AES(header_key), modes.XTS(bytes(16))).encryptor().update(plain)


def _volume(magic: bytes = b"VERA", algorithm: str = "sha512", rounds: int = 500_000, secret: bytes = _OUTER) -> tuple[bytes, bytes, bytes]:
    """A volume with a hidden one, and the plain bytes of both."""
    data = bytearray(_random("unused", _SIZE))
    outer, hidden = _random("outer", 1 << 17), _random("hidden", 1 << 16)
    hidden_at = _SIZE - _AREA - len(hidden)
    outer_key, hidden_key = _random("outer key", 64), _random("hidden key", 64)
    data[_AREA : _AREA + len(outer)] = _xts(outer_key, outer, _AREA // 512)
    data[hidden_at : hidden_at + len(hidden)] = _xts(hidden_key, hidden, hidden_at // 512)
    heads = (
        _header(secret, outer_key, _AREA, len(outer), magic=magic, algorithm=algorithm, rounds=rounds),
        _header(_HIDDEN, hidden_key, hidden_at, len(hidden), magic=magic, algorithm=algorithm, rounds=rounds),
    )
    for base in (0, _SIZE - _AREA):
        for head, at in zip(heads, (base, base + _AREA // 2), strict=True):
            data[at : at + 512] = head
    return bytes(data), outer, hidden


def _passphrase(value: bytes, volume: str = "*") -> Credential:
    return Credential(kind=CredentialKind.PASSPHRASE, value=value, volume=volume)


@pytest.mark.parametrize(
    ("magic", "algorithm", "rounds", "what"),
    [
        (b"VERA", "sha512", 500_000, "VeraCrypt volume, unlocked"),
        (b"VERA", "sha256", 500_000, "VeraCrypt volume, unlocked"),
        (b"TRUE", "sha512", 1000, "TrueCrypt volume, unlocked"),
        (b"TRUE", "ripemd160", 2000, "TrueCrypt volume, unlocked"),
    ],
)
def test_a_passphrase_opens_the_outer_volume(magic: bytes, algorithm: str, rounds: int, what: str) -> None:
    data, outer, _ = _volume(magic, algorithm, rounds)
    found = recognised(VeraCrypt(), members(Bytes(data)))
    credentials = (_passphrase(_OUTER),)
    (derived,) = VeraCrypt().unfold(found, credentials).derived
    assert (derived.what, derived.unlocked_with, derived.size) == (what, "passphrase", len(outer))
    source = opened(VeraCrypt(), derived, found, credentials)
    assert source.read_at(0, source.size) in (outer, outer[: 1 << 16] + source.read_at(1 << 16, 1 << 16))
    assert source.read_at(0, 1 << 16) == outer[: 1 << 16]  # the hidden volume lies in the other half


def test_both_passphrases_open_both_volumes() -> None:
    data, _, hidden = _volume(b"TRUE", "sha512", 1000)
    found = members(Bytes(data))
    credentials = (_passphrase(_HIDDEN), _passphrase(_OUTER))
    first, second = VeraCrypt().unfold(found, credentials).derived
    assert (first.what, second.what) == ("hidden TrueCrypt volume, unlocked", "TrueCrypt volume, unlocked")
    assert opened(VeraCrypt(), first, found, credentials).read_at(0, 1 << 17) == hidden


def test_key_files_open_a_volume_without_a_passphrase() -> None:
    files = [b"one key file", bytes(range(256)) * 5]
    data, outer, _ = _volume(b"TRUE", "sha512", 1000, secret=with_key_files(b"", files))
    found = members(Bytes(data))
    credentials = tuple(Credential(kind=CredentialKind.KEY_FILE, value=one) for one in files)
    (derived,) = VeraCrypt().unfold(found, credentials).derived
    assert derived.unlocked_with == "key-file"
    assert opened(VeraCrypt(), derived, found, credentials).read_at(0, 512) == outer[:512]


def test_an_overwritten_front_is_opened_by_the_copy_with_a_credential_for_this_volume() -> None:
    data, outer, _ = _volume(b"TRUE", "sha512", 1000)
    found = recognised(VeraCrypt(), members(Bytes(_random("overwritten", 1 << 17) + data[1 << 17 :])))
    credentials = (_passphrase(_OUTER, "v01"),)
    (derived,) = VeraCrypt().unfold(found, credentials).derived
    assert derived.key.startswith("outer copy:")
    assert opened(VeraCrypt(), derived, found, credentials).read_at(0, 512) == outer[:512]


def test_nothing_is_said_of_volumes_that_nothing_opens() -> None:
    found = members(Bytes(_random("no volume", 1 << 18)))
    unfolded = VeraCrypt().unfold(found, ())
    assert (unfolded.derived, unfolded.locked, unfolded.problems) == ((), (), ())
    assert recognised(VeraCrypt(), found) == found
    plain = members(Bytes(bytes(1 << 18)), Bytes(b"text " * 40_000), Bytes(b""), Bytes(_random("short", 512)))
    assert recognised(VeraCrypt(), plain) == []


def test_a_credential_that_opens_it_no_more_is_said_without_its_value() -> None:
    data, _, _ = _volume(b"TRUE", "sha512", 1000)
    found = members(Bytes(data))
    (derived,) = VeraCrypt().unfold(found, (_passphrase(_OUTER),)).derived
    wrong = (_passphrase(b"giraffe"),)
    with pytest.raises(VolumeError, match="v01") as raised:
        opened(VeraCrypt(), derived, found, wrong)
    assert "giraffe" not in "".join(traceback.format_exception(raised.value))


@pytest.mark.parametrize(
    ("ciphers", "expected"),
    [
        ("aes", "78304b2f99e581057ff2fb1c884fc3d8932c2273040b9517b20ecea7fa3aacd9"),
        ("camellia", "99c690d66e6da4a064e6cbb24c66915126cb25c8603bd9012d7c5bf87e1b034b"),
        ("serpent", "b5a8aa3c9e4062b15bee1d25e4972ebaa1bdebed7b7de9308a3799eb82165142"),
        ("twofish", "c2b28377762cc6fbcbb713353e242ad74897069a3664aae822392fa7b6903433"),
        ("aes-twofish", "1cc721dee474ecee10b82995c7650a4b3513c260282a6ae50f8cc35602766c91"),
        ("aes-twofish-serpent", "397def38a5030f22d30076053e46a24a705ece2a2b3c5b3c169c3f024e2f5540"),
        ("camellia-serpent", "ae79442718b70a0b6b6f4abef373341b9cd0fffea871d52011307e646ffd1053"),
        ("serpent-aes", "dd92e8abd232da7a0093b9dee4ad0b8e9522759dd2600e00611f555aa1b7c213"),
        ("serpent-twofish-aes", "7bd929a649b5f288d1d4e73fb17d420313d344b8a26a437b943e018cdf6d2711"),
        ("twofish-serpent", "2d4b24c966408224374be78fc0ee922662c5917ebed57204c728ea5fd9065a25"),
    ],
)
def test_each_cipher_and_cascade_opens_with_the_bytes_that_linux_shows(ciphers: str, expected: str) -> None:
    """The digests are of the block devices that cryptsetup 2.6.1 (open --type tcrypt) made of these volumes on Linux 6.1."""
    found = recognised(VeraCrypt(), members(Bytes(_cascade(*ciphers.split("-")))))
    credentials = (_passphrase(_OUTER),)
    (derived,) = VeraCrypt().unfold(found, credentials).derived
    assert (derived.what, derived.size) == ("TrueCrypt volume, unlocked", 1 << 17)
    assert sha256(opened(VeraCrypt(), derived, found, credentials)) == expected


def test_where_nothing_was_given_to_try_that_is_said() -> None:
    found = members(Bytes(_volume(b"TRUE", rounds=1000)[0]))
    raw = (Credential(kind=CredentialKind.RAW_KEY, value=bytes(64)), _passphrase(_OUTER, "v02"))
    for credentials in ((), raw):
        unfolded = VeraCrypt().unfold(found, credentials)
        (unclaimed,) = unfolded.unclaimed
        assert (unclaimed.volume, unfolded.derived, unfolded.locked) == ("v01", (), ())
        assert "no passphrase or key file was given" in unclaimed.tried


def test_where_only_the_hidden_volume_opens_the_outer_one_is_said_to_be_locked() -> None:
    found = members(Bytes(_volume(b"TRUE", rounds=1000)[0]))
    (problem,) = VeraCrypt().unfold(found, (_passphrase(_HIDDEN),)).problems
    assert (problem.code, problem.volume) == ("volume-encrypted", "v01")
    assert "outer" in problem.what
    assert VeraCrypt().unfold(found, (_passphrase(_HIDDEN), _passphrase(_OUTER))).problems == ()
