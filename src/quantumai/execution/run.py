"""Run one transpiled circuit with one method: probabilities, shots, readings, estimate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from quantumai.backends.calibration import CalibrationSnapshot
from quantumai.backends.noise import DeviceNoise
from quantumai.backends.simulator import Simulator
from quantumai.circuits.observables import MeasurementBasis, measurement_bases
from quantumai.errors import BadInputError
from quantumai.execution.transpile import TranspiledCircuit
from quantumai.mitigation.folding import achieved_noise_factors, choose_folds
from quantumai.mitigation.methods import Estimate, Method
from quantumai.mitigation.readout import Array, Confusion, read_values
from quantumai.randomness import RootSeed


@dataclass(frozen=True)
class Outcome:
    """What came out.

    `counts` has shape (bases, noise factors, 2**n), bit q of an outcome being compact qubit q;
    `noise_factors` are the achieved ones, shape (factors,). `raw` is the uncorrected value at
    noise factor 1, `raw_std_errs` its standard errors, both shape (observables,).
    """

    bases: tuple[str, ...]
    counts: NDArray[np.int64]
    noise_factors: Array
    raw: Array
    raw_std_errs: Array
    mitigated: Estimate

    @property
    def shots_spent(self) -> int:
        """All shots over all bases and noise factors."""
        return int(self.counts.sum())


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
) -> Outcome:
    """Spend `shots` at each of the method's noise factors and estimate all observables.

    `noise` is the channel and only the simulator sees it; the mitigator is given `confusion`. Where
    both are of one snapshot, as in a job, that is the exact readout error, which flatters REM, and
    folding scales the noise exactly, which flatters ZNE. Randomness: stream "folding", and
    "shots/<basis>" for each basis.
    """
    paulis = [transpiled.place(pauli) for pauli in observables]
    bases = measurement_bases(paulis)
    folds = choose_folds(
        method.noise_factors,
        transpiled.circuit.two_qubit_gate_count,
        seed.generator("folding"),
    )
    counts = np.stack(
        [
            _draw(
                simulator.probabilities(transpiled.circuit, noise, basis.pauli, folds),
                basis_shots,
                seed.generator(f"shots/{basis.pauli}"),
            )
            for basis, basis_shots in zip(bases, split_shots(shots, len(bases)), strict=True)
        ]
    )
    factors = achieved_noise_factors(method.noise_factors, folds)
    return evaluate(counts, bases, paulis, factors, method, confusion)


def evaluate(
    counts: NDArray[np.int64],
    bases: Sequence[MeasurementBasis],
    paulis: Sequence[str],
    noise_factors: Array,
    method: Method,
    confusion: Confusion,
) -> Outcome:
    """The pure second half of a run: from histograms to values."""
    raw, raw_errors = _readings(counts, bases, paulis, None)
    values, errors = raw, raw_errors
    if method.corrects_readout:
        values, errors = _readings(counts, bases, paulis, confusion)
    return Outcome(
        tuple(basis.pauli for basis in bases),
        counts,
        noise_factors,
        raw[0],
        raw_errors[0],
        method.estimate(noise_factors, values, errors),
    )


def _draw(probabilities: Array, shots: int, generator: np.random.Generator) -> NDArray[np.int64]:
    return np.stack([generator.multinomial(shots, row) for row in probabilities])


def _readings(
    counts: NDArray[np.int64],
    bases: Sequence[MeasurementBasis],
    paulis: Sequence[str],
    confusion: Confusion | None,
) -> tuple[Array, Array]:
    values = np.empty((counts.shape[1], len(paulis)))
    errors = np.empty_like(values)
    for basis, histograms in zip(bases, counts, strict=True):
        members = list(basis.members)
        values[:, members], errors[:, members] = read_values(
            histograms.astype(float), [paulis[i] for i in members], confusion
        )
    return values, errors
