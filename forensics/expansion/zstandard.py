"""The decoder of Zstandard (RFC 8878). The owner file of backports.zstd, which is part of Python from 3.14 on."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

if TYPE_CHECKING:
    from forensics.expansion.decoding import Decoder

_LARGEST_WINDOW_LOG = 30  # 1 GiB; a frame may ask for 2 TiB (RFC 8878, 3.1.1.1.2)


def zstd_decoder() -> Decoder:
    """A decoder of one frame."""
    return zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: _LARGEST_WINDOW_LOG})
