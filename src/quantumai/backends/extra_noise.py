"""Noise that no calibration tells of, so that mitigators are not flattered by a noise they know.

A calibration snapshot gives gate errors as averages, and nothing of what a real device adds:
coherent errors, crosstalk, waiting, and readout that has moved since it was measured. Only
simulators see these terms. What belongs to an edge or a qubit is drawn for the physical one from
the seed, so it is the same for every circuit on the device.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import exp, pi

import msgspec

from quantumai.backends.calibration import CalibrationSnapshot
from quantumai.backends.noise import DeviceNoise, IdleNoise, device_noise
from quantumai.errors import BadInputError
from quantumai.randomness import RootSeed

_HIGHEST_READOUT_ERROR = 0.45
"""Drift takes no error past this: near 1/2 a readout says nothing, and cannot be inverted."""


class ExtraNoise(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Terms beyond the calibration; all zero is the friendly noise.

    `over_rotation_rad`: standard deviation over the edges of an angle by which each two-qubit gate
    turns too far about its own axis (ZZ for cz, ZX for cx and ecr); `fixed_over_rotation_rad` is
    added on every edge. `controlled_over_rotation_rad`: the gate also turns its second qubit too
    far where the first is 1 (about X for cx and ecr, Z for cz), by angles that lie evenly between 0
    and this one, one for each direction of each edge; this is how Liao et al. do it, see
    `LIAO_2024`. `zz_crosstalk_hz`: the static ZZ rate between coupled qubits that both wait.
    `idle_relaxation`: T1 and T2 also act while a qubit waits. `readout_drift`: standard deviation
    of the logarithm of true over calibrated readout errors. `perfect_readout` is no hidden
    term: the device reads without error, and its calibration says so.
    """

    over_rotation_rad: float = 0.0
    fixed_over_rotation_rad: float = 0.0
    controlled_over_rotation_rad: float = 0.0
    zz_crosstalk_hz: float = 0.0
    idle_relaxation: bool = False
    readout_drift: float = 0.0
    perfect_readout: bool = False

    def check(self) -> ExtraNoise:
        """Return self if the terms are ones that can be simulated, else raise `BadInputError`."""
        small = (
            self.over_rotation_rad,
            abs(self.fixed_over_rotation_rad),
            self.controlled_over_rotation_rad,
            self.readout_drift,
        )
        if not all(0 <= term <= 1 for term in small) or not 0 <= self.zz_crosstalk_hz <= 1e7:
            raise BadInputError(
                "extra noise: angles and drift from 0 to 1, zz_crosstalk_hz from 0 to 1e7"
            )
        return self


FRIENDLY = ExtraNoise()
UNFRIENDLY = ExtraNoise(
    over_rotation_rad=0.05,
    zz_crosstalk_hz=50e3,
    idle_relaxation=True,
    readout_drift=0.2,
)
"""Sizes that have been reported; docs/guides/noise-beyond-the-calibration.md argues each.

0.05 rad adds 5e-4 to a gate's average infidelity, as the coherent errors of `LIAO_2024` do. The
packaged devices with fixed couplers report a median static ZZ of 60 kHz. Readout errors of two
devices moved by 6 and 14 % (median) from one day to the next.
"""

LIAO_2024 = ExtraNoise(controlled_over_rotation_rad=0.04 * pi)
"""The coherent errors of Liao et al., Nature Machine Intelligence 6, 1478 (2024), on ibmq_lima.

After each cx stands a controlled RX(theta), theta from [0, 0.04 pi), one for each direction:
github.com/qiskit-community/ml-qem, `AddNoise` in docs/tutorials/noise_utils.py, called with
theta=0.04 pi and uniform=False in docs/tutorials/h13_ising_data_gen.ipynb. That is RX(theta/2) of
the target times RZX(-theta/2), so no angle of `fixed_over_rotation_rad` can stand for it.
"""


def calibration_under(snapshot: CalibrationSnapshot, extra: ExtraNoise) -> CalibrationSnapshot:
    """What mitigators are told of the device: its calibration, but of a perfect readout."""
    if not extra.perfect_readout:
        return snapshot
    perfect = (
        msgspec.structs.replace(qubit, prob_meas1_prep0=0.0, prob_meas0_prep1=0.0)
        for qubit in snapshot.qubits
    )
    return msgspec.structs.replace(snapshot, qubits=tuple(perfect))


def true_noise(
    snapshot: CalibrationSnapshot,
    physical_qubits: Sequence[int],
    extra: ExtraNoise,
    seed: RootSeed,
) -> DeviceNoise:
    """The channel of the chosen qubits; with `FRIENDLY` it is what the calibration says.

    Randomness: streams "over-rotation/<edge>", "controlled-over-rotation/<first>-<second>" and
    "readout/<qubit>", by physical numbers. Raises `BadInputError`.
    """
    extra.check()
    noise = device_noise(calibration_under(snapshot, extra), physical_qubits)
    if extra == FRIENDLY:
        return noise
    drifted = [_drifted(noise, i, q, extra, seed) for i, q in enumerate(physical_qubits)]
    turns = {
        ends: _turns(physical_qubits[ends[0]], physical_qubits[ends[1]], extra, seed)
        for ends in noise.two_qubit
    }
    return replace(
        noise,
        prob_meas1_prep0=tuple(errors[0] for errors in drifted),
        prob_meas0_prep1=tuple(errors[1] for errors in drifted),
        over_rotation_rad={ends: about_axis for ends, (about_axis, _) in turns.items()},
        target_turn_rad={ends: of_target for ends, (_, of_target) in turns.items()},
        idle=_idle(noise, extra),
    )


def _turns(first: int, second: int, extra: ExtraNoise, seed: RootSeed) -> tuple[float, float]:
    """Angles about the gate's own axis and of its second qubit alone."""
    edge = f"{min(first, second)}-{max(first, second)}"
    drawn = float(seed.generator(f"over-rotation/{edge}").standard_normal())
    about_axis = extra.fixed_over_rotation_rad + extra.over_rotation_rad * drawn
    share = float(seed.generator(f"controlled-over-rotation/{first}-{second}").random())
    # exp(-i theta/2 (1 - Z)/2 X) is a half turn of the target and the other half, reversed, with Z
    half = extra.controlled_over_rotation_rad * share / 2
    return about_axis - half, half


def _drifted(
    noise: DeviceNoise, index: int, qubit: int, extra: ExtraNoise, seed: RootSeed
) -> tuple[float, float]:
    factors = seed.generator(f"readout/{qubit}").standard_normal(2) * extra.readout_drift
    calibrated = noise.prob_meas1_prep0[index], noise.prob_meas0_prep1[index]
    up, down = (
        min(error * exp(factor), max(error, _HIGHEST_READOUT_ERROR))
        for error, factor in zip(calibrated, factors, strict=True)
    )
    return up, down


def _idle(noise: DeviceNoise, extra: ExtraNoise) -> IdleNoise | None:
    if not extra.idle_relaxation and not extra.zz_crosstalk_hz:
        return None
    pairs = {(min(ends), max(ends)) for ends in noise.two_qubit}
    return IdleNoise(extra.idle_relaxation, extra.zz_crosstalk_hz, tuple(sorted(pairs)))
