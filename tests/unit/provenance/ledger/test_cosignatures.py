"""Cosignatures against a checkpoint that a public log published, and against the C2SP texts."""

from __future__ import annotations

from pathlib import Path

import pytest

from quantumai.errors import BadInputError, LedgerError
from quantumai.provenance.ledger.checkpoint import (
    TreeHead,
    cosignature_v1_message,
    verified_keys,
    verify_checkpoint,
    with_signatures,
)
from quantumai.provenance.ledger.cosignatures import Cosignature, cosignatures, voices
from quantumai.provenance.ledger.note import Note, VerifierKey, parse_signature_lines
from tests.logs import Signing, new_witness, text_of

# A checkpoint that a Certificate Transparency log published, with the cosignatures of public
# witnesses; log and witness publish these verifier keys.
VECTORS = Path(__file__).parents[3] / "vectors" / "c2sp"
PUBLISHED = (VECTORS / "published-checkpoint.txt").read_bytes()
LOG = (
    "arche2025h1.staging.ct.transparency.dev+ba2f06c0+AU0vHmlGCS/PdN8b2OaGmKprLI8HKM+dJ472xgFYh15f"
)
REMORA = "remora.n621.de+da77ade7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2"
PUBLISHED_TIME = 0x6A122120

# The example of tlog-cosignature.md, and the answer in tlog-witness.md: two names, three keys.
EXAMPLE = (VECTORS / "tlog-cosignature-example.txt").read_text()
ANSWER = (VECTORS / "tlog-witness-answer.txt").read_bytes()


def test_a_published_checkpoint_and_its_witness_hold() -> None:
    log, remora = VerifierKey.parse(LOG), VerifierKey.parse(REMORA)
    head, by = verify_checkpoint(PUBLISHED, [log, remora])
    assert (head.origin, head.size, by) == (log.name, 1432088532, (log, remora))
    assert cosignatures(PUBLISHED, [remora]) == (Cosignature(remora, PUBLISHED_TIME),)
    for wrong in (
        PUBLISHED.replace(b"1432088532", b"1432088533"),
        PUBLISHED.replace(b"AAAABqEiEgPlf", b"AAAABqEiEhPlf"),  # the time is signed too
    ):
        assert wrong != PUBLISHED
        with pytest.raises(LedgerError):
            cosignatures(wrong, [remora])


def test_the_texts_examples_can_be_read() -> None:
    note = Note.parse(EXAMPLE.encode())
    assert note.data == EXAMPLE.encode()
    stamp = int.from_bytes(note.signatures[1].signature[:8], "big")
    assert cosignature_v1_message(stamp, note.text).decode() == (
        "cosignature/v1\ntime 1679315147\n"
        "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
    )
    assert [s.name[-2:] for s in parse_signature_lines(ANSWER)] == ["w1", "w1", "w2"]
    for cut in (b"", ANSWER[:-1], ANSWER[4:], ANSWER + b"\n", b"\xff\n"):
        with pytest.raises(LedgerError):
            parse_signature_lines(cut)


def test_two_kinds_of_keys_are_one_voice() -> None:
    text = text_of(5, bytes(range(32)), "log.example/1")
    one, two = new_witness("w.example/1"), new_witness("w.example/2")
    keys = [VerifierKey.parse(vkey) for each in (one, two) for vkey in each.vkeys]
    data = (text + "\n" + one.lines(text, 7) + two.lines(text, 9, kinds=["ed"])).encode()
    assert [(c.key.name, c.key.signature_type, c.timestamp) for c in cosignatures(data, keys)] == [
        ("w.example/1", 4, 7),
        ("w.example/1", 6, 7),
        ("w.example/2", 4, 9),
    ]
    assert voices(data, keys, post_quantum_only=False) == {"w.example/1": 7, "w.example/2": 9}
    assert voices(data, keys, post_quantum_only=True) == {"w.example/1": 7}


def test_a_cosignature_without_a_time_says_nothing() -> None:
    text = text_of(5, bytes(range(32)), "log.example/1")
    witness = new_witness("w.example/1")
    data = (text + "\n" + witness.lines(text, 0)).encode()
    keys = [VerifierKey.parse(vkey) for vkey in witness.vkeys]
    assert verify_checkpoint(data, keys)[1] == tuple(keys)
    assert cosignatures(data, keys) == ()


def test_a_logs_own_kind_of_key_is_no_witness() -> None:
    text = text_of(5, bytes(range(32)), "log.example/1")
    key = VerifierKey.parse(Signing("w.example/1").vkeys[0])
    with pytest.raises(BadInputError, match="no witness key"):
        cosignatures((text + "\n" + Signing("w.example/1").lines(text)).encode(), [key])


def test_new_lines_take_the_place_of_old_ones() -> None:
    text = text_of(5, bytes(range(32)), "log.example/1")
    log, witness = Signing("log.example/1"), new_witness("w.example/1")
    data = (text + "\n" + log.lines(text)).encode()
    keys = [VerifierKey.parse(vkey) for vkey in witness.vkeys]
    for time in (5, 6):
        lines = parse_signature_lines(witness.lines(text, time).encode())
        data = with_signatures(data, lines)
        assert {c.timestamp for c in cosignatures(data, keys)} == {time}
    assert len(Note.parse(data).signatures) == 4


def test_ed25519_cosigns_extension_lines_and_ml_dsa_does_not() -> None:
    witness = new_witness("w.example/1")
    text = text_of(5, bytes(range(32)), "log.example/1")
    head = TreeHead.parse_extended(text + "more\n")
    assert head == TreeHead.parse(text)
    ed, ml = (VerifierKey.parse(vkey) for vkey in witness.vkeys)
    signatures = parse_signature_lines(witness.lines(text).encode())
    longer = Note(text + "more\n", signatures)
    assert verified_keys(longer, head, [ml]) == (ml,)
    with pytest.raises(LedgerError):
        verified_keys(longer, head, [ed])
    for bad in (text + "\n", text + "more", text[:-1]):
        with pytest.raises(LedgerError):
            TreeHead.parse_extended(bad)
