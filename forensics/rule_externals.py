r"""The five facts about a file that rules may ask for beside its content, in the words that public rules expect.

Public rule sets write `filename == "cmd.exe"`, `filepath contains "\\System32"`, `extension == ".exe"`, `filetype == "EXE"`,
`owner == "root"`. They were written for scanners on a living system, so the values are formed as those scanners do.

References:
    Neo23x0/signature-base, README, "External Variables in YARA Rules", and the rules in the files named there.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

# The word that rules compare with, by the bytes a file starts with.
_SIGNATURES: tuple[tuple[bytes, str], ...] = (
    (b"MZ", "EXE"),
    (b"\x7fELF", "ELF"),
    (b"\xfe\xed\xfa\xce", "MACH-O"),
    (b"\xfe\xed\xfa\xcf", "MACH-O"),
    (b"\xce\xfa\xed\xfe", "MACH-O"),
    (b"\xcf\xfa\xed\xfe", "MACH-O"),
    (b"%PDF", "PDF"),
    (b"GIF8", "GIF"),
    (b"\xff\xd8\xff", "JPG"),
    (b"\x89PNG", "PNG"),
    (b"PK\x03\x04", "ZIP"),
    (b"Rar!", "RAR"),
    (b"7z\xbc\xaf\x27\x1c", "7ZIP"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "OLE"),
    (b"{\\rtf", "RTF"),
    (b"MDMP", "MDMP"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Externals:
    r"""What a rule may ask about a file beside its content; "" for what is not known.

    Attributes:
        filename: name without folder, e.g. "cmd.exe".
        filepath: folder without the name and without a separator at the end, e.g. "\Windows\System32" or "/var/log".
        extension: lower case with its dot, e.g. ".exe".
        filetype: word for the kind of content, e.g. "EXE".
        owner: name or number of the owner.
    """

    filename: str = ""
    filepath: str = ""
    extension: str = ""
    filetype: str = ""
    owner: str = ""

    @classmethod
    def of_path(cls, path: str, *, windows: bool, filetype: str = "", owner: str = "") -> Externals:
        r"""The externals of a path inside a volume.

        Args:
            path: "/" between names, with or without one in front.
            windows: whether the volume is one that Windows writes; its rules expect "\" between names.
            filetype: see `filetype_word`.
            owner: name or number of the owner.
        """
        folder, _, name = f"/{path.lstrip('/')}".rpartition("/")
        folder = folder or "/"
        stem, dot, suffix = name.rpartition(".")
        return cls(
            filename=name,
            filepath=folder.replace("/", "\\") if windows else folder,
            extension=f".{suffix.lower()}" if dot and stem else "",
            filetype=filetype,
            owner=owner,
        )

    def as_yara(self) -> dict[str, str]:
        """The values by name, as YARA takes them: UTF-8 without NUL, which would end the value early."""
        return {name: _plain(value) for name, value in asdict(self).items()}


def filetype_word(first_bytes: bytes) -> str:
    """The word that rules compare `filetype` with, from the first 8 bytes of a content; "" for what has none here."""
    return next((word for signature, word in _SIGNATURES if first_bytes.startswith(signature)), "")


def _plain(value: str) -> str:
    return value.encode("utf-8", "backslashreplace").decode("utf-8").replace("\0", "\\x00")
