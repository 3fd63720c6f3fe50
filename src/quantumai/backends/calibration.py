"""Calibration snapshots: what one device measured of itself at one time, after repair.

All times are seconds, all errors and probabilities are plain shares (0..1). A snapshot is
immutable; its identity is the SHA-256 of its canonical bytes.
"""

from __future__ import annotations

import math
from typing import Any

import msgspec

from quantumai.canonical import canonical_json, sha256_hex
from quantumai.errors import BadInputError

TWO_QUBIT_GATES = ("cx", "cz", "ecr")
ONE_QUBIT_GATES = ("rz", "sx", "x")


class QubitCalibration(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One qubit. A usable qubit has 0 < `t2_s` <= 2 `t1_s` and both readout errors below 0.5.

    `sx_error` is the average gate infidelity of sx (and x, which IBM reports alike); rz is
    virtual, without error or duration. Where `operational` is false the numbers are finite but
    may be 0.0 for "not known": no circuit may use the qubit.
    """

    t1_s: float
    t2_s: float
    prob_meas1_prep0: float
    prob_meas0_prep1: float
    sx_error: float
    sx_duration_s: float
    operational: bool


class EdgeCalibration(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The two-qubit gate in one native direction; `error` is its average gate infidelity."""

    control: int
    target: int
    error: float
    duration_s: float


class Repair(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What was excluded or clipped, where ("qubit 3", "cx 0-1") and why, with the old value."""

    where: str
    what: str


class CalibrationSnapshot(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A device's repaired calibration; `qubits[i]` is physical qubit i, `edges` only usable ones.

    `created_at` is ISO 8601 UTC with a final "Z"; `snapshot_id` is "cal-<backend>-<that time>".
    A pair of qubits that works in both directions has two entries in `edges`.
    """

    snapshot_id: str
    backend_id: str
    created_at: str
    num_qubits: int
    two_qubit_gate: str
    one_qubit_gates: tuple[str, ...]
    qubits: tuple[QubitCalibration, ...]
    edges: tuple[EdgeCalibration, ...]
    repairs: tuple[Repair, ...]

    def to_bytes(self) -> bytes:
        """The snapshot's one byte form: canonical JSON (RFC 8785)."""
        plain: Any = msgspec.to_builtins(self)
        return canonical_json(plain)

    @property
    def sha256(self) -> str:
        """SHA-256 of `to_bytes()`, lower-case hex."""
        return sha256_hex(self.to_bytes())

    @classmethod
    def from_bytes(cls, data: bytes) -> CalibrationSnapshot:
        """Read a snapshot and check that it hangs together, or raise `BadInputError`.

        It does not check that `data` is in canonical form (that costs ten times the reading):
        compare `sha256_hex(data)` with the hash under which the snapshot is known instead.
        """
        try:
            snapshot = msgspec.json.decode(data, type=cls)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise BadInputError(f"not a calibration snapshot: {error}") from None
        _check(snapshot)
        return snapshot


def _check(snapshot: CalibrationSnapshot) -> None:
    """Raise `BadInputError` unless every number is one that a noise model can be built from."""

    def require(holds: bool, what: str) -> None:
        if not holds:
            raise BadInputError(f"calibration snapshot {snapshot.snapshot_id!r}: {what}")

    require(snapshot.two_qubit_gate in TWO_QUBIT_GATES, "unknown two-qubit gate")
    require(len(snapshot.qubits) == snapshot.num_qubits, "num_qubits is not the number of qubits")
    for index, qubit in enumerate(snapshot.qubits):
        numbers = (qubit.t1_s, qubit.t2_s, qubit.sx_error, qubit.sx_duration_s)
        require(all(0 <= v < math.inf for v in numbers), f"qubit {index} has an impossible number")
        readout = (qubit.prob_meas1_prep0, qubit.prob_meas0_prep1)
        require(all(0 <= p <= 0.5 for p in readout), f"qubit {index} has an impossible readout")
        if qubit.operational:
            require(0 < qubit.t2_s <= 2 * qubit.t1_s, f"qubit {index} has an impossible T1 or T2")
    seen: set[tuple[int, int]] = set()
    for edge in snapshot.edges:
        pair = (edge.control, edge.target)
        require(pair not in seen, f"edge {pair} is listed twice")
        seen.add(pair)
        require(edge.control != edge.target, f"edge {pair} joins a qubit to itself")
        for index in pair:
            require(0 <= index < snapshot.num_qubits, f"edge {pair} names an unknown qubit")
            require(snapshot.qubits[index].operational, f"edge {pair} uses an unusable qubit")
        require(0 <= edge.error < 0.5, f"edge {pair} has an impossible error")
        require(0 < edge.duration_s < math.inf, f"edge {pair} has an impossible duration")
