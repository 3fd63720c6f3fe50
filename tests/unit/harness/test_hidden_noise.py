"""Noise beyond the calibration reaches a result only by way of the simulator."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from quantumai.backends.channel_simulator import ChannelSimulator
from quantumai.backends.extra_noise import FRIENDLY, UNFRIENDLY, ExtraNoise
from quantumai.backends.ibm_fake import read_snapshot
from quantumai.backends.noise import DeviceNoise, device_noise
from quantumai.backends.physical_circuit import PhysicalCircuit
from quantumai.harness.cells import expand, read_cells
from quantumai.harness.estimation import Bench, MethodRun, place, run_cell
from quantumai.harness.plan import parse_plan
from quantumai.mitigation.entry_points import make_method

pytestmark = pytest.mark.slow

PLAN = b"""
"schema_version": 1
"name": "small"
"seed": "1"
"shots": [500]
"tolerance": 0.05
"engine": "channel"
"backends": ["ibm.fake_nairobi"]
"noises": {"friendly": {}}
"methods":
  - {"name": "none"}
  - {"name": "rem"}
  - {"name": "rem", "parameters": {"confusion": "circuits"}}
  - {"name": "zne", "parameters": {"extrapolation": "exponential"}}
  - {"name": "rem+zne"}
"circuits":
  - {"variant": "tfim", "num_qubits": [4], "count": 1, "parameters": {"steps": [2]}}
"""
SNAPSHOT = read_snapshot("nairobi")


class Deaf(ChannelSimulator):
    """Simulates what the calibration says, whatever noise it is told of."""

    def __init__(self, told: list[DeviceNoise], calibrated: DeviceNoise) -> None:
        self._told, self._calibrated = told, calibrated

    def probabilities(
        self, circuit: PhysicalCircuit, noise: DeviceNoise, basis: str, folds: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        self._told.append(noise)
        return super().probabilities(circuit, self._calibrated, basis, folds)


def _run(terms: ExtraNoise) -> tuple[tuple[MethodRun, ...], list[DeviceNoise]]:
    (cell,) = read_cells(
        expand(parse_plan(PLAN, "the plan"), {SNAPSHOT.backend_id: SNAPSHOT.sha256})
    )
    cell = replace(cell, noise_terms=terms)
    placed = place(cell, SNAPSHOT)
    calibrated = device_noise(SNAPSHOT, placed.transpiled.physical_qubits)
    told: list[DeviceNoise] = []
    bench = Bench({SNAPSHOT.sha256: SNAPSHOT}, lambda _: Deaf(told, calibrated), make_method)
    return run_cell(cell, placed, bench), told


def test_only_the_simulator_hears_of_it() -> None:
    friendly, told_friendly = _run(FRIENDLY)
    unfriendly, told_unfriendly = _run(UNFRIENDLY)
    assert all(noise.idle is None and not noise.over_rotation_rad for noise in told_friendly)
    assert all(noise.idle is not None and noise.over_rotation_rad for noise in told_unfriendly)
    assert len(friendly) == len(unfriendly) == 5
    for one, other in zip(friendly, unfriendly, strict=True):
        np.testing.assert_array_equal(one.run.outcome.raw, other.run.outcome.raw)
        mine, theirs = one.run.outcome.mitigated, other.run.outcome.mitigated
        np.testing.assert_array_equal(mine.values, theirs.values)
        np.testing.assert_array_equal(mine.std_errs, theirs.std_errs)
        assert (one.features is None) == (other.features is None)
        if one.features is not None and other.features is not None:
            np.testing.assert_array_equal(one.features, other.features)
    assert any(one.features is not None for one in friendly)
