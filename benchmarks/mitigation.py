"""Mean |error| of Z and ZZ values on circuits from elsewhere: raw, chosen method, fixed methods.

Circuits: every one that mqt.bench builds at 4 to 6 qubits, that QuantumAI reads (no mid-circuit
measurement) and whose ideal Z and ZZ values are not all close to zero. Devices: the catalogue's.
The scheduler's choice on a device is the method of most expected fidelity per shot, which is its
score there. Beside it the least predicted error, whatever it costs, every fixed method, and
mitiq's linear ZNE on the histograms of method zne.
"""

from __future__ import annotations

import argparse
import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", RAYON_NUM_THREADS="1")

import numpy as np
from _reporting import print_environment, print_json, print_table
from mitiq.zne.inference import LinearFactory
from mqt.bench import BenchmarkLevel, get_benchmark
from mqt.bench.benchmarks import get_available_benchmark_names
from numpy.typing import NDArray

from quantumai.backends.calibration import CalibrationSnapshot
from quantumai.backends.catalogue import load_catalogue
from quantumai.backends.channel_simulator import ChannelSimulator
from quantumai.backends.ibm_fake import read_snapshot
from quantumai.backends.noise import device_noise
from quantumai.circuits.circuit import Circuit
from quantumai.circuits.ideal import ideal_values
from quantumai.circuits.loading import from_qiskit
from quantumai.errors import BadInputError
from quantumai.execution.run import Outcome, calibrated_confusion, run_method
from quantumai.execution.transpile import Transpiler
from quantumai.mitigation.methods import METHODS
from quantumai.mitigation.readout import outcome_weights
from quantumai.policy.engine import recommend
from quantumai.policy.prediction import SignalModel
from quantumai.randomness import RootSeed

Array = NDArray[np.float64]

SIZES = (4, 5, 6)
SHOTS = 8000
TOLERANCE = 0.05
LOW_SIGNAL = 0.1
"""Circuits whose ideal values have a smaller root mean square are left out: zeros look right."""
BY_SCORE, BY_ERROR, MITIQ = "scheduler's choice", "least predicted error", "mitiq linear ZNE"
RESAMPLES = 2000


@dataclass(frozen=True)
class Subject:
    """A circuit of mqt.bench with its observables and their ideal values."""

    benchmark: str
    circuit: Circuit
    observables: tuple[str, ...]
    ideal: Array


@dataclass(frozen=True)
class Pair:
    """One circuit on one device: mean |error| of every arm, and of its raw twin of equal shots."""

    circuit: str
    benchmark: str
    error: Mapping[str, float]
    twin: Mapping[str, float]
    chosen: str


def main() -> None:
    """Run all pairs and report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    warnings.filterwarnings("ignore", module="mitiq|cirq|mqt|qiskit")

    snapshots = [read_snapshot(entry.device) for entry in load_catalogue()]
    subjects = list(filter(None, map(_subject, *zip(*_names(), strict=True))))
    pairs = [pair for subject in subjects for pair in run_subject(subject, snapshots)]
    report = {
        "circuits": len(subjects),
        "devices": len(snapshots),
        "pairs": len(pairs),
        "shots": SHOTS,
        "arms": arms(pairs),
        "benchmarks": by_benchmark(pairs),
        "chosen": {n: float(np.mean([pair.chosen == n for pair in pairs])) for n in METHODS},
    }
    if options.json:
        print_json(report)
    else:
        print_text(report)


def _names() -> list[tuple[str, int]]:
    return [(name, size) for name in get_available_benchmark_names() for size in SIZES]


def _subject(name: str, size: int) -> Subject | None:
    """The circuit, or None where mqt.bench has none of this size, or it is not one for us."""
    try:
        circuit = from_qiskit(get_benchmark(name, BenchmarkLevel.ALG, size), name=f"{name}-{size}")
    except (ValueError, BadInputError):
        return None
    n = circuit.num_qubits
    supports = [*((q,) for q in range(n)), *pairwise(range(n))]
    observables = tuple(
        "".join("Z" if q in support else "I" for q in reversed(range(n))) for support in supports
    )
    ideal = ideal_values(circuit, observables)
    if np.sqrt(np.mean(ideal**2)) < LOW_SIGNAL:
        return None
    return Subject(name, circuit, observables, ideal)


def run_subject(subject: Subject, snapshots: Sequence[CalibrationSnapshot]) -> list[Pair]:
    """All arms on every device that the circuit fits on."""
    transpiler = Transpiler(subject.circuit)
    pairs = []
    for snapshot in snapshots:
        try:
            pairs.append(_pair(subject, transpiler, snapshot))
        except BadInputError:  # too wide for this device
            continue
    return pairs


def _pair(subject: Subject, transpiler: Transpiler, snapshot: CalibrationSnapshot) -> Pair:
    transpiled = transpiler.transpile(snapshot)
    noise = device_noise(snapshot, transpiled.physical_qubits)
    confusion = calibrated_confusion(snapshot, transpiled.physical_qubits)
    model = SignalModel.of(transpiled, noise, confusion, subject.observables)
    forecasts = recommend(model, list(METHODS.values()), SHOTS, TOLERANCE)

    def run(method: str, shots: int) -> Outcome:
        label = f"{subject.circuit.name}/{snapshot.backend_id}/{method}/{shots}"
        return run_method(
            transpiled,
            subject.observables,
            METHODS[method],
            shots,
            noise=noise,
            confusion=confusion,
            simulator=ChannelSimulator(),
            seed=RootSeed.of(label),
        )

    def error(values: Array) -> float:
        return float(np.mean(np.abs(values - subject.ideal)))

    outcomes = {name: run(name, SHOTS) for name in METHODS}
    errors = {name: error(outcome.mitigated.values) for name, outcome in outcomes.items()}
    multipliers = {name: METHODS[name].shot_multiplier for name in METHODS}
    raw_by_shots = {
        factor: error(run("none", round(SHOTS * factor)).raw) if factor > 1 else errors["none"]
        for factor in set(multipliers.values())
    }
    weights = [outcome_weights(transpiled.place(pauli), None) for pauli in subject.observables]
    errors[MITIQ] = error(_mitiq_linear(outcomes["zne"], np.stack(weights, axis=1)))
    multipliers[MITIQ] = multipliers["zne"]
    by_error = min(forecasts, key=lambda forecast: forecast.predicted_rmse)
    for arm, forecast in ((BY_SCORE, forecasts[0]), (BY_ERROR, by_error)):
        errors[arm], multipliers[arm] = errors[forecast.method], multipliers[forecast.method]
    twins = {arm: raw_by_shots[factor] for arm, factor in multipliers.items()}
    return Pair(subject.circuit.name, subject.benchmark, errors, twins, forecasts[0].method)


def _mitiq_linear(outcome: Outcome, weights: Array) -> Array:
    """Mitiq's extrapolation of the values that method zne saw, all in one basis."""
    (histograms,) = outcome.counts
    values = histograms @ weights / histograms.sum(axis=1, keepdims=True)
    factors = outcome.noise_factors.tolist()
    return np.array([LinearFactory.extrapolate(factors, column.tolist()) for column in values.T])


def arms(pairs: Sequence[Pair]) -> dict[str, dict[str, Any]]:
    """Per arm: mean |error|, raw over it with a bootstrap interval over circuits, harm rate."""
    circuits = sorted({pair.circuit for pair in pairs})
    member = np.array([circuits.index(pair.circuit) for pair in pairs])
    draws = np.random.default_rng(0).integers(len(circuits), size=(RESAMPLES, len(circuits)))

    def per_circuit(values: Array) -> Array:
        return np.asarray(np.bincount(member, values, len(circuits)), dtype=float)

    raw = np.array([pair.error["none"] for pair in pairs])
    found: dict[str, dict[str, Any]] = {}
    for arm in (BY_SCORE, BY_ERROR, *METHODS, MITIQ):
        error = np.array([pair.error[arm] for pair in pairs])
        twin = np.array([pair.twin[arm] for pair in pairs])
        found[arm] = {"mean_error": float(error.mean())}
        for name, rival in (("raw", raw), ("equal_shot_raw", twin)):
            resampled = per_circuit(rival)[draws].sum(axis=1) / per_circuit(error)[draws].sum(
                axis=1
            )
            low, high = np.percentile(resampled, [2.5, 97.5])
            found[arm][f"ratio_{name}"] = float(rival.mean() / error.mean())
            found[arm][f"ratio_{name}_interval_95"] = [float(low), float(high)]
        found[arm]["harm_rate"] = float(np.mean(error > twin))
    return found


def by_benchmark(pairs: Sequence[Pair]) -> list[dict[str, Any]]:
    """Mean |error| per family of mqt.bench."""
    rows = []
    for name in sorted({pair.benchmark for pair in pairs}):
        chosen = [pair for pair in pairs if pair.benchmark == name]
        means = {
            arm: float(np.mean([pair.error[arm] for pair in chosen]))
            for arm in ("none", BY_SCORE, BY_ERROR, "rem", "zne", "richardson", "rem+zne")
        }
        rows.append({"benchmark": name, "pairs": len(chosen), **means})
    return rows


def print_text(report: dict[str, Any]) -> None:
    """The arms, then the circuit families."""
    print(
        f"{report['circuits']} circuits of mqt.bench, {report['devices']} devices: "
        f"{report['pairs']} pairs, {SHOTS} shots per noise factor. Ratios: raw error over the "
        f"arm's, 95 % bootstrap over circuits. Harm: share worse than raw of equal shots.\n"
    )
    print_table(
        ("arm", "mean |error|", "raw over it", "equal-shot raw over it", "harm rate"),
        [
            (
                arm,
                row["mean_error"],
                _interval(row, "ratio_raw"),
                _interval(row, "ratio_equal_shot_raw"),
                f"{row['harm_rate']:.1%}",
            )
            for arm, row in report["arms"].items()
        ],
    )
    rows = report["benchmarks"]
    print_table(list(rows[0]), [list(row.values()) for row in rows])
    shares = ", ".join(f"{name} {share:.0%}" for name, share in report["chosen"].items())
    print(f"the scheduler chose: {shares}\n")
    print_environment()


def _interval(row: Mapping[str, Any], name: str) -> str:
    low, high = row[f"{name}_interval_95"]
    return f"{row[name]:.2f} ({low:.2f}-{high:.2f})"


if __name__ == "__main__":
    main()
