"""Nightly anchors: the head of the ledger under SLH-DSA."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from slhdsa import PublicKey, sha2_192s  # a second implementation of FIPS 205

from quantumai.canonical import sha256_hex
from quantumai.keys.algorithms import raw_public_bytes
from quantumai.keys.management.key_use import public_half
from quantumai.provenance.ledger.checkpoint import TreeHead
from quantumai.provenance.ledger.commits import Leaf
from quantumai.provenance.ledger.note import Note
from quantumai.provenance.sealing.ledger_anchor import (
    LedgerAnchor,
    anchor_ledger,
    build_ledger_anchor,
    parse_ledger_anchor,
)
from quantumai.provenance.sealing.sealer import Sealer
from quantumai.provenance.statements.dsse import parse_envelope

NOW = "2026-01-01T00:00:00Z"


@pytest.mark.slow
def test_each_night_one_anchor_that_others_verify(
    tmp_path: Path, new_sealer: Callable[[Path], Sealer]
) -> None:
    sealer = new_sealer(tmp_path)
    before = TreeHead.parse(Note.parse(sealer.ledger.checkpoint()).text)
    made = anchor_ledger(sealer, NOW)
    assert made is not None
    anchor, index = made
    assert (anchor.size, anchor.root) == (before.size, before.root.hex())
    assert anchor_ledger(sealer, NOW) is None  # nothing came since
    leaf = sealer.ledger.entry(index)
    envelope = (tmp_path / "objects/ledger-anchors" / leaf.sha256).read_bytes()
    parsed = parse_envelope(envelope)
    assert parse_ledger_anchor(parsed).root == before.root.hex()
    public = public_half(sealer.keys.ensure("ledger-slh-dsa"))
    raw = raw_public_bytes(public.spki_der)
    verifier = PublicKey.from_digest(raw, sha2_192s)
    assert verifier.verify_pure(parsed.signed_bytes, parsed.signatures[0].signature, ctx=b"")
    sealer.log("run-manifest", b"{}")
    assert anchor_ledger(sealer, NOW) is not None
    assert sealer.verify_ledger() == []


@pytest.mark.slow
def test_forged_anchors_are_found(tmp_path: Path, new_sealer: Callable[[Path], Sealer]) -> None:
    sealer = new_sealer(tmp_path)
    assert anchor_ledger(sealer, NOW)

    def logged(anchor: LedgerAnchor, by: str) -> list[str]:
        envelope = sealer.sign_with((by,), build_ledger_anchor(anchor))
        digest = sha256_hex(envelope)
        sealer._objects.put_once(f"ledger-anchors/{digest}", envelope)
        sealer.ledger.append([Leaf("ledger-anchor", 1, digest)])
        return sealer.verify_ledger()

    true = LedgerAnchor.of(sealer.ledger.checkpoint(), "2026-01-01T00:00:00Z")
    assert any("SLH-DSA key" in problem for problem in logged(true, "statement"))
    wrong = LedgerAnchor(true.origin, true.size, "0" * 64, true.created_at)
    assert any("no longer extends" in problem for problem in logged(wrong, "ledger-slh-dsa"))
    later = LedgerAnchor(true.origin, 999, true.root, true.created_at)
    assert any("come after" in problem for problem in logged(later, "ledger-slh-dsa"))
    for stored in (tmp_path / "objects/ledger-anchors").iterdir():
        stored.unlink()
    assert any("missing" in problem for problem in sealer.verify_ledger())
