"""The equal-shot twin: what plain counting gives for all the shots that a method spent.

A method that loses to its twin did harm. The twin draws from a stream of its own, so its shots are
independent of the method's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from quantumai.backends.noise import DeviceNoise
from quantumai.backends.simulator import Simulator
from quantumai.execution.exact_run import ExactRun, simulate
from quantumai.execution.readings import read_bases
from quantumai.execution.run import Outcome, draw_bases, draw_method
from quantumai.execution.transpile import TranspiledCircuit
from quantumai.mitigation.methods import Method
from quantumai.mitigation.readout import Array, Confusion
from quantumai.randomness import RootSeed

_BARE = 0
"""The row of an `ExactRun` that is the circuit without folds."""


@dataclass(frozen=True)
class EqualShotTwin:
    """Raw values and standard errors, shape (observables,), from `total_shots` over all bases."""

    raw: Array
    raw_std_errs: Array
    total_shots: int


@dataclass(frozen=True)
class TwinnedRun:
    """A method's outcome and its twin."""

    outcome: Outcome
    twin: EqualShotTwin


def equal_shot_twin(exact: ExactRun, total_shots: int, seed: RootSeed) -> EqualShotTwin:
    """The raw result at `total_shots`, a method's `Spent.total_shots`.

    Randomness: stream "equal-shot/<basis>" for each basis, so `seed` may be the method's own.
    Raises `BadInputError` for fewer shots than bases.
    """
    counts = draw_bases(exact, [_BARE], total_shots, seed, "equal-shot")
    readings = read_bases(counts, exact.bases, exact.paulis, None)
    return EqualShotTwin(readings.values[0], readings.std_errs[0], total_shots)


def run_with_twins(
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
) -> tuple[TwinnedRun, ...]:
    """`run_methods`, and each method's twin from the same simulation."""
    exact = simulate(
        transpiled, observables, methods, noise=noise, simulator=simulator, seeds=seeds
    )
    runs = []
    for method, seed in zip(methods, seeds, strict=True):
        outcome = draw_method(
            exact, method, shots, confusion=confusion, seed=seed, calibrated=calibrated
        )
        runs.append(TwinnedRun(outcome, equal_shot_twin(exact, outcome.spent.total_shots, seed)))
    return tuple(runs)
