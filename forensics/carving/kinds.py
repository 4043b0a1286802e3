"""All kinds of file that are carved. A kind is added by a file, a line here, and a test."""

from __future__ import annotations

from typing import TYPE_CHECKING

from forensics.carving.elf import Elf
from forensics.carving.email_message import EmailMessage
from forensics.carving.evtx import EvtxChunk, EvtxFile
from forensics.carving.gif import Gif
from forensics.carving.gzip_file import Gzip
from forensics.carving.isobmff import IsoMedia
from forensics.carving.jpeg import Jpeg
from forensics.carving.mp3 import Mp3
from forensics.carving.ole_file import Ole
from forensics.carving.pdf import Pdf
from forensics.carving.pe import Pe
from forensics.carving.png import Png
from forensics.carving.rar_file import Rar
from forensics.carving.regf import RegistryHive
from forensics.carving.riff import Riff
from forensics.carving.seven_zip_file import SevenZip
from forensics.carving.sqlite_file import Sqlite
from forensics.carving.zip_file import Zip

if TYPE_CHECKING:
    from forensics.carving.base import CarvedKind

ALL_KINDS: tuple[CarvedKind, ...] = (
    Jpeg(),
    Png(),
    Gif(),
    Riff(),
    IsoMedia(),
    Pdf(),
    Zip(),
    Ole(),
    Rar(),
    SevenZip(),
    Gzip(),
    Sqlite(),
    EvtxFile(),
    EvtxChunk(),
    RegistryHive(),
    Pe(),
    Elf(),
    Mp3(),
    EmailMessage(),
)
