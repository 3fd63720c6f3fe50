"""What travels: request and answer bodies, as both sides of the HTTP interface read and write them.

JSON; bytes are base64 (RFC 4648, section 4). A body that has only defaults may be left out. Key
versions, policies, signatures and usage travel as the records of `keys.management` themselves.
"""

from __future__ import annotations

import msgspec

from quantumai.keys.management.records import (
    KeyPolicy,
    KeyPurpose,
    KeyVersion,
    Signed,
    Usage,
)

IDEMPOTENCY_KEY = "Idempotency-Key"
REQUEST_ID = "X-Request-Id"
APPROVAL = "Approval"  # base64 of the signature over a call that a quorum has to sign
MEDIA_TYPE = "application/json"
JWK_MEDIA_TYPE = "application/jwk+json"  # RFC 7517, section 8.5.1
PEM_MEDIA_TYPE = "application/x-pem-file"
MAX_BODY_BYTES = 8 * 2**20


class _Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pass


class CreateKey(_Body, frozen=True):
    """Make version 1 of a key."""

    name: str
    algorithm: str
    purpose: KeyPurpose
    policy: KeyPolicy | None = None


class RotateKey(_Body, frozen=True):
    """Make the next version, in another provider if one is named."""

    provider: str = ""
    overlap: bool = False


class RetireVersion(_Body, frozen=True):
    """Make an active version verify-only."""

    version: int


class OneVersion(_Body, frozen=True):
    """Disable, enable, or take back a scheduled destruction; 0 is the current version."""

    version: int = 0


class MarkCompromised(_Body, frozen=True):
    """Signatures from leaf `from_index` of the run ledger on are void; without it, all are."""

    version: int = 0
    from_index: int | None = None


class ScheduleDestruction(_Body, frozen=True):
    """Destroy a version after a waiting period."""

    version: int = 0
    waiting_days: int = 7


class SignMessage(_Body, frozen=True):
    """Sign bytes with a key of purpose raw."""

    message: bytes
    context: bytes = b""


class SignMu(_Body, frozen=True):
    """Sign a 64-byte external mu."""

    mu: bytes


class SignStatement(_Body, frozen=True):
    """Sign an in-toto statement with a key of purpose statement."""

    payload_type: str
    predicate_type: str
    payload: bytes


class VerifySignature(_Body, frozen=True):
    """Verify a signature; version 0 is the current one."""

    message: bytes
    signature: bytes
    version: int = 0
    context: bytes = b""


class WrapKey(_Body, frozen=True):
    """Encrypt a data key, which is kept out of repr."""

    data_key: bytes
    associated_data: bytes = b""

    def __repr__(self) -> str:
        return "WrapKey(...)"


class UnwrapKey(_Body, frozen=True):
    """Decrypt a data key."""

    wrapped: bytes
    associated_data: bytes = b""


class KeyList(_Body, frozen=True):
    """Every version of every key of the tenant."""

    keys: tuple[KeyVersion, ...]


class UsageList(_Body, frozen=True):
    """Uses of each version of a key."""

    versions: tuple[Usage, ...]


class SignatureList(_Body, frozen=True):
    """One signature of each active version."""

    signatures: tuple[Signed, ...]


class Verdict(_Body, frozen=True):
    """Whether a signature is valid."""

    valid: bool


class Wrapped(_Body, frozen=True):
    """An encrypted data key."""

    wrapped: bytes


class DataKey(_Body, frozen=True):
    """A decrypted data key, kept out of repr."""

    data_key: bytes

    def __repr__(self) -> str:
        return "DataKey(...)"


class Health(_Body, frozen=True):
    """The service is up; `leaked_workers` of its threads are stuck in calls past their deadline."""

    status: str
    leaked_workers: int = 0
