"""The ledger under failures, races and tampering."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from quantumai import merkle
from quantumai.canonical import sha256_hex
from quantumai.errors import ConflictError, LedgerError, NotFoundError
from quantumai.keys.management.internal_keys import InternalKeys
from quantumai.provenance.ledger.checkpoint import TreeHead, signed_checkpoint, verify_checkpoint
from quantumai.provenance.ledger.commits import Commit, Leaf, commit_key
from quantumai.provenance.ledger.note import Note
from quantumai.provenance.ledger.run_ledger import Ledger
from quantumai.provenance.sealing.checkpoint_signer import KmsCheckpointSigner
from quantumai.storage.local_objects import LocalObjects
from quantumai.storage.objects import ObjectStore
from tests.unit.provenance.ledger.ledger_faults import Faulty

ORIGIN = "quantumai/ledger/test"
BATCHES = (1, 2, 250, 5, 300, 1)  # across the borders of tiles


@pytest.fixture
def open_ledger(
    tmp_path: Path, internal_keys: Callable[[Path], InternalKeys]
) -> Callable[[ObjectStore], Ledger]:
    from datetime import UTC, datetime

    signer = KmsCheckpointSigner(internal_keys(tmp_path), ORIGIN)
    return lambda objects: Ledger(objects, ORIGIN, signer, lambda: datetime(2026, 1, 1, tzinfo=UTC))


def _leaves(count: int, name: str = "") -> list[Leaf]:
    return [Leaf("run-manifest", 1, sha256_hex(f"{name}{i}".encode())) for i in range(count)]


def _head(ledger: Ledger) -> TreeHead:
    return TreeHead.parse(Note.parse(ledger.checkpoint()).text)


def test_entries_and_proofs_against_a_plain_tree(
    tmp_path: Path, open_ledger: Callable[[ObjectStore], Ledger]
) -> None:
    ledger = open_ledger(LocalObjects(tmp_path / "o"))
    wanted: list[Leaf] = []
    for number, count in enumerate(BATCHES):
        batch = _leaves(count, f"{number}-")
        at = len(wanted)
        assert ledger.append(batch) == list(range(at, at + count))
        wanted += batch
    reader = open_ledger(LocalObjects(tmp_path / "o"))
    hashes = [merkle.leaf_hash(leaf.entry) for leaf in wanted]
    head, by = verify_checkpoint(reader.checkpoint(), reader.signer.verifier_keys())
    assert (head.size, head.root) == (559, merkle.root_hash(hashes))
    assert [key.signature_type for key in by] == [1, 6]
    for index, size in ((0, 559), (255, 256), (256, 558), (558, 559), (2, 3)):
        assert reader.entry(index) == wanted[index]
        proof = reader.inclusion_proof(index, size)
        root = merkle.root_hash(hashes[:size])
        assert merkle.verify_inclusion(hashes[index], index, size, proof, root)
    roots = merkle.root_hash(hashes[:253]), merkle.root_hash(hashes[:558])
    assert merkle.verify_consistency(253, 558, *roots, reader.consistency_proof(253, 558))
    assert [i for i, _ in reader.leaves("run-manifest", 250)] == list(range(250, 559))
    assert reader.verify() == []
    for index, size in ((559, None), (3, 3), (0, 560), (-1, None)):
        with pytest.raises(NotFoundError):
            reader.inclusion_proof(index, size)


def test_an_append_touches_few_objects(
    tmp_path: Path, open_ledger: Callable[[ObjectStore], Ledger]
) -> None:
    open_ledger(LocalObjects(tmp_path)).append(_leaves(3000))
    counting = Faulty(LocalObjects(tmp_path))
    open_ledger(counting).append(_leaves(1, "x"))
    # Besides one read for each full tile of leaf hashes, which says what is there already.
    assert counting.reads < 3000 // 256 + 12
    assert counting.writes < 6


_APPEND = """
import sys, warnings
from datetime import UTC, datetime
from pathlib import Path
warnings.simplefilter("ignore")
from quantumai.canonical import sha256_hex
from quantumai.provenance.ledger.commits import Leaf
from quantumai.provenance.ledger.run_ledger import Ledger
from quantumai.provenance.sealing.checkpoint_signer import KmsCheckpointSigner
from quantumai.storage.local_objects import LocalObjects
from tests.key_management import soft_kms
home, me = Path(sys.argv[1]), sys.argv[2]
now = lambda: datetime.now(UTC)
signer = KmsCheckpointSigner(soft_kms(home).internal(), "quantumai/ledger/test")
ledger = Ledger(LocalObjects(home / "o"), "quantumai/ledger/test", signer, now)
for n in range(40):
    digest = sha256_hex(f"{me}{n}".encode())
    print(*ledger.append([Leaf("run-manifest", 1, digest)]), digest)
"""


def test_processes_appending_at_once_lose_nothing(
    tmp_path: Path, open_ledger: Callable[[ObjectStore], Ledger]
) -> None:
    command = [sys.executable, "-c", _APPEND, str(tmp_path)]
    writers = [subprocess.Popen([*command, me], stdout=subprocess.PIPE, text=True) for me in "abc"]
    lines = [line.split() for writer in writers for line in writer.communicate()[0].splitlines()]
    ledger = open_ledger(LocalObjects(tmp_path / "o"))
    assert ledger.size() == len(lines) == 120
    assert sorted(int(index) for index, _ in lines) == list(range(120))
    for index, digest in lines:
        assert ledger.entry(int(index)).sha256 == digest
    assert ledger.verify() == []


def test_append_at_a_size(tmp_path: Path, open_ledger: Callable[[ObjectStore], Ledger]) -> None:
    ledger = open_ledger(LocalObjects(tmp_path / "o"))
    ledger.append(_leaves(2), at_size=0)
    with pytest.raises(ConflictError):
        ledger.append(_leaves(2), at_size=1)
    assert ledger.size() == 2


def _files(root: Path) -> list[Path]:
    return sorted(path for path in root.rglob("*") if path.is_file())


def test_every_changed_object_is_found_and_caches_are_healed(
    tmp_path: Path, open_ledger: Callable[[ObjectStore], Ledger]
) -> None:
    root = tmp_path / "o"
    for count in (3, 254, 10):
        open_ledger(LocalObjects(root)).append(_leaves(count, str(count)))
    for path in _files(root):
        original = path.read_bytes()
        name = path.relative_to(root / "ledger").as_posix()
        for damaged in (original[:-1], bytes([original[0] ^ 1]) + original[1:], None):
            if damaged is None:
                path.unlink()
            else:
                path.write_bytes(damaged)
            ledger = open_ledger(LocalObjects(root))
            problems = ledger.verify()
            superseded = damaged is None and (".p/" in name or name == "checkpoint")
            assert problems or superseded, name
            if not name.startswith("commits/"):
                # What is derived never misleads a reader, damaged or not.
                assert ledger.entry(5).sha256 == _leaves(3, "254")[2].sha256
                assert ledger.inclusion_proof(5)
                ledger.append(_leaves(1, "more"))
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(original) if name != "checkpoint" else None
    assert open_ledger(LocalObjects(root)).verify() == []


@pytest.mark.parametrize("name", ["tile/0/001.p/4", "tile/entries/001.p/4", "tile/1/000.p/1"])
def test_an_append_never_builds_on_a_damaged_edge(
    tmp_path: Path, open_ledger: Callable[[ObjectStore], Ledger], name: str
) -> None:
    open_ledger(LocalObjects(tmp_path)).append(_leaves(260))
    path = tmp_path / "ledger" / name
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    ledger = open_ledger(LocalObjects(tmp_path))
    ledger.append(_leaves(1, "next"))
    # The damage is mended, but whoever met it can still say so.
    assert ledger.verify() == [f"ledger {name} contradicted the commits; now rebuilt"]
    assert open_ledger(LocalObjects(tmp_path)).verify() == []


@pytest.mark.parametrize("stale", ["tile/0/000.p/10", "tile/entries/000.p/10"])
@pytest.mark.parametrize("later", [0, 3, 250])
def test_flips_in_partial_tiles_are_found_by_the_ledger_that_read_them(
    tmp_path: Path, open_ledger: Callable[[ObjectStore], Ledger], stale: str, later: int
) -> None:
    writer = open_ledger(LocalObjects(tmp_path))
    writer.append(_leaves(10))
    if later:
        writer.append(_leaves(later, "later"))
    path = tmp_path / "ledger" / stale
    original = path.read_bytes()
    for at in (0, len(original) // 2, len(original) - 1):
        path.write_bytes(original[:at] + bytes([original[at] ^ 4]) + original[at + 1 :])
        ledger = open_ledger(LocalObjects(tmp_path))
        # Opening a home reads the key events first, which mends what is at the right edge.
        assert len(ledger.leaves("run-manifest")) == 10 + later
        assert any(stale in problem for problem in ledger.verify()), at
        path.write_bytes(original)


def _rewritten(root: Path, number: int, **changes: object) -> None:
    """Change a commit and mend the links of all that follow, as a clever forger would."""
    objects = LocalObjects(root)
    path = root / commit_key(number)
    commit = msgspec.structs.replace(Commit.parse(number, path.read_bytes()), **changes)
    path.write_bytes(commit.data)
    while objects.exists(commit_key(number := number + 1)):
        path = root / commit_key(number)
        following = Commit.parse(number, path.read_bytes())
        commit = msgspec.structs.replace(following, previous=sha256_hex(commit.data))
        path.write_bytes(commit.data)


def test_forged_commits_are_named(
    tmp_path: Path, open_ledger: Callable[[ObjectStore], Ledger]
) -> None:
    ledger = open_ledger(LocalObjects(tmp_path))
    for count in (2, 3, 1):
        ledger.append(_leaves(count, str(count)))
    original = {path: path.read_bytes() for path in _files(tmp_path)}
    third = Commit.parse(3, (tmp_path / commit_key(3)).read_bytes())
    signer = ledger.signer
    second = Commit.parse(2, (tmp_path / commit_key(2)).read_bytes())
    resigned = signed_checkpoint(second.head, signer.sign(second.head, 99)).decode()
    other_origin = replace(second.head, origin="elsewhere")
    foreign = signed_checkpoint(other_origin, signer.sign(other_origin, 99)).decode()
    half = Note.parse(second.checkpoint.encode())
    forgeries: dict[str, dict[str, object]] = {
        "root": {"entries": tuple(_leaves(3, "forged"))},
        "all of the log's keys": {"checkpoint": replace(half, signatures=half.signatures[:1]).data},
        "origin": {"checkpoint": foreign},
        "contradicts itself": {"first": 1, "entries": second.entries[:2]},
    }
    for problem, changes in forgeries.items():
        text = {k: v.decode() if isinstance(v, bytes) else v for k, v in changes.items()}
        _rewritten(tmp_path, 2, **text)
        found = ledger.verify()
        assert problem in found[0], (problem, found)
        assert "commit 2" in found[0]
        for path, data in original.items():
            path.write_bytes(data)
    # The log's own keys signed this one too, but the chain remembers the other.
    forged = msgspec.structs.replace(second, checkpoint=resigned)
    (tmp_path / commit_key(2)).write_bytes(forged.data)
    assert "commit 3 does not follow" in ledger.verify()[0]
    assert third.previous == sha256_hex(second.data)


def test_lost_commits_stop_the_log_instead_of_forking_it(
    tmp_path: Path, open_ledger: Callable[[ObjectStore], Ledger]
) -> None:
    for number, count in enumerate((1, 2, 3)):
        open_ledger(LocalObjects(tmp_path / "o")).append(_leaves(count, f"{number}-"))
    (tmp_path / "o" / commit_key(3)).unlink()
    ledger = open_ledger(LocalObjects(tmp_path / "o"))
    with pytest.raises(LedgerError, match="commits"):
        ledger.append(_leaves(1))
    assert ledger.verify() != []


@pytest.mark.parametrize("kept", [0, 1, 2])
@pytest.mark.parametrize("checkpoint", ["kept", "lost", "rolled back"])
@pytest.mark.parametrize("counts", [(1, 2, 3), (1, 254, 600), (256, 1, 1)])
def test_caches_ahead_of_the_commits_stop_the_log(
    tmp_path: Path,
    open_ledger: Callable[[ObjectStore], Ledger],
    kept: int,
    checkpoint: str,
    counts: tuple[int, int, int],
) -> None:
    ledger = open_ledger(LocalObjects(tmp_path))
    heads = []
    for number, count in enumerate(counts):
        ledger.append(_leaves(count, f"{number}-"))
        heads.append(ledger.checkpoint())
    for number in range(kept + 1, 4):
        (tmp_path / commit_key(number)).unlink()
    if checkpoint == "lost" or (checkpoint == "rolled back" and not kept):
        (tmp_path / "ledger/checkpoint").unlink()
    elif checkpoint == "rolled back":
        (tmp_path / "ledger/checkpoint").write_bytes(heads[kept - 1])
    before = _files(tmp_path)
    reopened = open_ledger(LocalObjects(tmp_path))
    for call in (reopened.require_size, lambda: reopened.append(_leaves(1))):
        with pytest.raises(LedgerError, match=f"but its commits only {sum(counts[:kept])}"):
            call()
    assert _files(tmp_path) == before
