"""What a command costs in CPU seconds: the start, and a whole job beyond importing Qiskit."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.qai_command import ROOT, TFIM

QAI = "from quantumai.cli.main import main; main()"


def cpu_s(code: str, *arguments: object, home: Path, times: int = 5) -> float:
    """The least CPU time, user and system, of several runs: noise only ever adds."""
    environment = os.environ | {
        "PYTHONPATH": str(ROOT / "src"),
        "QAI_HOME": str(home),
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
    }
    measured = []
    for _ in range(times):
        process = subprocess.Popen(
            [sys.executable, "-c", code, *map(str, arguments)],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        # wait4 gives this very child's usage; children's totals would mix in other tests'.
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0
        measured.append(usage.ru_utime + usage.ru_stime)
    return min(measured)


@pytest.mark.slow
def test_help_starts_in_under_0_3_s(tmp_path: Path) -> None:
    assert cpu_s(QAI, "--help", home=tmp_path) < 0.3


@pytest.mark.slow
def test_a_job_costs_under_half_a_second_beyond_importing_qiskit(home: Path) -> None:
    options = ("--observable", "ZIIIII", "--observable", "ZZIIII", "--shots", 8000)
    job = cpu_s(QAI, "run", TFIM, *options, home=home)
    importing = cpu_s("import qiskit", home=home)
    assert job - importing < 0.5, (job, importing)
