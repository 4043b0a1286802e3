"""What a verifier brings along: the root's fingerprint, learnt from the agency by another way than the case."""

from __future__ import annotations

import re
from pathlib import Path

from chain_of_custody.encoding import is_hex
from chain_of_custody.errors import CustodyError, KeyFileError
from chain_of_custody.keys import key_id, parse_public_key
from chain_of_custody.roster import root_fingerprint

_PEM = re.compile(rb"-----BEGIN PUBLIC KEY-----.*?-----END PUBLIC KEY-----", re.DOTALL)
_MAX_BYTES = 1 << 16


def parse_trust(text: str) -> str:
    """The fingerprint that a trust argument stands for.

    Args:
        text: 64 hex digits (colons, spaces and capitals allowed), or the path of a file of PEM root public keys.

    Raises:
        CustodyError: it is neither.
    """
    digits = re.sub(r"[\s:]", "", text).lower()
    if is_hex(digits):
        return digits
    try:
        with Path(text).open("rb") as stream:
            data = stream.read(_MAX_BYTES)
        keyids = tuple(key_id(parse_public_key(pem)) for pem in _PEM.findall(data))
    except (OSError, KeyFileError) as error:
        message = f"the trust {text!r} is neither a fingerprint of 64 hex digits nor a file with the root's public key: {error}"
        raise CustodyError(message) from error
    if not keyids:
        message = f"the file {text!r} holds no PEM public key"
        raise CustodyError(message)
    return root_fingerprint(tuple(sorted(set(keyids))))
