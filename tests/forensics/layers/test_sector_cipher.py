"""Sectors decrypted here against those that the Linux kernel decrypts, and the block ciphers against the vectors of their authors."""

from __future__ import annotations

import hashlib

import pytest

from forensics.errors import VolumeError
from forensics.layers.block_ciphers import BLOCK_CIPHERS, codebook
from forensics.layers.sector_cipher import SectorCipher, parse_spec

# What dm-crypt of Linux 6.1 shows of 64 KiB of zeros (cryptsetup open --type plain), as SHA-256; the key is SHAKE-256 of "key", cut
# to the bytes stated.
_KERNEL = (
    ("aes-xts-plain64", 64, 512, "f7334962ce8a71ae7d0f5e120ac48330f077216052f16f05591de6e5c8108b04"),
    ("serpent-xts-plain64", 32, 512, "4a4f500d8f3607b9888eb4f6b6f9beeb75f150a5ab4dc2629dcf3b75558e815a"),
    ("serpent-xts-plain64", 64, 512, "1bbb10a1d1eb22d652c24705ac3948f5111c1f1d6914149861a202a0a2c356f7"),
    ("serpent-cbc-essiv:sha256", 32, 512, "b364d0ee2a66430c4cfb45da8211b4214c055456e88005b20c71814a0c7ead00"),
    ("serpent-cbc-plain64", 24, 512, "56ee777bbcfdaea531972542159d8e0de30633e7db2e9142e8e8907fbc1194ff"),
    ("serpent-cbc-plain64be", 16, 512, "4575bfbf585e074fcc84843831566b9c9979fe3a3f47baa41844cf7368575099"),
    ("serpent-xts-plain64", 64, 4096, "9fd707950f8f8bf30b6434b1f6d811eb65a83301ade59907c4c73b5144391f7e"),
    ("twofish-xts-plain64", 32, 512, "d361ae76b0aabb18c6e8ca44a491623764290d6044a62b5624e58dda54c6d76c"),
    ("twofish-xts-plain64", 64, 512, "c041f858bf511306ad633287fc24bbe25072c514b05c01d14f0aeef5b86e8d7e"),
    ("twofish-cbc-essiv:sha256", 32, 512, "c9b41356371d1a29eb71fc150f9ae3cc45ce9e957712bef51fe7cf48f2d5ddc4"),
    ("twofish-cbc-plain64", 24, 512, "fec817e10e762c9432810345e3b0c0280ab71c91607d560bb5ae2418e3069c73"),
    ("twofish-cbc-plain64be", 16, 512, "c9f8853d50047a5dc553019399fd3620e862947b1db0ae5af8f06621d5ac6dfb"),
    ("twofish-xts-plain64", 64, 4096, "1585e0e725a088d9e4740e001a7ba3fbce48c306bbfe8c7d0face3a42dc9d9fa"),
    ("camellia-xts-plain64", 32, 512, "c597b5142d599e24685413c57c0403e4d3a9eaaa7b22130477da8b1d5f80e9a5"),
    ("camellia-xts-plain64", 64, 512, "4b1b7b50c4b79512014017348fe5a848f0a68faf8bcac3122ceff503bb1d53ca"),
    ("camellia-cbc-essiv:sha256", 32, 512, "1e8d5f5ac02e4de6d327b6191a8a25f4a96ec4edcb20d80801bbf14bc9247616"),
    ("camellia-cbc-plain64", 24, 512, "d67c3428edc54c8bd2f982c92a93c0a8f50640cdb93ae138772bdcaee9b2c56f"),
    ("camellia-cbc-plain64be", 16, 512, "c03d5afe4c0fc8fd4245f04d852c314948130fcebb6685da75ef1d3b3c8a3019"),
    ("camellia-xts-plain64", 64, 4096, "c284cead4869ed2d103739a7074970bf290e3401eee0b8a51d3383d826070ebd"),
)


@pytest.mark.parametrize(("spec", "key_bytes", "sector", "expected"), _KERNEL, ids=[f"{one[0]} {8 * one[1]} {one[2]}" for one in _KERNEL])
def test_sectors_are_what_the_kernel_decrypts(spec: str, key_bytes: int, sector: int, expected: str) -> None:
    cipher = SectorCipher(parse_spec(spec), hashlib.shake_256(b"key").digest(key_bytes), sector_bytes=sector)
    zeros = bytes(1 << 16)
    whole = cipher.decrypt(zeros, 0)
    assert hashlib.sha256(whole).hexdigest() == expected
    assert cipher.decrypt(zeros[:8192], 16) == whole[8192:16384]


@pytest.mark.parametrize(
    ("cipher", "key", "plain", "expected"),
    [
        # Twofish: A 128-Bit Block Cipher, appendix A.1 and the submission's ECB_IVAL.TXT: key and plaintext of zeros.
        ("twofish", "00" * 16, "00" * 16, "9f589f5cf6122c32b6bfec2f2ae8c35a"),
        ("twofish", "00" * 24, "00" * 16, "efa71f788965bd4453f860178fc19101"),
        ("twofish", "00" * 32, "00" * 16, "57ff739d4dc92c1bd7fc01700cc8216f"),
        # RFC 3713, appendix A.
        ("camellia", "0123456789abcdeffedcba9876543210", "0123456789abcdeffedcba9876543210", "67673138549669730857065648eabe43"),
    ],
)
def test_block_ciphers_give_the_published_vectors(cipher: str, key: str, plain: str, expected: str) -> None:
    assert codebook(cipher, bytes.fromhex(key), decrypting=False)(bytes.fromhex(plain)).hex() == expected
    assert codebook(cipher, bytes.fromhex(key), decrypting=True)(bytes.fromhex(expected)).hex() == plain


@pytest.mark.parametrize("cipher", BLOCK_CIPHERS)
def test_many_blocks_are_decrypted_as_each_by_itself(cipher: str) -> None:
    """More blocks than one step of the array takes, so that the seams are met."""
    key, count = hashlib.shake_256(b"key").digest(32), (1 << 14) + 3
    data = hashlib.shake_256(b"data").digest(16 * count)
    decrypt, encrypt = codebook(cipher, key, decrypting=True), codebook(cipher, key, decrypting=False)
    assert encrypt(decrypt(data)) == data
    for number in (0, count - 4, count - 1):
        assert decrypt(data)[16 * number : 16 * (number + 1)] == decrypt(data[16 * number : 16 * (number + 1)])


@pytest.mark.parametrize(
    "spec", ["cast6-xts-plain64", "xchacha20,aes-adiantum-plain64", "aes-lrw-benbi", "aes-cbc-lmk", "aes-cbc-essiv:shake_128"]
)
def test_a_cipher_that_is_not_decrypted_is_refused_by_name(spec: str) -> None:
    with pytest.raises(VolumeError, match="is not decrypted by this version"):
        parse_spec(spec)


def test_a_hash_whose_digest_is_no_key_is_refused() -> None:
    """dm-crypt refuses it likewise: the digest of SHA-1 has 20 bytes, no key size of AES."""
    with pytest.raises(VolumeError, match="sha1"):
        SectorCipher(parse_spec("aes-cbc-essiv:sha1"), bytes(32))
