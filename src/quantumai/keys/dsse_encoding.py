"""What a statement key signs: DSSE's encoding of a payload, and which payloads it takes.

Protocol: https://github.com/secure-systems-lab/dsse/blob/v1.0.0/protocol.md. The encoding is built
by whoever holds the key, so that nobody can have a statement signed as "some bytes".
"""

from __future__ import annotations

from quantumai.canonical import parse_canonical_json
from quantumai.errors import BadInputError

IN_TOTO_PAYLOAD_TYPE = "application/vnd.in-toto+json"
IN_TOTO_STATEMENT = "https://in-toto.io/Statement/v1"
# The one predicate type that the KMS writes itself.
KEY_ROTATION = "urn:quantumai:key-rotation:v1"
_LONGEST_PAYLOAD = 8 << 20


def pre_authentication_encoding(payload_type: str, payload: bytes) -> bytes:
    """DSSE's PAE: "DSSEv1" SP LEN(type) SP type SP LEN(body) SP body."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def require_statement(payload_type: str, predicate_type: str, payload: bytes) -> None:
    """Raise `BadInputError` unless the payload is a canonical in-toto Statement v1 of that type."""
    if payload_type != IN_TOTO_PAYLOAD_TYPE:
        raise BadInputError(
            f"a statement key does not sign payloads of type {payload_type[:80]!r}",
            hint=f"it signs {IN_TOTO_PAYLOAD_TYPE}; for other bytes make a key of purpose raw",
        )
    if len(payload) > _LONGEST_PAYLOAD:
        raise BadInputError("the payload is too long", hint="sign a statement about its SHA-256")
    try:
        value = parse_canonical_json(payload)
    except BadInputError as error:
        raise BadInputError(
            f"not an in-toto statement: {error}",
            hint="a statement key signs in-toto statements only; other bytes need purpose raw",
        ) from None
    found = value.get("predicateType") if isinstance(value, dict) else None
    if not isinstance(value, dict) or value.get("_type") != IN_TOTO_STATEMENT:
        raise BadInputError("not an in-toto Statement v1", hint=f"its _type is {IN_TOTO_STATEMENT}")
    if found != predicate_type:
        raise BadInputError(
            f"the statement's predicate type is {str(found)[:80]!r}, not {predicate_type[:80]!r}"
        )
