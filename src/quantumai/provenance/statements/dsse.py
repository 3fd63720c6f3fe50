"""DSSE envelopes: a payload, its type, and signatures over both.

Protocol: https://github.com/secure-systems-lab/dsse/blob/v1.0.0/protocol.md. Our envelopes are
themselves canonical JSON (RFC 8785), so that an envelope has exactly one byte form.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import msgspec

from quantumai.canonical import canonical_json, parse_canonical_json
from quantumai.errors import BadInputError
from quantumai.keys.dsse_encoding import IN_TOTO_PAYLOAD_TYPE, pre_authentication_encoding
from quantumai.keys.management.records import Signed

_MOST_SIGNATURES = 16
_LONGEST_ENVELOPE = 8 << 20


class _WireSignature(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    keyid: str
    sig: str


class _WireEnvelope(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    payload: str
    payload_type: str
    signatures: tuple[_WireSignature, ...]


@dataclass(frozen=True)
class Signature:
    """One signature; `key_id` is a hint on whom to ask, trusted by nobody."""

    key_id: str
    signature: bytes


@dataclass(frozen=True)
class Envelope:
    """A parsed envelope; nothing in it is verified."""

    payload_type: str
    payload: bytes
    signatures: tuple[Signature, ...]

    @property
    def signed_bytes(self) -> bytes:
        """What the signatures are over."""
        return pre_authentication_encoding(self.payload_type, self.payload)

    def as_json(self) -> dict[str, Any]:
        """The envelope as plain JSON data."""
        return {
            "payload": base64.b64encode(self.payload).decode(),
            "payloadType": self.payload_type,
            "signatures": [
                {"keyid": s.key_id, "sig": base64.b64encode(s.signature).decode()}
                for s in self.signatures
            ],
        }

    @property
    def data(self) -> bytes:
        """The envelope's one byte form."""
        return canonical_json(self.as_json())


def parse_envelope(data: bytes) -> Envelope:
    """Read an envelope strictly.

    Raises `BadInputError` for anything but the one canonical form: duplicate keys, unknown
    fields, trailing data, sloppy base64, no or repeated signatures, an unknown payload type.
    """
    if len(data) > _LONGEST_ENVELOPE:
        raise BadInputError("the envelope is too long")
    return envelope_from_json(parse_canonical_json(data))


def envelope_from_json(value: object) -> Envelope:
    """As `parse_envelope`, from plain JSON data that stands inside another canonical document."""
    try:
        wire = msgspec.convert(value, _WireEnvelope)
    except msgspec.ValidationError as error:
        raise BadInputError(f"not a DSSE envelope: {error}") from None
    if wire.payload_type != IN_TOTO_PAYLOAD_TYPE:
        raise BadInputError(f"unknown payload type {wire.payload_type[:80]!r}")
    ids = [s.keyid for s in wire.signatures]
    if not 1 <= len(ids) <= _MOST_SIGNATURES or len(set(ids)) != len(ids):
        raise BadInputError("an envelope has 1 to 16 signatures, each by another key")
    signatures = tuple(Signature(s.keyid, _decode(s.sig)) for s in wire.signatures)
    return Envelope(wire.payload_type, _decode(wire.payload), signatures)


def envelope_of(payload: bytes, signatures: Iterable[Signed]) -> Envelope:
    """The envelope of an in-toto payload and the signatures that the KMS made over it."""
    made = tuple(Signature(each.key_id, each.signature) for each in signatures)
    return Envelope(IN_TOTO_PAYLOAD_TYPE, payload, made)


def _decode(text: str) -> bytes:
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise BadInputError("the envelope holds damaged base64") from None
    if base64.b64encode(data).decode() != text:
        raise BadInputError("the envelope holds base64 in another than its one form")
    return data
