"""A file that may be a VeraCrypt or TrueCrypt container: the usual form of these, and nothing tells it from random bytes.

So a file is tried where it looks random, has a size that a container may have, and a passphrase or key file was given. Trying one in vain
takes some twenty seconds, and a disk may hold thousands of random files: no more than a number of tries is spent on one batch of files.
What was not opened is counted, so that one problem of the run can tell of all of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from forensics.errors import Problem, Stage
from forensics.expansion.disk_image import DISK_IMAGE
from forensics.layers.base import Member as VolumeMember
from forensics.layers.veracrypt import VeraCrypt, looks_random, secrets_for
from forensics.layers.veracrypt_header import HEADER_AREA_BYTES, HEADER_BYTES, UNTRIED

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import BinaryIO

    from forensics.credentials import Credential
    from forensics.expansion.base import Member

_SMALLEST = 2 * HEADER_AREA_BYTES + HEADER_BYTES  # the headers, their copies, and something between them
_NAMES = (".hc", ".tc")
# What libmagic says of random bytes: of 5,000 such files nearly all are the first, one in a hundred the second.
_RANDOM_TYPES = ("application/octet-stream", "application/x-dosexec")
LOOKS_ENCRYPTED = "looks-encrypted"
_MOST_TRIES = 16  # a try is one secret on one file
_VOLUME = "v01"  # what a container's only volume is called


@dataclass(frozen=True, slots=True, kw_only=True)
class RandomFiles:
    """Files that may be containers and were not opened.

    Attributes:
        in_vain: on how many everything that was given was tried.
        without: on how many nothing was tried, because nothing was given.
        bounded: on how many nothing was tried, because too many tries had been spent.
        example: path of one of them; "" if there are none.
    """

    in_vain: int = 0
    without: int = 0
    bounded: int = 0
    example: str = ""

    @property
    def count(self) -> int:
        """How many there are."""
        return self.in_vain + self.without + self.bounded

    def problem(self) -> Problem | None:
        """The one problem that tells of all of them; None if there are none."""
        if not self.count:
            return None
        said = [f"on {self.in_vain} what was given was tried in vain (not tried: {UNTRIED})"] if self.in_vain else []
        said += [f"on {self.without} nothing was tried, because no passphrase or key file was given"] if self.without else []
        said += [f"on {self.bounded} nothing was tried, to bound the time of the run"] if self.bounded else []
        return Problem(
            stage=Stage.CONTENT,
            code=LOOKS_ENCRYPTED,
            what=f"files look random and may be encrypted containers, and were not opened: {self.count}, e.g. {self.example}",
            why=f"nothing tells a VeraCrypt or TrueCrypt container from random bytes; {'; '.join(said)}",
            advice="find them in `entries` by entropy, MIME type and a size that is a multiple of 512; give a passphrase or key file "
            "(--credentials), or extract those that matter and open them with VeraCrypt",
        )


def together(counts: Iterable[RandomFiles]) -> RandomFiles:
    """The sum; its example is the first by path, whatever the order."""
    found = tuple(counts)
    return RandomFiles(
        in_vain=sum(one.in_vain for one in found),
        without=sum(one.without for one in found),
        bounded=sum(one.bounded for one in found),
        example=min((one.example for one in found if one.example), default=""),
    )


class EncryptedContainer:
    """The opener of encrypted containers, for one batch of files; it counts what it did not open."""

    name = "encrypted container"

    def __init__(self, *, most_tries: int = _MOST_TRIES) -> None:
        """`most_tries` is how many secrets are tried on all files together; at least one file is tried."""
        self._most_tries = most_tries
        self._tries = self._in_vain = self._without = self._bounded = 0

    @property
    def unopened(self) -> RandomFiles:
        """What was not opened so far, without an example."""
        return RandomFiles(in_vain=self._in_vain, without=self._without, bounded=self._bounded)

    def recognises(self, head: bytes, mime_type: str, name: str) -> bool:
        """Whether a content looks random from its first byte, and libmagic knows no better."""
        return (mime_type in _RANDOM_TYPES or name.lower().endswith(_NAMES)) and looks_random(head)

    def iter_members(self, file: BinaryIO, size: int, name: str, credentials: tuple[Credential, ...]) -> Iterator[Member | Problem]:
        """The members of what opens, as of a disk image; nothing where nothing opens.

        Raises:
            ArchiveError: it was opened, and what is in it cannot be read.
        """
        if size < _SMALLEST or size % HEADER_BYTES:
            return
        tries = secrets_for(credentials, _VOLUME)
        if not tries:
            self._without += 1
        elif self._tries + tries > self._most_tries and self._tries:
            self._bounded += 1
        else:
            self._tries += tries
            if VeraCrypt().unfold((VolumeMember(_VOLUME, _FileSource(file, size)),), credentials).derived:
                yield from DISK_IMAGE.iter_members(file, size, name, credentials)
            else:
                self._in_vain += 1


class _FileSource:
    """A file as a byte source."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file = file
        self.size = size

    def read_at(self, offset: int, length: int) -> bytes:
        """Bytes of the file."""
        self._file.seek(offset)
        return self._file.read(max(0, min(length, self.size - offset)))
