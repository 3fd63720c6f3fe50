"""What one whole `qai run` costs in CPU-seconds, beside `import qiskit` in the same minute.

The job is the README's: 6 qubits, all backends of the catalogue, every method, signed and
verified, on a home whose calibrations are ingested. Both are whole processes, run in turn.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from _reporting import print_environment, print_json, print_table, spread

CIRCUIT = Path(__file__).resolve().parents[1] / "examples" / "tfim_6q.qasm"
AIM_CPU_S = 0.5
QAI = str(Path(sys.executable).with_name("qai"))
MAIN_JOB = [QAI, "run", str(CIRCUIT)]
MAIN_JOB += ["--observable", "ZIIIII", "--observable", "ZZIIII", "--shots", "8000", "--json"]
IMPORT_QISKIT = [sys.executable, "-c", "import qiskit"]
HELP = [QAI, "--help"]


def cpu_s(command: Sequence[str], environment: dict[str, str]) -> float:
    """User and system CPU-seconds of one process and its children."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, capture_output=True, env=environment)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def main() -> None:
    """Time the three commands in turn and print them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--repeats", type=int, default=7, help="how often each is run")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        environment = os.environ | {"QAI_HOME": home}
        cpu_s(MAIN_JOB, environment)  # makes the home and ingests the calibrations
        rounds = [
            [cpu_s(command, environment) for command in (MAIN_JOB, IMPORT_QISKIT, HELP)]
            for _ in range(options.repeats)
        ]
    columns = dict(zip(("job", "import_qiskit", "help"), zip(*rounds, strict=True), strict=True))
    beyond = [job - imported for job, imported, _ in rounds]
    ratios = [job / imported for job, imported, _ in rounds]
    figures = {**columns, "job_beyond_import": beyond, "ratio_to_import_qiskit": ratios}
    summary = {name: spread(values) for name, values in figures.items()}
    if options.json:
        print_json({"aim_cpu_s": AIM_CPU_S, "repeats": options.repeats, **summary})
        return
    print_table(
        ["CPU-seconds", *next(iter(summary.values()))],
        [[name, *values.values()] for name, values in summary.items()],
    )
    print(f"aim: job_beyond_import below {AIM_CPU_S}")
    print_environment()


if __name__ == "__main__":
    main()
