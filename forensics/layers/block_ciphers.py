"""The block ciphers that disk encryption is built of: whole blocks, each by itself, all blocks of a read in one call."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography.hazmat.decrepit.ciphers.algorithms import Camellia
from cryptography.hazmat.primitives.ciphers import Cipher, modes
from cryptography.hazmat.primitives.ciphers.algorithms import AES

from forensics.layers.serpent import Serpent
from forensics.layers.twofish import Twofish

if TYPE_CHECKING:
    from collections.abc import Callable

BLOCK_CIPHERS = ("aes", "camellia", "serpent", "twofish")
BLOCK_BYTES = 16
KEY_SIZES = (16, 24, 32)  # bytes, of each of them


def codebook(cipher: str, key: bytes, *, decrypting: bool) -> Callable[[bytes], bytes]:
    """The cipher over whole blocks. Electronic codebook is here the part that other modes are built of, never a mode of ours.

    Args:
        cipher: one of BLOCK_CIPHERS.
        key: of one of KEY_SIZES.
        decrypting: which way.
    """
    if cipher in ("serpent", "twofish"):
        chosen = Serpent(key) if cipher == "serpent" else Twofish(key)
        return chosen.decrypt if decrypting else chosen.encrypt
    algorithm = Cipher(AES(key) if cipher == "aes" else Camellia(key), modes.ECB())  # noqa: S305 - see above

    def transform(data: bytes) -> bytes:
        context = algorithm.decryptor() if decrypting else algorithm.encryptor()
        return context.update(data) + context.finalize()

    return transform
