"""Freshness: what is told, and what is not, by a remembered checkpoint or by witnesses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

from quantumai.crypto_mode import CryptoMode
from quantumai.errors import LedgerError
from quantumai.provenance.ledger.checkpoint import TreeHead, cosigned_message, signed_checkpoint
from quantumai.provenance.ledger.note import TYPE_ML_DSA_44, Note, NoteSignature, VerifierKey
from quantumai.provenance.sealing.sealer import Sealer
from quantumai.provenance.verification.freshness import Remembered, check_freshness
from quantumai.provenance.verification.report import ExitCode, Outcome
from quantumai.provenance.verification.trust import TrustFile, WitnessTrust

PQC = CryptoMode.PQC_REQUIRED


def _head(checkpoint: bytes) -> TreeHead:
    return TreeHead.parse(Note.parse(checkpoint).text)


@dataclass
class Witness:
    """A witness by hand: its ML-DSA-44 key signs `cosigned_message` of tlog-cosignature."""

    name: str

    def __post_init__(self) -> None:
        self.private = MLDSA44PrivateKey.generate()
        raw = self.private.public_key().public_bytes_raw()
        self.key = VerifierKey(self.name, TYPE_ML_DSA_44, raw)

    def cosign(self, checkpoint: bytes, about: TreeHead | None = None) -> bytes:
        note = Note.parse(checkpoint)
        message = cosigned_message(self.name, 7, about or _head(checkpoint))
        signature = (7).to_bytes(8, "big") + self.private.sign(message)
        line = NoteSignature(self.name, self.key.key_id, signature)
        return Note(note.text, (*note.signatures, line)).data


def _with_witnesses(trust: TrustFile, quorum: int, *witnesses: Witness) -> TrustFile:
    keys = tuple(witness.key.text for witness in witnesses)
    changed = msgspec.structs.replace(trust, witnesses=WitnessTrust(keys, quorum))
    return changed.check()


def _fork(sealer: Sealer, head: TreeHead) -> bytes:
    """Another tree of the same size, signed by the log's own keys: the log itself lies."""
    other = TreeHead(head.origin, head.size, bytes(32))
    return signed_checkpoint(other, sealer.ledger.signer.sign(other, 9))


def test_without_anything_nothing_is_claimed(sealer: Sealer) -> None:
    checkpoint = sealer.ledger.checkpoint()
    found = check_freshness(_head(checkpoint), checkpoint, sealer.export_trust(), PQC, None)
    assert found.status is Outcome.NOT_CHECKED
    assert found.name == "freshness"


def test_a_remembered_checkpoint_tells_growth_from_another_tree(sealer: Sealer) -> None:
    trust, proofs = sealer.export_trust(), sealer.ledger.consistency_proof
    old = sealer.ledger.checkpoint()
    sealer.log("run-manifest", b"{}")
    new = sealer.ledger.checkpoint()

    def check(shown: bytes, kept: bytes, source: object = proofs) -> tuple[Outcome, ExitCode]:
        remembered = Remembered(kept, source)  # type: ignore[arg-type]
        found = check_freshness(_head(shown), shown, trust, PQC, remembered)
        return found.status, found.exit_code

    assert check(new, old) == (Outcome.OK, ExitCode.OK)
    assert check(old, new) == (Outcome.OK, ExitCode.OK)  # an old proof is still one of this log
    assert check(new, new, None) == (Outcome.OK, ExitCode.OK)
    assert check(new, old, None)[0] is Outcome.NOT_CHECKED
    wrong = (Outcome.FAILED, ExitCode.LEDGER)
    assert check(_fork(sealer, _head(new)), new, None) == wrong
    assert check(_fork(sealer, _head(new)), old) == wrong
    assert check(new, _fork(sealer, _head(old))) == wrong
    assert check(new, b"junk") == wrong

    def fails(first: int, second: int) -> list[bytes]:
        raise LedgerError("tiles are damaged")

    assert check(new, old, fails) == wrong


def test_what_is_remembered_must_be_signed_by_this_ledger(
    tmp_path: Path, sealer: Sealer, new_sealer: Callable[[Path], Sealer]
) -> None:
    stranger = new_sealer(tmp_path / "stranger").ledger.checkpoint()
    shown = sealer.ledger.checkpoint()
    found = check_freshness(_head(shown), shown, sealer.export_trust(), PQC, Remembered(stranger))
    assert (found.status, found.exit_code) == (Outcome.FAILED, ExitCode.LEDGER)


def test_a_quorum_counts_voices_that_cosigned_this_very_head(sealer: Sealer) -> None:
    alice, bob = Witness("alice.example"), Witness("bob.example")
    bare = sealer.ledger.checkpoint()
    one, two = alice.cosign(bare), bob.cosign(alice.cosign(bare))

    def check(checkpoint: bytes, quorum: int) -> Outcome:
        trust = _with_witnesses(sealer.export_trust(), quorum, alice, bob)
        return check_freshness(_head(checkpoint), checkpoint, trust, PQC, None).status

    assert [check(bare, 1), check(one, 1), check(one, 2), check(two, 2)] == [
        Outcome.NOT_CHECKED,
        Outcome.OK,
        Outcome.NOT_CHECKED,
        Outcome.OK,
    ]
    lied = alice.cosign(bare, TreeHead(_head(bare).origin, 1, bytes(32)))
    assert check(lied, 1) is Outcome.FAILED


def test_a_classical_witness_counts_in_classical_mode_only(sealer: Sealer) -> None:
    private = Ed25519PrivateKey.generate()
    key = VerifierKey("carol.example", 0x04, private.public_key().public_bytes_raw())
    checkpoint = sealer.ledger.checkpoint()
    note = Note.parse(checkpoint)
    # tlog-cosignature, cosignature/v1: header, time, and the note's own text.
    message = b"cosignature/v1\ntime 7\n" + note.text.encode()
    line = NoteSignature(key.name, key.key_id, (7).to_bytes(8, "big") + private.sign(message))
    cosigned = Note(note.text, (*note.signatures, line)).data
    trust = msgspec.structs.replace(
        sealer.export_trust(CryptoMode.CLASSICAL), witnesses=WitnessTrust((key.text,), 1)
    )
    for mode, status in ((CryptoMode.CLASSICAL, Outcome.OK), (PQC, Outcome.NOT_CHECKED)):
        assert check_freshness(_head(cosigned), cosigned, trust, mode, None).status is status


@pytest.mark.parametrize("quorum", [-1, 2])
def test_a_quorum_that_cannot_be_met_is_refused(sealer: Sealer, quorum: int) -> None:
    from quantumai.errors import BadInputError

    with pytest.raises(BadInputError, match="quorum"):
        _with_witnesses(sealer.export_trust(), quorum, Witness("alice.example"))
