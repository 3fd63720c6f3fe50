"""DSSE: the protocol's published example, and one byte form only."""

from __future__ import annotations

import base64
import json

import pytest

from quantumai.errors import BadInputError
from quantumai.provenance.statements.dsse import (
    IN_TOTO_PAYLOAD_TYPE,
    Envelope,
    Signature,
    parse_envelope,
    pre_authentication_encoding,
)


def test_published_pre_authentication_encoding() -> None:
    # https://github.com/secure-systems-lab/dsse/blob/v1.0.0/protocol.md, "Test vectors".
    encoded = pre_authentication_encoding("http://example.com/HelloWorld", b"hello world")
    assert encoded == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"


def test_lengths_count_bytes() -> None:
    assert pre_authentication_encoding("é", "ü".encode()) == b"DSSEv1 2 \xc3\xa9 2 \xc3\xbc"


def _envelope() -> Envelope:
    return Envelope(IN_TOTO_PAYLOAD_TYPE, b'{"a":1}', (Signature("k", b"sig"),))


def test_round_trip() -> None:
    assert parse_envelope(_envelope().data) == _envelope()


def _changed(**members: object) -> bytes:
    value = json.loads(_envelope().data) | members
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        _envelope().data + b"\n",
        _envelope().data[:-1],
        _envelope().data.replace(b'{"payload"', b'{"payload":"","payload"'),
        _changed(extra=1),
        _changed(payloadType="text/plain"),
        _changed(signatures=[]),
        _changed(signatures=[{"keyid": "k", "sig": "c2ln"}] * 2),
        _changed(signatures=[{"keyid": "k", "sig": "c2ln", "publicKey": "x"}]),
        _changed(payload=base64.b64encode(b"ab").decode().replace("I=", "J=")),
        _changed(payload="e30"),
        _changed(payload=" e30="),
        _changed(payload=None),
    ],
)
def test_any_other_form_is_refused(data: bytes) -> None:
    with pytest.raises(BadInputError):
        parse_envelope(data)
