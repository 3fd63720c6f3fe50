"""Attacks on a published log, each at every level of a tree with three levels of tiles.

The log is hand-made (tests/logs.py) and has 70,000 leaves, as in the example of tlog-tiles. Each
test attacks a folder that shares its untouched files with it.
"""

from __future__ import annotations

import base64
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from quantumai.crypto_mode import CryptoMode
from quantumai.errors import LedgerError
from quantumai.provenance.ledger.check import check_ledger
from quantumai.provenance.ledger.checkpoint import stated_head
from quantumai.provenance.ledger.commits import Leaf
from quantumai.provenance.ledger.consistency import consistency_evidence
from quantumai.provenance.ledger.proof import LedgerProof
from quantumai.provenance.ledger.run_ledger import Ledger
from quantumai.provenance.public_log.monitor import AlarmError, AlarmKind, Monitor
from quantumai.provenance.public_log.static_files import FolderFiles, PublicLog
from quantumai.provenance.public_log.verification import PublicFindings, verify_public_log
from quantumai.provenance.sealing.checkpoint_signer import KmsCheckpointSigner
from quantumai.provenance.verification.ledger_evidence import check_ledger_proof
from quantumai.provenance.verification.report import ExitCode, Outcome
from quantumai.provenance.verification.trust import TrustFile
from quantumai.storage.local_objects import LocalObjects
from tests.key_management import soft_kms, standing_clock
from tests.logs import ORIGIN, HandMadeLog, Signing, leaf, new_witness, sha256, text_of

pytestmark = pytest.mark.slow

SIZE, EARLIER = 70_000, 66_000
TILES = [
    "tile/entries/000",
    "tile/entries/273.p/112",
    "tile/0/000",
    "tile/0/256",
    "tile/0/273.p/112",
    "tile/1/000",
    "tile/1/001.p/17",
    "tile/2/000.p/1",
]
ONE, TWO, THREE = (new_witness(f"witness.example/{n}") for n in (1, 2, 3))


@pytest.fixture(scope="module")
def log() -> HandMadeLog:
    return HandMadeLog([leaf("run-manifest", str(i)) for i in range(SIZE)])


@pytest.fixture(scope="module")
def original(log: HandMadeLog, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("published")
    log.write(folder, SIZE, log.checkpoint(SIZE, ONE, TWO))
    return folder


@pytest.fixture
def published(original: Path, tmp_path: Path) -> Path:
    """The published folder, to be attacked."""
    shutil.copytree(original, tmp_path / "log", copy_function=os.link)
    return tmp_path / "log"


def put(folder: Path, name: str, data: bytes) -> None:
    (folder / name).unlink(missing_ok=True)
    (folder / name).write_bytes(data)


def verify(folder: Path, trust: TrustFile, remembered: bytes | None = None) -> PublicFindings:
    return verify_public_log(PublicLog(FolderFiles(folder)), trust, remembered)


def is_unchecked(found: PublicFindings) -> bool:
    """Nothing wrong was found, and the answer says what it did not check."""
    return (
        found.exit_code is ExitCode.OK
        and found.freshness.status is Outcome.NOT_CHECKED
        and not found.problems
    )


def test_the_log_as_it_was_published_holds(log: HandMadeLog, published: Path) -> None:
    assert is_unchecked(verify(published, log.trust()))
    witnessed = verify(published, log.trust(ONE, TWO, THREE, quorum=2))
    assert (witnessed.exit_code, witnessed.freshness.status) == (ExitCode.OK, Outcome.OK)
    remembered = verify(published, log.trust(), log.checkpoint(EARLIER))
    assert (remembered.exit_code, remembered.freshness.status) == (ExitCode.OK, Outcome.OK)
    # A quorum that is asked for and not there fails, though nothing is wrong.
    lacking = verify(published, log.trust(ONE, TWO, THREE, quorum=3))
    assert (lacking.exit_code, lacking.problems) == (ExitCode.NOT_CHECKED, ())


@pytest.mark.parametrize("name", TILES)
@pytest.mark.parametrize("at", ["first", "last"])
def test_a_mutated_tile(log: HandMadeLog, published: Path, name: str, at: str) -> None:
    data = bytearray((published / name).read_bytes())
    data[10 if at == "first" else -1] ^= 1
    put(published, name, bytes(data))
    found = verify(published, log.trust())
    assert found.exit_code is ExitCode.LEDGER
    assert found.problems


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("tile/entries/003", "tile/entries/004"),
        ("tile/0/003", "tile/0/004"),
        ("tile/0/000", "tile/1/000"),  # both full, of different levels
    ],
)
def test_swapped_tiles(log: HandMadeLog, published: Path, one: str, other: str) -> None:
    first, second = ((published / name).read_bytes() for name in (one, other))
    put(published, one, second)
    put(published, other, first)
    found = verify(published, log.trust())
    assert found.exit_code is ExitCode.LEDGER
    places = [name.removeprefix("tile/entries/").removeprefix("tile/") for name in (one, other)]
    assert any(place in problem for problem in found.problems for place in places)


@pytest.mark.parametrize("name", ["tile/0/256", "tile/1/001.p/17", "tile/2/000.p/1"])
def test_swapped_hashes_within_a_tile(log: HandMadeLog, published: Path, name: str) -> None:
    data = (published / name).read_bytes()
    foreign = data[32:64] + data[:32] + data[64:] if len(data) > 32 else sha256(data)
    put(published, name, foreign)
    assert verify(published, log.trust()).exit_code is ExitCode.LEDGER


@pytest.mark.parametrize("name", TILES)
def test_a_missing_or_shortened_tile(log: HandMadeLog, published: Path, name: str) -> None:
    whole = (published / name).read_bytes()
    put(published, name, whole[:-1])
    assert verify(published, log.trust()).exit_code is ExitCode.LEDGER
    (published / name).unlink()
    found = verify(published, log.trust())
    assert any("is missing" in problem for problem in found.problems)


@pytest.mark.parametrize("index", [0, 65_536, SIZE - 1])
def test_all_tiles_rebuilt_around_another_entry(
    log: HandMadeLog, published: Path, index: int
) -> None:
    """Everything fits together, but not to what was signed."""
    entries = list(log.entries)
    entries[index] = leaf("run-manifest", "another")
    HandMadeLog(entries, log.signing).write(published, SIZE, log.checkpoint(SIZE))
    found = verify(published, log.trust())
    assert found.exit_code is ExitCode.LEDGER
    assert found.problems == ("the log's entries do not make the signed root",)


@pytest.mark.parametrize("name", ["tile/0/257", "tile/1/001.p/17", "tile/2/000.p/1"])
def test_no_proof_comes_out_of_a_mutated_tile(log: HandMadeLog, published: Path, name: str) -> None:
    """The consistency proof from 66,000 leaves reads a tile of each level; 257 has the border."""
    heads = [stated_head(log.checkpoint(size)) for size in (EARLIER, SIZE)]
    whole = PublicLog(FolderFiles(published))
    assert consistency_evidence(whole.consistency_proof, *heads).proof
    data = bytearray((published / name).read_bytes())
    for at in range(0, len(data), 32):
        data[at] ^= 1
    put(published, name, bytes(data))
    with pytest.raises(LedgerError, match="split view"):
        consistency_evidence(PublicLog(FolderFiles(published)).consistency_proof, *heads)


@pytest.mark.parametrize("alter", ["stranger", "root", "size", "unsigned"])
def test_a_forged_checkpoint(log: HandMadeLog, published: Path, alter: str) -> None:
    genuine = log.checkpoint(SIZE)
    other_root = sha256(b"forged")
    forged = {
        "stranger": HandMadeLog(log.entries[:1], Signing(ORIGIN)).checkpoint(
            SIZE, root=log.root(SIZE)
        ),
        "root": genuine.replace(base64.b64encode(log.root(SIZE)), base64.b64encode(other_root)),
        "size": genuine.replace(b"\n70000\n", b"\n69999\n"),
        "unsigned": (
            text_of(SIZE, log.root(SIZE)) + "\n" + ONE.lines(text_of(1, other_root))
        ).encode(),
    }[alter]
    put(published, "checkpoint", forged)
    assert verify(published, log.trust()).exit_code is ExitCode.LEDGER


def test_a_broken_ed25519_key_gains_nothing_in_post_quantum_modes(
    log: HandMadeLog, published: Path
) -> None:
    put(published, "checkpoint", log.checkpoint(SIZE, kinds=["ed"]))
    found = verify(published, log.trust())
    assert found.exit_code is ExitCode.LEDGER
    assert "no post-quantum signature" in found.problems[0]
    assert is_unchecked(verify(published, log.trust(mode=CryptoMode.CLASSICAL)))


@pytest.mark.parametrize("signing", ["own", "renamed"])
def test_a_wrong_origin(log: HandMadeLog, published: Path, tmp_path: Path, signing: str) -> None:
    elsewhere = "log.example/others"
    source = log
    if signing == "renamed":
        source = HandMadeLog(log.entries[:1], replace(log.signing, name=elsewhere))
    other = source.checkpoint(SIZE, origin=elsewhere, root=log.root(SIZE))
    put(published, "checkpoint", other)
    found = verify(published, log.trust())
    assert found.exit_code is ExitCode.LEDGER
    assert "wrong origin" in found.problems[0]
    with pytest.raises(AlarmError) as alarm:
        Monitor(log.trust(), tmp_path / "state").look(FolderFiles(published))
    assert alarm.value.kind is AlarmKind.WRONG_ORIGIN


@pytest.mark.parametrize(
    "entry",
    [
        leaf("coupon", "x"),
        leaf("run-manifest", "x").replace(b'"version":1', b'"version":2'),
        leaf("run-manifest", "x").replace(b":1}", b": 1}"),
        b'{"sha256":"00","type":"run-manifest","version":1}',
        b"\x00",
    ],
)
def test_a_leaf_of_another_type_that_the_log_signed(
    log: HandMadeLog, tmp_path: Path, entry: bytes
) -> None:
    entries = [*log.entries[:300], entry, *log.entries[:5]]
    strange = HandMadeLog(entries, log.signing)
    strange.write(tmp_path / "log", len(entries))
    found = verify(tmp_path / "log", log.trust())
    assert found.exit_code is ExitCode.LEDGER
    assert found.problems[0].startswith("leaf 300: ")
    # Another log may have any entries.
    public = PublicLog(FolderFiles(tmp_path / "log"))
    assert verify_public_log(public, log.trust(), check_entry=lambda entry: None).problems == ()
    with pytest.raises(AlarmError) as alarm:
        Monitor(log.trust(), tmp_path / "state").look(FolderFiles(tmp_path / "log"))
    assert alarm.value.kind is AlarmKind.BAD_ENTRIES


def proof_of(published: Path, index: int) -> LedgerProof:
    log = PublicLog(FolderFiles(published))
    return LedgerProof(index, tuple(log.inclusion_proof(index, SIZE)), log.checkpoint)


def holds(proof: LedgerProof, of: Leaf, trust: TrustFile) -> bool:
    try:
        check_ledger_proof(proof, of, trust, CryptoMode.PQC_REQUIRED)
    except LedgerError:
        return False
    return True


def test_proofs_of_other_leaves_types_and_places(log: HandMadeLog, published: Path) -> None:
    trust = log.trust()
    proof, own = proof_of(published, 65_700), Leaf.parse(log.entries[65_700])
    assert holds(proof, own, trust)
    others = {
        "another leaf": (proof, Leaf.parse(log.entries[65_701])),
        "another type": (proof, Leaf("audit-checkpoint", 1, own.sha256)),
        "another index": (replace(proof, index=65_701), own),
        "another leaf's path": (
            replace(proof, path=proof_of(published, 65_701).path),
            own,
        ),
        "a path too short": (replace(proof, path=proof.path[1:]), own),
        "a path too long": (replace(proof, path=(*proof.path, bytes(32))), own),
        "an inner node as leaf": (replace(proof, path=proof.path[1:], index=32_850), own),
    }
    for level in range(len(proof.path)):
        node = bytes([proof.path[level][0] ^ 1]) + proof.path[level][1:]
        path = (*proof.path[:level], node, *proof.path[level + 1 :])
        others[f"a mutated node {level}"] = (replace(proof, path=path), own)
    believed = [what for what, (wrong, of) in others.items() if holds(wrong, of, trust)]
    assert believed == []
    assert len(proof.path) > 8


def truncated(log: HandMadeLog, folder: Path) -> bytes:
    """The log claims to be as small as it was, in a checkpoint made now."""
    log.write(folder, EARLIER)  # the tiles at the edge of that tree
    return log.checkpoint(EARLIER, time=1_900_000_000)


def replayed(log: HandMadeLog, folder: Path) -> bytes:
    """An older checkpoint is put back, with the cosignatures that it had."""
    log.write(folder, EARLIER)
    return log.checkpoint(EARLIER, ONE, TWO)


def rolled_back(log: HandMadeLog, folder: Path) -> bytes:
    """The log goes back to 65,800 leaves and grows again with others, to fewer than before."""
    return _forked(log, folder, 65_800, 68_000)


def split(log: HandMadeLog, folder: Path) -> bytes:
    """We are shown another tree of the same size, well formed in all its tiles."""
    return _forked(log, folder, 300, SIZE)


def grown_from_a_fork(log: HandMadeLog, folder: Path) -> bytes:
    """A larger tree that does not extend the one before."""
    return _forked(log, folder, 69_990, SIZE + 50)


def _forked(log: HandMadeLog, folder: Path, at: int, size: int) -> bytes:
    others = [leaf("run-manifest", f"other {i}") for i in range(size - at)]
    fork = HandMadeLog([*log.entries[:at], *others], log.signing)
    shutil.rmtree(folder / "tile")
    fork.write(folder, size)
    return fork.checkpoint(size)


MISBEHAVIOUR = [truncated, replayed, rolled_back, split, grown_from_a_fork]


@pytest.mark.parametrize("attack", MISBEHAVIOUR)
def test_what_only_memory_or_witnesses_can_find(
    log: HandMadeLog,
    published: Path,
    tmp_path: Path,
    attack: Callable[[HandMadeLog, Path], bytes],
) -> None:
    state, files = tmp_path / "state", FolderFiles(published)
    monitor = Monitor(log.trust(), state)
    monitor.look(files)
    known = state.read_bytes()
    put(published, "checkpoint", attack(log, published))

    # Without either, all that is there holds, and the answer says what that is worth.
    assert is_unchecked(verify(published, log.trust()))

    found = verify(published, log.trust(), known)
    assert (found.exit_code, found.freshness.status) == (ExitCode.LEDGER, Outcome.FAILED)
    shrunk = attack in (truncated, replayed, rolled_back)
    assert ("roll-back" if shrunk else "split view") in found.freshness.detail

    with pytest.raises(AlarmError) as alarm:
        monitor.look(files)
    assert alarm.value.kind is (AlarmKind.ROLL_BACK if shrunk else AlarmKind.SPLIT_VIEW)
    assert alarm.value.exit_code == ExitCode.LEDGER
    assert state.read_bytes() == known

    trust = log.trust(ONE, TWO, THREE, quorum=2)
    witnessed = verify(published, trust)
    if attack is replayed:  # cosigned indeed, and its age shows
        assert "at 2027-01-15T08:00:00Z" in witnessed.freshness.detail
    else:
        assert witnessed.exit_code is ExitCode.NOT_CHECKED
        assert "0 of the 2 witnesses" in witnessed.freshness.detail
        with pytest.raises(AlarmError) as alarm:
            Monitor(trust, tmp_path / "other").look(files)
        assert alarm.value.kind is AlarmKind.NO_QUORUM


def test_a_witness_that_lies(log: HandMadeLog, published: Path, tmp_path: Path) -> None:
    """One witness cosigns the fork: that is no quorum, and memory finds the fork anyway."""
    state, files = tmp_path / "state", FolderFiles(published)
    Monitor(log.trust(ONE, quorum=1), state).look(files)
    known = state.read_bytes()
    fork = _forked(log, published, 300, SIZE)
    text = fork.decode().partition("\n\n")[0] + "\n"
    put(published, "checkpoint", fork + THREE.lines(text).encode())

    trust = log.trust(ONE, TWO, THREE, quorum=2)
    assert verify(published, trust).exit_code is ExitCode.NOT_CHECKED
    assert verify(published, trust, known).freshness.status is Outcome.FAILED
    # Who asks for the liar alone has only memory to find it by.
    only_liar = log.trust(THREE, quorum=1)
    assert verify(published, only_liar).exit_code is ExitCode.OK
    assert verify(published, only_liar, known).exit_code is ExitCode.LEDGER
    with pytest.raises(AlarmError) as alarm:
        Monitor(only_liar, state).look(files)
    assert alarm.value.kind is AlarmKind.SPLIT_VIEW


def test_a_witness_that_cosigned_another_root(
    log: HandMadeLog, published: Path, tmp_path: Path
) -> None:
    other = ONE.lines(text_of(SIZE, sha256(b"another tree")))
    put(published, "checkpoint", log.checkpoint(SIZE, TWO) + other.encode())
    found = verify(published, log.trust(ONE, TWO, THREE, quorum=1))
    assert (found.exit_code, found.freshness.status) == (ExitCode.LEDGER, Outcome.FAILED)
    with pytest.raises(AlarmError) as alarm:
        Monitor(log.trust(ONE, TWO, quorum=1), tmp_path / "state").look(FolderFiles(published))
    assert alarm.value.kind is AlarmKind.BAD_SIGNATURE
    # Nobody who does not ask this witness is disturbed by it.
    assert verify(published, log.trust(TWO, quorum=1)).exit_code is ExitCode.OK


@pytest.fixture(scope="module")
def home_ledger(log: HandMadeLog, tmp_path_factory: pytest.TempPathFactory) -> tuple[Ledger, Path]:
    """A ledger of our own with the same leaves, and the folder of its objects."""
    home = tmp_path_factory.mktemp("home")
    signer = KmsCheckpointSigner(soft_kms(home).internal(), ORIGIN)
    ledger = Ledger(LocalObjects(home / "objects"), ORIGIN, signer, standing_clock)
    for first in range(0, SIZE, 10_000):
        ledger.append([Leaf.parse(entry) for entry in log.entries[first : first + 10_000]])
    return ledger, home / "objects" / "ledger"


def test_our_own_ledger_is_the_same_tree(
    log: HandMadeLog, home_ledger: tuple[Ledger, Path], tmp_path: Path
) -> None:
    ledger, folder = home_ledger
    assert stated_head(ledger.checkpoint()).root == log.root(SIZE)
    log.write(tmp_path, SIZE)
    for name in TILES:
        assert (folder / name).read_bytes() == (tmp_path / name).read_bytes(), name
    assert check_ledger(ledger.objects, ORIGIN, ledger.signer.verifier_keys()) == []


@pytest.mark.parametrize("how", ["mutated", "missing", "swapped"])
def test_attacks_on_the_tiles_of_our_own_ledger(home_ledger: tuple[Ledger, Path], how: str) -> None:
    """All at once, one tile of each level: each has its own line."""
    ledger, folder = home_ledger
    wholes = {name: (folder / name).read_bytes() for name in TILES}
    others = {  # what stands there when tiles are swapped
        name: wholes[TILES[(at + 1) % len(TILES)]] for at, name in enumerate(TILES)
    }
    try:
        for name, whole in wholes.items():
            if how == "missing":
                (folder / name).unlink()
            else:
                changed = whole[:-1] + bytes([whole[-1] ^ 1])
                (folder / name).write_bytes(changed if how == "mutated" else others[name])
        found = check_ledger(ledger.objects, ORIGIN, ledger.signer.verifier_keys())
    finally:
        for name, whole in wholes.items():
            (folder / name).write_bytes(whole)
    for name in TILES:
        assert any(name in problem for problem in found), name
