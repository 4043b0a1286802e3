"""Every way in which writing or checking a chain-of-custody log fails.

CustodyError                  base; the message says what, where, why and what to do next
    FormatError               bytes do not follow FORMAT.md; carries a finding code
    KeyFileError              a key file cannot be used
        PassphraseError       the passphrase is missing or wrong
    IdentityError             the signer may not do this: not in the roster, expired, revoked, wrong role
    LogError                  the log cannot be written; nothing more may be processed
        LogBusyError          another process holds the lock
        LogDamagedError       the log on disk is not a valid continuation; it is never repaired
        RollbackError         the log is shorter than, or different from, what this signer has written before
        LogWriteError         an entry could not be written whole and synced
    ManifestError             a run's folder cannot be sealed
    ServiceError              the custody process cannot be reached
"""

from __future__ import annotations


class CustodyError(Exception):
    """The chain of custody could not be kept or checked as asked."""


class FormatError(CustodyError):
    """Bytes do not follow the format.

    Attributes:
        code: the finding code, e.g. "E_CANONICAL".
    """

    def __init__(self, *, code: str, why: str) -> None:
        super().__init__(why)
        self.code = code


class KeyFileError(CustodyError):
    """A key file is missing, of a kind we do not take, or not protected."""


class PassphraseError(KeyFileError):
    """The passphrase is missing or wrong."""


class IdentityError(CustodyError):
    """The roster does not let this key sign."""


class LogError(CustodyError):
    """The log cannot be written. Fatal: there is no processing without a record."""


class LogBusyError(LogError):
    """Another process is writing this log."""


class LogDamagedError(LogError):
    """The log on disk is not valid, so nothing is appended to it."""


class RollbackError(LogError):
    """The log is shorter than or different from what this signer wrote before: an old copy, or edited."""


class LogWriteError(LogError):
    """An entry could not be written whole. What was written of it has been cut back."""


class ManifestError(CustodyError):
    """A run's folder cannot be sealed by a manifest."""


class ServiceError(CustodyError):
    """The process that holds the keys did not start or does not answer."""


KINDS = {
    kind.__name__: kind
    for kind in (
        CustodyError,
        KeyFileError,
        PassphraseError,
        IdentityError,
        LogError,
        LogBusyError,
        LogDamagedError,
        RollbackError,
        LogWriteError,
        ManifestError,
        ServiceError,
    )
}
"""Error classes by name, so that the custody process can hand an error to its caller."""
