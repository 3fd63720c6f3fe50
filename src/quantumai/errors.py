"""The one error tree: each failure carries a code, a hint and whether a retry helps.

`cli` maps `exit_code` to the process status and services map `code` to an RFC 9457 problem.
"""

from __future__ import annotations

from typing import ClassVar


class QuantumAIError(Exception):
    """Base of all errors raised on purpose; `str(error)` is one line fit for a user."""

    code: ClassVar[str] = "internal"
    exit_code: int = 1
    retryable: ClassVar[bool] = False

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class BadInputError(QuantumAIError):
    """What the user handed in cannot be used; nothing was spent and nothing was stored."""

    code = "bad-input"
    exit_code = 2


class NotFoundError(BadInputError):
    """The job, backend, key or object asked for does not exist."""

    code = "not-found"


class NoCandidateError(BadInputError):
    """Every backend and method was filtered out."""

    code = "no-candidate"


class ConflictError(QuantumAIError):
    """A different object is already stored under a write-once name."""

    code = "conflict"


class StorageError(QuantumAIError):
    """The database or the object store failed or returned damaged data."""

    code = "storage"
    retryable = True


class KeyUnavailableError(QuantumAIError):
    """A signing key is missing, disabled or cannot be opened."""

    code = "key-unavailable"


class TokenBusyError(KeyUnavailableError):
    """The token is slow or dead; `retry_after_s` says when to try again."""

    code = "token-busy"
    exit_code = 13
    retryable = True

    def __init__(self, message: str, *, retry_after_s: float = 1.0, hint: str = "") -> None:
        super().__init__(message, hint=hint or "try again later")
        self.retry_after_s = retry_after_s


class DeniedError(QuantumAIError):
    """The caller may not do this: policy, purpose or the key's state forbids it."""

    code = "denied"
    exit_code = 12


class ApprovalNeededError(QuantumAIError):
    """The call is noted; another principal has to make the same call before it is done."""

    code = "approval-needed"
    exit_code = 11


class RateLimitedError(QuantumAIError):
    """The key's policy allows fewer calls a minute; `retry_after_s` says when the next is."""

    code = "rate-limited"
    exit_code = 13
    retryable = True

    def __init__(self, message: str, *, retry_after_s: float, hint: str = "") -> None:
        super().__init__(message, hint=hint or "try again later")
        self.retry_after_s = retry_after_s


class UnreachableError(QuantumAIError):
    """A witness or a log that was asked over the network does not answer, or not as it should."""

    code = "unreachable"
    exit_code = 13
    retryable = True


class VendorError(QuantumAIError):
    """A quantum vendor refused what was asked of it, or lost it; asking again does not help."""

    code = "vendor"


class VendorUnavailableError(VendorError):
    """A quantum vendor does not answer now, or a job of it has not ended in time.

    `retry_after_s` says when to ask again, where the vendor said so. A submission that fails with
    it may have been accepted: submit again under the same key, never under a new one.
    """

    code = "vendor-unavailable"
    exit_code = 13
    retryable = True

    def __init__(self, message: str, *, retry_after_s: float = 0.0, hint: str = "") -> None:
        super().__init__(message, hint=hint or "try again later")
        self.retry_after_s = retry_after_s


class InsecureRefusedError(QuantumAIError):
    """An insecure stand-in was asked to work with QAI_ENV=production."""

    code = "insecure-refused"


class EvidenceError(QuantumAIError):
    """Stored evidence contradicts itself, its signature or its hash.

    The exit code is that of the verification that would have found it (`qai manifest verify`).
    """

    code = "evidence"
    exit_code = 3


class ArtefactError(EvidenceError):
    """An artefact is missing or is not the one that was signed."""

    code = "artefact"
    exit_code = 4


class ErasedError(EvidenceError):
    """A tenant's data were erased: the key that opened them was destroyed."""

    code = "erased"
    exit_code = 4


class LedgerError(EvidenceError):
    """The ledger, a checkpoint or a key event does not hold together."""

    code = "ledger"
    exit_code = 6


class UnverifiedError(EvidenceError):
    """What was to be used does not verify; carries the verification's own exit code."""

    code = "unverified"

    def __init__(self, message: str, exit_code: int, *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.exit_code = exit_code
