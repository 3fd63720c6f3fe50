"""Choosing: filter backends, transpile, forecast, score, pick. Pure but for Qiskit's passes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from quantumai.backends.calibration import CalibrationSnapshot
from quantumai.backends.catalogue import BackendEntry
from quantumai.backends.noise import DeviceNoise, device_noise
from quantumai.canonical import sha256_hex
from quantumai.circuits.circuit import Circuit
from quantumai.circuits.features import circuit_features, features_of
from quantumai.crypto_mode import CryptoMode
from quantumai.errors import BadInputError
from quantumai.execution.run import calibrated_confusion
from quantumai.execution.transpile import TranspiledCircuit, Transpiler
from quantumai.mitigation.methods import Method
from quantumai.mitigation.readout import Confusion
from quantumai.policy.engine import forecast, policy_digest
from quantumai.policy.prediction import SignalModel
from quantumai.scheduler.decision import FORMULA, Candidate, Choice, Consideration, Decision
from quantumai.scheduler.filters import named, no_candidate, refusal, require_simulable
from quantumai.scheduler.score import score_factors


@dataclass(frozen=True)
class FleetMember:
    """A catalogue entry with its latest calibration and the hash of the stored snapshot."""

    entry: BackendEntry
    snapshot: CalibrationSnapshot
    snapshot_sha256: str


@dataclass(frozen=True)
class Wanted:
    """What the job asks of the scheduler; `shots` as method "none" would spend, cost in USD."""

    job_id: str
    created_at: str
    request_sha256: str
    circuit: Circuit
    observables: tuple[str, ...]
    methods: tuple[Method, ...]
    shots: int
    tolerance: float
    crypto_mode: CryptoMode
    backend_id: str | None
    max_cost: float | None


@dataclass(frozen=True)
class Placement:
    """The circuit on one backend, ready to run."""

    member: FleetMember
    transpiled: TranspiledCircuit
    noise: DeviceNoise
    confusion: Confusion


@dataclass(frozen=True)
class Plan:
    """The decision and the winner's placement."""

    decision: Decision
    placement: Placement


def place(transpiler: Transpiler, member: FleetMember) -> Placement:
    """Transpile for one backend and gather what its calibration says of the qubits used."""
    transpiled = transpiler.transpile(member.snapshot)
    qubits = transpiled.physical_qubits
    return Placement(
        member,
        transpiled,
        device_noise(member.snapshot, qubits),
        calibrated_confusion(member.snapshot, qubits),
    )


def make_plan(
    wanted: Wanted, fleet: Sequence[FleetMember], simulator: str, max_qubits: int
) -> Plan:
    """Consider every backend and method; `NoCandidateError` if none may be used."""
    num_qubits = wanted.circuit.num_qubits
    require_simulable(num_qubits, simulator, max_qubits)
    selected = named([member.entry for member in fleet], wanted.backend_id)
    transpiler = Transpiler(wanted.circuit)
    considered: list[Consideration] = []
    candidates: list[Candidate] = []
    placements: dict[str, Placement] = {}
    for member in fleet:
        if member.entry not in selected:
            continue
        refused = refusal(member.entry, wanted.crypto_mode, num_qubits)
        if not refused:
            try:
                placements[member.entry.backend_id] = place(transpiler, member)
            except BadInputError as error:
                refused = str(error)
        placement = placements.get(member.entry.backend_id)
        considered.append(_consideration(member, wanted, placement, refused))
        if placement is not None:
            candidates.extend(_candidates(placement, wanted))
    candidates.sort(key=_rank)
    chosen = _choose(candidates, considered, wanted)
    decision = Decision(
        schema_version=1,
        job_id=wanted.job_id,
        created_at=wanted.created_at,
        request_sha256=wanted.request_sha256,
        formula=FORMULA,
        policy_digest=policy_digest(),
        simulator=simulator,
        features=circuit_features(wanted.circuit.quantum, measurement_count=num_qubits),
        backends=tuple(considered),
        candidates=tuple(candidates),
        chosen=chosen,
    )
    return Plan(decision, placements[chosen.backend_id])


def _rank(candidate: Candidate) -> tuple[bool, float, float, str]:
    """Allowed before refused, then by score; where scores underflow, the smaller error wins."""
    score, rmse = candidate.factors.score, candidate.forecast.predicted_rmse
    return bool(candidate.refused), -score, rmse, candidate.backend_id


def _consideration(
    member: FleetMember, wanted: Wanted, placement: Placement | None, refused: str
) -> Consideration:
    known = Consideration(
        backend_id=member.entry.backend_id,
        calibration_snapshot_id=member.snapshot.snapshot_id,
        calibration_sha256=member.snapshot_sha256,
        calibration_age_s=0.0,  # frozen devices: as_of is the snapshot's own time
        availability=member.entry.availability,
        refused=refused,
    )
    if placement is None:
        return known
    circuit = placement.transpiled.circuit
    return msgspec.structs.replace(
        known,
        physical_qubits=placement.transpiled.physical_qubits,
        positions=placement.transpiled.positions,
        mapped_features=features_of(
            (gate.qubits for gate in circuit.gates), circuit.num_qubits, circuit.num_qubits
        ),
        transpiled_sha256=sha256_hex(circuit.to_qasm().encode()),
    )


def _candidates(placement: Placement, wanted: Wanted) -> list[Candidate]:
    model = SignalModel.of(
        placement.transpiled, placement.noise, placement.confusion, wanted.observables
    )
    found = []
    for method in wanted.methods:
        expected = forecast(model, method, wanted.shots, wanted.tolerance)
        factors = score_factors(placement.member.entry, expected, wanted.shots, wanted.crypto_mode)
        too_dear = wanted.max_cost is not None and factors.cost > wanted.max_cost
        refused = f"costs {factors.cost:.4g} USD, above --max-cost" if too_dear else ""
        found.append(Candidate(placement.member.entry.backend_id, expected, factors, refused))
    return found


def _choose(
    candidates: Sequence[Candidate], considered: Sequence[Consideration], wanted: Wanted
) -> Choice:
    allowed = [candidate for candidate in candidates if not candidate.refused]
    if not allowed:
        refusals = [(c.backend_id, c.refused) for c in considered if c.refused]
        raise no_candidate(refusals + [(c.backend_id, c.refused) for c in candidates])
    best = allowed[0]
    snapshot_id = next(
        c.calibration_snapshot_id for c in considered if c.backend_id == best.backend_id
    )
    return Choice(
        backend_id=best.backend_id,
        calibration_snapshot_id=snapshot_id,
        forecast=best.forecast,
        factors=best.factors,
        reason=_why(allowed),
    )


def _why(allowed: Sequence[Candidate]) -> str:
    best = allowed[0]
    if len(allowed) == 1:
        return "the only candidate left"
    second = allowed[1]
    return (
        f"highest score, {best.factors.score:.4g}, ahead of "
        f"{second.backend_id} with {second.forecast.method}, {second.factors.score:.4g}"
    )
