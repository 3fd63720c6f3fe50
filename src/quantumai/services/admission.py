"""Letting a job in: every check that needs the catalogue but no home, before one is opened.

What fails here leaves nothing behind, not even an empty home.
"""

from __future__ import annotations

from collections.abc import Sequence

from quantumai.backends.catalogue import BackendEntry
from quantumai.backends.simulator import Simulator
from quantumai.errors import BadInputError, NoCandidateError
from quantumai.jobs.request import JobRequest, PreparedJob


def admit(job: PreparedJob, catalogue: Sequence[BackendEntry], simulator: Simulator) -> PreparedJob:
    """Return the job if the simulator and the catalogue have room for it.

    Raises `BadInputError` for an unknown backend or a circuit too wide to simulate, and
    `NoCandidateError` where every backend lacks the crypto mode or the qubits, or costs too much.
    """
    request = job.request
    if job.circuit.num_qubits > simulator.max_qubits:
        raise BadInputError(
            f"the circuit has {job.circuit.num_qubits} qubits, the {simulator.name} engine "
            f"simulates at most {simulator.max_qubits}",
            hint="cut the circuit down; nothing was spent",
        )
    named = [entry for entry in catalogue if request.backend_id in (None, entry.backend_id)]
    if not named:
        known = ", ".join(entry.backend_id for entry in catalogue)
        raise BadInputError(
            f"unknown backend {request.backend!r}", hint=f"use auto or one of: {known}"
        )
    refusals = [_refusal(entry, request, job.circuit.num_qubits) for entry in named]
    if all(refusals):
        listed = "; ".join(
            f"{entry.backend_id} {why}" for entry, why in zip(named, refusals, strict=True)
        )
        raise NoCandidateError(
            f"no backend and method is left: {listed}",
            hint="relax --crypto-mode, --max-cost, --backend or --em",
        )
    return job


def _refusal(entry: BackendEntry, request: JobRequest, num_qubits: int) -> str:
    if not entry.supports(request.crypto_mode):
        return f"does not support crypto mode {request.crypto_mode}"
    if entry.num_qubits < num_qubits:
        return f"has {entry.num_qubits} qubits, {num_qubits} are needed"
    least = min(method.shot_multiplier for method in request.methods)
    cost = entry.cost_per_shot * least * request.shots
    if request.max_cost is not None and cost > request.max_cost:
        return f"costs {cost:.4g} USD or more, above {request.max_cost:.4g}"
    return ""
