"""Run, verify and replay jobs in this process, on the home at `QAI_HOME` or one given."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from quantumai.errors import BadInputError
from quantumai.sdk.arguments import home_folder, job_text
from quantumai.sdk.foreign import is_a

if TYPE_CHECKING:
    from qiskit import QuantumCircuit

    from quantumai.circuits.circuit import Circuit
    from quantumai.jobs.replay import ReplayReport
    from quantumai.jobs.report import JobReport
    from quantumai.provenance.verification.report import VerificationReport


def run(
    circuit: QuantumCircuit | Path | str,
    observables: Sequence[str],
    *,
    shots: int = 4000,
    crypto_mode: str = "pqc-required",
    backend: str = "auto",
    em: str = "auto",
    tolerance: float = 0.05,
    max_cost: float | None = None,
    seed: str | None = None,
    engine: str = "channel",
    home: Path | str | None = None,
    progress: Callable[[str], None] | None = None,
) -> JobReport:
    """Choose backend and method, run, mitigate, seal and verify one job.

    `circuit`: a Qiskit circuit, OpenQASM text, or the path of an OpenQASM file. `observables`:
    Pauli strings in Qiskit's order, the rightmost letter being qubit 0. `shots`: what method
    "none" would spend; `max_cost` in USD; `tolerance` the RMSE that you can live with. Raises
    `BadInputError`, with nothing stored, for anything that cannot be run.
    """
    from quantumai.backends.catalogue import load_catalogue
    from quantumai.jobs.request import prepare_job
    from quantumai.jobs.run_job import run_job
    from quantumai.services.admission import admit
    from quantumai.services.wiring import catalogue_path, home_root, open_home, open_simulator

    if progress is not None and not callable(progress):
        raise BadInputError("progress is a function that takes a line of text")
    prepared = prepare_job(
        _loaded(circuit),
        observables,
        shots=shots,
        crypto_mode=crypto_mode,
        backend=backend,
        em=em,
        tolerance=tolerance,
        max_cost=max_cost,
        seed=seed,
        engine=engine,
    )
    folder = home_folder(home)
    catalogue = load_catalogue(catalogue_path(folder or home_root()))
    job = admit(prepared, catalogue, open_simulator(engine))
    with open_home(folder) as opened:
        return run_job(opened.desk(), job, progress or _silent)


def verify(job_id: str, *, home: Path | str | None = None) -> VerificationReport:
    """Verify a finished job of this home again, under the home's own keys."""
    from quantumai.jobs.evidence import verify_job
    from quantumai.jobs.history import find_job
    from quantumai.services.existing_home import open_existing_home

    name = job_text(job_id)
    with open_existing_home(home_folder(home)) as opened:
        desk = opened.desk()
        return verify_job(desk, find_job(desk, name).job_id)


def replay(job_id: str, *, home: Path | str | None = None) -> ReplayReport:
    """Recompute a finished job from its evidence and compare, step by step."""
    from quantumai.jobs.history import find_job
    from quantumai.jobs.replay import replay_job
    from quantumai.services.existing_home import open_existing_home

    name = job_text(job_id)
    with open_existing_home(home_folder(home)) as opened:
        desk = opened.desk()
        return replay_job(desk, find_job(desk, name).job_id)


def _loaded(circuit: QuantumCircuit | Path | str) -> Circuit:
    from quantumai.circuits.loading import from_qiskit, load_circuit, load_circuit_file

    if isinstance(circuit, Path):
        return load_circuit_file(circuit)
    if isinstance(circuit, str):
        # OpenQASM always has a semicolon or a line end; a path with one goes in as a `Path`.
        return load_circuit(circuit) if set(circuit) & set(";\n") else load_circuit_file(circuit)
    if not is_a(circuit, "qiskit", "QuantumCircuit"):
        raise BadInputError(
            f"a {type(circuit).__name__} is no circuit",
            hint="give a qiskit QuantumCircuit, OpenQASM text, or the path of a file",
        )
    return from_qiskit(circuit)


def _silent(_: str) -> None:
    pass
