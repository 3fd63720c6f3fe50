"""Plans: filters with their reasons, the argmax by brute force, determinism, and the record."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from qiskit import QuantumCircuit

from quantumai.backends.catalogue import BackendEntry
from quantumai.backends.noise import device_noise
from quantumai.canonical import canonical_json, parse_canonical_json, sha256_hex
from quantumai.circuits.loading import from_qiskit
from quantumai.crypto_mode import CryptoMode
from quantumai.errors import BadInputError, NoCandidateError
from quantumai.execution.run import calibrated_confusion
from quantumai.execution.transpile import Transpiler
from quantumai.mitigation.methods import METHODS
from quantumai.policy.prediction import SignalModel, predicted_rmse
from quantumai.scheduler.decision import Decision
from quantumai.scheduler.planner import FleetMember, Plan, Wanted, make_plan
from tests.synthetic_devices import both_ways, device

_LINE = [(q, q + 1) for q in range(4)]
ALL_MODES = tuple(CryptoMode)


def _member(
    name: str,
    *,
    cost: float = 1e-4,
    availability: float = 0.99,
    modes: tuple[CryptoMode, ...] = ALL_MODES,
    qubits: int = 5,
    error: float = 0.01,
    readout: tuple[float, float] = (0.01, 0.03),
    edges: list[tuple[int, int]] | None = None,
) -> FleetMember:
    couplings = _LINE[: qubits - 1] if edges is None else edges
    snapshot = device(
        both_ways(couplings), num_qubits=qubits, error=error, readout=readout, backend_id=name
    )
    entry = BackendEntry(name, "vendor", name, "region", cost, availability, qubits, modes)
    return FleetMember(entry, snapshot, snapshot.sha256)


def _circuit() -> QuantumCircuit:
    circuit = QuantumCircuit(4)
    for q in range(4):
        circuit.ry(0.3 + q, q)
    for q in range(3):
        circuit.cx(q, q + 1)
        circuit.rx(0.2, q)
    return circuit


WANTED = Wanted(
    job_id="0190a8f0-0000-7000-8000-000000000001",
    created_at="2025-07-21T12:00:00Z",
    request_sha256="00" * 32,
    circuit=from_qiskit(_circuit()),
    observables=("IIIZ", "ZZII", "XIIX"),
    methods=tuple(METHODS.values()),
    shots=4000,
    tolerance=0.05,
    crypto_mode=CryptoMode.PQC_REQUIRED,
    backend_id=None,
    max_cost=None,
)
FLEET = [
    _member("cheap-noisy", cost=2e-5, error=0.06, readout=(0.05, 0.1)),
    _member("middle", cost=5e-5, error=0.01),
    _member("dear-clean", cost=4e-4, error=0.001, readout=(0.001, 0.002)),
    _member("rare", cost=2e-5, error=0.005, availability=0.2),
    _member("classical-only", cost=1e-6, error=0.0001, modes=(CryptoMode.CLASSICAL,)),
    _member("tiny", cost=1e-6, error=0.0001, qubits=3),
    _member("torn", cost=1e-6, error=0.0001, edges=[(0, 1), (2, 3), (3, 4)]),
]


def _plan(fleet: list[FleetMember] | None = None, **changes: Any) -> Plan:
    return make_plan(replace(WANTED, **changes), FLEET if fleet is None else fleet, "channel", 10)


def _brute_force(wanted: Wanted, fleet: list[FleetMember]) -> dict[tuple[str, str], float]:
    """Scores of the allowed pairs, written out from the specification."""
    scores = {}
    for member in fleet:
        entry, snapshot = member.entry, member.snapshot
        if wanted.crypto_mode not in entry.crypto_modes:
            continue
        try:
            transpiled = Transpiler(wanted.circuit).transpile(snapshot)
        except BadInputError:
            continue
        qubits = transpiled.physical_qubits
        model = SignalModel.of(
            transpiled,
            device_noise(snapshot, qubits),
            calibrated_confusion(snapshot, qubits),
            wanted.observables,
        )
        for method in wanted.methods:
            price = entry.cost_per_shot * method.shot_multiplier
            if wanted.max_cost is not None and price * wanted.shots > wanted.max_cost:
                continue
            fidelity = math.exp(-predicted_rmse(model, method, wanted.shots) / wanted.tolerance)
            penalty = 1 if entry.availability > 0.9 else entry.availability / 0.9
            scores[entry.backend_id, method.name] = fidelity / price * penalty
    return scores


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"shots": 100},
        {"shots": 10**7, "tolerance": 0.005},
        {"tolerance": 0.02},
        {"max_cost": 0.15},
        {"crypto_mode": CryptoMode.CLASSICAL},
        {"methods": (METHODS["zne"], METHODS["rem+zne"])},
    ],
    ids=lambda changes: "-".join(changes) or "as-wanted",
)
def test_the_choice_is_the_argmax(changes: dict[str, Any]) -> None:
    scores = _brute_force(replace(WANTED, **changes), FLEET)
    decision = _plan(**changes).decision
    chosen = (decision.chosen.backend_id, decision.chosen.forecast.method)
    assert chosen == max(scores, key=lambda pair: scores[pair])
    allowed = [c for c in decision.candidates if not c.refused]
    assert {(c.backend_id, c.forecast.method): c.factors.score for c in allowed} == pytest.approx(
        scores
    )
    listed = [c.factors.score for c in allowed]
    assert listed == sorted(listed, reverse=True)
    assert list(decision.candidates[: len(allowed)]) == allowed  # refused ones come last
    assert decision.chosen.factors == allowed[0].factors


def test_tolerance_and_price_pull_in_their_directions() -> None:
    """Without mitigation a strict tolerance pays for the clean device, a lax one does not."""
    only = (METHODS["none"],)
    strict, lax = (_plan(tolerance=t, methods=only, shots=10**7) for t in (0.004, 0.5))
    assert strict.decision.chosen.backend_id == "dear-clean"
    assert lax.decision.chosen.backend_id == "cheap-noisy"


def test_everyone_left_out_is_told_why() -> None:
    decision = _plan().decision
    reasons = {c.backend_id: c.refused for c in decision.backends}
    assert set(reasons) == {member.entry.backend_id for member in FLEET}
    assert "crypto mode pqc-required" in reasons["classical-only"]
    assert reasons["tiny"] == "has 3 qubits, 4 are needed"
    assert "usable qubits" in reasons["torn"]
    assert not any(reasons[name] for name in ("cheap-noisy", "middle", "dear-clean", "rare"))
    considered = {c.backend_id for c in decision.candidates}
    assert considered == {"cheap-noisy", "middle", "dear-clean", "rare"}
    assert len(decision.candidates) == 4 * len(METHODS)
    for backend in decision.backends:
        assert (backend.transpiled_sha256 is None) == bool(backend.refused)


def test_the_winners_placement_is_the_recorded_one() -> None:
    plan = _plan()
    chosen = plan.decision.chosen
    assert plan.placement.member.entry.backend_id == chosen.backend_id
    (recorded,) = [c for c in plan.decision.backends if c.backend_id == chosen.backend_id]
    text = plan.placement.transpiled.circuit.to_qasm()
    assert recorded.transpiled_sha256 == sha256_hex(text.encode())
    assert recorded.physical_qubits == plan.placement.transpiled.physical_qubits
    assert recorded.calibration_sha256 == plan.placement.member.snapshot.sha256
    assert chosen.calibration_snapshot_id == plan.placement.member.snapshot.snapshot_id


def test_max_cost() -> None:
    """4000 shots: 0.08 USD on the cheap devices, 0.24 with three noise factors."""
    decision = _plan(max_cost=0.1).decision
    assert decision.chosen.factors.cost <= 0.1
    dear = [c for c in decision.candidates if c.refused]
    assert {c.backend_id for c in dear} >= {"middle", "dear-clean"}
    assert all("--max-cost" in c.refused and c.factors.cost > 0.1 for c in dear)


def test_one_backend_or_method_may_be_asked_for() -> None:
    decision = _plan(backend_id="middle", methods=(METHODS["richardson"],)).decision
    assert (decision.chosen.backend_id, decision.chosen.forecast.method) == ("middle", "richardson")
    assert decision.chosen.reason == "the only candidate left"
    assert [c.backend_id for c in decision.backends] == ["middle"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"max_cost": 1e-9}, ["middle costs", "--max-cost", "classical-only does not support"]),
        ({"backend_id": "tiny"}, ["tiny has 3 qubits"]),
        ({"backend_id": "torn"}, ["usable qubits"]),
        ({"backend_id": "classical-only"}, ["crypto mode pqc-required"]),
    ],
)
def test_no_candidate_names_every_reason(changes: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(NoCandidateError) as caught:
        _plan(**changes)
    assert all(word in str(caught.value) for word in words)
    assert "\n" not in str(caught.value)
    assert caught.value.hint
    assert caught.value.exit_code == 2


def test_an_empty_fleet_is_no_candidate() -> None:
    with pytest.raises(NoCandidateError):
        _plan(fleet=[])


def test_unknown_backend() -> None:
    with pytest.raises(BadInputError, match="unknown backend 'nowhere'") as caught:
        _plan(backend_id="nowhere")
    assert "middle" in caught.value.hint


def test_a_circuit_too_wide_for_the_engine_is_refused_first() -> None:
    with pytest.raises(BadInputError, match="simulates at most 3"):
        make_plan(WANTED, FLEET, "channel", 3)


def test_the_same_input_gives_the_same_bytes() -> None:
    first, second = (canonical_json(_plan().decision.to_json()) for _ in range(2))
    assert first == second


def test_the_order_of_the_fleet_does_not_matter() -> None:
    forward, backward = _plan().decision, _plan(fleet=FLEET[::-1]).decision
    assert forward.candidates == backward.candidates
    assert forward.chosen == backward.chosen


def test_json_round_trip() -> None:
    decision = _plan().decision
    data = canonical_json(decision.to_json())
    again = Decision.from_json(parse_canonical_json(data))
    assert again == decision
    assert canonical_json(again.to_json()) == data


def test_a_decision_with_unknown_fields_is_refused() -> None:
    plain = _plan().decision.to_json()
    with pytest.raises(msgspec.ValidationError):
        Decision.from_json(plain | {"surprise": 1})


@pytest.mark.parametrize("tolerance", [1e-6, 1e-4])
def test_a_tolerance_out_of_reach_still_prefers_accuracy(tolerance: float) -> None:
    """exp(-RMSE / tolerance) underflows to 0 for all: the choice must not become alphabetical."""
    fleet = [_member("a-noisy", error=0.08), _member("b-clean", error=0.001)]
    assert _plan(fleet=fleet, tolerance=tolerance).decision.chosen.backend_id == "b-clean"
