"""The one byte form of an audit entry, however it is written, is that of RFC 8785."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from quantumai.keys.audit.entry import AuditEntry, AuditRecord, Outcome

_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20) | st.sampled_from(
    ["", "plain", 'quo"ted', "back\\slash", "tab\t", "\x7f", "é", "\u2028", "</script>"]
)


@given(
    texts=st.tuples(_TEXT, _TEXT, _TEXT, _TEXT, _TEXT, _TEXT, _TEXT),
    version=st.none() | st.integers(0, 2**31 - 1),
    outcome=st.sampled_from(Outcome),
    sequence=st.integers(0, 2**53 - 1),
)
def test_every_entry_is_canonical_json(
    texts: tuple[str, ...], version: int | None, outcome: Outcome, sequence: int
) -> None:
    tenant, principal, request_id, tls_group, operation, key, error = texts
    record = AuditRecord(
        tenant=tenant,
        principal=principal,
        request_id=request_id,
        tls_group=tls_group,
        operation=operation,
        key=key,
        error=error,
        version=version,
        outcome=outcome,
        payload_sha256="0" * 64,
    )
    entry = AuditEntry.of(record, sequence, datetime(2026, 1, 2, tzinfo=UTC), "f" * 64)
    assert entry.text.encode() == rfc8785.dumps(msgspec.to_builtins(entry))
    assert AuditEntry.parse(entry.text) == entry
