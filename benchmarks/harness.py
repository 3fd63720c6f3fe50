"""Method-runs per CPU-second: the harness on one and two workers, beside mitiq and Aer, by size.

One plan for all: TFIM chains, where our simulator drops qubits early, and QAOA on 3-regular graphs,
where it can drop few; one device, friendly noise, linear ZNE with factors 1, 2, 3. The
harness does more for each row than its rivals: it builds, transpiles, computes ideal values, draws
an equal-shot twin, assesses, and writes Parquet. The rivals are given placed circuits: mitiq's
batched executor with grouped observables (fold, one batched Aer run, extrapolate), and one batched
Aer run of our own folded circuits alone. At 12 qubits one circuit takes a rival most
of a minute or more, so there is one in each repeat; the harness runs four.

Efficiency is method-runs per CPU-second with two workers over those with one; starting a worker
costs its imports, so it grows with the plan.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from _reporting import in_words, print_environment, print_json, print_table, spread

from quantumai.backends.ibm_fake import read_snapshot
from quantumai.backends.noise import device_noise
from quantumai.circuits.families.family import benchmark_circuit
from quantumai.circuits.loading import load_circuit
from quantumai.execution.transpile import Transpiler
from quantumai.harness.cells import expand
from quantumai.harness.plan import Plan, load_plan, parse_plan
from quantumai.harness.run import carry_out
from quantumai.harness.run_folder import RunFolder, RunRecord
from quantumai.mitigation.folding import choose_folds
from quantumai.mitigation.readout import outcome_weights
from quantumai.services.em_runs import open_bench

DEVICE, BACKEND = "guadalupe", "ibm.fake_guadalupe"
FACTORS = (1.0, 2.0, 3.0)
SHOTS = 4000
CURVES = {"tfim": (4, 6, 8, 10, 12), "qaoa": (8, 10, 12)}
WIDE, WIDE_CIRCUITS, WIDE_RIVAL_CIRCUITS = 12, 4, 1
RIVAL_CIRCUITS = 4
FEWEST_EFFICIENCY = 0.85


def main() -> None:
    """Measure, print, and say where the aim is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--circuits", type=int, default=16)
    parser.add_argument("--workers-only", action="store_true", help="leave the curve out")
    wanted = parser.parse_args()
    warnings.simplefilter("ignore")
    curve = [
        _size(variant, size, wanted.circuits, wanted.repeats)
        for variant, sizes in CURVES.items()
        for size in sizes
        if not wanted.workers_only
    ]
    workers = _workers(wanted.repeats)
    if wanted.json:
        print_json({"curve": curve, "workers": workers})
        return
    headers = ("circuits", "qubits", "harness runs/CPU-s", "mitiq", "Aer", "over mitiq", "over Aer")
    rows = [
        (
            one["variant"],
            one["qubits"],
            one["harness"]["median"],
            one["mitiq"]["median"],
            one["aer"]["median"],
            in_words(one["ratio_to_mitiq"]),
            in_words(one["ratio_to_aer"]),
        )
        for one in curve
    ]
    print_table(headers, rows)
    print_table(
        ("plan `bench`, 512 cells", "method-runs per CPU-second"),
        [(f"{n} workers", in_words(workers[str(n)])) for n in (1, 2)],
    )
    met = "met" if workers["efficiency"]["median"] >= FEWEST_EFFICIENCY else "MISSED"
    print(f"efficiency {in_words(workers['efficiency'])}; aim {FEWEST_EFFICIENCY}: {met}")
    print_environment()


def _size(variant: str, num_qubits: int, circuits: int, repeats: int) -> dict[str, Any]:
    rival_circuits = min(circuits, RIVAL_CIRCUITS)
    if num_qubits >= WIDE:
        circuits, rival_circuits = min(circuits, WIDE_CIRCUITS), WIDE_RIVAL_CIRCUITS
    plan = _plan(variant, num_qubits, circuits)
    ours, mitiq, aer = [], [], []
    for repeat in range(repeats):
        ours.append(circuits / _clocked(partial(_harness, plan, 1)))
        made = [_rivals(variant, num_qubits, number, repeat) for number in range(rival_circuits)]
        mitiq.append(rival_circuits / sum(one[0] for one in made))
        aer.append(rival_circuits / sum(one[1] for one in made))
    return {
        "variant": variant,
        "qubits": num_qubits,
        "circuits": circuits,
        "rival_circuits": rival_circuits,
        "repeats": repeats,
        "harness": spread(ours),
        "mitiq": spread(mitiq),
        "aer": spread(aer),
        "ratio_to_mitiq": spread(np.divide(ours, mitiq).tolist()),
        "ratio_to_aer": spread(np.divide(ours, aer).tolist()),
    }


def _workers(repeats: int) -> dict[str, Any]:
    plan = load_plan("bench")[0]
    rates: dict[int, list[float]] = {1: [], 2: []}
    for _ in range(repeats):
        for number in (1, 2):
            rates[number].append(_rate(plan, number))
    efficiency = np.divide(rates[2], rates[1]).tolist()
    return {"1": spread(rates[1]), "2": spread(rates[2]), "efficiency": spread(efficiency)}


def _rate(plan: Plan, workers: int) -> float:
    """Method-runs per CPU-second over 512 of the plan's measured cells, evenly spaced."""
    rows = 0

    def run() -> None:
        nonlocal rows
        rows = _harness(plan, workers, cells=512)

    seconds = _clocked(run)
    return rows / seconds


def _plan(variant: str, num_qubits: int, circuits: int) -> Plan:
    groups = []
    for number in range(circuits):
        parameters, seed = _asked(variant, number)
        groups.append(
            {
                "variant": variant,
                "num_qubits": [num_qubits],
                "count": 1,
                "first_seed": seed,
                "parameters": {name: [value] for name, value in parameters.items()},
            }
        )
    plan = {
        "schema_version": 1,
        "name": "curve",
        "seed": "curve",
        "shots": [SHOTS],
        "tolerance": 0.05,
        "engine": "channel",
        "backends": [BACKEND],
        "noises": {"friendly": {}},
        "methods": [{"name": "zne"}],
        "circuits": groups,
    }
    return parse_plan(msgspec.json.encode(plan), "the plan")


def _asked(variant: str, number: int) -> tuple[dict[str, Any], int]:
    """Parameters and seed of a circuit; the seed of a chain changes nothing."""
    if variant == "tfim":
        return {"steps": 4, "field": round(0.5 + 0.07 * number, 2)}, 0
    return {}, number


def _harness(plan: Plan, workers: int, cells: int | None = None) -> int:
    """Run a plan into a new folder; rows that came out."""
    snapshots = {name: read_snapshot(name.removeprefix("ibm.fake_")) for name in plan.backends}
    calibrations = {name: snapshot.sha256 for name, snapshot in snapshots.items()}
    table = expand(plan, calibrations)
    if cells is not None:
        measured = np.flatnonzero(np.array(table.column("split").to_pylist()) == "test")
        table = table.take(measured[np.linspace(0, len(measured) - 1, cells).astype(int)])
    with tempfile.TemporaryDirectory() as folder:
        record = RunRecord(
            schema_version=1,
            run_id="benchmark",
            plan_name=plan.name,
            created_at="2026-01-01T00:00:00Z",
            date="2026-01-01",
            job_ids=dict.fromkeys(plan.backends, ""),
            calibrations=calibrations,
            versions={},
        )
        by_digest = {snapshot.sha256: snapshot for snapshot in snapshots.values()}
        run = RunFolder.create(
            Path(folder) / "run", msgspec.json.encode(plan), record, by_digest, table
        )
        carry_out(run, partial(open_bench, run.path), workers=workers, progress=lambda _: None)
        return int(run.table("results/**/*.parquet").num_rows)


def _rivals(variant: str, num_qubits: int, number: int, seed: int) -> tuple[float, float]:
    """CPU-seconds of one ZNE estimate of all observables: mitiq's way, and Aer alone."""
    # Not above: worker processes import this module again, and would pay for the rivals.
    import _mitiq_rival as mitiq_rival
    from _aer_rival import QUICKEST, backend, folded_circuit, run_shares

    snapshot = read_snapshot(DEVICE)
    parameters, circuit_seed = _asked(variant, number)
    made = benchmark_circuit(variant, num_qubits, parameters, circuit_seed)
    placed = Transpiler(made.circuit).transpile(snapshot)
    noise = device_noise(snapshot, placed.physical_qubits)
    simulator = backend(placed.circuit, noise, QUICKEST)
    paulis = [placed.place(pauli) for pauli in made.observables]
    weights = np.stack([outcome_weights(pauli, None) for pauli in paulis], axis=1)
    quantum = load_circuit(placed.circuit.to_qasm()).quantum
    generator = np.random.default_rng(seed)
    folds = choose_folds(FACTORS, placed.circuit.two_qubit_gate_count, generator)

    def by_mitiq() -> None:
        folded = mitiq_rival.fold(quantum, FACTORS)
        mitiq_rival.extrapolate(FACTORS, run_shares(simulator, folded, SHOTS, seed), weights)

    def by_aer() -> None:
        folded = [folded_circuit(placed.circuit, row) for row in folds.tolist()]
        run_shares(simulator, mitiq_rival.measured(folded), SHOTS, seed)

    return _clocked(by_mitiq), _clocked(by_aer)


def _clocked(task: Callable[[], object]) -> float:
    """CPU-seconds of this process and of those that it waited for."""
    before = os.times()
    began = time.process_time()
    task()
    after = os.times()
    children = after.children_user + after.children_system
    children -= before.children_user + before.children_system
    return time.process_time() - began + children


if __name__ == "__main__":
    main()
