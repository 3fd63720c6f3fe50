"""What a job came to, read back from its sealed evidence and verified on the way."""

from __future__ import annotations

from typing import Any

import msgspec

from quantumai.jobs.desk import Desk
from quantumai.jobs.evidence import Evidence, verify_job
from quantumai.jobs.states import JobState
from quantumai.scheduler.decision import Decision


class ObservableReport(msgspec.Struct, frozen=True):
    """One observable's values and standard errors; `fallback` names the method that replaced."""

    pauli: str
    raw: float
    raw_std_err: float
    mitigated: float
    std_err: float
    ideal: float | None
    fallback: str


class JobReport(msgspec.Struct, frozen=True, kw_only=True):
    """A finished job; `cost` in USD, errors against the ideal values where those are known."""

    job_id: str
    state: str
    created_at: str
    circuit_name: str
    num_qubits: int
    backend_id: str
    calibration_snapshot_id: str
    em_method: str
    em_params: dict[str, Any]
    observables: tuple[ObservableReport, ...]
    shots: int
    shots_spent: int
    tolerance: float
    crypto_mode: str
    seed: str
    cost: float
    predicted_rmse: float
    observed_rmse: float | None
    raw_rmse: float | None
    unmitigated_fidelity: float | None
    mitigated_fidelity: float | None
    observed_precision_fidelity: float | None
    decision: Decision
    manifest_path: str
    proof_path: str
    verified: bool
    checks: tuple[dict[str, Any], ...]


def load_report(desk: Desk, job_id: str) -> JobReport:
    """Read, verify and report one finished job."""
    evidence = Evidence(desk, job_id)
    verification = verify_job(desk, job_id)
    decision = evidence.decision()
    request, result, assessment = (
        evidence.json(name) for name in ("request", "result", "assessment")
    )
    return JobReport(
        job_id=job_id,
        state=JobState.DONE,
        created_at=evidence.manifest.created_at,
        circuit_name=request["circuit_name"],
        num_qubits=decision.features.qubit_count,
        backend_id=evidence.manifest.backend_id,
        calibration_snapshot_id=evidence.manifest.calibration_snapshot_id,
        em_method=evidence.manifest.em_method,
        em_params=result["em_params"],
        observables=tuple(
            ObservableReport(**row, ideal=ideal)
            for row, ideal in zip(result["observables"], assessment["ideal"], strict=True)
        ),
        shots=request["shots"],
        shots_spent=result["shots_spent"],
        tolerance=request["tolerance"],
        crypto_mode=evidence.manifest.crypto_mode,
        seed=evidence.manifest.seed,
        cost=decision.chosen.factors.cost,
        predicted_rmse=decision.chosen.forecast.predicted_rmse,
        observed_rmse=assessment["observed_rmse"],
        raw_rmse=assessment["raw_rmse"],
        unmitigated_fidelity=assessment["unmitigated_fidelity"],
        mitigated_fidelity=assessment["mitigated_fidelity"],
        observed_precision_fidelity=assessment["observed_precision_fidelity"],
        decision=decision,
        manifest_path=desk.objects.locate(evidence.objects.manifest_key),
        proof_path=desk.objects.locate(evidence.objects.proof_key),
        verified=verification.verified,
        checks=tuple(verification.as_json()["checks"]),
    )
