"""A recorded run and an attested file, from the user's program to an auditor's desk."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.qai_command import ROOT, qai

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with the run of examples/record_a_run.py."""
    home = tmp_path_factory.mktemp("recorded") / "home"
    done = subprocess.run(
        [sys.executable, ROOT / "examples" / "record_a_run.py"],
        env=os.environ | {"QAI_HOME": str(home), "PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert "recorded\nverified: True\n{'" in done.stdout
    return home


@pytest.fixture
def job(recorded: Path) -> str:
    (job,) = qai("jobs", "list", "--json", home=recorded).json
    assert (job["state"], job["origin"]) == ("done", "recorded")
    return str(job["job_id"])


def test_every_command_on_jobs_works_on_it(recorded: Path, job: str) -> None:
    assert "recorded" in qai("jobs", "list", home=recorded).out
    page = qai("jobs", "show", job, home=recorded)
    assert page.code == 0
    assert "QuantumAI neither scheduled nor ran this" in page.out
    shown = qai("jobs", "show", job, "--json", home=recorded).json
    assert (shown["origin"], shown["verified"]) == ("recorded", True)
    assert sum(shown["histograms"][0]["counts"].values()) == 4000
    assert qai("manifest", "show", job, home=recorded).json["origin"] == "recorded"
    assert qai("manifest", "verify", job, home=recorded).code == 0


def test_an_auditor_verifies_the_export_without_the_home(
    recorded: Path, job: str, tmp_path: Path
) -> None:
    assert qai("manifest", "export", job, tmp_path / "out", home=recorded).code == 0
    trust = tmp_path / "trust.json"
    assert qai("trust", "export", "--out", trust, home=recorded).code == 0
    verify = ("manifest", "verify", tmp_path / "out" / "manifest.json", "--trust", trust)
    assert qai(*verify, home=None).code == 0
    (tmp_path / "out" / "artefacts").rename(tmp_path / "gone")
    assert qai(*verify, home=None).code == 8


def test_it_cannot_be_replayed_and_says_so_in_one_line(recorded: Path, job: str) -> None:
    replayed = qai("replay", job, home=recorded)
    assert (replayed.code, replayed.out) == (2, "")
    errors = [line for line in replayed.err.splitlines() if line.startswith("error:")]
    assert errors == [
        f"error: job {job} was recorded, not run by QuantumAI: there is nothing to replay"
    ]


def test_an_attested_model_is_checked_without_the_home(recorded: Path, tmp_path: Path) -> None:
    model, trust, out = tmp_path / "model.onnx", tmp_path / "trust.json", tmp_path / "out"
    model.write_bytes(bytes(3_000_000))
    attest = ("ledger", "attest", model, "--kind", "model", "--out", out)
    made = qai(*attest, "--json", home=recorded)
    assert made.code == 0, made.err
    assert qai("trust", "export", "--out", trust, home=recorded).code == 0
    check = ("ledger", "check-attestation", out / "model.attestation.json")
    good = qai(*check, model, "--trust", trust, "--json", home=None)
    assert (good.code, good.json["verified"]) == (0, True)
    beside = out / model.name
    beside.write_bytes(model.read_bytes())
    assert qai(*check, "--trust", trust, home=None).code == 0
    beside.write_bytes(bytes(2_999_999) + b"\1")
    assert qai(*check, "--trust", trust, home=None).code == 4
    assert qai(*check, model, home=None).code == 8  # nobody is trusted
    again = qai(*attest, home=recorded)
    assert (again.code, again.out) == (2, "")
    assert qai("ledger", "verify", home=recorded).code == 0


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["absent.bin", "--kind", "model"], "cannot read the file absent.bin"),
        ([str(ROOT), "--kind", "model"], "not a regular file"),
        ([__file__, "--kind", "key-event"], "unknown kind 'key-event'"),
        ([__file__, __file__, "--kind", "release"], "two files are called"),
        ([__file__, "--kind", "release", "--crypto-mode", "none"], "unknown crypto mode"),
        ([__file__, "--kind", "release", "--out", __file__], "cannot write to"),
    ],
)
def test_what_cannot_be_attested_leaves_nothing(
    tmp_path: Path, arguments: list[str], error: str
) -> None:
    ended = qai("ledger", "attest", *arguments, home=tmp_path / "home")
    assert (ended.code, ended.out) == (2, "")
    assert error in ended.err
    assert not (tmp_path / "home").exists()


def test_everything_in_the_home_holds(recorded: Path, job: str) -> None:
    everything = qai("verify-all", home=recorded)
    assert everything.code == 0, everything.out
