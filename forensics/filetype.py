"""What a content is, by its bytes: MIME type and description from libmagic. The owner file of python-magic and pylibmagic.

pylibmagic carries libmagic and its type database, so the answer does not depend on what the machine has installed.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass

# The order matters: pylibmagic loads its own libmagic and names its type database, and python-magic takes what is loaded. The
# other way round the machine's libmagic meets a database of another version.
# isort: off
import pylibmagic  # noqa: F401
import magic

# isort: on


HEAD_BYTES = 1 << 20  # libmagic looks no further by default (MAGIC_PARAM_BYTES_MAX)


@dataclass(frozen=True, slots=True, kw_only=True)
class FileType:
    """MIME type, e.g. "image/png", and libmagic's description of one content."""

    mime_type: str
    description: str


# What libmagic says of text in which none of its patterns matched: the encoding, and how the lines are (file(1), ascmagic.c).
_PLAIN_TEXT = re.compile(
    r"(ASCII|ISO-8859|Non-ISO extended-ASCII|Unicode text, UTF-8( \(with BOM\))?) text"
    r"(, with (very long lines( \(\d+\))?|[A-Z, ]+ line terminators|no line terminators|escape sequences|overstriking))*"
)


@dataclass(frozen=True, slots=True)
class _Detectors:
    """libmagic set up three ways: for descriptions, for MIME types, and for MIME types of text without trying any pattern."""

    describe: magic.Magic
    mime: magic.Magic
    mime_of_text: magic.Magic


@functools.cache
def _detectors() -> _Detectors:
    """The detectors of this process; making one loads the type database, about 30 ms."""
    of_text = magic.Magic(mime=True)
    magic.magic_setflags(of_text.cookie, of_text.flags | magic.MAGIC_NO_CHECK_SOFT)
    return _Detectors(magic.Magic(), magic.Magic(mime=True), of_text)


def detect(head: bytes | memoryview) -> FileType:
    """The type of a content whose first HEAD_BYTES, or whole if shorter, are `head`.

    libmagic tries its patterns once for the description and once for the MIME type, on text some 3 ms each. Where the description
    shows that none of them matched, the second time is left out; a test holds the answers equal.
    """
    detectors = _detectors()
    data = bytes(head)
    description = _ask(detectors.describe, data)
    mime = detectors.mime_of_text if _PLAIN_TEXT.fullmatch(description) else detectors.mime
    return FileType(mime_type=_ask(mime, data), description=description)


def _ask(detector: magic.Magic, data: bytes) -> str:
    try:
        answer: str = detector.from_buffer(data)
    except magic.MagicException as error:
        return f"not determined: {error}"
    return answer


def libmagic_version() -> str:
    """Version of the libmagic in use, e.g. "5.45"."""
    number = int(magic.version())
    return f"{number // 100}.{number % 100:02d}"


_PORTABLE_EXECUTABLE = frozenset(
    (
        "exe",
        "dll",
        "sys",
        "scr",
        "ocx",
        "cpl",
        "drv",
        "com",
        "mui",
        "efi",
        "ax",
        "acm",
        "tsp",
        "ime",
        "fon",
        "rll",
        "pyd",
        "node",
        "winmd",
        "olb",
        "tlb",
        "flt",
        "mod",
        "bin",
    )
)
# Extensions that each content type goes by, where a type has a closed set of them; other types give no opinion.
# Sources: IANA media types registry; Microsoft's list of Office file formats. Container types (ZIP, OLE, gzip, XML, text)
# are left out: too many formats are built on them for an extension to contradict.
EXTENSIONS: dict[str, frozenset[str]] = {
    "image/jpeg": frozenset(("jpg", "jpeg", "jpe", "jfif", "jif", "thm")),
    "image/png": frozenset(("png", "apng")),
    "image/gif": frozenset(("gif",)),
    "image/bmp": frozenset(("bmp", "dib")),
    "image/tiff": frozenset(("tif", "tiff", "dng", "nef", "cr2", "arw", "orf", "pef")),
    "image/webp": frozenset(("webp",)),
    "image/heic": frozenset(("heic", "heif", "hif")),
    "application/pdf": frozenset(("pdf", "ai", "fdf")),
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": frozenset(("docx", "docm", "dotx", "dotm")),
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": frozenset(("xlsx", "xlsm", "xltx", "xltm", "xlam")),
    "application/vnd.openxmlformats-officedocument.presentationml.presentation": frozenset(
        ("pptx", "pptm", "ppsx", "ppsm", "potx", "potm")
    ),
    "application/msword": frozenset(("doc", "dot", "wiz")),
    "application/vnd.ms-excel": frozenset(("xls", "xlt", "xla", "xlm")),
    "application/vnd.ms-powerpoint": frozenset(("ppt", "pps", "pot", "ppa")),
    "application/x-dosexec": _PORTABLE_EXECUTABLE,
    "application/vnd.microsoft.portable-executable": _PORTABLE_EXECUTABLE,
    "application/x-rar": frozenset(("rar", "cbr", "rev")),
    "application/x-7z-compressed": frozenset(("7z", "cb7")),
    "video/mp4": frozenset(("mp4", "m4v", "m4a", "f4v", "mov")),
    "video/quicktime": frozenset(("mov", "qt")),
    "video/x-msvideo": frozenset(("avi", "divx")),
    "video/x-matroska": frozenset(("mkv", "mka", "mk3d")),
    "audio/mpeg": frozenset(("mp3", "mp2", "mpga")),
    "audio/x-wav": frozenset(("wav", "wave")),
    "application/vnd.sqlite3": frozenset(
        ("db", "sqlite", "sqlite3", "db3", "s3db", "sl3", "dat", "data", "localstorage", "storedata", "sqlitedb")
    ),
}


def extension_mismatch(mime_type: str, extension: str) -> bool | None:
    """Whether the extension contradicts the content.

    Args:
        mime_type: type by content.
        extension: the name's extension in lower case, without its dot.

    Returns:
        None where the name has no extension or the type gives no opinion.
    """
    known = EXTENSIONS.get(mime_type)
    if known is None or not extension:
        return None
    return extension not in known
