"""We verify what Go's libraries write: a Tessera log, its notes, proofs and cosignatures."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from quantumai import merkle
from quantumai.errors import LedgerError
from quantumai.provenance.ledger.checkpoint import TreeHead, verify_checkpoint
from quantumai.provenance.ledger.note import Note, VerifierKey
from quantumai.provenance.ledger.proof import LedgerProof
from quantumai.provenance.ledger.tiles import Tile, TileTree
from tests.integration.go_tools import make_log

pytestmark = [pytest.mark.slow, pytest.mark.integration]

SIZES = (1, 2, 255, 256, 257, 513, 65536, 65600)
SIZE = SIZES[-1]
ENTRIES = [f'{{"entry":{index}}}'.encode() for index in range(SIZE)]


@dataclass(frozen=True)
class TheirLog:
    folder: Path
    keys: dict[str, VerifierKey]

    def checkpoint(self, size: int) -> bytes:
        return (self.folder / "checkpoints" / str(size)).read_bytes()

    def tree(self, size: int) -> TileTree:
        return TileTree(size, self._tile)

    def _tile(self, address: Tile) -> bytes:
        # Later sizes are on disk too, so a tile may stand there fuller than it was.
        for path in (address.path, Tile(address.level, address.index, 256).path):
            if (file := self.folder / "log" / path).exists():
                return file.read_bytes()[: address.width * 32 if address.level >= 0 else None]
        raise LedgerError(f"{address.path} is missing")


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> TheirLog:
    folder = tmp_path_factory.mktemp("log")
    keys = make_log(folder, SIZES, ENTRIES)
    return TheirLog(folder, {name: VerifierKey.parse(text) for name, text in keys.items()})


@pytest.fixture(scope="module")
def proofs(log: TheirLog) -> Any:
    return json.loads((log.folder / "proofs.json").read_text())


@pytest.mark.parametrize("size", SIZES)
def test_their_checkpoints_hold_under_both_keys(log: TheirLog, size: int) -> None:
    keys = (log.keys["log"], log.keys["log_pqc"])
    head, by = verify_checkpoint(log.checkpoint(size), keys)
    assert (head.origin, head.size, by) == ("example.com/log", size, keys)
    assert log.tree(size).root() == head.root
    assert head.root == merkle.root_hash([merkle.leaf_hash(e) for e in ENTRIES[:size]])
    changed = TreeHead(head.origin, head.size + 1, head.root).text
    note = Note(changed, Note.parse(log.checkpoint(size)).signatures)
    for key in keys:
        with pytest.raises(LedgerError, match="does not hold"):
            verify_checkpoint(note.data, [key])


def test_their_entries_and_tiles_are_one_tree(log: TheirLog) -> None:
    tree = log.tree(SIZE)
    entries = [entry for index in range(-(-SIZE // 256)) for entry in tree.bundle(index)]
    assert entries == ENTRIES
    for level, index in ((0, 0), (0, 255), (0, 256), (1, 0), (1, 1), (2, 0)):
        width = 256 ** (level + 1)
        leaves = [merkle.leaf_hash(e) for e in entries[index * width : (index + 1) * width]]
        steps = range(0, len(leaves) - 256**level + 1, 256**level)
        assert tree.tile(level, index) == [
            merkle.root_hash(leaves[at : at + 256**level]) for at in steps
        ]


def test_witnesses_of_both_kinds_are_heard(log: TheirLog) -> None:
    witnesses = (log.keys["witness"], log.keys["witness_pqc"])
    assert [key.signature_type for key in witnesses] == [0x04, 0x06]
    cosigned = (log.folder / "cosigned").read_bytes()
    _, by = verify_checkpoint(cosigned, (log.keys["log"], *witnesses))
    assert by == (log.keys["log"], *witnesses)
    note = Note.parse(cosigned)
    other = Note.parse(log.checkpoint(513)).text
    for witness in witnesses:
        (signature,) = note.by(witness)
        for text, line in (
            (other, signature.signature),
            (note.text, bytes([signature.signature[0] ^ 1]) + signature.signature[1:]),
        ):
            forged = Note(text, (type(signature)(signature.name, signature.key_id, line),))
            with pytest.raises(LedgerError, match="does not hold"):
                verify_checkpoint(forged.data, [witness])


def test_their_inclusion_proofs_hold_and_are_what_we_would_make(log: TheirLog, proofs: Any) -> None:
    assert len(proofs["inclusion"]) > 50
    for made in proofs["inclusion"]:
        leaf, root, path = _decoded(made, "leaf")
        index, size = made["index"], made["size"]
        assert merkle.verify_inclusion(leaf, index, size, path, root)
        assert path == merkle.inclusion_proof(index, size, log.tree(size).subtree)
        assert not merkle.verify_inclusion(leaf, index ^ 1, size, path, root) or size == 1
        assert not merkle.verify_inclusion(leaf, index, size, [*path, leaf], root)


def test_their_consistency_proofs_hold_and_are_what_we_would_make(
    log: TheirLog, proofs: Any
) -> None:
    assert len(proofs["consistency"]) == len(SIZES) * (len(SIZES) + 1) / 2
    for made in proofs["consistency"]:
        older, root, path = _decoded(made, "older")
        first, size = made["first"], made["size"]
        assert merkle.verify_consistency(first, size, older, root, path)
        assert path == merkle.consistency_proof(first, size, log.tree(size).subtree)
        assert not merkle.verify_consistency(first, size, older, root, [*path, root])
        if first != size:
            assert not merkle.verify_consistency(first, size, root, root, path)


def test_their_proof_files_hold(log: TheirLog) -> None:
    files = list((log.folder / "proofs").iterdir())
    assert len(files) >= 10
    for file in files:
        proof = LedgerProof.parse(file.read_bytes())
        head, by = verify_checkpoint(proof.checkpoint, [log.keys["log_pqc"]])
        assert proof.index == int(file.name)
        assert by
        leaf = merkle.leaf_hash(ENTRIES[proof.index])
        assert merkle.verify_inclusion(leaf, proof.index, head.size, proof.path, head.root)


def _decoded(made: Any, name: str) -> tuple[bytes, bytes, list[bytes]]:
    path = [base64.b64decode(node) for node in made["proof"] or []]
    return base64.b64decode(made[name]), base64.b64decode(made["root"]), path
