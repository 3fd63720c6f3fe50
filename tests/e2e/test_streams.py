"""Streams that are closed, full, cut off or in another encoding: never a traceback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.qai_command import ROOT, TFIM, qai

pytestmark = pytest.mark.slow

_MAIN = "from quantumai.cli.main import main; main()"


def shell(script: str, home: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `script` in bash, where `qai` is ours."""
    function = f"qai() {{ {sys.executable} -W ignore -c '{_MAIN}' \"$@\"; }}\n"
    ours = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT / "src"), "QAI_HOME": str(home)}
    return subprocess.run(
        ["bash", "-c", function + script],
        env=ours | environment,
        capture_output=True,
        text=True,
        timeout=60,
        stdin=subprocess.DEVNULL,
    )


@pytest.fixture(scope="module")
def job_id(home: Path) -> str:
    found: str = qai("jobs", "list", "--json", home=home).json[0]["job_id"]
    return found


@pytest.mark.parametrize(
    ("script", "code"),
    [
        ("qai jobs list >&-", 2),
        ("qai jobs list >/dev/full", 1),
        ("qai jobs show $JOB --json >/dev/full", 1),
        ("qai jobs show $JOB --json | true; exit ${PIPESTATUS[0]}", 141),
    ],
)
def test_where_stdout_takes_nothing(script: str, code: int, home: Path, job_id: str) -> None:
    done = shell(script, home, JOB=job_id)
    assert done.returncode == code, done.stderr
    lines = [line for line in done.stderr.splitlines() if not line.startswith("warning: ")]
    assert [line.partition(":")[0] for line in lines] == ([] if code == 141 else ["error", "hint"])


def test_a_closed_stderr_does_not_spoil_json(home: Path) -> None:
    assert json.loads(shell("qai jobs list --json 2>&-", home).stdout)


def test_ascii_alone_will_do(home: Path, job_id: str) -> None:
    done = shell(f"qai jobs show {job_id}", home, PYTHONIOENCODING="ascii")
    assert done.returncode == 0, done.stderr
    assert " +/- " in done.stdout


def test_a_report_that_cannot_be_written_after_the_job(home: Path) -> None:
    options = ("--observable", "IIIIIZ", "--shots", 100, "--report", "/dev/full")
    done = qai("run", TFIM, *options, home=home)
    assert done.code == 1
    assert "error: the job is done, but its report cannot be written" in done.err


def test_the_version() -> None:
    done = qai("--version", home=None)
    assert (done.code, done.out.startswith("qai")) == (0, True)
