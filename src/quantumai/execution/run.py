"""Run one transpiled circuit with one method or several: shots, readings, estimates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil

import numpy as np
from numpy.typing import NDArray

from quantumai.backends.calibration import CalibrationSnapshot
from quantumai.backends.noise import DeviceNoise
from quantumai.backends.physical_circuit import PhysicalCircuit
from quantumai.backends.simulator import Simulator
from quantumai.circuits.observables import MeasurementBasis
from quantumai.errors import BadInputError
from quantumai.execution.exact_run import ExactRun, method_folds, simulate
from quantumai.execution.readings import Readings, read_bases, read_calibrated
from quantumai.execution.transpile import TranspiledCircuit
from quantumai.mitigation.folding import achieved_noise_factors
from quantumai.mitigation.methods import Estimate, Method, ReadsEvidence
from quantumai.mitigation.readout import Array, Confusion
from quantumai.mitigation.readout_calibration import measured_confusion
from quantumai.randomness import RootSeed

Counts = NDArray[np.int64]


@dataclass(frozen=True)
class Spent:
    """What an estimate cost: `shots` over all bases and noise factors, one circuit for each pair.

    Readout calibration comes on top.
    """

    shots: int
    circuits: int
    calibration_shots: int
    calibration_circuits: int

    @property
    def total_shots(self) -> int:
        """With calibration; what is priced, and what the equal-shot twin gets."""
        return self.shots + self.calibration_shots

    @property
    def total_circuits(self) -> int:
        """With calibration."""
        return self.circuits + self.calibration_circuits


@dataclass(frozen=True)
class Outcome:
    """What came out.

    `counts` has shape (bases, noise factors, 2**n), bit q of an outcome being compact qubit q;
    `noise_factors` are the achieved ones, shape (factors,). `raw` is the uncorrected value at
    noise factor 1, `raw_std_errs` its standard errors, both shape (observables,).
    `calibration_counts`, shape (2, 2**n), are those of the all-zeros and all-ones preparation.
    """

    bases: tuple[str, ...]
    counts: Counts
    noise_factors: Array
    raw: Array
    raw_std_errs: Array
    mitigated: Estimate
    calibration_counts: Counts | None = None

    @property
    def spent(self) -> Spent:
        """Shots and circuits."""
        num_bases, num_factors, _ = self.counts.shape
        calibration = self.calibration_counts
        return Spent(
            shots=int(self.counts.sum()),
            circuits=num_bases * num_factors,
            calibration_shots=0 if calibration is None else int(calibration.sum()),
            calibration_circuits=0 if calibration is None else len(calibration),
        )

    @property
    def shots_spent(self) -> int:
        """All shots over all bases, noise factors and calibration circuits."""
        return self.spent.total_shots


def calibrated_confusion(
    snapshot: CalibrationSnapshot, physical_qubits: Sequence[int]
) -> Confusion:
    """The readout errors that the calibration reports for the qubits in use."""
    qubits = [snapshot.qubits[q] for q in physical_qubits]
    return Confusion(
        np.array([q.prob_meas1_prep0 for q in qubits]),
        np.array([q.prob_meas0_prep1 for q in qubits]),
    )


def split_shots(shots: int, num_bases: int) -> list[int]:
    """Shots per measurement basis, as even as whole shots allow."""
    if shots < num_bases:
        raise BadInputError(
            f"{shots} shots do not cover {num_bases} measurement bases",
            hint=f"ask for at least {num_bases} shots",
        )
    share, rest = divmod(shots, num_bases)
    return [share + (index < rest) for index in range(num_bases)]


def run_method(
    transpiled: TranspiledCircuit,
    observables: Sequence[str],
    method: Method,
    shots: int,
    *,
    noise: DeviceNoise,
    confusion: Confusion,
    simulator: Simulator,
    seed: RootSeed,
    calibrated: DeviceNoise | None = None,
) -> Outcome:
    """Spend `shots` at each of the method's noise factors and estimate all observables.

    `noise` is the channel and only the simulator sees it; the mitigator is given `confusion`, or
    calibrates readout by circuits of its own. Where both are of one snapshot, as in a job, that is
    the exact readout error, which flatters REM, and folding scales the noise exactly, which
    flatters ZNE. A learned method also reads `calibrated`, the noise that the calibration tells of.
    Randomness: streams "folding", "shots/<basis>" for each basis, and
    "calibration/0" and "calibration/1" for the two preparations.
    """
    (outcome,) = run_methods(
        transpiled,
        observables,
        [method],
        shots,
        noise=noise,
        confusion=confusion,
        simulator=simulator,
        seeds=[seed],
        calibrated=calibrated,
    )
    return outcome


def run_methods(
    transpiled: TranspiledCircuit,
    observables: Sequence[str],
    methods: Sequence[Method],
    shots: int,
    *,
    noise: DeviceNoise,
    confusion: Confusion,
    simulator: Simulator,
    seeds: Sequence[RootSeed],
    calibrated: DeviceNoise | None = None,
) -> tuple[Outcome, ...]:
    """`run_method` for several methods, `seeds[i]` for `methods[i]`, at one simulation's cost."""
    exact = simulate(
        transpiled, observables, methods, noise=noise, simulator=simulator, seeds=seeds
    )
    return tuple(
        draw_method(exact, method, shots, confusion=confusion, seed=seed, calibrated=calibrated)
        for method, seed in zip(methods, seeds, strict=True)
    )


def draw_method(
    exact: ExactRun,
    method: Method,
    shots: int,
    *,
    confusion: Confusion,
    seed: RootSeed,
    calibrated: DeviceNoise | None = None,
) -> Outcome:
    """The part of a run that follows simulation; `exact` was simulated for this method and seed."""
    folds = method_folds(exact.circuit, method, seed)
    counts = draw_bases(exact, exact.rows(folds), shots, seed, "shots")
    calibration_counts = None
    if method.calibration_share and exact.calibration is not None:
        each = ceil(shots * method.calibration_share / 2)
        calibration_counts = np.concatenate(
            [
                draw(row[None], each, seed.generator(f"calibration/{bit}"))
                for bit, row in enumerate(exact.calibration)
            ]
        )
    factors = achieved_noise_factors(method.noise_factors, folds)
    outcome = evaluate(
        counts, exact.bases, exact.paulis, factors, method, confusion, calibration_counts
    )
    return with_evidence(outcome, exact.circuit, exact.paulis, method, calibrated)


def with_evidence(
    outcome: Outcome,
    circuit: PhysicalCircuit,
    paulis: tuple[str, ...],
    method: Method,
    calibrated: DeviceNoise | None,
) -> Outcome:
    """A learned method's outcome from all that it may look at; any other's as it is."""
    if calibrated is None or not isinstance(method, ReadsEvidence):
        return outcome
    from quantumai.mitigation.ml_qem.features import RunEvidence

    rem = outcome.mitigated  # what a learned method answers to values alone
    evidence = RunEvidence(circuit, paulis, calibrated, outcome.raw, rem.values, rem.std_errs)
    return replace(outcome, mitigated=method.estimate_run(evidence))


def draw_bases(
    exact: ExactRun, rows: Sequence[int], shots: int, seed: RootSeed, stream: str
) -> Counts:
    """Histograms of `shots` over all bases at each of `rows`, shape (bases, rows, 2**n).

    Randomness: stream "<stream>/<basis>" for each basis. Raises `BadInputError` for fewer shots
    than bases.
    """
    return np.stack(
        [
            draw(probabilities[rows], basis_shots, seed.generator(f"{stream}/{basis.pauli}"))
            for basis, probabilities, basis_shots in zip(
                exact.bases,
                exact.probabilities,
                split_shots(shots, len(exact.bases)),
                strict=True,
            )
        ]
    )


def draw(probabilities: Array, shots: int, generator: np.random.Generator) -> Counts:
    """Histograms of `shots` for each row of probabilities, shape (rows, 2**n)."""
    return np.stack([generator.multinomial(shots, row) for row in probabilities])


def evaluate(
    counts: Counts,
    bases: Sequence[MeasurementBasis],
    paulis: Sequence[str],
    noise_factors: Array,
    method: Method,
    confusion: Confusion,
    calibration_counts: Counts | None = None,
) -> Outcome:
    """The pure second half of a run: from histograms to values.

    With `calibration_counts` readout is corrected by what they say, and not by `confusion`.
    """
    raw = readings = read_bases(counts, bases, paulis, None)
    if method.corrects_readout and calibration_counts is not None:
        readings = read_calibrated(counts, bases, paulis, measured_confusion(calibration_counts))
    elif method.corrects_readout:
        readings = read_bases(counts, bases, paulis, confusion)
    return Outcome(
        tuple(basis.pauli for basis in bases),
        counts,
        noise_factors,
        raw.values[0],
        raw.std_errs[0],
        _estimate(method, noise_factors, readings),
        calibration_counts,
    )


def _estimate(method: Method, noise_factors: Array, readings: Readings) -> Estimate:
    if readings.common_errs is None:
        return method.estimate(noise_factors, readings.values, readings.std_errs)
    estimate = method.estimate(
        noise_factors, readings.values, readings.std_errs, readings.common_errs
    )
    named = tuple(
        _on_raw_values(fallback or method.name) if index in readings.uncorrected else fallback
        for index, fallback in enumerate(estimate.fallbacks)
    )
    return replace(estimate, fallbacks=named)


def _on_raw_values(name: str) -> str:
    """What a method that corrects readout amounts to where readout could not be corrected."""
    return {"rem": "none", "rem+zne": "zne"}.get(name, f"{name} on raw values")
