"""`qai kms verify --second-opinion`: what we say of a signature has to be what liboqs says."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO

from quantumai.errors import BadInputError, KeyUnavailableError, UnverifiedError

if TYPE_CHECKING:
    from quantumai.keys.providers.oqs import OqsVerifier

_DIFFERENT = 1


def both_verify(
    algorithm: str, spki_der: bytes, stream: BinaryIO, signature: bytes, context: bytes
) -> tuple[bool, str]:
    """Whether both accept the signature over what `stream` has left, and who the other one is.

    The message is held in memory, so that both judge the same bytes. Raises `BadInputError` as
    `verify_signature` does, for a message of more than 256 MiB, and if liboqs is not there or lacks
    the algorithm; `UnverifiedError` (exit 1) if the two differ.
    """
    from quantumai.keys.signatures import IN_MEMORY_BYTES, verify_signature

    message = stream.read(IN_MEMORY_BYTES + 1)
    if len(message) > IN_MEMORY_BYTES:
        raise BadInputError(
            f"a second opinion is for files of at most {IN_MEMORY_BYTES >> 20} MiB",
            hint="leave --second-opinion out",
        )
    ours = verify_signature(algorithm, spki_der, message, signature, context)
    other = _liboqs()
    theirs = other.verify(algorithm, spki_der, message, signature, context)
    name = f"liboqs {other.version}"
    if theirs is not ours:
        raise UnverifiedError(
            f"the opinions differ: ours says {_said(ours)}, {name} says {_said(theirs)}",
            _DIFFERENT,
            hint="trust neither; one of the libraries has a fault, please report it",
        )
    return ours, name


def _liboqs() -> OqsVerifier:
    from quantumai.keys.providers import oqs

    try:
        return oqs.open_oqs()
    except KeyUnavailableError as error:
        raise BadInputError(f"no second opinion: {error}", hint=error.hint) from None


def _said(valid: bool) -> str:
    return "valid" if valid else "NOT valid"
