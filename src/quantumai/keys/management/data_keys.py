"""Wrapping a data key for an ML-KEM key: a KEM, a key derivation and an AEAD.

A wrapped key is `QAIW1`, the key version in 4 bytes, the ML-KEM ciphertext (FIPS 203), and the
AES-256-GCM ciphertext of the data key with its tag (NIST SP 800-38D). The AES key and the nonce
come from HKDF-SHA256 (RFC 5869) of the shared secret, with everything that was sent before as
info. A shared secret is used once, so the nonce may be derived.
"""

from __future__ import annotations

from quantumai.errors import BadInputError
from quantumai.keys.encapsulation import Encapsulation
from quantumai.keys.parameters import parameter_set

_MAGIC = b"QAIW1"
_VERSION_BYTES = 4
_TAG_BYTES = 16
_SHORTEST, _LONGEST = 16, 64


def require_data_key(data_key: bytes) -> None:
    """Raise `BadInputError` unless the length is that of a key."""
    if not _SHORTEST <= len(data_key) <= _LONGEST:
        raise BadInputError(
            f"a data key has {_SHORTEST} to {_LONGEST} bytes, this has {len(data_key)}",
            hint="encrypt data with a data key, and wrap that key",
        )


def seal(made: Encapsulation, version: int, data_key: bytes, associated_data: bytes) -> bytes:
    """The wrapped form of `data_key` under a fresh encapsulation."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    header = _MAGIC + version.to_bytes(_VERSION_BYTES, "big") + made.ciphertext
    key, nonce = _derive(made.shared_secret, header)
    return header + AESGCM(key).encrypt(nonce, data_key, header + associated_data)


def version_of(wrapped: bytes) -> int:
    """The key version that a wrapped key names. Raises `BadInputError` if it is no wrapped key."""
    if not wrapped.startswith(_MAGIC) or len(wrapped) < len(_MAGIC) + _VERSION_BYTES:
        raise BadInputError("not a wrapped data key")
    return int.from_bytes(wrapped[len(_MAGIC) : len(_MAGIC) + _VERSION_BYTES], "big")


def ciphertext_of(algorithm: str, wrapped: bytes) -> bytes:
    """The ML-KEM ciphertext inside a wrapped key. Raises `BadInputError` for a wrong length."""
    size = parameter_set(algorithm).output_bytes or 0
    start = len(_MAGIC) + _VERSION_BYTES
    body = len(wrapped) - start - size - _TAG_BYTES
    if not _SHORTEST <= body <= _LONGEST:
        raise BadInputError("not a wrapped data key: its length is wrong")
    return wrapped[start : start + size]


def open_sealed(
    algorithm: str, shared_secret: bytes, wrapped: bytes, associated_data: bytes
) -> bytes:
    """The data key inside. Raises `BadInputError` if anything of it was changed."""
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    end = len(_MAGIC) + _VERSION_BYTES + len(ciphertext_of(algorithm, wrapped))
    header, sealed = wrapped[:end], wrapped[end:]
    key, nonce = _derive(shared_secret, header)
    try:
        return AESGCM(key).decrypt(nonce, sealed, header + associated_data)
    except InvalidTag:
        raise BadInputError(
            "the wrapped key was changed, or the associated data is not that of wrapping"
        ) from None


def _derive(shared_secret: bytes, header: bytes) -> tuple[bytes, bytes]:
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    made = HKDF(SHA256(), length=44, salt=None, info=b"quantumai data key v1" + header).derive(
        shared_secret
    )
    return made[:32], made[32:]
