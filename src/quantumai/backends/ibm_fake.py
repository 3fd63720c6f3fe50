"""IBM's fake devices: calibration that real devices published, read without importing Qiskit.

`qiskit_ibm_runtime` carries a configuration and a properties file for each device. Importing
its `fake_provider` costs seconds, reading two files milliseconds.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from quantumai.backends.calibration import (
    ONE_QUBIT_GATES,
    TWO_QUBIT_GATES,
    CalibrationSnapshot,
)
from quantumai.backends.cleaning import RawEdge, RawQubit, clean
from quantumai.errors import BadInputError

T = TypeVar("T")

SECONDS_PER_UNIT = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9, "ps": 1e-12}
_DEVICE = re.compile(r"[a-z][a-z0-9_]{0,40}")


class _Parameter(msgspec.Struct):
    name: str
    value: Any = None
    unit: str = ""


class _Gate(msgspec.Struct):
    gate: str
    qubits: tuple[int, ...]
    parameters: tuple[_Parameter, ...] = ()


class Properties(msgspec.Struct):
    """What we read of a device's properties as IBM publishes them, in the units they name."""

    last_update_date: str
    qubits: tuple[tuple[_Parameter, ...], ...]
    gates: tuple[_Gate, ...]


class _Configuration(msgspec.Struct):
    n_qubits: int
    basis_gates: tuple[str, ...]


def backend_id_of(device: str) -> str:
    """The product's id of a fake device: "brisbane" -> "ibm.fake_brisbane"."""
    return f"ibm.fake_{device}"


def read_snapshot(device: str) -> CalibrationSnapshot:
    """Read and repair the packaged calibration of a fake device such as "brisbane".

    Raises `BadInputError` if the package or the device is missing, or if the device lacks the
    gates rz, sx, x and exactly one of cx, cz, ecr.
    """
    folder = _folder(device)
    configuration = _read(folder / f"conf_{device}.json", _Configuration)
    properties = _read(folder / f"props_{device}.json", Properties)
    return snapshot_of(backend_id_of(device), configuration.basis_gates, properties)


def devices() -> tuple[str, ...]:
    """Names of all packaged devices that have both files, sorted; many lack the gates we need."""
    root = _root()
    names = sorted(path.name for path in root.iterdir() if path.is_dir())
    return tuple(name for name in names if (root / name / f"props_{name}.json").is_file())


def snapshot_of(
    backend_id: str, basis_gates: Iterable[str], properties: Properties
) -> CalibrationSnapshot:
    """Turn IBM's properties (times in the units they name) into a repaired snapshot."""
    two_qubit_gate = _two_qubit_gate(backend_id, basis_gates)
    by_gate: dict[str, list[_Gate]] = {}
    for gate in properties.gates:
        by_gate.setdefault(gate.gate, []).append(gate)
    sx = {
        gate.qubits[0]: _by_name(gate.parameters) for gate in by_gate.get("sx", ()) if gate.qubits
    }
    cleaned = clean(
        two_qubit_gate,
        [_raw_qubit(_by_name(q), sx.get(index, {})) for index, q in enumerate(properties.qubits)],
        [_raw_edge(gate) for gate in by_gate.get(two_qubit_gate, ()) if len(gate.qubits) == 2],
    )
    created_at = _utc(backend_id, properties.last_update_date)
    return CalibrationSnapshot(
        snapshot_id=f"cal-{backend_id}-{created_at}",
        backend_id=backend_id,
        created_at=created_at,
        num_qubits=len(cleaned.qubits),
        two_qubit_gate=two_qubit_gate,
        one_qubit_gates=ONE_QUBIT_GATES,
        qubits=cleaned.qubits,
        edges=cleaned.edges,
        repairs=cleaned.repairs,
    )


def _raw_qubit(qubit: Mapping[str, _Parameter], sx: Mapping[str, _Parameter]) -> RawQubit:
    return RawQubit(
        t1_s=_seconds(qubit.get("T1")),
        t2_s=_seconds(qubit.get("T2")),
        prob_meas1_prep0=_number(qubit.get("prob_meas1_prep0")),
        prob_meas0_prep1=_number(qubit.get("prob_meas0_prep1")),
        sx_error=_number(sx.get("gate_error")),
        sx_duration_s=_seconds(sx.get("gate_length")),
        operational=_operational(qubit) and _operational(sx),
    )


def _raw_edge(gate: _Gate) -> RawEdge:
    parameters = _by_name(gate.parameters)
    return RawEdge(
        control=gate.qubits[0],
        target=gate.qubits[1],
        error=_number(parameters.get("gate_error")),
        duration_s=_seconds(parameters.get("gate_length")),
        operational=_operational(parameters),
    )


def _by_name(parameters: Iterable[_Parameter]) -> dict[str, _Parameter]:
    return {parameter.name: parameter for parameter in parameters}


def _operational(parameters: Mapping[str, _Parameter]) -> bool:
    stated = parameters.get("operational")
    return stated is None or bool(stated.value)


def _number(parameter: _Parameter | None) -> float | None:
    """The value as a float (possibly NaN), or None where there is none or it is not a number."""
    if parameter is None or isinstance(parameter.value, bool):
        return None
    if not isinstance(parameter.value, int | float):
        return None
    try:
        return float(parameter.value)
    except OverflowError:
        return math.inf


def _seconds(parameter: _Parameter | None) -> float | None:
    """The value in seconds; None also for a unit that is not a time, which must not be guessed."""
    value = _number(parameter)
    if parameter is None or value is None or parameter.unit not in SECONDS_PER_UNIT:
        return None
    return value * SECONDS_PER_UNIT[parameter.unit]


def _two_qubit_gate(backend_id: str, basis_gates: Iterable[str]) -> str:
    basis = set(basis_gates)
    found = [gate for gate in TWO_QUBIT_GATES if gate in basis]
    if len(found) != 1 or not basis.issuperset(ONE_QUBIT_GATES):
        raise BadInputError(
            f"backend {backend_id} has the gates {', '.join(sorted(basis))}",
            hint="choose a device with rz, sx, x and exactly one of cx, cz, ecr",
        )
    return found[0]


def _utc(backend_id: str, text: str) -> str:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise BadInputError(f"backend {backend_id}: not a date: {text!r}") from None
    if moment.tzinfo is None:
        raise BadInputError(f"backend {backend_id}: date without a time zone: {text!r}")
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _root() -> Path:
    spec = find_spec("qiskit_ibm_runtime")
    for location in (spec.submodule_search_locations or ()) if spec else ():
        folder = Path(location) / "fake_provider" / "backends"
        if folder.is_dir():
            return folder
    raise BadInputError(
        "IBM's fake devices are not installed", hint="install the package qiskit-ibm-runtime"
    )


def _folder(device: str) -> Path:
    folder = _root() / device
    if not _DEVICE.fullmatch(device) or not (folder / f"props_{device}.json").is_file():
        raise BadInputError(
            f"unknown IBM fake device {device!r}",
            hint="use a name from qiskit_ibm_runtime.fake_provider without Fake, such as brisbane",
        )
    return folder


def _read(path: Path, kind: type[T]) -> T:
    # json and not msgspec.json: vendors write NaN, which is repaired, not refused.
    try:
        return msgspec.convert(json.loads(path.read_bytes()), kind)
    except (OSError, ValueError, RecursionError, msgspec.ValidationError) as error:
        raise BadInputError(
            f"cannot read {path.name}: {error}", hint="reinstall qiskit-ibm-runtime"
        ) from None
