"""All of a circuit's methods on a vendor's backend: real shots where a simulator draws them.

Every method gets circuits and shots of its own. Plain counting gets as many shots as the most
expensive method spent; each method's equal-shot twin is a random part of those.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np

from quantumai.backends.noise import DeviceNoise
from quantumai.backends.vendor import VendorBackend, VendorBatch, VendorCircuit
from quantumai.circuits.observables import MeasurementBasis, measurement_bases
from quantumai.errors import BadInputError, VendorError, VendorUnavailableError
from quantumai.execution.equal_shot import EqualShotTwin, TwinnedRun
from quantumai.execution.exact_run import Folds, method_folds, preparation
from quantumai.execution.readings import read_bases
from quantumai.execution.run import Counts, Outcome, evaluate, split_shots, with_evidence
from quantumai.execution.transpile import TranspiledCircuit
from quantumai.execution.vendor_circuit import vendor_circuit
from quantumai.execution.vendor_run import Patience, VendorRun, run_on_vendor
from quantumai.mitigation.folding import achieved_noise_factors
from quantumai.mitigation.methods import Method
from quantumai.mitigation.readout import Confusion
from quantumai.randomness import RootSeed


@dataclass(frozen=True)
class VendorAccess:
    """A backend, and how to wait for it."""

    backend: VendorBackend
    sleep: Callable[[float], None]
    monotonic: Callable[[], float]
    patience: Patience


@dataclass(frozen=True)
class VendorOutcome:
    """`runs[i]` of method i, or why it has none; and the vendor's jobs behind all of them."""

    runs: tuple[TwinnedRun | str, ...]
    jobs: tuple[VendorRun, ...]

    @property
    def vendor_ids(self) -> tuple[str, ...]:
        """All of the vendor's ids."""
        return tuple(name for job in self.jobs for name in job.vendor_ids)

    @property
    def cost_usd(self) -> float | None:
        """What was billed; None if that of one job is not known."""
        known = [job.cost_usd for job in self.jobs]
        return None if None in known else float(sum(usd for usd in known if usd is not None))

    @property
    def calibrations(self) -> tuple[str, ...]:
        """SHA-256 (hex) of the calibrations in force during the runs, each once."""
        return tuple(dict.fromkeys(c.sha256 for job in self.jobs for c in job.calibrations))


def run_at_vendor(
    transpiled: TranspiledCircuit,
    observables: Sequence[str],
    methods: Sequence[Method],
    shots: int,
    *,
    access: VendorAccess,
    key: str,
    confusion: Confusion,
    calibrated: DeviceNoise,
    seeds: Sequence[RootSeed],
) -> VendorOutcome:
    """`run_with_twins` where the noise is the device's own and unknown.

    `key` names this run for good: after a crash the same call finds the jobs that it submitted.
    Randomness: "folding" of each method's seed, and "equal-shot/<basis>" for what a twin is given.
    What the vendor refuses is a reason. Raises `VendorUnavailableError` where the same key goes on.
    """
    asked = _Asked()
    paulis = tuple(transpiled.place(pauli) for pauli in observables)
    bases = measurement_bases(paulis)
    circuits = [
        _MethodCircuits.ask(asked, transpiled, bases, method, shots, seed)
        for method, seed in zip(methods, seeds, strict=True)
    ]
    most = max(one.shots for one in circuits)
    plain = [
        asked.add(vendor_circuit(transpiled, basis.pauli), of_basis)
        for basis, of_basis in zip(bases, split_shots(most, len(bases)), strict=True)
    ]
    asked.run(access, key)

    def run_of(one: _MethodCircuits, method: Method, seed: RootSeed) -> TwinnedRun | str:
        try:
            outcome = _outcome(asked, one, bases, paulis, method, confusion)
            counts = np.stack([asked.counts(place) for place in plain])
        except VendorError as error:
            return str(error)
        outcome = with_evidence(outcome, transpiled.circuit, paulis, method, calibrated)
        spent = outcome.spent.total_shots
        twin = _twin(counts, bases, paulis, spent, seed)
        if twin.total_shots < spent:
            return f"plain counting has {twin.total_shots} shots, fewer than the {spent} spent"
        return TwinnedRun(outcome, twin)

    runs = (run_of(*each) for each in zip(circuits, methods, seeds, strict=True))
    return VendorOutcome(tuple(runs), tuple(asked.jobs))


class _Asked:
    """Circuits with their shots, and what came of them. A batch has one number of shots."""

    def __init__(self) -> None:
        self._wanted: list[tuple[VendorCircuit, int]] = []
        self._counts: dict[int, Mapping[str, int]] = {}
        self._failures: dict[int, str] = {}
        self.jobs: list[VendorRun] = []

    def add(self, circuit: VendorCircuit, shots: int) -> int:
        """Where its counts will be."""
        self._wanted.append((circuit, shots))
        return len(self._wanted) - 1

    def run(self, access: VendorAccess, key: str) -> None:
        """One run for each number of shots, under "<key>/<shots>"."""
        for shots in sorted({shots for _, shots in self._wanted}):
            places = [i for i, (_, wanted) in enumerate(self._wanted) if wanted == shots]
            batch = VendorBatch(tuple(self._wanted[place][0] for place in places), shots)
            try:
                run = run_on_vendor(
                    access.backend,
                    batch,
                    f"{key}/{shots}",
                    sleep=access.sleep,
                    monotonic=access.monotonic,
                    patience=access.patience,
                )
            except VendorUnavailableError:
                raise
            except (VendorError, BadInputError) as error:  # refused, but not what else was asked
                self._failures |= dict.fromkeys(places, str(error))
                continue
            self.jobs.append(run)
            for place, counts, failure in zip(places, run.counts, run.failures, strict=True):
                if counts:
                    self._counts[place] = counts
                else:
                    self._failures[place] = failure or "no counts"

    def counts(self, place: int) -> Counts:
        """Shape (2**n,), bit q of an outcome being compact qubit q. Raises `VendorError`."""
        if place in self._failures:
            raise VendorError(f"a circuit gave no counts: {self._failures[place]}")
        found = np.zeros(2 ** self._wanted[place][0].circuit.num_qubits, np.int64)
        for bits, count in self._counts[place].items():
            found[int(bits, 2)] += count
        return found


@dataclass(frozen=True)
class _MethodCircuits:
    """Where a method's circuits stand: `runs[basis][noise factor]`, and the two preparations."""

    runs: tuple[tuple[int, ...], ...]
    calibration: tuple[int, ...]
    folds: Folds
    shots: int

    @classmethod
    def ask(
        cls,
        asked: _Asked,
        transpiled: TranspiledCircuit,
        bases: Sequence[MeasurementBasis],
        method: Method,
        shots: int,
        seed: RootSeed,
    ) -> _MethodCircuits:
        folds = method_folds(transpiled.circuit, method, seed)
        runs = tuple(
            tuple(
                asked.add(vendor_circuit(transpiled, basis.pauli, row), of_basis)
                for row in folds.tolist()
            )
            for basis, of_basis in zip(bases, split_shots(shots, len(bases)), strict=True)
        )
        each = ceil(shots * method.calibration_share / 2)
        calibration = tuple(
            asked.add(
                VendorCircuit(
                    preparation(transpiled.circuit.num_qubits, bit), transpiled.physical_qubits
                ),
                each,
            )
            for bit in ((0, 1) if each else ())
        )
        return cls(runs, calibration, folds, shots * len(folds) + each * len(calibration))


def _outcome(
    asked: _Asked,
    circuits: _MethodCircuits,
    bases: Sequence[MeasurementBasis],
    paulis: Sequence[str],
    method: Method,
    confusion: Confusion,
) -> Outcome:
    counts = np.stack([np.stack([asked.counts(i) for i in row]) for row in circuits.runs])
    calibration = [asked.counts(i) for i in circuits.calibration]
    return evaluate(
        counts,
        bases,
        paulis,
        achieved_noise_factors(method.noise_factors, circuits.folds),
        method,
        confusion,
        np.stack(calibration) if calibration else None,
    )


def _twin(
    counts: Counts,
    bases: Sequence[MeasurementBasis],
    paulis: Sequence[str],
    total_shots: int,
    seed: RootSeed,
) -> EqualShotTwin:
    """Raw values from `total_shots` of `counts` (bases, 2**n), from all where fewer came back."""
    shares = split_shots(total_shots, len(bases))
    parts = [
        row
        if share >= row.sum()
        else seed.generator(f"equal-shot/{basis.pauli}").multivariate_hypergeometric(
            row, share, method="marginals"
        )
        for row, share, basis in zip(counts, shares, bases, strict=True)
    ]
    part = np.stack(parts)[:, None]
    readings = read_bases(part, bases, paulis, None)
    return EqualShotTwin(readings.values[0], readings.std_errs[0], int(part.sum()))
