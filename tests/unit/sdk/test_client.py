"""Slips of a caller: told in one line with a hint, before anything is read or made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import quantumai
from quantumai.errors import BadInputError

CIRCUIT = "OPENQASM 3.0;\nqubit[2] q;\n"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"circuit": None}, "a NoneType is no circuit"),
        ({"circuit": type("QuantumCircuit", (), {"data": ()})()}, "a QuantumCircuit is no circuit"),
        ({"observables": 5}, "observables are a list"),
        ({"observables": "ZZ"}, "observables are a list"),
        ({"observables": {"ZZ": 1}}, "observables are a list"),
        ({"observables": ["ZZ", None]}, "observables are a list"),
        ({"observables": ["ZQ"]}, "letters other than"),
        ({"seed": 10**5000}, "seed must be text"),
        ({"seed": "a\x1b[2J"}, "seed must be printable"),
        ({"progress": 5}, "progress is a function"),
        ({"home": ""}, "a home is the path"),
        ({"home": b"home"}, "a home is the path"),
    ],
)
def test_a_slip_leaves_no_home(tmp_path: Path, given: dict[str, Any], message: str) -> None:
    home = tmp_path / "home"
    with pytest.raises(BadInputError, match=message) as caught:
        quantumai.run(**({"circuit": CIRCUIT, "observables": ["ZZ"], "home": home} | given))
    assert "\n" not in str(caught.value)
    assert not home.exists()


@pytest.mark.parametrize("job_id", [None, "", 5, -(2**70), b"ab"])
def test_a_job_is_named_by_text(tmp_path: Path, job_id: Any) -> None:
    for call in (quantumai.verify, quantumai.replay):
        with pytest.raises(BadInputError, match="named by its id") as caught:
            call(job_id, home=tmp_path / "home")
        assert caught.value.hint
