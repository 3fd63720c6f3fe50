"""One call to the KMS as the audit log keeps it, and its one byte form: canonical JSON.

An entry carries the leaf hash of the one before it, so that a change breaks a link of the chain
at a known place even where no checkpoint is at hand.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from enum import StrEnum

import msgspec

from quantumai.canonical import canonical_json
from quantumai.errors import BadInputError
from quantumai.merkle import leaf_hash

SCHEMA = 1
# `previous` of the first entry.
NOTHING_BEFORE = ""
_LONGEST_TEXT = 256
_HEX = frozenset("0123456789abcdef")
_PLAIN = re.compile(r"[ !#-\[\]-~]*")
_TEXTS = ("tenant", "principal", "request_id", "tls_group", "operation", "key", "error")


class Outcome(StrEnum):
    """How a call ended."""

    OK = "ok"
    DENIED = "denied"
    FAILED = "failed"
    REPLAYED = "replayed"  # the stored answer to a call with the same idempotency key
    APPROVAL_NEEDED = "approval-needed"


class AuditRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a caller hands to the log. Texts have at most 256 characters; "" stands for none.

    `payload_sha256` (hex) is of what was signed or wrapped, and of the canonical arguments of any
    other call. `error` is the code of the error that the caller got.
    """

    tenant: str
    principal: str
    operation: str
    outcome: Outcome
    payload_sha256: str
    key: str = ""
    version: int | None = None
    key_id: str = ""
    request_id: str = ""
    tls_group: str = ""
    error: str = ""

    def check(self) -> None:
        """Raise `BadInputError` unless the log can hold this."""
        if not _is_sha256(self.payload_sha256):
            raise BadInputError("an audit entry needs the SHA-256 of its payload in lower-case hex")
        if self.key_id and not _is_sha256(self.key_id):
            raise BadInputError("an audit entry needs a key id in lower-case hex, or none")
        if self.version is not None and not 0 <= self.version < 2**31:
            raise BadInputError(f"not the version of a key: {self.version}")
        for name in _TEXTS:
            text = getattr(self, name)
            if len(text) > _LONGEST_TEXT or not _is_unicode(text):
                raise BadInputError(
                    f"the {name} {text[:40]!r} cannot be audited",
                    hint=f"use at most {_LONGEST_TEXT} characters of Unicode",
                )


class AuditEntry(AuditRecord, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Entry `sequence` (0, 1, ...), written at `at` (ISO 8601 UTC with microseconds).

    `previous` is the RFC 6962 leaf hash (hex) of the entry before, "" in the first.
    """

    schema: int
    sequence: int
    at: str
    previous: str

    @classmethod
    def of(cls, record: AuditRecord, sequence: int, at: datetime, previous: str) -> AuditEntry:
        """The entry for a record."""
        return cls(
            **msgspec.structs.asdict(record),
            schema=SCHEMA,
            sequence=sequence,
            at=_time_text(at),
            previous=previous,
        )

    @property
    def text(self) -> str:
        """The entry's one form: canonical JSON."""
        if self._is_plain():
            # Sorted and without blanks is all that RFC 8785 asks of such texts and small numbers.
            return msgspec.json.encode(self, order="sorted").decode()
        return canonical_json(msgspec.to_builtins(self)).decode()

    def _is_plain(self) -> bool:
        """Whether no text needs an escape, so that any JSON writer spells it the same."""
        texts = "".join([getattr(self, name) for name in _TEXTS])
        return _PLAIN.fullmatch(texts) is not None

    @classmethod
    def parse(cls, text: str) -> AuditEntry:
        """Read an entry strictly. Raises `BadInputError` for all but what `text` writes."""
        try:
            entry = msgspec.json.decode(text, type=cls)
            same = entry.text == text
        except (msgspec.DecodeError, UnicodeError) as error:
            raise BadInputError(f"not an audit entry: {error}") from None
        if not same:
            raise BadInputError("not an audit entry in canonical form")
        entry.check()
        return entry

    def check(self) -> None:
        """See `AuditRecord.check`; also of what the log itself wrote."""
        super().check()
        if self.schema != SCHEMA or self.sequence < 0:
            raise BadInputError("not an audit entry of schema 1")
        if self.previous != NOTHING_BEFORE and not _is_sha256(self.previous):
            raise BadInputError("an audit entry whose link is no SHA-256")
        try:
            at = datetime.fromisoformat(self.at)
        except ValueError:
            raise BadInputError("an audit entry whose time is none") from None
        if at.tzinfo is None or _time_text(at) != self.at:
            raise BadInputError("an audit entry whose time is not in its one form")


def link_to(text: str) -> str:
    """The `previous` of the entry that follows the entry with this text."""
    return leaf_hash(text.encode()).hex()


def _time_text(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _is_sha256(text: str) -> bool:
    return len(text) == 64 and _HEX.issuperset(text)


def _is_unicode(text: str) -> bool:
    # Lone surrogates, which JSON can spell but no database and no hash can take.
    return text.isascii() or not any("\ud800" <= c <= "\udfff" for c in text)
