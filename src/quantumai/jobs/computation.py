"""The computing part of a job as functions of its evidence: run and replay both call them.

Nothing here reads a clock, a store or a key. The circuit that runs is the one read back from the
transpiled artefact.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from quantumai.backends.noise import device_noise
from quantumai.backends.physical_circuit import PhysicalCircuit
from quantumai.backends.simulator import Simulator
from quantumai.canonical import canonical_json
from quantumai.circuits.ideal import ideal_values
from quantumai.execution.histograms import plain_histograms
from quantumai.execution.run import Outcome, calibrated_confusion, run_method
from quantumai.execution.transpile import TranspiledCircuit
from quantumai.jobs.request import PreparedJob
from quantumai.mitigation.fidelity import FIDELITY_DEFINITION, polarization_fidelity, rmse
from quantumai.mitigation.methods import find_method
from quantumai.policy.prediction import precision_fidelity
from quantumai.randomness import RootSeed
from quantumai.scheduler.decision import Decision
from quantumai.scheduler.planner import FleetMember, Plan, Wanted, make_plan


def plan_job(
    job: PreparedJob,
    job_id: str,
    created_at: str,
    fleet: Sequence[FleetMember],
    simulator: Simulator,
) -> Plan:
    """The scheduler's decision for a job; raises `NoCandidateError` if nothing is left."""
    request = job.request
    wanted = Wanted(
        job_id=job_id,
        created_at=created_at,
        request_sha256=request.sha256,
        circuit=job.circuit,
        observables=request.observables,
        methods=request.methods,
        shots=request.shots,
        tolerance=request.tolerance,
        crypto_mode=request.crypto_mode,
        backend_id=request.backend_id,
        max_cost=request.max_cost,
    )
    return make_plan(wanted, fleet, simulator.name, simulator.max_qubits)


def execute(
    job: PreparedJob,
    decision: Decision,
    transpiled_qasm: str,
    fleet: Sequence[FleetMember],
    simulator: Simulator,
) -> dict[str, bytes]:
    """Run the chosen method; returns the artefacts it makes: histograms, result, assessment."""
    chosen = decision.chosen
    seen = next(b for b in decision.backends if b.backend_id == chosen.backend_id)
    member = next(m for m in fleet if m.entry.backend_id == chosen.backend_id)
    qubits = seen.physical_qubits or ()
    transpiled = TranspiledCircuit(
        PhysicalCircuit.from_qasm(transpiled_qasm), qubits, seen.positions or ()
    )
    outcome = run_method(
        transpiled,
        job.request.observables,
        find_method(chosen.forecast.method),
        job.request.shots,
        noise=device_noise(member.snapshot, qubits),
        confusion=calibrated_confusion(member.snapshot, qubits),
        simulator=simulator,
        seed=RootSeed(job.request.seed),
    )
    parts = {
        "histograms": {"schema_version": 1, **plain_histograms(outcome)},
        "result": _result(job, decision, outcome),
        "assessment": _assessment(job, outcome),
    }
    return {name: canonical_json(part) for name, part in parts.items()}


def _result(job: PreparedJob, decision: Decision, outcome: Outcome) -> dict[str, Any]:
    forecast = decision.chosen.forecast
    mitigated = outcome.mitigated
    return {
        "schema_version": 1,
        "job_id": decision.job_id,
        "backend_id": decision.chosen.backend_id,
        "simulator": decision.simulator,
        "em_method": forecast.method,
        "em_params": msgspec.to_builtins(forecast.params),
        "shots_spent": outcome.shots_spent,
        "observables": [
            {
                "pauli": pauli,
                "raw": float(outcome.raw[index]),
                "raw_std_err": float(outcome.raw_std_errs[index]),
                "mitigated": float(mitigated.values[index]),
                "std_err": float(mitigated.std_errs[index]),
                "fallback": mitigated.fallbacks[index],
            }
            for index, pauli in enumerate(job.request.observables)
        ],
    }


def _assessment(job: PreparedJob, outcome: Outcome) -> dict[str, Any]:
    """The answer beside the ideal values, which no earlier step has seen."""
    ideal = ideal_values(job.circuit, job.request.observables)
    observed = rmse(outcome.mitigated.values, ideal)
    return {
        "schema_version": 1,
        "ideal": ideal.tolist(),
        "raw_rmse": rmse(outcome.raw, ideal),
        "observed_rmse": observed,
        "tolerance": job.request.tolerance,
        "observed_precision_fidelity": precision_fidelity(observed, job.request.tolerance),
        "fidelity_definition": FIDELITY_DEFINITION,
        "unmitigated_fidelity": polarization_fidelity(outcome.raw, ideal),
        "mitigated_fidelity": polarization_fidelity(outcome.mitigated.values, ideal),
    }
