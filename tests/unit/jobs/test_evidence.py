"""Evidence read back: damage is told, a stranger's evidence refused, an export stands alone."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from quantumai.canonical import canonical_json, sha256_hex
from quantumai.crypto_mode import CryptoMode
from quantumai.errors import BadInputError, EvidenceError, QuantumAIError
from quantumai.jobs.evidence import Evidence, export_evidence, manifest_bytes, verify_job
from quantumai.jobs.object_names import artefact_key, manifest_key, proof_key
from quantumai.jobs.report import load_report
from quantumai.jobs.run_job import run_job
from quantumai.provenance.manifest.verification import verify_manifest
from tests.unit.jobs.conftest import Finished
from tests.unit.jobs.finished_jobs import CIRCUIT, reseal, silent, small_job

ARTEFACTS = (
    "circuit", "request", "catalogue", "decision", "signed-decision",
    "transpiled-circuit", "histograms", "result", "assessment", "model",
)  # fmt: skip


def _one_line(error: QuantumAIError) -> str:
    assert len(str(error).splitlines()) == 1
    return str(error)


def test_evidence_gives_back_what_was_asked(finished: Finished) -> None:
    evidence = Evidence(finished.desk, finished.job_id)
    assert evidence.job() == small_job()
    assert evidence.artefact("circuit").decode() == CIRCUIT.source
    calibrations = {f"calibration/{m.entry.backend_id}" for m in evidence.fleet()}
    assert set(evidence.digests) == {*ARTEFACTS, *calibrations}
    assert evidence.fleet() == finished.home.fleet()


@pytest.mark.parametrize("name", ARTEFACTS)
@pytest.mark.parametrize("gone", [False, True])
def test_a_damaged_artefact_is_told(finished: Finished, name: str, gone: bool) -> None:
    evidence = Evidence(finished.desk, finished.job_id)
    path = Path(finished.desk.objects.locate(artefact_key("local", evidence.digests[name])))
    if gone:
        path.unlink()
    else:
        path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(EvidenceError, match=name) as caught:
        evidence.artefact(name)
    _one_line(caught.value)
    assert not verify_job(finished.desk, finished.job_id).verified


@pytest.mark.parametrize("damage", [b"", b"{}", b'{"payload":1}', b"\xff"])
def test_a_damaged_manifest_is_told(finished: Finished, damage: bytes) -> None:
    finished.desk.objects.replace(manifest_key("local", finished.job_id), damage)
    with pytest.raises(EvidenceError, match="manifest") as caught:
        load_report(finished.desk, finished.job_id)
    _one_line(caught.value)
    assert not verify_job(finished.desk, finished.job_id).verified


@pytest.mark.parametrize("key", [manifest_key, proof_key])
def test_a_lost_file_is_no_bad_input(finished: Finished, key: object, tmp_path: Path) -> None:
    path = Path(finished.desk.objects.locate(key("local", finished.job_id)))  # type: ignore[operator]
    path.unlink()
    with pytest.raises(EvidenceError, match="missing"):
        export_evidence(finished.desk, finished.job_id, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_another_jobs_manifest_is_not_believed(finished: Finished) -> None:
    """Every signature in it holds; it only lies in the wrong place."""
    desk = finished.desk
    other = run_job(desk, small_job(), silent).job_id
    for key in (manifest_key, proof_key):
        desk.objects.replace(key("local", other), desk.objects.get(key("local", finished.job_id)))
    with pytest.raises(EvidenceError, match=f"is that of job {finished.job_id}"):
        load_report(desk, other)
    with pytest.raises(EvidenceError, match="is that of job"):
        verify_job(desk, other)


@pytest.mark.parametrize(
    "changes",
    [
        {"shots": 0},
        {"shots": "many"},
        {"tolerance": -1},
        {"em": "magic"},
        {"seed": "7"},
        {"observables": ["ZZ"]},
        {"circuit_sha256": "00" * 32},
        {"surprise": 1},
    ],
    ids=repr,
)
def test_a_sealed_request_is_checked_as_a_new_one(
    finished: Finished, changes: dict[str, object]
) -> None:
    request = canonical_json(small_job().request.to_json() | changes)
    reseal(finished.desk, finished.job_id, {"request": request}, request_sha256=sha256_hex(request))
    assert verify_job(finished.desk, finished.job_id).verified
    with pytest.raises(EvidenceError, match="request") as caught:
        Evidence(finished.desk, finished.job_id).job()
    _one_line(caught.value)


def test_a_request_that_the_manifest_does_not_name_is_refused(finished: Finished) -> None:
    request = canonical_json(small_job(shots=700).request.to_json())
    reseal(finished.desk, finished.job_id, {"request": request})
    with pytest.raises(EvidenceError, match="contradicts"):
        Evidence(finished.desk, finished.job_id).job()


def test_an_export_verifies_without_the_home(finished: Finished, tmp_path: Path) -> None:
    folder = tmp_path / "new" / "evidence"
    paths = export_evidence(finished.desk, finished.job_id, folder)
    assert {path for path in folder.rglob("*") if path.is_file()} == set(paths)
    contents = {path.name: path.read_bytes() for path in paths}
    trust = finished.desk.open_sealer().export_trust(CryptoMode.PQC_REQUIRED)
    finished.home.close()
    report = verify_manifest(contents["manifest.json"], contents.get, contents["proof.json"], trust)
    assert report.verified, report.checks


def test_names_of_artefacts_are_never_paths(finished: Finished, tmp_path: Path) -> None:
    names = ["../../escape", "/etc/escape", "a\0b", "artefacts/x"]
    reseal(finished.desk, finished.job_id, dict.fromkeys(names, b"same"))
    folder = tmp_path / "deep" / "evidence"
    export_evidence(finished.desk, finished.job_id, folder)
    assert {path.name for path in tmp_path.rglob("*escape*")} == set()
    assert (folder / "artefacts" / sha256_hex(b"same")).read_bytes() == b"same"


def test_an_export_overwrites_nothing(finished: Finished, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    for folder in (tmp_path, tmp_path / "mine.txt", tmp_path / "mine.txt" / "below"):
        with pytest.raises(BadInputError) as caught:
            export_evidence(finished.desk, finished.job_id, folder)
        _one_line(caught.value)
    assert (tmp_path / "mine.txt").read_text() == "mine"


def test_the_manifest_is_as_it_was_signed(finished: Finished) -> None:
    path = Path(finished.desk.objects.locate(manifest_key("local", finished.job_id)))
    assert manifest_bytes(finished.desk, finished.job_id) == path.read_bytes()
    assert not stat.S_IMODE(path.stat().st_mode) & stat.S_IWOTH
