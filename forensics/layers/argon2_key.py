"""A passphrase -> a key, by Argon2 (RFC 9106). The owner of dissect.fve's binding of it, which has both variants that disks use."""

from __future__ import annotations

from dissect.fve.crypto import argon2

from forensics.boundary import attempt
from forensics.errors import VolumeError


def argon2_key(kind: str, secret: bytes, salt: bytes, *, passes: int, memory_kib: int, lanes: int, length: int) -> bytes:
    """A key of `length` bytes. `kind` is "argon2i" or "argon2id". The caller bounds the cost.

    Raises:
        VolumeError: the parameters make no sense, or the memory is not to be had.
    """
    found: list[bytes] = []
    failed = attempt(lambda: found.append(bytes(argon2.hash_secret_raw(secret, salt, passes, memory_kib, lanes, length, kind))))
    if failed is not None:  # the library's error is dropped: it was handed the secret
        message = "its key derivation cannot be computed: what it states for Argon2 makes no sense here"
        raise VolumeError(message)
    return found[0]
