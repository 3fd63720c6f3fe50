"""kill -9 anywhere: the next command says so, and nothing half-written is believed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.qai_command import ROOT, TFIM, qai

DRIVER = Path(__file__).with_name("kill_driver.py")


@pytest.mark.slow
def test_killed_before_every_single_write(home: Path, tmp_path: Path) -> None:
    known = {job["job_id"] for job in qai("jobs", "list", "--json", home=home).json}
    driven = subprocess.run(
        [sys.executable, DRIVER, home, TFIM, tmp_path],
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        timeout=150,
    )
    assert driven.returncode == 0, driven.stderr[-2000:]
    homes = sorted(tmp_path.iterdir())
    assert len(homes) > 30, "the driver no longer sees the storage calls"
    died_in = set()
    for number, copy in enumerate(homes):
        jobs = qai("jobs", "list", "--json", home=copy).json
        new = [job for job in jobs if job["job_id"] not in known]
        assert len(new) <= 1
        for job in new:
            done = job["state"] == "done"
            assert done or (job["state"], job["failure_code"]) == ("failed", "interrupted")
            assert done or "died while the job was" in job["failure_reason"]
            died_in.add("done" if done else job["failure_reason"].rpartition(" ")[2])
            verified = qai("manifest", "verify", job["job_id"], home=copy)
            assert verified.code == (0 if done else 2), verified.out + verified.err
        ledger = qai("ledger", "verify", "--json", home=copy)
        assert ledger.json["problems"] == [], copy
        if number % 10 == 0:
            # And the home works on as if nothing had been.
            options = ("--observable", "IIIIIZ", "--shots", 100, "--em", "none", "--json")
            again = qai("run", TFIM, *options, home=copy)
            assert (again.code, again.json["verified"]) == (0, True)
    assert died_in == {"submitted", "scheduled", "running", "sealing", "done"}
