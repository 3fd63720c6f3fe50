"""kill -9 anywhere: the next command says so, and nothing half-written is believed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from quantumai.services.existing_home import home_exists
from tests.e2e.qai_command import ROOT, TFIM, qai

DRIVER = Path(__file__).with_name("kill_driver.py")


@pytest.mark.slow
def test_killed_before_every_single_write(home: Path, tmp_path: Path) -> None:
    known = {job["job_id"] for job in qai("jobs", "list", "--json", home=home).json}
    homes = killed(home, tmp_path, step=1)
    assert len(homes) > 30, "the driver no longer sees the storage calls"
    died_in = {check(copy, known, run_again=number % 10 == 0) for number, copy in enumerate(homes)}
    assert died_in == {"", "submitted", "scheduled", "running", "sealing", "done"}


@pytest.mark.slow
def test_killed_while_the_home_is_made(tmp_path: Path) -> None:
    homes = killed(tmp_path / "none", tmp_path, step=23)
    assert len(homes) > 5
    died_in = {check(copy, set(), run_again=True) for copy in homes}
    assert {"", "done"} <= died_in


@pytest.mark.slow
def test_killed_while_an_encrypted_home_is_made(tmp_path: Path) -> None:
    """Among the writes are the wrapping key, the data key, ciphertexts and the maps to them."""
    base = tmp_path / "base"
    assert qai("objects", "init", "--encrypt", home=base).code == 0
    homes = [home for home in killed(base, tmp_path / "homes", step=19) if home_exists(home)]
    assert len(homes) > 5
    died_in = {check(copy, set(), run_again=True) for copy in homes}
    assert {"", "done"} <= died_in
    for home in homes:
        for key in (home / "objects" / "data-keys" / "local").iterdir():
            assert key.name == "0000000001"  # whoever comes next goes on with what is there


def killed(base: Path, folder: Path, step: int) -> list[Path]:
    """The homes that the killed jobs left; the last job lived."""
    driven = subprocess.run(
        [sys.executable, DRIVER, base, TFIM, folder, str(step)],
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        timeout=150,
    )
    assert driven.returncode == 0, driven.stderr[-2000:]
    return sorted(folder.iterdir())


def check(home: Path, known: set[str], *, run_again: bool) -> str:
    """The state in which the one new job died, "done" if it did not, "" if there is none."""
    jobs = qai("jobs", "list", "--json", home=home).json
    new = [job for job in jobs if job["job_id"] not in known]
    died_in = ""
    for job in new:
        if job["state"] == "done":
            died_in = "done"
        else:
            assert (job["state"], job["failure_code"]) == ("failed", "interrupted")
            died_in = job["failure_reason"].removeprefix("its process died while the job was ")
        verified = qai("manifest", "verify", job["job_id"], home=home)
        assert verified.code == (0 if died_in == "done" else 2), verified.out + verified.err
    assert len(new) <= 1
    ledger = qai("ledger", "verify", "--json", home=home)
    assert ledger.json["problems"] == [], home
    if run_again:
        # And the home works on as if nothing had been.
        options = ("--observable", "IIIIIZ", "--shots", 100, "--em", "none", "--json")
        again = qai("run", TFIM, *options, home=home)
        assert (again.code, again.json["verified"]) == (0, True)
    return died_in
