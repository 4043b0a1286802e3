"""All kinds of container file, in the order in which they are asked whether a content is theirs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from forensics.expansion.archive import AR, CAB, COMPRESS, CPIO, LHA, LZ4, LZIP, RPM, TAR, WARC
from forensics.expansion.gzip_file import Gzip
from forensics.expansion.mail import Eml, Mbox
from forensics.expansion.ole import Ole
from forensics.expansion.pst import Pst
from forensics.expansion.rar import Rar
from forensics.expansion.self_extracting import SELF_EXTRACTING
from forensics.expansion.seven_zip import SevenZip
from forensics.expansion.single_stream import BZIP2, LZMA, XZ, ZSTD
from forensics.expansion.zip_archive import AppendedZip, Zip

if TYPE_CHECKING:
    from forensics.expansion.base import Opener

# By signature first, the more certain first; what is told by its MIME type or has next to no signature comes last,
# and then what is told by an end that another container may have as well.
ALL_OPENERS: tuple[Opener, ...] = (
    Zip(),
    Ole(),
    Pst(),
    SevenZip(),
    Gzip(),
    BZIP2,
    XZ,
    ZSTD,
    LZ4,
    LZIP,
    COMPRESS,
    Rar(),
    *SELF_EXTRACTING,
    CAB,
    AR,
    RPM,
    WARC,
    CPIO,
    LHA,
    TAR,
    LZMA,
    Mbox(),
    Eml(),
    AppendedZip(),
)
