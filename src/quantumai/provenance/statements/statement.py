"""In-toto Statements v1 in RFC 8785 bytes (https://in-toto.io/Statement/v1)."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from quantumai.canonical import canonical_json, parse_canonical_json, sha256_hex
from quantumai.errors import BadInputError
from quantumai.keys.dsse_encoding import KEY_ROTATION

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
RUN_MANIFEST = "urn:quantumai:run-manifest:v1"
SCHEDULER_DECISION = "urn:quantumai:scheduler-decision:v1"
KEY_EVENT = "urn:quantumai:key-event:v1"
KEY_STATUS = "urn:quantumai:key-status:v1"
AUDIT_CHECKPOINT = "urn:quantumai:audit-checkpoint:v1"
COUNTER_SIGNATURE = "urn:quantumai:counter-signature:v1"
LEDGER_ANCHOR = "urn:quantumai:ledger-anchor:v1"
ATTESTATION = "urn:quantumai:attestation:v1"
PREDICATE_TYPES = (
    RUN_MANIFEST,
    SCHEDULER_DECISION,
    KEY_EVENT,
    KEY_STATUS,
    KEY_ROTATION,
    AUDIT_CHECKPOINT,
    COUNTER_SIGNATURE,
    LEDGER_ANCHOR,
    ATTESTATION,
)


_Record = TypeVar("_Record")


class Digest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A subject's one digest: in-toto allows others, we accept no statement that has them."""

    sha256: str


class Subject(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Something the statement is about: its name and its SHA-256 in hex."""

    name: str
    digest: Digest


class Statement(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A statement: subjects, predicate type, predicate (plain JSON data)."""

    subject: tuple[Subject, ...]
    predicate_type: str = msgspec.field(name="predicateType")
    predicate: dict[str, Any]
    type: str = msgspec.field(name="_type", default=STATEMENT_TYPE)

    @property
    def digests(self) -> dict[str, str]:
        """Subject name -> SHA-256 hex."""
        return {subject.name: subject.digest.sha256 for subject in self.subject}


class _Named(msgspec.Struct, frozen=True):
    """The one field by which a statement is told from others."""

    predicate_type: str = msgspec.field(name="predicateType")


def build_statement(
    subjects: Mapping[str, str], predicate_type: str, predicate: Mapping[str, Any]
) -> bytes:
    """Canonical bytes of a statement about `subjects` (name -> SHA-256 hex).

    Raises `BadInputError` if what comes out would not be accepted by `parse_statement`.
    """
    statement = {
        "_type": STATEMENT_TYPE,
        "subject": [
            {"name": name, "digest": {"sha256": digest}}
            for name, digest in sorted(subjects.items())
        ],
        "predicateType": predicate_type,
        "predicate": dict(predicate),
    }
    data = canonical_json(statement)
    _checked(statement)
    return data


def parse_statement(data: bytes) -> Statement:
    """Read a statement strictly: canonical bytes, known predicate type, NFC text, unique subjects.

    Raises `BadInputError`.
    """
    return _checked(parse_canonical_json(data))


def parse_predicate(
    data: bytes, predicate_type: str, record: type[_Record], what: str
) -> tuple[Statement, _Record]:
    """Read a statement of one predicate type and its predicate as a `record`, both strictly.

    `what` names such a statement to people, with its article. Raises `BadInputError`.
    """
    statement = parse_statement(data)
    if statement.predicate_type != predicate_type:
        raise BadInputError(f"not {what} but {statement.predicate_type}")
    try:
        return statement, msgspec.convert(statement.predicate, record)
    except msgspec.ValidationError as error:
        raise BadInputError(f"{what.partition(' ')[2]}: {error}") from None


def predicate_type_of(data: bytes) -> str:
    """The predicate type that a statement names; the statement is not checked."""
    try:
        return msgspec.json.decode(data, type=_Named).predicate_type
    except msgspec.MsgspecError as error:
        raise BadInputError(f"not an in-toto statement: {error}") from None


def _checked(value: Any) -> Statement:
    _require_nfc(value)
    try:
        statement = msgspec.convert(value, Statement)
    except msgspec.ValidationError as error:
        raise BadInputError(f"not an in-toto statement: {error}") from None
    if statement.type != STATEMENT_TYPE:
        raise BadInputError(f"not an in-toto Statement v1: {statement.type[:80]!r}")
    if statement.predicate_type not in PREDICATE_TYPES:
        raise BadInputError(f"unknown predicate type {statement.predicate_type[:80]!r}")
    if not statement.subject or len(statement.digests) != len(statement.subject):
        raise BadInputError("a statement needs subjects with different names")
    for subject in statement.subject:
        if not is_sha256(subject.digest.sha256):
            raise BadInputError(f"subject {subject.name[:80]!r} needs exactly a SHA-256 digest")
    return statement


def artifact_index(artefacts: Mapping[str, bytes | str]) -> bytes:
    """Canonical index of artefacts (name -> content, or its SHA-256 in hex).

    The bytes of `{"artefacts": {name: "sha256:<hex>"}, "schema": 1}` in RFC 8785 form.
    """
    digests = {
        name: content if isinstance(content, str) else sha256_hex(content)
        for name, content in artefacts.items()
    }
    for name, digest in digests.items():
        if not is_sha256(digest):
            raise BadInputError(f"artefact {name[:80]!r} has no SHA-256 digest")
    listed = {name: f"sha256:{digest}" for name, digest in digests.items()}
    return canonical_json({"schema": 1, "artefacts": listed})


def artifact_hash(artefacts: Mapping[str, bytes | str]) -> str:
    """`sha256:<hex>` of `artifact_index(artefacts)`."""
    return "sha256:" + sha256_hex(artifact_index(artefacts))


def is_sha256(text: str) -> bool:
    """Whether `text` is a SHA-256 in lower-case hex."""
    return len(text) == 64 and not set(text) - set("0123456789abcdef")


def _require_nfc(value: Any) -> None:
    if isinstance(value, str):
        # Two spellings of one name must not be two names.
        if not unicodedata.is_normalized("NFC", value):
            raise BadInputError("text is not in Unicode normal form C")
    elif isinstance(value, dict):
        for name, member in value.items():
            _require_nfc(name)
            _require_nfc(member)
    elif isinstance(value, list):
        for member in value:
            _require_nfc(member)
