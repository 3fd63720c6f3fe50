"""What is read from a backend object: its name and calibration, and never what it keeps secret."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from qiskit.providers.basic_provider import BasicSimulator
from qiskit.providers.fake_provider import GenericBackendV2

from quantumai.errors import BadInputError
from quantumai.sdk.recorded_backend import (
    backend_name,
    calibration_of,
    environment,
    library_versions,
)


class Named:
    def __init__(self, name: Any) -> None:
        self.name = name


@pytest.mark.parametrize(
    ("backend", "name"),
    [
        ("lab 7", "lab 7"),
        (BasicSimulator(), "basic_simulator"),
        (Named("x"), "x"),
        (Named(lambda: "old style"), "old style"),
    ],
)
def test_the_name(backend: Any, name: str) -> None:
    assert backend_name(backend) == name


@pytest.mark.parametrize("backend", ["", None, 3, Named(None), Named(3), "a\nb", "x" * 201])
def test_what_has_no_name_is_refused(backend: Any) -> None:
    with pytest.raises(BadInputError, match="names no backend"):
        backend_name(backend)


def test_errors_and_lengths_in_a_qiskit_target_are_its_calibration() -> None:
    backend = GenericBackendV2(3, seed=5)
    made = calibration_of(backend)
    assert made is not None
    told = json.loads(made)
    assert told["kind"] == "qiskit-target"
    found = {(g["gate"], *g["qubits"]): g["error"] for g in told["data"]["gates"]}
    assert found["cx", 0, 1] == backend.target["cx"][(0, 1)].error
    assert told["data"]["qubits"][2]["t1_s"] == backend.target.qubit_properties[2].t1


def test_ibm_properties_are_taken_with_their_times_in_utc() -> None:
    fake = pytest.importorskip("qiskit_ibm_runtime.fake_provider")
    backend = fake.FakeManilaV2()
    made = calibration_of(backend)
    assert made is not None
    told = json.loads(made)
    assert told["kind"] == "qiskit-properties"
    data = told["data"]
    assert data["last_update_date"].endswith("+00:00")
    t1 = next(each for each in data["qubits"][0] if each["name"] == "T1")
    assert t1["value"] == pytest.approx(backend.properties().t1(0) * 1e6)


@pytest.mark.parametrize("backend", ["lab", BasicSimulator()])
def test_no_calibration_is_none(backend: Any) -> None:
    assert calibration_of(backend) is None


def test_what_a_vendor_could_not_measure_is_null() -> None:
    class Told:
        def to_dict(self) -> dict[str, Any]:
            return {"t1": math.nan, "t2": (1.0, math.inf)}

    class Backend:
        name = "b"

        def properties(self) -> Told:
            return Told()

    made = calibration_of(Backend())
    assert made is not None
    assert json.loads(made)["data"] == {"t1": None, "t2": [1, None]}


def test_the_environment_has_versions_and_no_host() -> None:
    import platform
    from importlib.metadata import version

    told = json.loads(environment())
    assert told["libraries"]["qiskit"] == version("qiskit") == library_versions()["qiskit"]
    assert "mitiq" not in told["libraries"] or "mitiq" in __import__("sys").modules
    assert platform.node() not in environment().decode()
