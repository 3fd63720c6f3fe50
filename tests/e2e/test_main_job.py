"""The main job as its user meets it: run, verify here and elsewhere, replay, look around."""

from __future__ import annotations

import base64
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from qiskit import qasm2
from qiskit.quantum_info import SparsePauliOp, Statevector

from tests.e2e.qai_command import ROOT, TFIM, Ended, qai, qai_process

PAULIS = ("ZIIIII", "ZZIIII")


@pytest.fixture(scope="module")
def job(home: Path) -> Any:
    """The main job's --json, from a process of its own."""
    observables = [word for pauli in PAULIS for word in ("--observable", pauli)]
    done = qai_process(
        *("run", TFIM, *observables, "--shots", 8000, "--crypto-mode", "pqc-required"),
        *("--seed", "main", "--json"),
        environment={"QAI_HOME": str(home)},
    )
    assert done.code == 0, done.err
    assert "Traceback" not in done.err
    assert "running on" in done.err
    return done.json


@pytest.fixture(scope="module")
def exported(home: Path, job: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The job's evidence, and the home's trust file beside it."""
    folder = tmp_path_factory.mktemp("evidence")
    assert qai("manifest", "export", job["job_id"], folder / "e", home=home).code == 0
    trust = qai("trust", "export", home=home)
    (folder / "trust.json").write_text(trust.out)
    assert trust.err.splitlines()[-1].startswith("fingerprint sha256:")
    return folder


@pytest.fixture
def evidence(exported: Path, tmp_path: Path) -> Path:
    """A copy of the evidence for a test to tamper with."""
    return Path(shutil.copytree(exported, tmp_path / "copy"))


def verify(folder: Path, *options: object) -> Ended:
    return qai("manifest", "verify", folder / "e" / "manifest.json", *options, home=None)


def checks(ended: Ended) -> dict[str, str]:
    return {check["name"]: check["status"] for check in ended.json["checks"]}


def test_json_has_the_promised_fields_and_the_ideal_values_of_qiskit(job: Any) -> None:
    circuit = qasm2.load(TFIM, custom_instructions=qasm2.LEGACY_CUSTOM_INSTRUCTIONS)
    state = Statevector(circuit.remove_final_measurements(inplace=False))
    assert [o["pauli"] for o in job["observables"]] == list(PAULIS)
    for one in job["observables"]:
        ideal = state.expectation_value(SparsePauliOp(one["pauli"])).real
        assert one["ideal"] == pytest.approx(ideal, abs=1e-9)
        assert one["std_err"] > 0
        # Five standard errors and the bias that the policy predicted, with room.
        allowed = 5 * one["std_err"] + 4 * job["predicted_rmse"]
        assert abs(one["mitigated"] - ideal) < allowed
    assert job["verified"] is True
    assert job["cost"] > 0
    assert Path(job["manifest_path"]).is_file()
    assert {"backend_id", "em_method", "job_id"} <= job.keys()


def test_a_job_of_the_home_verifies_and_replays_equal(home: Path, job: Any) -> None:
    verified = qai("manifest", "verify", job["job_id"], "--json", home=home)
    assert verified.code == 0, verified.out
    found = checks(verified)
    assert found.pop("freshness") == "not-checked"  # nothing was kept to compare with
    assert set(found.values()) == {"ok"}
    replayed = qai("replay", job["job_id"], "--json", home=home)
    assert (replayed.code, replayed.json["equal"]) == (0, True), replayed.out
    assert {step["name"] for step in replayed.json["steps"]} >= {"features", "decision", "result"}


def test_another_machine_verifies_with_the_trust_file_and_makes_no_home(
    evidence: Path, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    manifest, trust = evidence / "e" / "manifest.json", evidence / "trust.json"
    done = qai_process(
        "manifest", "verify", manifest, "--trust", trust, environment={"HOME": str(elsewhere)}
    )
    assert done.code == 0, done.out + done.err
    assert done.out.count("ok  ") == 7
    assert list(elsewhere.iterdir()) == []


def test_without_a_trust_file_nothing_is_believed(evidence: Path) -> None:
    done = verify(evidence, "--json")
    assert done.code == 8
    assert checks(done)["signature"] == "not-checked"


def test_a_changed_artefact(evidence: Path) -> None:
    victim = next((evidence / "e" / "artefacts").iterdir())
    victim.write_bytes(victim.read_bytes() + b" ")
    assert verify(evidence, "--trust", evidence / "trust.json").code == 4


def test_a_missing_artefact_is_not_checked_unless_less_was_asked_for(evidence: Path) -> None:
    next((evidence / "e" / "artefacts").iterdir()).unlink()
    trusting = ("--trust", evidence / "trust.json")
    done = verify(evidence, *trusting)
    assert done.code == 8
    assert "not checked  artefacts" in done.out
    allowed = verify(evidence, *trusting, "--allow-unchecked", "artefacts")
    assert allowed.code == 0
    assert allowed.out.splitlines()[-1] == "verified, except not checked: artefacts, freshness"
    as_json = verify(evidence, *trusting, "--allow-unchecked", "artefacts", "--json").json
    assert as_json["unchecked"] == ["artefacts", "freshness"]


def test_a_changed_payload(evidence: Path) -> None:
    path = evidence / "e" / "manifest.json"
    envelope = json.loads(path.read_bytes())
    payload = base64.b64decode(envelope["payload"]).replace(b'"local"', b'"lokal"')
    envelope["payload"] = base64.b64encode(payload).decode()
    path.write_text(json.dumps(envelope, separators=(",", ":"), sort_keys=True))
    assert verify(evidence, "--trust", evidence / "trust.json").code == 3


def test_no_manifest_at_all(evidence: Path) -> None:
    (evidence / "e" / "manifest.json").write_text("{}")
    done = verify(evidence, "--trust", evidence / "trust.json", "--json")
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("error: ")


def test_the_trust_file_of_another_home(evidence: Path, tmp_path: Path) -> None:
    assert qai("backends", "list", home=tmp_path / "other").code == 0
    other = qai("trust", "export", "--out", tmp_path / "other.json", home=tmp_path / "other")
    assert other.code == 0, other.err
    assert verify(evidence, "--trust", tmp_path / "other.json").code == 5


def test_a_trusted_key_but_another_ledger(evidence: Path, tmp_path: Path) -> None:
    assert qai("backends", "list", home=tmp_path / "other").code == 0
    qai("trust", "export", "--out", tmp_path / "other.json", home=tmp_path / "other")
    ours = json.loads((evidence / "trust.json").read_text())
    ours["ledger"] = json.loads((tmp_path / "other.json").read_text())["ledger"]
    (evidence / "mixed.json").write_text(json.dumps(ours))
    assert verify(evidence, "--trust", evidence / "mixed.json").code == 6


def test_a_key_that_counted_only_before(evidence: Path) -> None:
    trust = json.loads((evidence / "trust.json").read_text())
    trust["statement_keys"][0]["valid_until_index"] = 5
    (evidence / "ended.json").write_text(json.dumps(trust))
    assert verify(evidence, "--trust", evidence / "ended.json").code == 7


# A strict trust file names no classical key, so it does not know who signed in classical mode.
@pytest.mark.parametrize(("mode", "code"), [("hybrid", 9), ("classical", 5)])
def test_a_crypto_mode_below_what_the_auditor_accepts(
    home: Path, tmp_path: Path, evidence: Path, mode: str, code: int
) -> None:
    options = ("--observable", "IIIIIZ", "--shots", 200, "--crypto-mode", mode, "--json")
    weak = qai("run", TFIM, *options, home=home).json
    assert qai("manifest", "export", weak["job_id"], tmp_path / "e", home=home).code == 0
    assert verify(tmp_path, "--trust", evidence / "trust.json").code == code
    trust = qai("trust", "export", "--least-crypto-mode", mode, home=home)
    (tmp_path / "lenient.json").write_text(trust.out)
    assert verify(tmp_path, "--trust", tmp_path / "lenient.json").code == 0


def test_the_other_pages(home: Path, job: Any) -> None:
    listed = qai("jobs", "list", "--json", home=home).json
    assert job["job_id"] in [one["job_id"] for one in listed]
    shown = qai("jobs", "show", job["job_id"], "--json", home=home).json
    assert shown["observables"] == job["observables"]
    page = qai("jobs", "show", job["job_id"], home=home).out
    assert f"qai manifest verify {job['job_id']}" in page
    assert all(len(line) <= 100 for line in page.splitlines() if "/" not in line)
    backends = qai("backends", "list", "--json", home=home).json
    assert len(backends) >= 8
    one = qai("backends", "show", backends[0]["backend_id"], "--json", home=home).json
    assert len(one["calibration"]["qubits"]) == one["num_qubits"]
    ledger = qai("ledger", "verify", "--json", home=home)
    assert (ledger.code, ledger.json["problems"]) == (0, [])
    flat = qai("manifest", "show", job["job_id"], home=home).json
    assert flat["em_method"] == job["em_method"]
    assert len(base64.b64decode(flat["signature"])) == 3309  # FIPS 204, table 2: ML-DSA-65
    doctor = qai("doctor", "--json", home=home)
    assert (doctor.code, doctor.json["ok"]) == (0, True), doctor.out


def test_the_report_is_one_file_without_links(home: Path, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    options = ("--observable", "IIIIZZ", "--shots", 200, "--report", page)
    done = qai("run", TFIM, *options, home=home)
    assert done.code == 0
    assert str(page) in done.out
    html = page.read_text()
    assert html.count("<svg") == 3
    assert not any(word in html for word in ("<script", "href=", "src=", "url(", "http"))


def test_doctor_works_with_a_broken_home(tmp_path: Path) -> None:
    (tmp_path / "quantumai.db").write_bytes(b"no database" * 1000)
    done = qai("doctor", "--json", home=tmp_path)
    broken = [f["subject"] for f in done.json["findings"] if f["state"] == "broken"]
    assert (done.code, broken) == (1, ["home"])


def test_a_damaged_ledger_is_told(home: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(home, tmp_path / "home"))
    commits = sorted((copy / "objects" / "ledger" / "commits").rglob("*"))
    victim = next(path for path in commits if path.is_file())
    victim.write_bytes(victim.read_bytes().replace(b"a", b"b", 1))
    done = qai("ledger", "verify", "--json", home=copy)
    assert done.code == 6
    assert done.json["problems"]


def test_the_quickstart_of_the_sdk(home: Path) -> None:
    import subprocess
    import sys

    done = subprocess.run(
        [sys.executable, ROOT / "examples" / "quickstart.py"],
        env={"QAI_HOME": str(home), "PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert "verified: True" in done.stdout


def test_doctor_tells_of_a_damaged_ledger(home: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(home, tmp_path / "home"))
    for path in (copy / "objects" / "ledger" / "commits").rglob("*"):
        if path.is_file():
            path.write_bytes(path.read_bytes()[::-1])
    done = qai("doctor", home=copy)
    assert done.code == 1
    assert "all well" not in done.out
    assert "ledger" in [line.split()[0] for line in done.out.splitlines() if " broken " in line]
