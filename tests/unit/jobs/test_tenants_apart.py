"""Jobs of several tenants in one home: names, encryption, and the erasure of one of them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from quantumai.canonical import sha256_hex
from quantumai.crypto_mode import CryptoMode
from quantumai.errors import (
    ApprovalNeededError,
    BadInputError,
    ConflictError,
    ErasedError,
    EvidenceError,
    StorageError,
)
from quantumai.jobs.desk import Desk
from quantumai.jobs.erasure import clear_erased
from quantumai.jobs.evidence import Evidence, export_evidence, manifest_bytes, verify_job
from quantumai.jobs.history import list_jobs
from quantumai.jobs.object_names import check_tenant
from quantumai.jobs.replay import replay_job
from quantumai.jobs.report import load_report
from quantumai.jobs.run_job import run_job
from quantumai.keys.management.built_in import TENANT_DATA
from quantumai.keys.management.records import Caller
from quantumai.provenance.manifest.verification import verify_manifest
from quantumai.provenance.sealing.tenant_cipher import is_encrypted
from quantumai.services import wiring
from quantumai.services.home_objects import HomeObjects, init_home_objects
from quantumai.services.verify_all import verify_home
from quantumai.services.wiring import Home, open_home
from quantumai.storage.database import Row
from tests.unit.jobs.conftest import Finished
from tests.unit.jobs.finished_jobs import CIRCUIT, silent, small_job

pytestmark = pytest.mark.filterwarnings("ignore::quantumai.keys.providers.soft.InsecureKeysWarning")
TENANTS = ("acme", "zeta")
TABLES_OF_JOBS = ("jobs", "manifests", "em_results", "scheduler_decisions")


@dataclass(frozen=True)
class Encrypted:
    """An own copy of an encrypted home with the same job of each of two tenants."""

    home: Home
    jobs: dict[str, str]

    def files(self, *parts: str) -> list[Path]:
        """Stored objects with these folders in their names."""
        files = (self.home.root / "objects").rglob("*")
        return [f for f in files if f.is_file() and set(parts) <= set(f.parts)]


@pytest.fixture(scope="session")
def _encrypted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    folder = tmp_path_factory.mktemp("encrypted") / "home"
    init_home_objects(folder, HomeObjects(encrypt=True))
    with open_home(folder, {}) as home:
        desk = home.desk()
        return folder, {t: run_job(desk, small_job(tenant=t), silent).job_id for t in TENANTS}


@pytest.fixture
def encrypted(_encrypted: tuple[Path, dict[str, str]], tmp_path: Path) -> Iterator[Encrypted]:
    folder, jobs = _encrypted
    shutil.copytree(folder, tmp_path / "home")
    with open_home(tmp_path / "home", {}) as home:
        yield Encrypted(home, jobs)


def _erase(root: Path, tenant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As `qai kms keys destroy` does it, with the waiting days gone by."""
    with open_home(root, {}) as home:
        for principal in ("alice", "bob"):
            with suppress(ApprovalNeededError):
                keys = home.open_kms().of(Caller(tenant, principal))
                keys.schedule_destruction(TENANT_DATA, waiting_days=1)
    now = wiring.utc_now() + timedelta(days=2)
    monkeypatch.setattr(wiring, "utc_now", lambda: now)
    with open_home(root, {}) as home:
        assert [key.label for key in home.open_kms().destroy_due()] == [f"{TENANT_DATA}/1"]


def _rows(desk: Desk) -> list[Row]:
    return desk.database.select("jobs")


def _verifies(home: Home, job_id: str) -> bool:
    try:
        return verify_job(home.desk(), job_id).verified
    except EvidenceError:
        return False


def test_names_carry_the_tenant_and_the_digest_of_what_is_stored(encrypted: Encrypted) -> None:
    for file in encrypted.files("artefacts"):
        assert file.name == sha256_hex(file.read_bytes())
    mine, theirs = ({f.name for f in encrypted.files("artefacts", t)} for t in TENANTS)
    assert len(mine) == len(theirs) > 10
    assert not mine & theirs


def test_nothing_of_a_tenant_lies_in_clear(encrypted: Encrypted) -> None:
    for tenant, job_id in encrypted.jobs.items():
        evidence = Evidence(encrypted.home.desk(), job_id)
        public = {name for name in evidence.digests if name.startswith("calibration/")}
        secrets = [CIRCUIT.source.encode(), evidence.envelope]
        secrets += [evidence.artefact(name) for name in evidence.digests.keys() - public]
        # Of the signed decision the ledger has the digest, which its signature makes unguessable.
        logged = {"signed-decision"}
        digests = [evidence.digests[n].encode() for n in evidence.digests.keys() - public - logged]
        for file in encrypted.files():
            data = file.read_bytes()
            assert not [s for s in secrets if s in data], file
            assert not [d for d in digests if d in data or d.decode() in file.name], file
        for file in encrypted.files(tenant, "artefacts"):
            assert is_encrypted(file.read_bytes())


def test_an_encrypted_job_is_read_as_any_other(encrypted: Encrypted, tmp_path: Path) -> None:
    desk = encrypted.home.desk()
    for tenant, job_id in encrypted.jobs.items():
        assert verify_job(desk, job_id).verified
        assert replay_job(desk, job_id).bit_equal
        report = load_report(desk, job_id)
        assert Path(report.manifest_path).is_file()
        assert Path(report.proof_path).is_file()
        assert Evidence(desk, job_id).manifest.tenant == tenant
        (decision,) = desk.database.select("scheduler_decisions", {"job_id": job_id})
        (manifest,) = desk.database.select("manifests", {"job_id": job_id})
        for path in (decision["decision_manifest_path"], manifest["s3_path"]):
            assert is_encrypted(desk.objects.get(path))
    assert encrypted.home.open_sealer().verify_ledger() == []


@pytest.mark.slow
@pytest.mark.parametrize("part", ["artefacts", "data-keys", "manifests"])
def test_every_damaged_ciphertext_is_found(encrypted: Encrypted, part: str) -> None:
    desk, job_id = encrypted.home.desk(), encrypted.jobs["acme"]
    files = [f for f in encrypted.files("acme", part) if f.name != "proof.json"]
    assert files
    for file in files:
        whole = file.read_bytes()
        for damage in (whole[:-1] + bytes([whole[-1] ^ 1]), b"", b"{}"):
            file.write_bytes(damage)
            with open_home(encrypted.home.root, {}) as again:
                assert not _verifies(again, job_id)
        file.write_bytes(whole)
    assert verify_job(desk, job_id).verified


def test_erasure_takes_one_tenant_and_leaves_the_ledger(
    encrypted: Encrypted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone, kept = encrypted.jobs["acme"], encrypted.jobs["zeta"]
    root, folder = encrypted.home.root, tmp_path / "exported"
    export_evidence(encrypted.home.desk(), gone, folder)
    trust = encrypted.home.open_sealer().export_trust(CryptoMode.PQC_REQUIRED)
    encrypted.home.close()
    before = {f: f.read_bytes() for f in encrypted.files()}
    _erase(root, "acme", monkeypatch)
    with open_home(root, {}) as home:
        desk = home.desk()
        for read in (manifest_bytes, Evidence, verify_job, load_report, replay_job):
            with pytest.raises(ErasedError, match="data of tenant acme were erased") as caught:
                read(desk, gone)
            assert len(str(caught.value).splitlines()) == 1
        with pytest.raises(ErasedError):
            run_job(desk, small_job(tenant="acme"), silent)
        assert verify_job(desk, kept).verified
        assert run_job(desk, small_job(tenant="zeta"), silent).verified
        assert home.open_sealer().verify_ledger() == []
        assert len(desk.database.select("jobs")) == 3  # what was refused left none
        told = str([desk.database.select(table, {"job_id": kept}) for table in TABLES_OF_JOBS])
        assert clear_erased(desk) == [gone]
        assert clear_erased(desk) == []
        assert told == str([desk.database.select(t, {"job_id": kept}) for t in TABLES_OF_JOBS])
        assert {job.job_id for job in list_jobs(desk)} == {row["job_id"] for row in _rows(desk)}
        (row,) = [row for row in _rows(desk) if row["job_id"] == gone]
        left = str([desk.database.select(table, {"job_id": gone}) for table in TABLES_OF_JOBS])
        for word in ("small", "IIZ", "ibm", "shots': 600", "features", "fidelity': 0"):
            assert word in told
            assert word not in left
        assert row["manifest_index"] is not None
        _leaves_of_erased_jobs_are_theirs(root, gone, kept)
    # The objects are all there still, as a retention would have it: only nobody can read them.
    assert {f: f.read_bytes() for f in before if "ledger" not in f.parts} == {
        f: data for f, data in before.items() if "ledger" not in f.parts
    }
    contents = {f.name: f.read_bytes() for f in folder.rglob("*") if f.is_file()}
    report = verify_manifest(contents["manifest.json"], contents.get, contents["proof.json"], trust)
    assert report.verified, report.checks


def _leaves_of_erased_jobs_are_theirs(root: Path, gone: str, kept: str) -> None:
    """What was erased on purpose is no damage; no other job hides behind it."""
    parts = {part.name: part for part in verify_home(root)}
    assert [problem for part in parts.values() for problem in part.problems] == []
    assert "2 belong to jobs that were erased" in parts["leaves"].looked_at
    with open_home(root, {}) as home:
        desk = home.desk()
        (theirs,) = desk.database.select("jobs", {"job_id": kept})
        (mine,) = desk.database.select("jobs", {"job_id": gone})
        for column in ("manifest_index", "decision_index"):
            desk.database.update("jobs", {"job_id": gone}, {column: theirs[column]})
            told = str([part.problems for part in verify_home(root)])
            assert f"erased job {gone} names a leaf that is no" in told
            assert "stand for nothing that is there" in told
            desk.database.update("jobs", {"job_id": gone}, {column: mine[column]})
    proofs = {f.parent.name: f for f in root.glob("objects/manifests/*/*/proof.json")}
    proof = proofs[gone].read_bytes()
    proofs[gone].write_bytes(proofs[kept].read_bytes())
    told = str([part.problems for part in verify_home(root)])
    assert f"erased job {gone}: its proof is of another leaf" in told
    proofs[gone].write_bytes(proof)


def test_a_home_of_former_names_is_read_and_goes_on(finished: Finished) -> None:
    """Names without the tenant, as homes had them before."""
    objects = finished.home.root / "objects"
    for file in list((objects / "artefacts").rglob("*")):
        if file.is_file():
            file.rename(objects / "artefacts" / file.name)
    for folder in ("local", "_public"):
        (objects / "artefacts" / folder).rmdir()
    (objects / "manifests" / "local" / finished.job_id).rename(
        objects / "manifests" / finished.job_id
    )
    desk = finished.desk
    assert verify_job(desk, finished.job_id).verified
    assert replay_job(desk, finished.job_id).bit_equal
    report = load_report(desk, finished.job_id)
    assert Path(report.manifest_path) == objects / f"manifests/{finished.job_id}/manifest.json"
    assert Path(report.proof_path).is_file()
    other = run_job(desk, small_job(), silent)
    assert other.verified
    assert f"/manifests/local/{other.job_id}/" in other.manifest_path


@pytest.mark.parametrize("name", ["", "_public", "a/b", "..", ".a", "a" * 64, "a b", "ä", "a\0"])
def test_a_tenant_that_no_object_can_be_named_after_is_refused(name: str) -> None:
    with pytest.raises(BadInputError):
        small_job(tenant=name)
    with pytest.raises(BadInputError):
        check_tenant(name)


def test_a_store_that_fails_is_not_missing_evidence(
    finished: Finished, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> bytes:
        raise StorageError("the store is away")

    monkeypatch.setattr(type(finished.desk.objects), "get", away)
    with pytest.raises(StorageError, match="away"):
        verify_job(finished.desk, finished.job_id)


def test_the_place_of_objects_is_chosen_once(tmp_path: Path) -> None:
    init_home_objects(tmp_path / "home", HomeObjects(encrypt=True))
    with pytest.raises(ConflictError):
        init_home_objects(tmp_path / "home", HomeObjects())
    with pytest.raises(BadInputError, match="bucket"):
        init_home_objects(tmp_path / "other", HomeObjects(prefix="x"))
    assert not (tmp_path / "other").exists()
