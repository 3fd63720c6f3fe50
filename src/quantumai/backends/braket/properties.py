"""Device properties in Braket's JSON schema as a calibration snapshot, by the one cleaning.

Read are the parts `paradigm`, `service` and `standardized` (versions 1 and 2) of a device's
capabilities, as `GetDevice` returns them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec

from quantumai.backends.calibration import ONE_QUBIT_GATES, CalibrationSnapshot, Repair
from quantumai.backends.cleaning import RawEdge, RawQubit, clean
from quantumai.backends.ibm_fake import SECONDS_PER_UNIT
from quantumai.errors import BadInputError

# Rigetti writes seconds as "S".
_SECONDS = {**SECONDS_PER_UNIT, "S": 1.0}
_GATES = {"cz": "cz", "ecr": "ecr", "cnot": "cx"}
# Some devices publish both directions, as errors, though the field is called fidelity.
_READOUT_ERRORS = ("READOUT_ERROR_0_TO_1", "READOUT_ERROR_1_TO_0")
_BENCHMARKS = ("RANDOMIZED_BENCHMARKING", "SIMULTANEOUS_RANDOMIZED_BENCHMARKING")


@dataclass(frozen=True)
class GateDurations:
    """Braket's schema has none. They only part a gate's error into relaxation and the rest.

    The defaults are typical of transmons with tunable couplers.
    """

    one_qubit_s: float = 40e-9
    two_qubit_s: float = 70e-9


class _Named(msgspec.Struct):
    name: str


class _Fidelity(msgspec.Struct):
    fidelity: float
    fidelityType: _Named  # noqa: N815


class _Time(msgspec.Struct):
    value: float
    unit: str


class _Qubit(msgspec.Struct):
    T1: _Time
    T2: _Time
    oneQubitFidelity: tuple[_Fidelity, ...]  # noqa: N815


class _GateFidelity(msgspec.Struct):
    gateName: str  # noqa: N815
    fidelity: float
    direction: dict[str, int] | None = None


class _Pair(msgspec.Struct):
    twoQubitGateFidelity: tuple[_GateFidelity, ...]  # noqa: N815


class _Standardized(msgspec.Struct):
    oneQubitProperties: dict[str, _Qubit]  # noqa: N815
    twoQubitProperties: dict[str, _Pair]  # noqa: N815


class _Service(msgspec.Struct):
    updatedAt: datetime | None = None  # noqa: N815


class _Paradigm(msgspec.Struct):
    nativeGateSet: tuple[str, ...]  # noqa: N815


class DeviceProperties(msgspec.Struct):
    """What we read of a device's capabilities; Braket's own names."""

    service: _Service
    paradigm: _Paradigm
    standardized: _Standardized | None = None


def read_properties(text: str | bytes) -> DeviceProperties:
    """Parse the JSON text; `BadInputError` for another schema."""
    try:
        return msgspec.json.decode(text, type=DeviceProperties)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadInputError(f"not Braket's device properties: {error}") from None


def snapshot_of_device(
    backend_id: str, properties: DeviceProperties, durations: GateDurations | None = None
) -> CalibrationSnapshot:
    """The repaired snapshot; `created_at` is when Braket says the properties were updated.

    Where readout is published as one fidelity, both readout errors are 1 - it, and the repairs say
    so. Raises `BadInputError` for a device without such a calibration or without cz, ecr or cnot.
    """
    durations = durations or GateDurations()
    if properties.standardized is None or properties.service.updatedAt is None:
        raise BadInputError(f"backend {backend_id} publishes no calibration by qubit and its time")
    one_qubit = properties.standardized.oneQubitProperties
    pairs = properties.standardized.twoQubitProperties
    gate = _two_qubit_gate(backend_id, pairs)
    labels = _labels(backend_id, one_qubit)
    cleaned = clean(
        _GATES[gate],
        [
            _raw_qubit(one_qubit.get(labels.get(q, "")), durations)
            for q in range(max(labels, default=-1) + 1)
        ],
        list(_raw_edges(backend_id, gate, pairs, durations)),
    )
    moment = properties.service.updatedAt
    # Braket writes UTC, with or without saying so.
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    created_at = moment.strftime("%Y-%m-%dT%H:%M:%SZ")
    return CalibrationSnapshot(
        snapshot_id=f"cal-{backend_id}-{created_at}",
        backend_id=backend_id,
        created_at=created_at,
        num_qubits=len(cleaned.qubits),
        two_qubit_gate=_GATES[gate],
        one_qubit_gates=ONE_QUBIT_GATES,
        qubits=cleaned.qubits,
        edges=cleaned.edges,
        repairs=(*_assumptions(durations, one_qubit.values()), *cleaned.repairs),
    )


def _assumptions(durations: GateDurations, qubits: Iterable[_Qubit]) -> Iterator[Repair]:
    lengths = f"{durations.one_qubit_s:.4g} s and {durations.two_qubit_s:.4g} s"
    yield Repair("device", f"gate durations are not published: {lengths} assumed")
    published = [{one.fidelityType.name.upper() for one in q.oneQubitFidelity} for q in qubits]
    if not all(names.issuperset(_READOUT_ERRORS) for names in published):
        yield Repair("device", "readout errors without a direction are taken alike in both")


def _labels(backend_id: str, one_qubit: Mapping[str, _Qubit]) -> dict[int, str]:
    """Braket's text labels by number; numbers that are left out are no qubits."""
    if not all(label.isascii() and label.isdigit() and len(label) < 5 for label in one_qubit):
        raise BadInputError(f"backend {backend_id} has qubits that are no numbers")
    return {int(label): label for label in one_qubit}


def _raw_qubit(qubit: _Qubit | None, durations: GateDurations) -> RawQubit:
    if qubit is None:
        return RawQubit(None, None, None, None, None, None, operational=False)
    fidelities = {one.fidelityType.name.upper(): one.fidelity for one in qubit.oneQubitFidelity}
    symmetric = _error(fidelities.get("READOUT"))
    up, down = (fidelities.get(name, symmetric) for name in _READOUT_ERRORS)
    benchmarks = [fidelities[name] for name in _BENCHMARKS if name in fidelities]
    # Benchmarking reports the mean over Cliffords, which is what the average gate error means.
    sx_error = _error(benchmarks[0]) if benchmarks else None
    return RawQubit(
        _seconds(qubit.T1), _seconds(qubit.T2), up, down, sx_error, durations.one_qubit_s
    )


def _two_qubit_gate(backend_id: str, pairs: Mapping[str, _Pair]) -> str:
    """The gate with the most pairs; the first by name where two have as many."""
    found = Counter(
        one.gateName.lower() for pair in pairs.values() for one in pair.twoQubitGateFidelity
    )
    usable = {gate: found[gate] for gate in sorted(_GATES) if gate in found}
    if not usable:
        raise BadInputError(
            f"backend {backend_id} has the gates {', '.join(sorted(found)) or 'none'}",
            hint="choose a device with cz, ecr or cnot",
        )
    return max(usable, key=lambda gate: usable[gate])


def _raw_edges(
    backend_id: str, gate: str, pairs: Mapping[str, _Pair], durations: GateDurations
) -> Iterator[RawEdge]:
    for name, pair in pairs.items():
        first, _, second = name.partition("-")
        if not (first.isdigit() and second.isdigit()):
            raise BadInputError(f"backend {backend_id} has a pair {name[:20]!r}")
        for one in pair.twoQubitGateFidelity:
            if one.gateName.lower() != gate:
                continue
            ends = (int(first), int(second))
            if one.direction:
                ends = (one.direction.get("control", -1), one.direction.get("target", -1))
            # cz is symmetric, and a gate without a direction runs in both.
            both = gate == "cz" or not one.direction
            for control, target in (ends, ends[::-1])[: 2 if both else 1]:
                yield RawEdge(control, target, _error(one.fidelity), durations.two_qubit_s)


def _error(fidelity: float | None) -> float | None:
    return None if fidelity is None else 1 - fidelity


def _seconds(time: _Time) -> float | None:
    """None also for a unit that is not a time, which must not be guessed."""
    return time.value * _SECONDS[time.unit] if time.unit in _SECONDS else None
