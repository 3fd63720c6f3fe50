"""The KMS port: what one caller can ask for. In process (`Kms.of`) and over HTTP alike.

Every call is written to the audit log before its answer is given; one that cannot be is refused.
Calls that change something take an idempotency key: the same call again within a day gives the
same answer and does nothing, and another call under the same key is a `ConflictError`.

All methods raise `DeniedError` when policy, purpose or state forbid the call, `RateLimitedError`,
`NotFoundError` for an unknown key, `TokenBusyError` when the token is slow or dead, and
`KeyUnavailableError` when it answers with an error. Those marked "two principals" raise
`ApprovalNeededError` until a second principal has made the same call within a day of the first;
where the tenant has approvers, `DeniedError` unless the caller has signed the call
(`joint_calls.JointCall.to_sign`).
`version` 0 stands for the current one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from quantumai.keys.management.records import (
    KeyPolicy,
    KeyPurpose,
    KeyVersion,
    Signed,
    Usage,
)


class KeyManagement(Protocol):
    """Keys of one tenant, by name and version."""

    def create(
        self,
        name: str,
        algorithm: str,
        purpose: KeyPurpose,
        *,
        policy: KeyPolicy | None = None,
        idempotency_key: str = "",
    ) -> KeyVersion:
        """Make version 1 of `name`.

        Raises `ConflictError` if there is a key of that name, `BadInputError` if the provider does
        not make such keys or the algorithm does not fit the purpose.
        """
        ...

    def rotate(
        self, name: str, *, provider: str = "", overlap: bool = False, idempotency_key: str = ""
    ) -> KeyVersion:
        """Make the next version, in another provider if one is named, and retire the former.

        With `overlap` both stay active, and statements are signed by both, until `retire`.
        """
        ...

    def retire(self, name: str, version: int, *, idempotency_key: str = "") -> KeyVersion:
        """Make an active version verify-only; another one has to be active."""
        ...

    def disable(self, name: str, version: int = 0, *, idempotency_key: str = "") -> KeyVersion:
        """Forbid every use, until `enable`."""
        ...

    def enable(self, name: str, version: int = 0, *, idempotency_key: str = "") -> KeyVersion:
        """Take back `disable`; a version that another has replaced is verify-only then."""
        ...

    def mark_compromised(
        self,
        name: str,
        version: int = 0,
        *,
        from_index: int | None = None,
        idempotency_key: str = "",
    ) -> KeyVersion:
        """Two principals. Forbid every use for ever; signatures from a ledger leaf on are void.

        A scheduled destruction is taken back. Once its day has come the key goes all the same,
        and for that and for one that is gone the leaf is noted; it must be given.
        """
        ...

    def schedule_destruction(
        self, name: str, version: int = 0, *, waiting_days: int = 7, idempotency_key: str = ""
    ) -> KeyVersion:
        """Two principals. Forbid every use; after 1 to 90 days the key is destroyed."""
        ...

    def cancel_destruction(
        self, name: str, version: int = 0, *, idempotency_key: str = ""
    ) -> KeyVersion:
        """Take back a scheduled destruction before its day has come.

        The key is then disabled (or still compromised).
        """
        ...

    def set_policy(self, name: str, policy: KeyPolicy, *, idempotency_key: str = "") -> KeyPolicy:
        """Two principals. Replace the policy of all versions."""
        ...

    def policy(self, name: str) -> KeyPolicy:
        """The policy of a key."""
        ...

    def list(self) -> Sequence[KeyVersion]:
        """Every version of every key that the caller may read, by name and version."""
        ...

    def show(self, name: str, version: int = 0) -> KeyVersion:
        """One version, public key included; 0 is the newest active one, else the newest."""
        ...

    def usage(self, name: str) -> Sequence[Usage]:
        """Uses of each version."""
        ...

    def sign(self, name: str, message: bytes, context: bytes = b"") -> Signed:
        """Sign bytes with a key of purpose raw; verified before it is handed out."""
        ...

    def sign_mu(self, name: str, mu: bytes) -> Signed:
        """Sign an external mu with an ML-DSA key of purpose raw."""
        ...

    def sign_statement(
        self, name: str, payload_type: str, predicate_type: str, payload: bytes
    ) -> Sequence[Signed]:
        """Sign an in-toto statement with each active version of a key of purpose statement.

        The signatures are over the DSSE pre-authentication encoding, which is built here. Raises
        `BadInputError` unless the payload is a canonical statement of that predicate type.
        """
        ...

    def verify(
        self, name: str, message: bytes, signature: bytes, *, version: int = 0, context: bytes = b""
    ) -> bool:
        """Whether a signature over bytes (for statements: over their encoding) is valid."""
        ...

    def wrap(self, name: str, data_key: bytes, associated_data: bytes = b"") -> bytes:
        """Encrypt 16 to 64 bytes for a key of purpose wrap: ML-KEM, HKDF-SHA256, AES-256-GCM."""
        ...

    def unwrap(self, name: str, wrapped: bytes, associated_data: bytes = b"") -> bytes:
        """Decrypt what `wrap` made, by whichever version it names."""
        ...
