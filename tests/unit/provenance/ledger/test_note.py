"""Signed notes, verifier keys and checkpoints against the examples of the C2SP texts."""

from __future__ import annotations

import base64
import struct

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519, mldsa

from quantumai.errors import BadInputError, EvidenceError
from quantumai.keys.algorithms import verify_signature
from quantumai.provenance.ledger.checkpoint import (
    TreeHead,
    cosigned_message,
    signed_checkpoint,
    verify_checkpoint,
)
from quantumai.provenance.ledger.note import Note, NoteSignature, VerifierKey

# The example of signed-note.md, sections "Verifier keys" and "Example".
VKEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
NOTE = (
    "This is an example message.\n\n\u2014 example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi"
    "2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"
).encode()


def test_published_note_verifies_under_the_published_key() -> None:
    key, note = VerifierKey.parse(VKEY), Note.parse(NOTE)
    (signature,) = note.by(key)
    assert key.text == VKEY
    assert note.data == NOTE
    assert verify_signature("Ed25519", key.spki_der, note.text.encode(), signature.signature)
    assert not verify_signature("Ed25519", key.spki_der, b"other", signature.signature)


def test_text_may_hold_empty_lines() -> None:
    # The poem at the top of signed-note.md has one.
    note = Note.parse("a\n\nb\n\n\u2014 k AAAAAAA=\n".encode())
    assert note.text == "a\n\nb\n"


@pytest.mark.parametrize(
    "damaged",
    [
        b"no signature\n",
        NOTE[:-1],
        NOTE.replace(b" example.com/foo ", b" example.com/foo  "),
        NOTE.replace(b"\xe2\x80\x94", b"-"),
        NOTE.replace(b"This", b"\x01his"),
        NOTE.replace(b"This", b"\xff\xff"),
        NOTE + NOTE.partition(b"\n\n")[2],  # the same signature line twice
        NOTE + NOTE.partition(b"\n\n")[2].replace(b"Jey", b"Jez"),  # another by the same key
        NOTE.replace(b"yaQM=", b"yaQN="),  # spare bits: the same bytes spelled otherwise
    ],
)
def test_damaged_notes_are_refused(damaged: bytes) -> None:
    with pytest.raises(EvidenceError):
        Note.parse(damaged)


@pytest.mark.parametrize("text", ["", "a+b", VKEY.replace("530d", "530e"), VKEY[:-4], "a b" + VKEY])
def test_damaged_verifier_keys_are_refused(text: str) -> None:
    with pytest.raises(BadInputError):
        VerifierKey.parse(text)


def test_checkpoint_text_is_that_of_the_specification() -> None:
    text = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
    head = TreeHead.parse(text)
    assert (head.origin, head.size) == ("example.com/behind-the-sofa", 20852163)
    assert head.text == text
    for bad in (text + "extension\n", text.replace("2085", "02085"), text.replace("I=", "J=")):
        with pytest.raises(EvidenceError):
            TreeHead.parse(bad)


def _signed(head: TreeHead, name: str, timestamp: int) -> tuple[VerifierKey, NoteSignature]:
    """An ML-DSA-44 cosignature built straight from tlog-cosignature, without our code."""
    private = mldsa.MLDSA44PrivateKey.generate()
    message = b"subtree/v1\n\0" + struct.pack(
        f">B{len(name)}sQB{len(head.origin)}sQQ32s",
        len(name),
        name.encode(),
        timestamp,
        len(head.origin),
        head.origin.encode(),
        0,
        head.size,
        head.root,
    )
    key = VerifierKey(name, 6, private.public_key().public_bytes_raw())
    stamp = struct.pack(">Q", timestamp)
    return key, NoteSignature(name, key.key_id, stamp + private.sign(message))


def test_mldsa_cosignature_built_by_hand_is_accepted() -> None:
    head = TreeHead("log.example/1", 5, bytes(range(32)))
    key, signature = _signed(head, "log.example/1", 1679315147)
    assert VerifierKey.parse(key.text) == key
    assert len(signature.signature) == 8 + 2420
    checkpoint = signed_checkpoint(head, [signature])
    assert verify_checkpoint(checkpoint, [key]) == (head, (key,))
    assert cosigned_message("a", 1, head)[:14] == b"subtree/v1\n\0\x01a"


def test_a_known_keys_bad_signature_refuses_the_whole_note() -> None:
    head = TreeHead("log.example/1", 5, bytes(32))
    key, signature = _signed(head, "log.example/1", 7)
    stamped = NoteSignature(key.name, key.key_id, bytes(8) + signature.signature[8:])
    other = ed25519.Ed25519PrivateKey.generate()
    known = VerifierKey("log.example/1", 1, other.public_key().public_bytes_raw())
    good = NoteSignature(known.name, known.key_id, other.sign(head.text.encode()))
    with pytest.raises(EvidenceError):
        verify_checkpoint(signed_checkpoint(head, [good, stamped]), [known, key])
    # A signature by somebody unknown is ignored, and proves nothing.
    assert verify_checkpoint(signed_checkpoint(head, [signature]), [known]) == (head, ())
    assert base64.b64decode(known.text.split("+", 2)[2])[0] == 1
