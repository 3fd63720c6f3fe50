"""One payload, three views: a run-manifest as DSSE envelope, as flat JSON and as flat YAML.

The envelope is what is signed and logged. A flat view is for people: the predicate's fields and the
subjects as plain members, and beside them the very payload and the signatures in base64, from which
the envelope is made again, byte for byte. What the plain members say counts only if it is what the
payload says.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import msgspec

from quantumai.canonical import canonical_json
from quantumai.errors import BadInputError
from quantumai.provenance.manifest.run_manifest import RunManifest, parse_run_manifest
from quantumai.provenance.statements.dsse import Envelope, envelope_from_json, parse_envelope
from quantumai.provenance.statements.strict_json import parse_strict_json
from quantumai.strict_yaml import parse_strict_yaml, write_strict_yaml

_WHAT = "the manifest"
LONGEST_VIEW = 24 << 20  # three times the longest envelope: a flat view says everything twice


class ViewFormat(StrEnum):
    """How a manifest is written down."""

    DSSE = "dsse"
    JSON = "json"
    YAML = "yaml"

    @classmethod
    def parse(cls, text: str) -> ViewFormat:
        """Read a format by its name, or raise `BadInputError`."""
        try:
            return cls(text)
        except ValueError:
            raise BadInputError(
                f"unknown format {text!r}", hint=f"use one of: {', '.join(cls)}"
            ) from None

    @property
    def file_name(self) -> str:
        """The manifest's name in a folder of evidence."""
        return "manifest.yaml" if self is ViewFormat.YAML else "manifest.json"


class FurtherSignature(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A signature of a flat view beside the first one, in base64."""

    key_id: str
    signature: str


class Enclosed(msgspec.Struct, frozen=True, kw_only=True):
    """The members of a flat view from which the envelope is made again."""

    payload: str
    payload_type: str
    key_id: str
    signature: str
    signatures: tuple[FurtherSignature, ...]


_FIELDS = RunManifest.__struct_fields__
_MEMBERS = {*_FIELDS, *Enclosed.__struct_fields__, "subjects"}


@dataclass(frozen=True)
class ReadView:
    """A view taken apart; nothing in it is verified.

    `contradiction` says where the plain members are not what the payload says, "" if nowhere.
    """

    envelope: Envelope
    contradiction: str = ""


def flat_view(envelope: Envelope) -> dict[str, Any]:
    """The members of the flat views, in the order in which they are written.

    `signature` is the envelope's first one, further ones stand in `signatures`. Raises
    `BadInputError` if the payload is no run-manifest.
    """
    statement, _ = parse_run_manifest(envelope.payload)
    first, *further = (
        {"key_id": s.key_id, "signature": base64.b64encode(s.signature).decode()}
        for s in envelope.signatures
    )
    return {
        **{name: statement.predicate[name] for name in _FIELDS if name in statement.predicate},
        "subjects": {name: f"sha256:{digest}" for name, digest in statement.digests.items()},
        "payload_type": envelope.payload_type,
        "payload": base64.b64encode(envelope.payload).decode(),
        **first,
        "signatures": further,
    }


def write_view(envelope: Envelope, view: ViewFormat) -> bytes:
    """The envelope in one of its views. Raises `BadInputError` if it cannot be read back."""
    if view is ViewFormat.DSSE:
        data = envelope.data
    elif view is ViewFormat.JSON:
        data = (msgspec.json.format(msgspec.json.encode(flat_view(envelope)), indent=2)) + b"\n"
    else:
        data = write_strict_yaml(flat_view(envelope))
    if read_view(data) != envelope:
        raise BadInputError("this manifest has no such view")
    return data


def read_view(data: bytes) -> Envelope:
    """The envelope of a manifest in any of its views; nothing in it is verified.

    Raises `BadInputError` for what is not exactly one of the views, for a payload that is no
    run-manifest, and for a flat view that contradicts its payload.
    """
    view = take_apart(data)
    if view.contradiction:
        raise BadInputError(view.contradiction)
    parse_run_manifest(view.envelope.payload)
    return view.envelope


def take_apart(data: bytes) -> ReadView:
    """As `read_view`, but leaves what the payload says, or is contradicted in, to the caller.

    So that a verification can say the same of a changed payload in every view.
    """
    if len(data) > LONGEST_VIEW:
        raise BadInputError(f"{_WHAT} is too long")
    members = _parse(data)
    if not isinstance(members, dict):
        raise BadInputError(f"{_WHAT} is neither a DSSE envelope nor a flat view of one")
    if "payloadType" in members:
        return ReadView(parse_envelope(data))
    if unknown := members.keys() - _MEMBERS:
        raise BadInputError(f"{_WHAT} has an unknown member {min(unknown)[:80]!r}")
    try:
        enclosed = msgspec.convert(members, Enclosed)
    except msgspec.ValidationError as error:
        raise BadInputError(f"neither a DSSE envelope nor a flat view: {error}") from None
    return _compared(members, _envelope_of(enclosed))


def _parse(data: bytes) -> Any:
    """Plain data: whatever is JSON is read as JSON, and only what is not as YAML."""
    if not data.lstrip(b" \t\r\n").startswith(b"{"):
        return parse_strict_yaml(data, _WHAT)
    try:
        return parse_strict_json(data, _WHAT)
    except BadInputError as not_json:
        try:
            return parse_strict_yaml(data, _WHAT)  # YAML's flow style begins alike
        except BadInputError:
            raise not_json from None


def _envelope_of(view: Enclosed) -> Envelope:
    signatures = [(view.key_id, view.signature)]
    signatures += [(each.key_id, each.signature) for each in view.signatures]
    return envelope_from_json(
        {
            "payload": view.payload,
            "payloadType": view.payload_type,
            "signatures": [{"keyid": key_id, "sig": sig} for key_id, sig in signatures],
        }
    )


def _compared(members: dict[str, Any], envelope: Envelope) -> ReadView:
    try:
        signed = flat_view(envelope)
    except BadInputError as error:
        return ReadView(envelope, f"the payload is no run-manifest: {error}")
    for name in sorted(members.keys() | signed.keys()):
        if not _same(members.get(name), signed.get(name), name in members and name in signed):
            return ReadView(envelope, f"{name} contradicts the payload that was signed")
    return ReadView(envelope)


def _same(read: Any, signed: Any, both_there: bool) -> bool:
    try:
        return both_there and canonical_json(read) == canonical_json(signed)
    except BadInputError:  # what no signed payload can hold
        return False
