"""What a run's values are worth: errors, fidelities and shots beside the ideal values.

Only this module and the trainer see ideal values; they are computed from the circuit alone.
Definitions are those of docs/guides/em-benchmarks.md, fidelity that of `mitigation.fidelity`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from typing import Any

import numpy as np

from quantumai.canonical import canonical_json, sha256_hex
from quantumai.circuits.ideal import ideal_probabilities, ideal_values
from quantumai.execution.histograms import plain_histograms
from quantumai.execution.vendor_methods import VendorOutcome
from quantumai.harness.cells import Cell, canonical_text
from quantumai.harness.estimation import MethodRun, Placed
from quantumai.harness.plan import MethodWanted
from quantumai.harness.results import FEATURES, HISTOGRAMS
from quantumai.mitigation.fidelity import LOW_SIGNAL, polarization_fidelity, rmse
from quantumai.mitigation.readout import Array

COMPUTING_LIBRARIES = ("numpy", "qiskit", "quantumai")
_NO_SHAPE = 0.99
"""An ideal distribution this near to the uniform one has nothing to lose."""


@dataclass(frozen=True)
class Truth:
    """Ideal values of a circuit's observables, shape (observables,), and its ideal distribution.

    `probabilities`, shape (2**n,), are of Z readings, bit q of an outcome being logical qubit q.
    """

    values: Array
    probabilities: Array

    @property
    def signal(self) -> float:
        """S of DESIGN.md: root mean square of the ideal values; Pauli observables have t = 0."""
        return float(np.sqrt(np.mean(self.values**2)))


def truth_of(placed: Placed) -> Truth:
    """Computed from the circuit alone, by Qiskit's state vector."""
    circuit = placed.circuit.circuit
    values = ideal_values(circuit, placed.circuit.observables)
    return Truth(values, ideal_probabilities(circuit))


def assessed(cell: Cell, placed: Placed, run: MethodRun, truth: Truth) -> dict[str, Any]:
    """One row of results, without `job_id` and the histograms' place, which the run knows."""
    outcome, twin = run.run.outcome, run.run.twin
    mitigated = outcome.mitigated
    error = rmse(mitigated.values, truth.values)
    return {
        **_identity(cell, run.wanted),
        **_circuit(placed),
        "unmitigated_fidelity": polarization_fidelity(outcome.raw, truth.values),
        "mitigated_fidelity": polarization_fidelity(mitigated.values, truth.values),
        "runtime_seconds": run.runtime_s,
        "total_shots": outcome.spent.total_shots,
        "circuits_run": outcome.spent.circuits + outcome.spent.calibration_circuits,
        "ideal": truth.values.tolist(),
        "raw": outcome.raw.tolist(),
        "raw_std_errs": outcome.raw_std_errs.tolist(),
        "mitigated": mitigated.values.tolist(),
        "mitigated_std_errs": mitigated.std_errs.tolist(),
        "equal_shot": twin.raw.tolist(),
        "equal_shot_std_errs": twin.raw_std_errs.tolist(),
        "signal": truth.signal,
        "low_signal": truth.signal < LOW_SIGNAL,
        **errors("raw", outcome.raw, outcome.raw_std_errs, truth.values),
        **errors("mitigated", mitigated.values, mitigated.std_errs, truth.values),
        **errors("equal_shot", twin.raw, twin.raw_std_errs, truth.values),
        "observed_precision_fidelity": float(np.exp(-error / cell.tolerance)),
        "hellinger_polarized": _hellinger(placed, run, truth),
        **_vendors_part(run.at_vendor),
        "fallbacks": list(mitigated.fallbacks),
        HISTOGRAMS: canonical_json(plain_histograms(outcome)),
        FEATURES: None if run.features is None else run.features.ravel().tolist(),
    }


def failed(
    cell: Cell,
    placed: Placed | None,
    wanted: MethodWanted,
    reason: str,
    at_vendor: VendorOutcome | None = None,
) -> dict[str, Any]:
    """The row of a method that gave nothing: why, and no values."""
    circuit = {} if placed is None else _circuit(placed)
    row = {**_identity(cell, wanted), **circuit, "failure": reason}
    return {**row, **_vendors_part(at_vendor)}


def _vendors_part(at_vendor: VendorOutcome | None) -> dict[str, Any]:
    """The vendor's jobs of the whole cell, their cost and calibrations; nothing of a simulator."""
    if at_vendor is None:
        return {}
    return {
        "vendor_job_ids": list(at_vendor.vendor_ids),
        "cell_cost_usd": at_vendor.cost_usd,
        "calibrations_at_run": list(at_vendor.calibrations),
    }


def _identity(cell: Cell, wanted: MethodWanted) -> dict[str, Any]:
    return {
        "shots": cell.shots,
        "method": wanted.name,
        "parameters": canonical_text(wanted.parameters),
        "cell_id": cell.cell_id,
        "variant": cell.variant,
        "num_qubits": cell.num_qubits,
        "circuit_parameters": canonical_text(cell.parameters),
        "circuit_seed": cell.circuit_seed,
        "backend_id": cell.backend_id,
        "calibration_sha256": cell.calibration_sha256,
        "noise": cell.noise,
        "engine": cell.engine,
        "seed": cell.seed.text,
        "split": cell.split,
        "unseen": cell.unseen,
        "eps": cell.tolerance,
        "versions": computing_versions(),
    }


def _circuit(placed: Placed) -> dict[str, Any]:
    return {
        "circuit_id": placed.circuit.circuit_id,
        "family": placed.circuit.family,
        "calibration_id": placed.snapshot.snapshot_id,
        "observables": list(placed.circuit.observables),
        "physical_circuit_sha256": sha256_hex(placed.transpiled.circuit.to_qasm().encode()),
    }


def errors(name: str, values: Array, std_errs: Array, ideal: Array) -> Mapping[str, float]:
    """The three columns that say how far off values are, and how far off they say they are."""
    return {
        f"rmse_{name}": rmse(values, ideal),
        f"mae_{name}": float(np.mean(np.abs(values - ideal))),
        f"std_err_{name}": float(np.sqrt(np.mean(std_errs**2))),
    }


@cache
def computing_versions() -> str:
    """Versions of the libraries that the figures depend on, as JSON text."""
    return json.dumps({name: metadata.version(name) for name in COMPUTING_LIBRARIES})


def _hellinger(placed: Placed, run: MethodRun, truth: Truth) -> float | None:
    """Hellinger fidelity of the raw histogram, scaled so that a uniform one gives 0.

    Only where the method leaves a distribution ("none") and the circuit is read in one basis of Z.
    """
    outcome = run.run.outcome
    if run.wanted.name != "none" or len(outcome.bases) != 1 or set(outcome.bases[0]) - set("ZI"):
        return None
    read = outcome.counts[0, 0] / outcome.counts[0, 0].sum()
    ideal = _over_compact(truth.probabilities, placed.transpiled.positions)
    found, uniform = _overlap(read, ideal), _overlap(np.full(len(ideal), 1 / len(ideal)), ideal)
    return None if uniform > _NO_SHAPE else max(0.0, (found - uniform) / (1 - uniform))


def _overlap(left: Array, right: Array) -> float:
    return float(np.sqrt(left * right).sum() ** 2)


def _over_compact(probabilities: Array, positions: tuple[int, ...]) -> Array:
    """Outcomes over logical qubits as outcomes over compact ones."""
    outcomes = np.arange(len(probabilities))
    moved = np.zeros_like(outcomes)
    for logical, compact in enumerate(positions):
        moved |= (outcomes >> logical & 1) << compact
    result = np.empty_like(probabilities)
    result[moved] = probabilities
    return result
