"""How often the policy's prediction holds, and how well it ranks the methods.

Runs every method on seeded circuits of all families on every device of the catalogue and compares
the RMSE over one run's observables with the predicted one. `--write` remakes the table that the
policy's `confidence` is read from. Nothing here is used to tune the policy.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", RAYON_NUM_THREADS="1")

import msgspec
import numpy as np
from _reporting import print_environment, print_json, print_table

from quantumai.backends.calibration import CalibrationSnapshot
from quantumai.backends.catalogue import load_catalogue
from quantumai.backends.channel_simulator import ChannelSimulator
from quantumai.backends.ibm_fake import read_snapshot
from quantumai.backends.noise import device_noise
from quantumai.canonical import canonical_json
from quantumai.circuits.families.mixed import FAMILIES, FamilyCircuit, family_circuit
from quantumai.circuits.ideal import ideal_values
from quantumai.errors import BadInputError
from quantumai.execution.run import calibrated_confusion, run_method
from quantumai.execution.transpile import Transpiler
from quantumai.mitigation.methods import METHODS, Method
from quantumai.policy.confidence import (
    CONFIDENCE_TABLE,
    WITHIN_FACTOR,
    ConfidenceTable,
    came_within,
)
from quantumai.policy.prediction import SignalModel, precision_fidelity, predicted_rmse
from quantumai.randomness import RootSeed

SIZES = (4, 5, 6, 8)
SEEDS = range(100, 107)
"""Apart from the seeds below 100, which were looked at while the policy was written."""
SHOTS = 8000
TOLERANCE = 0.05


@dataclass(frozen=True)
class Trial:
    """One circuit on one device: RMSE per method, in the order of `METHODS`.

    `predicted` and `observed` spend `SHOTS` at every noise factor, as jobs do; the `equal_` pair
    spends `SHOTS` in all, so that methods are compared at equal cost.
    """

    family: str
    predicted: tuple[float, ...]
    observed: tuple[float, ...]
    equal_predicted: tuple[float, ...]
    equal_observed: tuple[float, ...]


def main() -> None:
    """Measure, print, and with --write replace the packaged table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--write", action="store_true", help=f"replace {CONFIDENCE_TABLE.name}")
    options = parser.parse_args()

    snapshots = [read_snapshot(entry.device) for entry in load_catalogue()]
    trials = [
        trial
        for family in FAMILIES
        for size in SIZES
        for seed in SEEDS
        for trial in run_circuit(family, size, seed, snapshots)
    ]
    circuits = len(FAMILIES) * len(SIZES) * len(SEEDS)
    table = confidence_table(trials, circuits, len(snapshots))
    if options.write:
        CONFIDENCE_TABLE.write_bytes(canonical_json(msgspec.to_builtins(table)))
    if options.json:
        print_json(
            {
                "confidence": msgspec.to_builtins(table),
                "calibration": calibration_rows(trials),
                "ranking": ranking(trials),
            }
        )
    else:
        print_text(table, trials, written=options.write)


def run_circuit(
    family: str, size: int, seed: int, snapshots: Sequence[CalibrationSnapshot]
) -> list[Trial]:
    """All methods on one circuit, on every device that it fits on."""
    subject = family_circuit(family, size, seed)
    ideal = ideal_values(subject.circuit, subject.observables)
    transpiler = Transpiler(subject.circuit)
    trials = []
    for snapshot in snapshots:
        try:
            trials.append(_run(subject, transpiler, snapshot, ideal, family, f"{size}/{seed}"))
        except BadInputError:  # too wide for this device
            continue
    return trials


def _run(
    subject: FamilyCircuit,
    transpiler: Transpiler,
    snapshot: CalibrationSnapshot,
    ideal: np.ndarray[Any, np.dtype[np.float64]],
    family: str,
    label: str,
) -> Trial:
    transpiled = transpiler.transpile(snapshot)
    noise = device_noise(snapshot, transpiled.physical_qubits)
    confusion = calibrated_confusion(snapshot, transpiled.physical_qubits)
    model = SignalModel.of(transpiled, noise, confusion, subject.observables)

    def observed(method: Method, shots: int) -> float:
        outcome = run_method(
            transpiled,
            subject.observables,
            method,
            shots,
            noise=noise,
            confusion=confusion,
            simulator=ChannelSimulator(),
            seed=RootSeed.of(f"{family}/{label}/{snapshot.backend_id}/{method.name}/{shots}"),
        )
        return float(np.sqrt(np.mean((outcome.mitigated.values - ideal) ** 2)))

    methods = METHODS.values()
    shares = [round(SHOTS / method.shot_multiplier) for method in methods]
    pairs = list(zip(methods, shares, strict=True))
    return Trial(
        family,
        tuple(predicted_rmse(model, method, SHOTS) for method in methods),
        tuple(observed(method, SHOTS) for method in methods),
        tuple(predicted_rmse(model, method, shots) for method, shots in pairs),
        tuple(observed(method, shots) for method, shots in pairs),
    )


def confidence_table(trials: Sequence[Trial], circuits: int, backends: int) -> ConfidenceTable:
    """The table the policy reads: share of runs that came within the factor, per method."""
    share = {
        name: float(np.mean([came_within(t.predicted[i], t.observed[i]) for t in trials]))
        for i, name in enumerate(METHODS)
    }
    return ConfidenceTable(
        schema_version=1,
        within_factor=WITHIN_FACTOR,
        circuits=circuits,
        backends=backends,
        shots=SHOTS,
        share={name: round(value, 3) for name, value in share.items()},
        runs={name: len(trials) for name in METHODS},
    )


def calibration_rows(trials: Sequence[Trial]) -> list[dict[str, Any]]:
    """Per family and method, and over all: share within the factor, median observed/predicted."""
    rows = []
    for family in (*FAMILIES, "all"):
        chosen = [t for t in trials if family in (t.family, "all")]
        for index, name in enumerate((*METHODS, "all")):
            columns = range(len(METHODS)) if name == "all" else [index]
            pairs = [(t.predicted[i], t.observed[i]) for t in chosen for i in columns]
            ratios = [observed / predicted for predicted, observed in pairs]
            rows.append(
                {
                    "family": family,
                    "method": name,
                    "runs": len(pairs),
                    "share_within": float(np.mean([came_within(*pair) for pair in pairs])),
                    "median_ratio": float(np.median(ratios)),
                    "share_not_worse": float(np.mean(np.array(ratios) <= WITHIN_FACTOR)),
                    "mean_observed_rmse": float(np.mean([observed for _, observed in pairs])),
                }
            )
    return rows


def ranking(trials: Sequence[Trial]) -> dict[str, dict[str, Any]]:
    """Choices by RMSE at equal cost (lower is better) and by fidelity per shot (higher)."""
    multipliers = np.array([method.shot_multiplier for method in METHODS.values()])

    def score(rmse: float, index: int) -> float:
        return precision_fidelity(rmse, TOLERANCE) / float(multipliers[index])

    def scored(rows: Sequence[tuple[float, ...]]) -> np.ndarray[Any, np.dtype[np.float64]]:
        return np.array([[score(rmse, i) for i, rmse in enumerate(row)] for row in rows])

    return {
        "rmse_at_equal_cost": _choices(
            np.array([t.equal_predicted for t in trials]),
            np.array([t.equal_observed for t in trials]),
            best=lambda values: np.argmin(values, axis=1),
        ),
        "fidelity_per_shot": _choices(
            scored([t.predicted for t in trials]),
            scored([t.observed for t in trials]),
            best=lambda values: np.argmax(values, axis=1),
        ),
    }


def _choices(
    predicted: np.ndarray[Any, np.dtype[np.float64]],
    observed: np.ndarray[Any, np.dtype[np.float64]],
    best: Callable[[Any], Any],
) -> dict[str, Any]:
    """Mean observed value of each way to choose; `gap_closed` runs from best fixed to oracle."""
    rows = np.arange(len(observed))
    names = list(METHODS)
    fixed = {name: float(observed[:, i].mean()) for i, name in enumerate(names)}
    best_fixed = names[int(best(observed.mean(axis=0)[None])[0])]
    chosen, oracle = best(predicted), best(observed)
    policy_mean = float(observed[rows, chosen].mean())
    oracle_mean = float(observed[rows, oracle].mean())
    return {
        "predicted_best_is_observed_best": float(np.mean(chosen == oracle)),
        "chosen_share": {name: float(np.mean(chosen == i)) for i, name in enumerate(names)},
        "best_share": {name: float(np.mean(oracle == i)) for i, name in enumerate(names)},
        "mean": {"policy": policy_mean, "oracle": oracle_mean, **fixed},
        "best_fixed": best_fixed,
        "regret": {
            name: abs(value - oracle_mean)
            for name, value in {"policy": policy_mean, **fixed}.items()
        },
        "gap_closed": (fixed[best_fixed] - policy_mean) / (fixed[best_fixed] - oracle_mean),
    }


def print_text(table: ConfidenceTable, trials: Sequence[Trial], *, written: bool) -> None:
    """All of it as plain tables."""
    print(
        f"{table.circuits} circuits ({', '.join(FAMILIES)}; {SIZES} qubits), {table.backends} "
        f"devices, {SHOTS} shots: {len(trials)} pairs that fit, {len(METHODS)} methods each\n"
    )
    headers = ("family", "method", "runs", f"within {WITHIN_FACTOR}x", "median obs/pred")
    print_table(
        (*headers, f"not {WITHIN_FACTOR}x worse", "mean RMSE"),
        [tuple(row.values()) for row in calibration_rows(trials)],
    )
    for title, result in ranking(trials).items():
        print(
            f"{title.replace('_', ' ')}: predicted best is observed best in "
            f"{result['predicted_best_is_observed_best']:.0%}; best fixed {result['best_fixed']}; "
            f"the policy closes {result['gap_closed']:.0%} of the gap from it to the oracle"
        )
        print_table(
            ("choice", "mean", "regret", "chosen", "best"),
            [
                (
                    name if name in ("policy", "oracle") else f"always {name}",
                    mean,
                    result["regret"].get(name, 0.0),
                    result["chosen_share"].get(name, ""),
                    result["best_share"].get(name, ""),
                )
                for name, mean in result["mean"].items()
            ],
        )
    if written:
        print(f"wrote {CONFIDENCE_TABLE.name}")
    print_environment()


if __name__ == "__main__":
    main()
