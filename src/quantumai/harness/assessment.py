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

from quantumai.canonical import sha256_hex
from quantumai.circuits.ideal import ideal_values
from quantumai.harness.cells import Cell, canonical_text
from quantumai.harness.estimation import MethodRun, Placed
from quantumai.harness.plan import MethodWanted
from quantumai.mitigation.fidelity import LOW_SIGNAL, polarization_fidelity, rmse
from quantumai.mitigation.readout import Array

COMPUTING_LIBRARIES = ("numpy", "qiskit", "quantumai")


@dataclass(frozen=True)
class Truth:
    """Ideal values of a circuit's observables, shape (observables,)."""

    values: Array

    @property
    def signal(self) -> float:
        """S of DESIGN.md: root mean square of the ideal values; Pauli observables have t = 0."""
        return float(np.sqrt(np.mean(self.values**2)))


def truth_of(placed: Placed) -> Truth:
    """Compute the ideal values of a circuit's observables by Qiskit's state vector."""
    return Truth(ideal_values(placed.circuit.circuit, placed.circuit.observables))


def assessed(cell: Cell, placed: Placed, run: MethodRun, truth: Truth) -> dict[str, Any]:
    """One row of results, without `job_id` and the histograms' place, which the run knows."""
    outcome, twin = run.outcome, run.twin
    mitigated = outcome.mitigated
    error = rmse(mitigated.values, truth.values)
    return {
        **_identity(cell, run.wanted),
        **_circuit(placed),
        "unmitigated_fidelity": polarization_fidelity(outcome.raw, truth.values),
        "mitigated_fidelity": polarization_fidelity(mitigated.values, truth.values),
        "runtime_seconds": run.runtime_s,
        "total_shots": outcome.spent.total_shots,
        "circuits_run": outcome.spent.total_circuits,
        "ideal": truth.values.tolist(),
        "raw": outcome.raw.tolist(),
        "raw_std_errs": outcome.raw_std_errs.tolist(),
        "mitigated": mitigated.values.tolist(),
        "mitigated_std_errs": mitigated.std_errs.tolist(),
        "equal_shot": twin.raw.tolist(),
        "equal_shot_std_errs": twin.raw_std_errs.tolist(),
        "signal": truth.signal,
        "low_signal": truth.signal < LOW_SIGNAL,
        **_errors("raw", outcome.raw, outcome.raw_std_errs, truth.values),
        **_errors("mitigated", mitigated.values, mitigated.std_errs, truth.values),
        **_errors("equal_shot", twin.raw, twin.raw_std_errs, truth.values),
        "observed_precision_fidelity": float(np.exp(-error / cell.tolerance)),
        "fallbacks": list(mitigated.fallbacks),
        "histograms": canonical_text(_histograms(outcome)).encode(),
    }


def failed(
    cell: Cell, placed: Placed | None, wanted: MethodWanted, reason: str
) -> dict[str, Any]:
    """The row of a method that gave nothing: why, and no values."""
    circuit = {} if placed is None else _circuit(placed)
    return {**_identity(cell, wanted), **circuit, "failure": reason}


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
        "calibration_id": placed.calibration_id,
        "observables": list(placed.circuit.observables),
        "physical_circuit_sha256": sha256_hex(placed.transpiled.circuit.to_qasm().encode()),
    }


def _errors(name: str, values: Array, std_errs: Array, ideal: Array) -> Mapping[str, float]:
    return {
        f"rmse_{name}": rmse(values, ideal),
        f"mae_{name}": float(np.mean(np.abs(values - ideal))),
        f"std_err_{name}": float(np.sqrt(np.mean(std_errs**2))),
    }


@cache
def computing_versions() -> str:
    """Versions of the libraries that the figures depend on, as JSON text."""
    return json.dumps({name: metadata.version(name) for name in COMPUTING_LIBRARIES})
