"""Every engine on noise beyond the calibration: each term alone, then all, folded."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np
import pytest

from quantumai.backends.aer_simulator import AerSimulator
from quantumai.backends.channel_simulator import ChannelSimulator
from quantumai.backends.extra_noise import UNFRIENDLY, true_noise
from quantumai.backends.ibm_fake import read_snapshot
from quantumai.backends.noise import DeviceNoise, IdleNoise
from quantumai.circuits.families.mixed import family_circuit
from quantumai.execution.transpile import Transpiler
from quantumai.randomness import RootSeed
from tests.synthetic_devices import random_native, random_noise

pytestmark = pytest.mark.slow

CHANNEL, AER = ChannelSimulator(), AerSimulator()
TERMS = ("over-rotation", "target turn", "idle relaxation", "crosstalk")
CASES = {**{term: {term} for term in TERMS}, "all": set(TERMS)}
DEVICES = {"cx": "nairobi", "ecr": "brisbane", "cz": "torino"}


def _noise(num_qubits: int, terms: set[str], rng: np.random.Generator) -> DeviceNoise:
    noise = random_noise(num_qubits, rng)
    over, of_target = ({e: float(rng.normal(0, 0.2)) for e in noise.two_qubit} for _ in range(2))
    idle = IdleNoise(
        "idle relaxation" in terms,
        80e3 if "crosstalk" in terms else 0.0,
        tuple((q, q + 1) for q in range(num_qubits - 1)),
    )
    return replace(
        noise,
        over_rotation_rad=over if "over-rotation" in terms else {},
        target_turn_rad=of_target if "target turn" in terms else {},
        idle=idle if idle.relaxes or idle.zz_crosstalk_hz else None,
    )


@pytest.mark.parametrize("gate", ["cx", "cz", "ecr"])
@pytest.mark.parametrize("name", CASES)
def test_the_engines_agree_on_every_term(name: str, gate: str) -> None:
    for seed, num_qubits in ((0, 3), (1, 4)):
        rng = np.random.default_rng(seed)
        circuit = random_native(num_qubits, 24, gate, rng)
        noise = _noise(num_qubits, CASES[name], rng)
        basis = "".join(rng.choice(list("XYZ"), num_qubits))
        folds = rng.choice([1, 3, 5], (2, circuit.two_qubit_gate_count))
        ours = CHANNEL.probabilities(circuit, noise, basis, folds)
        theirs = AER.probabilities(circuit, noise, basis, folds)
        np.testing.assert_allclose(ours, theirs, atol=1e-9)
        friendly = replace(noise, over_rotation_rad={}, target_turn_rad={}, idle=None)
        plain = CHANNEL.probabilities(circuit, friendly, basis, folds)
        assert np.abs(ours - plain).max() > 1e-6  # the term does something


@pytest.mark.parametrize("gate", DEVICES)
def test_the_engines_agree_on_a_real_device(gate: str) -> None:
    """Calibration, drawn terms and transpiled circuit as a benchmark has them, folded."""
    snapshot = read_snapshot(DEVICES[gate])
    assert snapshot.two_qubit_gate == gate
    transpiled = Transpiler(family_circuit("trotter", 4, seed=1).circuit).transpile(snapshot)
    circuit = transpiled.circuit
    terms = msgspec.structs.replace(UNFRIENDLY, controlled_over_rotation_rad=0.1)
    noise = true_noise(snapshot, transpiled.physical_qubits, terms, RootSeed.of("1"))
    folds = np.repeat([[1], [3]], circuit.two_qubit_gate_count, axis=1)
    basis = "X" * circuit.num_qubits
    ours = CHANNEL.probabilities(circuit, noise, basis, folds)
    theirs = AER.probabilities(circuit, noise, basis, folds)
    np.testing.assert_allclose(ours, theirs, atol=1e-7)  # Aer's own rounding, without terms too
