"""Signatures in their one form, and private keys that only their passphrase opens; OpenSSL reads them too."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat, pkcs12
from hypothesis import given
from hypothesis import strategies as st

from chain_of_custody.errors import KeyFileError, PassphraseError
from chain_of_custody.key_files import read_private_key, write_private_key
from chain_of_custody.keys import PrivateKey, checked_public_key, is_signed, key_id, parse_public_key, sign, to_pem

if TYPE_CHECKING:
    from pathlib import Path

P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
ED25519_KEY = Ed25519PrivateKey.generate()
P256_KEY = ec.generate_private_key(ec.SECP256R1())
KEYS: list[PrivateKey] = [ED25519_KEY, P256_KEY]


@given(st.sampled_from(KEYS), st.binary(max_size=200), st.binary(min_size=1, max_size=5))
def test_a_signature_holds_for_its_bytes_and_for_no_others(key: PrivateKey, data: bytes, more: bytes) -> None:
    signature = sign(key, data)
    assert is_signed(key.public_key(), signature, data)
    assert not is_signed(key.public_key(), signature, data + more)
    assert not is_signed(key.public_key(), signature + more, data)


@given(st.binary(max_size=50))
def test_the_twin_of_an_ecdsa_signature_is_refused_although_it_is_mathematically_valid(data: bytes) -> None:
    r, s = decode_dss_signature(sign(P256_KEY, data))
    assert s <= P256_ORDER // 2
    twin = encode_dss_signature(r, P256_ORDER - s)
    P256_KEY.public_key().verify(twin, data, ec.ECDSA(__import__("cryptography").hazmat.primitives.hashes.SHA256()))
    assert not is_signed(P256_KEY.public_key(), twin, data)


def test_another_kind_of_key_is_refused() -> None:
    for key in (rsa.generate_private_key(65537, 2048), ec.generate_private_key(ec.SECP384R1())):
        with pytest.raises(KeyFileError, match="neither Ed25519 nor ECDSA on P-256"):
            checked_public_key(key.public_key())


def test_a_public_key_survives_its_pem() -> None:
    for key in KEYS:
        assert key_id(parse_public_key(to_pem(key.public_key()))) == key_id(key.public_key())


@pytest.mark.parametrize("key", KEYS)
def test_openssl_opens_an_encrypted_key_with_its_passphrase_only(tmp_path: Path, key: PrivateKey) -> None:
    path = tmp_path / "key.pem"
    write_private_key(path, key, "pass wörd".encode())
    command = ["openssl", "pkey", "-in", path, "-passin", "stdin", "-pubout"]
    shown = subprocess.run(command, input="pass wörd\n".encode(), capture_output=True, check=True)
    assert shown.stdout.decode() == to_pem(key.public_key())
    assert subprocess.run(command, input=b"other\n", capture_output=True, check=False).returncode != 0


def test_openssl_names_scrypt_as_the_keys_protection(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    write_private_key(path, ED25519_KEY, b"secret")
    structure = subprocess.run(["openssl", "asn1parse", "-in", path], capture_output=True, text=True, check=True).stdout
    assert ":PBES2" in structure
    assert "1.3.6.1.4.1.11591.4.11" in structure or "scrypt" in structure
    assert ":aes-256-cbc" in structure
    assert "INTEGER           :4000\n" in structure  # N = 16384


@pytest.mark.parametrize("key", KEYS)
def test_a_key_is_read_back_with_its_passphrase_and_with_no_other(tmp_path: Path, key: PrivateKey) -> None:
    path = tmp_path / "key.pem"
    write_private_key(path, key, b"secret")
    assert path.stat().st_mode & 0o777 == 0o600
    assert key_id(read_private_key(path, b"secret").public_key()) == key_id(key.public_key())
    for wrong in (b"Secret", b"", None):
        with pytest.raises(PassphraseError) as raised:
            read_private_key(path, wrong)
        assert "\n" not in str(raised.value)
        assert "Secret" not in str(raised.value)
        assert raised.value.__cause__ is None


def test_a_pkcs12_key_is_read_with_its_passphrase_and_with_no_other(tmp_path: Path) -> None:
    path = tmp_path / "key.p12"
    path.write_bytes(pkcs12.serialize_key_and_certificates(b"n", P256_KEY, None, None, BestAvailableEncryption(b"secret")))  # type: ignore[arg-type]
    assert key_id(read_private_key(path, b"secret").public_key()) == key_id(P256_KEY.public_key())
    with pytest.raises(PassphraseError):
        read_private_key(path, b"other")


def test_a_key_protected_by_few_rounds_is_refused(tmp_path: Path) -> None:
    """`cryptography` protects PKCS#8 by 2,048 PBKDF2 rounds, where FORMAT.md asks for scrypt or 600,000."""
    path = tmp_path / "key.pem"
    path.write_bytes(ED25519_KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")))
    with pytest.raises(KeyFileError, match="600,000"):
        read_private_key(path, b"secret")
    strong = tmp_path / "strong.pem"
    command = ["openssl", "pkcs8", "-topk8", "-v2", "aes-256-cbc", "-v2prf", "hmacWithSHA256", "-iter", "600000", "-passin", "pass:secret"]
    subprocess.run([*command, "-in", path, "-out", strong, "-passout", "pass:secret"], check=True)
    assert key_id(read_private_key(strong, b"secret").public_key()) == key_id(ED25519_KEY.public_key())


def test_a_key_without_passphrase_that_others_may_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    write_private_key(path, ED25519_KEY, None)
    assert key_id(read_private_key(path, None).public_key()) == key_id(ED25519_KEY.public_key())
    path.chmod(0o644)
    with pytest.raises(KeyFileError, match="chmod 600"):
        read_private_key(path, None)


def test_a_key_is_never_overwritten(tmp_path: Path) -> None:
    write_private_key(tmp_path / "key.pem", ED25519_KEY, None)
    with pytest.raises(KeyFileError, match="never overwritten"):
        write_private_key(tmp_path / "key.pem", P256_KEY, None)


@pytest.mark.parametrize("content", [b"", b"text", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"])
def test_a_file_that_is_no_key_is_one_clear_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "key.pem"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(KeyFileError) as raised:
        read_private_key(path, b"x")
    assert "\n" not in str(raised.value)
    with pytest.raises(KeyFileError, match="cannot be read"):
        read_private_key(tmp_path / "none.pem", None)
