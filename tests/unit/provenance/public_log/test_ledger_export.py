"""The exported ledger against a tree made by hand, and folders that it must not be written into."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from quantumai.crypto_mode import CryptoMode
from quantumai.errors import BadInputError, LedgerError, StorageError
from quantumai.keys.management.internal_keys import InternalKeys
from quantumai.provenance.ledger.checkpoint import stated_head
from quantumai.provenance.ledger.commits import Leaf
from quantumai.provenance.ledger.consistency import consistency_evidence
from quantumai.provenance.ledger.note import parse_signature_lines
from quantumai.provenance.ledger.run_ledger import Ledger
from quantumai.provenance.public_log import export as ledger_export
from quantumai.provenance.public_log.cosigned_checkpoints import CosignedCheckpoints
from quantumai.provenance.public_log.export import Exported, export_ledger
from quantumai.provenance.public_log.static_files import FolderFiles, PublicLog
from quantumai.provenance.public_log.verification import verify_public_log
from quantumai.provenance.sealing.checkpoint_signer import KmsCheckpointSigner
from quantumai.provenance.sealing.home_verification import verify_home_ledger
from quantumai.provenance.sealing.sealer import Sealer
from quantumai.provenance.verification.report import ExitCode, Outcome
from quantumai.provenance.verification.trust import TrustFile, WitnessTrust
from quantumai.storage.local_objects import LocalObjects
from tests.logs import HandMadeLog, leaf, new_witness

pytestmark = pytest.mark.slow

ORIGIN = "quantumai/ledger/test"
STEPS = (1, 254, 1, 1, 300, 5000, 2)


@pytest.fixture
def ledger(tmp_path: Path, internal_keys: Callable[[Path], InternalKeys]) -> Ledger:
    signer = KmsCheckpointSigner(internal_keys(tmp_path), ORIGIN)
    objects = LocalObjects(tmp_path / "objects")
    return Ledger(objects, ORIGIN, signer, lambda: datetime(2026, 1, 1, tzinfo=UTC))


def export(ledger: Ledger, folder: Path) -> Exported:
    return export_ledger(ledger, ledger.objects, lambda size: ledger.checkpoint(), folder)


def files(folder: Path) -> dict[str, bytes]:
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def grow(ledger: Ledger, entries: list[bytes], count: int) -> None:
    fresh = [leaf("run-manifest", str(len(entries) + i)) for i in range(count)]
    ledger.append([Leaf.parse(entry) for entry in fresh])
    entries += fresh


def test_it_is_the_tree_of_the_texts_at_each_export(ledger: Ledger, tmp_path: Path) -> None:
    entries: list[bytes] = []
    for number, count in enumerate(STEPS):
        grow(ledger, entries, count)
        done = export(ledger, tmp_path / "again")
        assert (done.since, done.head.size) == (len(entries) - count, len(entries))
        export(ledger, tmp_path / str(number))
        HandMadeLog(entries).write(tmp_path / "wanted", len(entries), ledger.checkpoint())
        HandMadeLog(entries).write(tmp_path / f"w{number}", len(entries), ledger.checkpoint())
        # In one folder the partial tiles of earlier checkpoints stay, as tlog-tiles wants.
        assert files(tmp_path / "again") == files(tmp_path / "wanted")
        assert files(tmp_path / str(number)) == files(tmp_path / f"w{number}")


def test_exporting_again_changes_nothing(ledger: Ledger, tmp_path: Path) -> None:
    grow(ledger, [], 300)
    export(ledger, tmp_path / "out")
    before = files(tmp_path / "out")
    assert export(ledger, tmp_path / "out").since == 300
    assert files(tmp_path / "out") == before


def test_a_folder_of_something_else_is_left_alone(ledger: Ledger, tmp_path: Path) -> None:
    grow(ledger, [], 3)
    other = tmp_path / "other"
    other.mkdir()
    (other / "letter.txt").write_text("dear")
    with pytest.raises(BadInputError, match="something else"):
        export(ledger, other)
    assert files(other) == {"letter.txt": b"dear"}
    with pytest.raises(BadInputError, match="a file stands"):
        export(ledger, other / "letter.txt")
    strange = HandMadeLog([leaf("run-manifest", "x")])
    strange.write(tmp_path / "strange", 1)
    before = files(tmp_path / "strange")
    with pytest.raises(BadInputError, match="another log"):
        export(ledger, tmp_path / "strange")
    assert files(tmp_path / "strange") == before


def test_a_longer_or_forked_log_is_not_overwritten(
    tmp_path: Path, internal_keys: Callable[[Path], InternalKeys]
) -> None:
    signer = KmsCheckpointSigner(internal_keys(tmp_path), ORIGIN)

    def open_at(name: str) -> Ledger:
        return Ledger(
            LocalObjects(tmp_path / name), ORIGIN, signer, lambda: datetime(2026, 1, 1, tzinfo=UTC)
        )

    ledger = open_at("one")
    entries: list[bytes] = []
    grow(ledger, entries, 10)
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    grow(ledger, entries, 10)
    export(ledger, tmp_path / "out")
    before = files(tmp_path / "out")
    rolled_back = open_at("two")
    with pytest.raises(LedgerError, match="20 leaves"):
        export(rolled_back, tmp_path / "out")
    rolled_back.append([Leaf.parse(leaf("model", str(i))) for i in range(50)])
    with pytest.raises(LedgerError, match="split view"):
        export(rolled_back, tmp_path / "out")
    assert files(tmp_path / "out") == before


@pytest.mark.parametrize("name", ["tile/0/001.p/44", "tile/entries/001.p/44", "tile/1/000.p/1"])
def test_damage_at_the_edge_is_not_built_upon(ledger: Ledger, tmp_path: Path, name: str) -> None:
    entries: list[bytes] = []
    grow(ledger, entries, 300)
    export(ledger, tmp_path / "out")
    path = tmp_path / "out" / name
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    grow(ledger, entries, 300)
    before = (tmp_path / "out" / "checkpoint").read_bytes()
    if "entries" in name:
        # The root does not cover the bundle's bytes: the full one differs from what was there.
        done = export(ledger, tmp_path / "out")
        found = verify_tree(tmp_path / "out", done)
        assert found
        return
    with pytest.raises(LedgerError):
        export(ledger, tmp_path / "out")
    assert (tmp_path / "out" / "checkpoint").read_bytes() == before


def verify_tree(folder: Path, done: Exported) -> list[str]:
    from quantumai.provenance.public_log.tree_check import check_tree

    return check_tree(PublicLog(FolderFiles(folder)), done.head)[0]


def test_an_export_that_was_cut_off_is_completed(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries: list[bytes] = []
    grow(ledger, entries, 700)
    export(ledger, tmp_path / "whole")
    room = 0

    def failing(path: Path, data: bytes) -> bool:
        nonlocal room
        if room == 0:
            raise OSError(28, "No space left on device")
        room -= 1
        return create_file(path, data)

    create_file = ledger_export.create_file
    for free in range(7):  # one after the other of the seven tiles and bundles
        room = free
        monkeypatch.setattr(ledger_export, "create_file", failing)
        with pytest.raises(StorageError):
            export(ledger, tmp_path / "cut")
        assert not (tmp_path / "cut" / "checkpoint").exists()
        monkeypatch.undo()
    export(ledger, tmp_path / "cut")
    assert files(tmp_path / "cut") == files(tmp_path / "whole")


def test_a_homes_export_verifies_with_its_trust_file_alone(
    sealer: Sealer, rotate: Callable[..., str], tmp_path: Path
) -> None:
    rotate(sealer)
    for i in range(300):
        sealer.ledger.append([Leaf.parse(leaf("run-manifest", str(i)))])
    first = sealer.ledger.checkpoint()
    rotate(sealer)
    objects, folder = sealer.ledger.objects, tmp_path / "out"
    done = export_ledger(sealer.ledger, objects, lambda size: sealer.ledger.checkpoint(), folder)
    assert done.missing == ()
    trust = sealer.export_trust()
    log = PublicLog(FolderFiles(folder))
    found = verify_public_log(log, trust, first)
    assert (found.exit_code, found.problems) == (ExitCode.OK, ())
    assert found.statements.logged == found.statements.found == done.statements > 5
    assert consistency_evidence(log.consistency_proof, stated_head(first), log.head).proof
    # A statement that was changed is found; one that is missing is counted.
    (path, *others) = sorted((folder / "key-events").iterdir())
    path.write_bytes(path.read_bytes().replace(b'"payloadType"', b'"payloadtype"'))
    assert verify_public_log(log, trust).exit_code is ExitCode.LEDGER
    path.write_bytes(others[0].read_bytes())
    assert verify_public_log(log, trust).exit_code is ExitCode.LEDGER
    path.unlink()
    assert verify_public_log(log, trust).statements.found == found.statements.found - 1


def test_the_homes_own_answer_on_freshness(sealer: Sealer, tmp_path: Path) -> None:
    sealer.ledger.append([Leaf.parse(leaf("run-manifest", "x"))])
    plain = verify_home_ledger(sealer)
    assert (plain.exit_code, plain.freshness.status) == (ExitCode.OK, Outcome.NOT_CHECKED)
    known = sealer.ledger.checkpoint()
    sealer.ledger.append([Leaf.parse(leaf("run-manifest", "y"))])
    fresh = verify_home_ledger(sealer, remembered=known)
    assert (fresh.exit_code, fresh.freshness.status) == (ExitCode.OK, Outcome.OK)
    other = HandMadeLog([leaf("run-manifest", "z")]).checkpoint(1, origin=sealer.ledger.origin)
    forged = verify_home_ledger(sealer, remembered=other)
    assert (forged.exit_code, forged.freshness.status) == (ExitCode.LEDGER, Outcome.FAILED)
    stranger = HandMadeLog([]).trust(mode=CryptoMode.PQC_REQUIRED)
    assert verify_home_ledger(sealer, trust=stranger).exit_code is ExitCode.LEDGER


def test_the_homes_own_quorum_is_a_wish_and_an_auditors_a_demand(sealer: Sealer) -> None:
    sealer.ledger.append([Leaf.parse(leaf("run-manifest", "x"))])
    known, kept = sealer.ledger.checkpoint(), CosignedCheckpoints(sealer.ledger)
    one = new_witness("w.example")
    sealer.witnesses = WitnessTrust(tuple(one.vkeys), 1)
    demand = sealer.export_trust(witnesses=sealer.witnesses)

    def look(trust: TrustFile | None, remembered: bytes | None = None) -> tuple[int, str, str]:
        found = verify_home_ledger(sealer, trust, remembered)
        assert found.problems == ()
        return found.exit_code, found.freshness.status, found.freshness.detail

    assert look(None)[:2] == (ExitCode.OK, Outcome.NOT_CHECKED)
    assert look(None, known)[:2] == (ExitCode.OK, Outcome.OK)
    for remembered in (None, known):
        assert look(demand, remembered)[:2] == (ExitCode.NOT_CHECKED, Outcome.NOT_CHECKED)
    lines = one.lines(known.decode().partition("\n\n")[0] + "\n", 1_800_000_000)
    kept.add(known, parse_signature_lines(lines.encode()))
    for trust in (None, demand):
        assert look(trust)[:2] == (ExitCode.OK, Outcome.OK)
    sealer.ledger.append([Leaf.parse(leaf("run-manifest", "y"))])
    # Only what was cosigned is said to be.
    for trust in (None, demand):
        code, status, detail = look(trust, known)
        assert (code, status) == (ExitCode.OK, Outcome.OK)
        assert f"the first {stated_head(known).size} leaves were cosigned by w.example" in detail


def test_a_damaged_cosigned_checkpoint_is_told_once(sealer: Sealer) -> None:
    one = new_witness("w.example")
    sealer.witnesses = WitnessTrust(tuple(one.vkeys), 1)
    known = sealer.ledger.checkpoint()
    lines = one.lines(known.decode().partition("\n\n")[0] + "\n", 1_800_000_000)
    CosignedCheckpoints(sealer.ledger).add(known, parse_signature_lines(lines.encode()))
    (name,) = sealer.ledger.objects.keys("ledger/cosigned/")
    sealer.ledger.objects.replace(name, known[:-9])
    assert [name in problem for problem in verify_home_ledger(sealer).problems].count(True) == 1
