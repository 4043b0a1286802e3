"""Decryption of Office documents: Office 97 to 2003 (RC4) and from 2007 on (ECMA-376). The owner file of msoffcrypto-tool.

References: MS-OFFCRYPTO 2.3.
"""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING, Any

import msoffcrypto

from forensics.boundary import attempt

if TYPE_CHECKING:
    from typing import BinaryIO

# The library decrypts in memory.
MOST_BYTES = 256 << 20
_MOST_SPINS = 1_000_000  # Office writes 100,000; the format allows ten times this (MS-OFFCRYPTO 2.3.4.10)
_SPINS = re.compile(rb'spinCount="(\d{1,20})"')


def is_encrypted(file: BinaryIO) -> bool:
    """Whether the library takes the document for encrypted; no, where it cannot read it."""
    got: list[bool] = []
    error = attempt(lambda: got.append(bool(_opened(file).is_encrypted())))
    return error is None and got[0]


def why_not_tried(encryption_info: bytes) -> str:
    """Why decrypting the document would cost more time or memory than with any that Office wrote; "" if it would not."""
    found = _SPINS.search(encryption_info)
    if found is not None and int(found.group(1)) > _MOST_SPINS:
        return f"making its key takes {int(found.group(1))} rounds, more than Office has ever written"
    if b"<!" in encryption_info:  # entities can make a small text large
        return "its encryption is described by XML that declares entities, which Office never writes"
    return ""


def decrypted(file: BinaryIO, passphrases: tuple[str, ...]) -> bytes | None:
    """The document, decrypted by the first passphrase that opens it; None if none does."""
    for passphrase in passphrases:
        into = io.BytesIO()

        def decrypt(passphrase: str = passphrase, into: io.BytesIO = into) -> None:
            document = _opened(file)
            try:
                document.load_key(password=passphrase, verify_password=True)
            except TypeError:  # kinds without a way to verify take no such argument
                document.load_key(password=passphrase)
            document.decrypt(into)

        if attempt(decrypt) is None and into.tell():
            return into.getvalue()
    return None


def _opened(file: BinaryIO) -> Any:
    file.seek(0)
    return msoffcrypto.OfficeFile(file)
