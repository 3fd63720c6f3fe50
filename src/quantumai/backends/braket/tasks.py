"""Braket's quantum tasks as it describes them: their states and their results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from quantumai.backends.braket.program import counts_by_compact_qubit
from quantumai.backends.credentials import Scrubber
from quantumai.backends.vendor import CircuitResult, JobStatus, VendorState
from quantumai.errors import VendorError

STATES = {
    "CREATED": VendorState.QUEUED,
    "QUEUED": VendorState.QUEUED,
    "RUNNING": VendorState.RUNNING,
    "CANCELLING": VendorState.RUNNING,
    "COMPLETED": VendorState.DONE,
    "FAILED": VendorState.FAILED,
    "CANCELLED": VendorState.CANCELLED,
}
_LEAST_SIMULATOR_S = 3.0
"""What a managed simulator bills at least for a task."""


def status_of(tasks: Sequence[Mapping[str, Any]], scrubber: Scrubber) -> JobStatus:
    """One state for all tasks of a job, as `GetQuantumTask` describes them."""
    unknown = [task["status"] for task in tasks if task["status"] not in STATES]
    if unknown:
        raise VendorError(f"Braket names an unknown state: {scrubber.scrub(unknown[0])}")
    states = [STATES[task["status"]] for task in tasks]
    if not all(state.is_final for state in states):
        is_queued = all(state is VendorState.QUEUED for state in states)
        places = [str(task.get("queueInfo", {}).get("position", "")) for task in tasks]
        known = [int(place) for place in places if place.isdigit()]
        state = VendorState.QUEUED if is_queued else VendorState.RUNNING
        return JobStatus(state, max(known) if is_queued and known else None)
    reasons = [str(task["failureReason"]) for task in tasks if task.get("failureReason")]
    if len(set(states)) == 1:
        state = states[0]
    else:
        cancelled = VendorState.CANCELLED in states
        state = VendorState.CANCELLED if cancelled else VendorState.PARTIAL
    return JobStatus(state, message=scrubber.scrub(reasons[0]) if reasons else "")


def read_result(text: str) -> tuple[CircuitResult, float | None]:
    """Counts of a completed task and, of a simulator, the seconds that it bills.

    `text` is the task's results.json. It repeats the program, which says what compact qubits are.
    """
    from braket.task_result import GateModelTaskResult
    from braket.tasks import GateModelQuantumTaskResult

    raw = GateModelTaskResult.parse_raw(text)
    result = GateModelQuantumTaskResult.from_object(raw)
    measured = [int(qubit) for qubit in result.measured_qubits]
    labels = _measured_labels(raw.additionalMetadata.action.source)
    counts = counts_by_compact_qubit(result.measurement_counts, measured, labels)
    simulated = raw.additionalMetadata.simulatorMetadata
    used_s = None
    if simulated is not None and simulated.executionDuration is not None:
        used_s = max(_LEAST_SIMULATOR_S, simulated.executionDuration / 1000)
    return CircuitResult(counts), used_s


def _measured_labels(source: str) -> list[int]:
    """Labels of compact qubits 0, 1, ... from the measurements of a program of ours."""
    measured = [line.split("measure ")[1] for line in source.splitlines() if "measure " in line]
    return [int("".join(c for c in qubit if c.isdigit())) for qubit in measured]
