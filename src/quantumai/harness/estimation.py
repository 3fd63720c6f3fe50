"""One cell run by all its methods. No ideal value is in sight here: see `assessment`."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from quantumai.backends.calibration import CalibrationSnapshot
from quantumai.backends.extra_noise import calibration_under, true_noise
from quantumai.backends.noise import DeviceNoise, device_noise
from quantumai.backends.simulator import Simulator
from quantumai.circuits.families.family import BenchmarkCircuit, benchmark_circuit
from quantumai.circuits.families.imported import IMPORTED, imported_circuit
from quantumai.errors import NotFoundError
from quantumai.execution.equal_shot import TwinnedRun, run_with_twins
from quantumai.execution.run import calibrated_confusion
from quantumai.execution.transpile import TranspiledCircuit, Transpiler
from quantumai.execution.vendor_methods import VendorOutcome, run_at_vendor
from quantumai.harness.at_vendors import AtVendors
from quantumai.harness.cells import Cell, canonical_text
from quantumai.harness.plan import LEARNED_FROM, MethodWanted
from quantumai.mitigation.methods import Method
from quantumai.mitigation.ml_qem.features import RunEvidence, observable_features
from quantumai.mitigation.readout import Array, Confusion
from quantumai.randomness import RootSeed

NO_SOURCES: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class Bench:
    """What cells need beside their rows; workers get it once.

    `snapshots` by SHA-256 of their bytes, `sources` of imported circuits by that of their texts.
    Only the composition root knows engines and vendors, so they come as functions;
    `open_method(name, parameters)` may read a run's models. `at_vendors` is for runs with backends
    of vendors.
    """

    snapshots: Mapping[str, CalibrationSnapshot]
    open_simulator: Callable[[str], Simulator]
    open_method: Callable[[str, Mapping[str, Any]], Method]
    at_vendors: AtVendors | None = None
    sources: Mapping[str, str] = field(default_factory=dict)

    def snapshot(self, cell: Cell) -> CalibrationSnapshot:
        """The calibration under which a cell runs. Raises `NotFoundError`."""
        try:
            return self.snapshots[cell.calibration_sha256]
        except KeyError:
            raise NotFoundError(f"no calibration {cell.calibration_sha256[:12]}") from None


@dataclass(frozen=True)
class Placed:
    """A circuit as it stands on a backend."""

    circuit: BenchmarkCircuit
    transpiled: TranspiledCircuit
    snapshot: CalibrationSnapshot


@dataclass(frozen=True)
class MethodRun:
    """What one method gave, with its equal-shot twin.

    `features` of "rem", shape (observables, features), are what models learn from.

    `runtime_s` is the cell's time for simulation and shots in equal parts, and not reproducible.
    `at_vendor` is the vendor's part in the whole cell.
    """

    wanted: MethodWanted
    run: TwinnedRun
    runtime_s: float
    features: Array | None = None
    at_vendor: VendorOutcome | None = None


@dataclass(frozen=True)
class MethodFailed:
    """A method that gave nothing, and why."""

    wanted: MethodWanted
    reason: str
    at_vendor: VendorOutcome | None = None


def place(
    cell: Cell, snapshot: CalibrationSnapshot, sources: Mapping[str, str] = NO_SOURCES
) -> Placed:
    """Build a cell's circuit and transpile it; `sources` as in `Bench`.

    Raises `BadInputError` where it does not fit, `NotFoundError` for an unknown source.
    """
    circuit = _circuit(cell, sources)
    return Placed(circuit, Transpiler(circuit.circuit).transpile(snapshot), snapshot)


def _circuit(cell: Cell, sources: Mapping[str, str]) -> BenchmarkCircuit:
    if cell.variant != IMPORTED:
        return benchmark_circuit(cell.variant, cell.num_qubits, cell.parameters, cell.circuit_seed)
    digest = cell.parameters["sha256"]
    if digest not in sources:
        raise NotFoundError(f"no imported circuit {digest[:12]}")
    return imported_circuit(sources[digest], cell.parameters["file"])


def run_cell(cell: Cell, placed: Placed, bench: Bench) -> tuple[MethodRun | MethodFailed, ...]:
    """Run every method of a cell, each with shots of its own, and each one's equal-shot twin.

    The simulator gets the true channel, the mitigators the calibration. Raises `QuantumAIError`; at
    a vendor a method without counts fails alone.
    """
    began = time.perf_counter()
    told = calibration_under(placed.snapshot, cell.noise_terms)
    qubits = placed.transpiled.physical_qubits
    calibrated, confusion = device_noise(told, qubits), calibrated_confusion(told, qubits)
    methods = [bench.open_method(wanted.name, wanted.parameters) for wanted in cell.methods]
    runs: tuple[TwinnedRun | str, ...]
    at_vendor = None
    if bench.at_vendors is not None and cell.backend_id in bench.at_vendors.backend_ids:
        at_vendor = _run_at_vendor(cell, placed, methods, calibrated, confusion, bench.at_vendors)
        runs = at_vendor.runs
    else:
        runs = _simulated(cell, placed, methods, calibrated, confusion, bench)
    runtime_s = (time.perf_counter() - began) / len(runs)
    return tuple(
        MethodFailed(wanted, run, at_vendor)
        if isinstance(run, str)
        else MethodRun(
            wanted, run, runtime_s, _features(placed, calibrated, wanted, run), at_vendor
        )
        for wanted, run in zip(cell.methods, runs, strict=True)
    )


def _simulated(
    cell: Cell,
    placed: Placed,
    methods: Sequence[Method],
    calibrated: DeviceNoise,
    confusion: Confusion,
    bench: Bench,
) -> tuple[TwinnedRun, ...]:
    snapshot, qubits = placed.snapshot, placed.transpiled.physical_qubits
    return run_with_twins(
        placed.transpiled,
        placed.circuit.observables,
        methods,
        cell.shots,
        noise=true_noise(snapshot, qubits, cell.noise_terms, cell.device_seed),
        confusion=confusion,
        simulator=bench.open_simulator(cell.engine),
        seeds=[method_seed(cell.seed, wanted) for wanted in cell.methods],
        calibrated=calibrated,
    )


def _run_at_vendor(
    cell: Cell,
    placed: Placed,
    methods: Sequence[Method],
    calibrated: DeviceNoise,
    confusion: Confusion,
    vendors: AtVendors,
) -> VendorOutcome:
    return run_at_vendor(
        placed.transpiled,
        placed.circuit.observables,
        methods,
        cell.shots,
        access=vendors.access(cell.backend_id),
        key=f"{vendors.run_id}/{cell.cell_id}",
        confusion=confusion,
        calibrated=calibrated,
        seeds=[method_seed(cell.seed, wanted) for wanted in cell.methods],
    )


def _features(
    placed: Placed, calibrated: DeviceNoise, wanted: MethodWanted, run: TwinnedRun
) -> Array | None:
    if wanted != LEARNED_FROM:
        return None
    transpiled, outcome = placed.transpiled, run.outcome
    return observable_features(
        RunEvidence(
            transpiled.circuit,
            tuple(transpiled.place(pauli) for pauli in placed.circuit.observables),
            calibrated,
            outcome.raw,
            outcome.mitigated.values,
            outcome.mitigated.std_errs,
        )
    )


def method_seed(seed: RootSeed, wanted: MethodWanted) -> RootSeed:
    """The root of a method's own draws, whatever other methods the plan has."""
    return RootSeed.of(f"{seed.text}/{canonical_text(wanted)}")
