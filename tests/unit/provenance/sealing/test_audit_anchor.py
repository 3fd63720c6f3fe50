"""Heads of the audit log in the run ledger: what is anchored, what is believed, what is found."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from quantumai.canonical import canonical_json, sha256_hex
from quantumai.errors import BadInputError, LedgerError
from quantumai.keys.algorithms import PublicKey, verify_signature
from quantumai.keys.audit.entry import AuditRecord, Outcome
from quantumai.keys.audit.head import AuditHead
from quantumai.keys.audit.log import AuditLog
from quantumai.keys.audit.verification import Fault, verify_log
from quantumai.keys.dsse_encoding import IN_TOTO_PAYLOAD_TYPE
from quantumai.keys.management.built_in import AUDIT
from quantumai.keys.management.internal_keys import InternalKeys
from quantumai.merkle import leaf_hash, root_hash
from quantumai.provenance.ledger.commits import Leaf
from quantumai.provenance.sealing.audit_anchor import (
    AuditAnchor,
    AuditCheckpoint,
    build_audit_checkpoint,
    parse_audit_checkpoint,
)
from quantumai.provenance.sealing.sealer import Sealer
from quantumai.provenance.statements.dsse import envelope_of, parse_envelope
from quantumai.provenance.statements.statement import AUDIT_CHECKPOINT, KEY_EVENT, build_statement
from quantumai.storage.local_objects import LocalObjects
from tests.key_management import standing_clock

LOG = "quantumai/audit/test"
ROOT = "ab" * 32
AT = standing_clock().strftime("%Y-%m-%dT%H:%M:%SZ")
HEADS = [AuditHead(size, bytes([size]) * 32) for size in (1, 4, 9)]


def signing(keys: InternalKeys) -> Callable[[bytes], bytes]:
    return lambda statement: (
        envelope_of(statement, [keys.sign_audit_head(AUDIT_CHECKPOINT, statement)]).data
    )


def public_key(keys: InternalKeys) -> PublicKey:
    found = keys.ensure(AUDIT).public_key
    assert found is not None
    return found


def anchor_of(sealer: Sealer, home: Path, log: str = LOG, **other: object) -> AuditAnchor:
    parts: dict[str, object] = {
        "ledger": sealer.ledger,
        "objects": LocalObjects(home / "objects"),
        "sign": signing(sealer.keys),
        "keys": lambda: [public_key(sealer.keys)],
        "clock": standing_clock,
    }
    return AuditAnchor(log, **(parts | other))  # type: ignore[arg-type]


def by_statement_key(sealer: Sealer, statement: bytes) -> bytes:
    """The same statement, signed by a key of the home that is not the audit log's."""
    signed = sealer.keys.sign_statement(
        "statement", IN_TOTO_PAYLOAD_TYPE, AUDIT_CHECKPOINT, statement
    )
    return envelope_of(statement, signed).data


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def anchor(sealer: Sealer, home: Path) -> AuditAnchor:
    return anchor_of(sealer, home)


def test_heads_come_back_as_they_were_anchored(
    sealer: Sealer, home: Path, anchor: AuditAnchor, new_sealer: Callable[[Path], Sealer]
) -> None:
    assert anchor.anchored() == []
    indices = [anchor.anchor(anchor.signed(head)) for head in HEADS]
    other = anchor_of(sealer, home, log="another log")
    other.anchor(other.signed(HEADS[0]))
    found = anchor_of(new_sealer(home), home).anchored()
    assert [each.index for each in found] == indices
    assert [each.checkpoint.head for each in found] == HEADS
    assert {each.checkpoint.at for each in found} == {AT}
    assert sealer.ledger.verify() == []


def test_the_kms_signs_a_head_that_its_log_has(sealer: Sealer, anchor: AuditAnchor) -> None:
    log: AuditLog = sealer.keys._parts.audit
    before = log.head()
    envelope = anchor.signed(before)
    # Its own use is counted and not logged, or no log would ever be at rest.
    assert log.head() == before
    index = anchor.anchor(envelope)
    # A new head of the ledger is a call to the KMS, though.
    assert log.head().size > before.size
    assert sealer.ledger.entry(index) == Leaf("audit-checkpoint", 1, sha256_hex(envelope))
    texts = [text.encode() for _, text in log.entries(0, before.size - 1)]
    assert before.root == root_hash([leaf_hash(text) for text in texts])
    parsed, key = parse_envelope(envelope), public_key(sealer.keys)
    assert verify_signature(
        key.algorithm, key.spki_der, parsed.signed_bytes, parsed.signatures[0].signature
    )
    heads = [each.checkpoint.head for each in anchor.anchored()]
    assert log.verify(heads).proven == before.size
    assert log.verify([anchor.read(envelope).head]).bad is None


def test_the_ledger_finds_a_log_that_was_rewritten_or_cut_off(
    sealer: Sealer, home: Path, anchor: AuditAnchor
) -> None:
    log: AuditLog = sealer.keys._parts.audit
    record = AuditRecord(
        tenant="local",
        principal="alice",
        operation="sign",
        outcome=Outcome.OK,
        payload_sha256="0" * 64,
    )
    log.append(record)
    size = anchor.read(anchor.signed(log.head())).size
    anchor.anchor(anchor.signed(log.head()))
    log.append(record)
    heads = [each.checkpoint.head for each in anchor.anchored()]
    rows = list(log.entries(0, log.size()))
    assert verify_log(rows, heads).bad is None
    for kept in range(size):
        bad = verify_log(rows[:kept], heads).bad
        assert bad is not None
        assert (bad.fault, bad.last) == (Fault.TRUNCATED, kept)


@pytest.mark.parametrize("damage", ["gone", "changed", "of another key", "of another kind"])
def test_what_the_ledger_names_must_be_there_as_it_was_signed(
    sealer: Sealer, home: Path, anchor: AuditAnchor, damage: str
) -> None:
    envelope = anchor.signed(HEADS[0])
    anchor.anchor(envelope)
    path = home / "objects" / "audit-checkpoints" / sha256_hex(envelope)
    objects = LocalObjects(home / "objects")
    if damage == "gone":
        path.unlink()
    elif damage == "changed":
        path.write_bytes(anchor.signed(HEADS[1]))
    else:
        statement = build_audit_checkpoint(AuditCheckpoint(LOG, 9, ROOT, AT))
        if damage == "of another kind":
            statement = build_statement({"key": ROOT}, KEY_EVENT, {})
        forged = (
            sealer.sign(statement)
            if damage == "of another kind"
            else by_statement_key(sealer, statement)
        )
        digest = sha256_hex(forged)
        objects.put_once(f"audit-checkpoints/{digest}", forged)
        sealer.ledger.append([Leaf("audit-checkpoint", 1, digest)])
    with pytest.raises(LedgerError, match=r"^audit checkpoint [0-9a-f]{16}"):
        anchor_of(sealer, home).anchored()


def test_nothing_but_the_logs_own_signed_checkpoint_is_read(
    sealer: Sealer, home: Path, anchor: AuditAnchor
) -> None:
    good = anchor.signed(HEADS[1])
    assert anchor.read(good).head == HEADS[1]
    with pytest.raises(LedgerError, match="another audit log"):
        anchor.read(anchor_of(sealer, home, log="other").signed(HEADS[1]))
    checkpoint = AuditCheckpoint(LOG, 9, ROOT, AT)
    with pytest.raises(LedgerError, match="not signed by"):
        anchor.read(by_statement_key(sealer, build_audit_checkpoint(checkpoint)))
    nobody = anchor_of(sealer, home, keys=list)
    for use in (nobody.read, nobody.anchor):
        with pytest.raises(LedgerError, match="not signed by"):
            use(good)
    for data in (b"", b"{}", good[:-1], good + b"\n"):
        with pytest.raises(BadInputError):
            anchor.read(data)


@pytest.mark.parametrize(
    ("change", "subject"),
    [
        ({"size": -1}, ROOT),
        ({"size": "9"}, ROOT),
        ({"root": "AB" * 32}, ROOT),
        ({"root": "cd" * 32}, ROOT),
        ({"more": 1}, ROOT),
        ({}, "cd" * 32),
    ],
)
def test_a_checkpoint_has_one_form(change: dict[str, object], subject: str) -> None:
    checkpoint = AuditCheckpoint(LOG, 9, ROOT, AT)
    predicate = msgspec.to_builtins(checkpoint) | change

    def envelope(statement: bytes) -> bytes:
        signature = {"keyid": "k", "sig": "AAAA"}
        return canonical_json(
            {
                "payload": b64encode(statement).decode(),
                "payloadType": IN_TOTO_PAYLOAD_TYPE,
                "signatures": [signature],
            }
        )

    good = parse_envelope(envelope(build_audit_checkpoint(checkpoint)))
    assert parse_audit_checkpoint(good) == checkpoint
    statement = build_statement({"audit-log": subject}, AUDIT_CHECKPOINT, predicate)
    with pytest.raises(BadInputError):
        parse_audit_checkpoint(parse_envelope(envelope(statement)))
