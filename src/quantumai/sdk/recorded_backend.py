"""What a backend object tells of itself: its name and its calibration. Nothing else is read.

A backend object holds sessions and tokens. Only the members named here are looked at, and of those
only what a calibration consists of is kept.
"""

from __future__ import annotations

import json
import math
import platform
import sys
from collections.abc import Mapping
from datetime import UTC, date, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from quantumai.canonical import canonical_json
from quantumai.circuits.qasm_tokens import one_line
from quantumai.errors import BadInputError
from quantumai.provenance.statements.plain_json import plain_json
from quantumai.sdk.foreign import is_a

_LONGEST_NAME = 200
_HINT = 'give a backend object, or its name as backend="..."'
# Libraries whose version matters to a run, by the name of their module; only loaded ones are named.
_LIBRARIES = {
    "braket": "amazon-braket-sdk",
    "braket.default_simulator": "amazon-braket-default-simulator",
    "mitiq": "mitiq",
    "numpy": "numpy",
    "qiskit": "qiskit",
    "qiskit_aer": "qiskit-aer",
    "qiskit_ibm_runtime": "qiskit-ibm-runtime",
    "rustworkx": "rustworkx",
    "scipy": "scipy",
}


def backend_name(backend: Any) -> str:
    """The backend's name: text as it is, else what a Qiskit or Braket object calls itself.

    Raises `BadInputError` for an object without a name.
    """
    name = backend if isinstance(backend, str) else _name_of(backend)
    text = str(plain_json(name, "the backend's name")) if isinstance(name, str) else ""
    if not text or len(text) > _LONGEST_NAME or text != one_line(text):
        raise BadInputError(f"a {type(backend).__name__} names no backend", hint=_HINT)
    return text


def calibration_of(backend: Any) -> bytes | None:
    """The backend's calibration as canonical JSON, or None where it tells of none.

    From a Qiskit backend its properties, or else the errors and lengths in its target; from a
    Braket device the standardised and the vendor's properties.
    """
    found = _calibration(backend)
    if found is None:
        return None
    kind, data = found
    plain = plain_json(_told(data), "the calibration")
    return canonical_json({"schema_version": 1, "kind": kind, "data": plain})


def library_versions() -> dict[str, str]:
    """Versions of Python and of the libraries of the field that this process has loaded."""
    found = {}
    for module, distribution in _LIBRARIES.items():
        if module not in sys.modules:
            continue
        try:
            found[distribution] = version(distribution)
        except PackageNotFoundError:  # loaded from its source
            found[distribution] = "not installed"
    return found | {"python": platform.python_version()}


def environment() -> bytes:
    """Interpreter, operating system and libraries as canonical JSON; no person's or host's name."""
    return canonical_json(
        {
            "schema_version": 1,
            "python": platform.python_version(),
            "implementation": platform.python_implementation(),
            "system": platform.system(),
            "machine": platform.machine(),
            "libraries": library_versions(),
        }
    )


def _name_of(backend: Any) -> Any:
    name = getattr(backend, "name", None)
    return name() if callable(name) else name


def _calibration(backend: Any) -> tuple[str, Any] | None:
    if isinstance(backend, str):
        return None
    if is_a(backend, "braket", "Device"):
        properties = backend.properties
        parts = {
            part: _of_model(getattr(properties, part, None))
            for part in ("standardized", "provider")
        }
        told = {part: data for part, data in parts.items() if data}
        return ("braket-properties", told) if told else None
    properties = getattr(backend, "properties", None)
    if callable(properties) and (told := properties()) is not None and hasattr(told, "to_dict"):
        return "qiskit-properties", told.to_dict()
    target = getattr(backend, "target", None)
    data = _of_target(target) if is_a(target, "qiskit", "Target") else None
    return ("qiskit-target", data) if data else None


def _of_model(model: Any) -> Any:
    """A pydantic model's plain data: Braket uses the interface of version 1."""
    return json.loads(model.json()) if hasattr(model, "json") else model


def _of_target(target: Any) -> dict[str, Any] | None:
    gates = [
        {"gate": name, "qubits": list(qubits), "error": told.error, "duration_s": told.duration}
        for name, places in target.items()
        for qubits, told in (places.items() if isinstance(places, Mapping) else ())
        if qubits is not None and told is not None and told.error is not None
    ]
    if not gates:
        return None
    qubits = [
        {
            name: getattr(each, member, None)
            for name, member in (("t1_s", "t1"), ("t2_s", "t2"), ("frequency_hz", "frequency"))
        }
        for each in target.qubit_properties or ()
    ]
    return {"gates": gates, "qubits": qubits}


def _told(value: Any) -> Any:
    """Times as ISO 8601, in UTC where the zone is known; what could not be measured as None."""
    if isinstance(value, datetime):
        return (value.astimezone(UTC) if value.tzinfo else value).isoformat()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {name: _told(member) for name, member in value.items()}
    if isinstance(value, list | tuple):
        return [_told(member) for member in value]
    return value
