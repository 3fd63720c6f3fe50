"""Letting a job in: every check that needs the catalogue but no home, before one is opened.

What fails here leaves nothing behind, not even an empty home.
"""

from __future__ import annotations

from collections.abc import Sequence

from quantumai.backends.catalogue import BackendEntry
from quantumai.backends.simulator import Simulator
from quantumai.jobs.request import JobRequest, PreparedJob
from quantumai.scheduler.filters import named, no_candidate, refusal, require_simulable


def admit(job: PreparedJob, catalogue: Sequence[BackendEntry], simulator: Simulator) -> PreparedJob:
    """Return the job if the simulator and the catalogue have room for it.

    Raises `BadInputError` for an unknown backend or a circuit too wide to simulate, and
    `NoCandidateError` where every backend lacks the crypto mode or the qubits, or costs too much.
    """
    request = job.request
    num_qubits = job.circuit.num_qubits
    require_simulable(num_qubits, simulator.name, simulator.max_qubits)
    refusals = [
        (entry.backend_id, _refusal(entry, request, num_qubits))
        for entry in named(catalogue, request.backend_id)
    ]
    if all(reason for _, reason in refusals):
        raise no_candidate(refusals)
    return job


def _refusal(entry: BackendEntry, request: JobRequest, num_qubits: int) -> str:
    if reason := refusal(entry, request.crypto_mode, num_qubits):
        return reason
    least = min(method.shot_multiplier for method in request.methods)
    cost = entry.cost_per_shot * least * request.shots
    if request.max_cost is not None and cost > request.max_cost:
        return f"costs {cost:.4g} USD or more, above {request.max_cost:.4g}"
    return ""
