"""Each bad option is one line, and what was checked is what is recorded."""

from __future__ import annotations

import math
from typing import Any

import pytest

from quantumai.canonical import canonical_json, parse_canonical_json, sha256_hex
from quantumai.errors import BadInputError
from quantumai.jobs.request import MAX_SHOTS, prepare_job
from quantumai.mitigation.methods import METHODS
from tests.unit.jobs.finished_jobs import CIRCUIT, OBSERVABLES, small_job

BAD: list[tuple[str, Any]] = [
    *(("shots", value) for value in (0, -1, MAX_SHOTS + 1, 10**12, 10**5000, True, 1.5, "9\n9")),
    ("shots", 1),  # two measurement bases
    *(
        ("tolerance", value)
        for value in (0, -0.1, 2.1, math.nan, math.inf, 10**400, "0.05", None, True)
    ),
    *(("max_cost", value) for value in (0, -1.0, math.nan, math.inf, "1\n2", True)),
    *(("em", value) for value in ("", "zne ", "ml\nqem", None)),
    *(("engine", value) for value in ("", "gpu", "aer\n", None)),
    *(("crypto_mode", value) for value in ("", "PQC", "pqc\nrequired", None)),
    *(("backend", value) for value in (None, 7)),
    *(("seed", value) for value in (7, b"7", "\udcff")),
]


def repr_or_long(part: object) -> str:
    return "long" if isinstance(part, int) and part > 10**20 else repr(part)


@pytest.mark.parametrize(("name", "value"), BAD, ids=repr_or_long)
def test_a_bad_option_is_one_line(name: str, value: Any) -> None:
    with pytest.raises(BadInputError) as caught:
        small_job(**{name: value})
    message = str(caught.value) + caught.value.hint
    assert len(message.splitlines()) == 1
    assert len(message) < 200


@pytest.mark.parametrize("observables", [(), ("ZZ",), ("ZZZZ",), ("ZZQ",), ("III",), ("ZII",) * 2])
def test_bad_observables(observables: tuple[str, ...]) -> None:
    with pytest.raises(BadInputError):
        prepare_job(CIRCUIT, observables, shots=100)


@pytest.mark.parametrize(
    "options",
    [
        {"shots": 2},
        {"shots": MAX_SHOTS},
        {"tolerance": 2},
        {"max_cost": 3},
        *({"em": method} for method in METHODS),
    ],
    ids=repr,
)
def test_the_edges_are_taken(options: dict[str, Any]) -> None:
    request = small_job(**options).request
    assert all(getattr(request, name) == value for name, value in options.items())


def test_the_request_is_recorded_whole() -> None:
    request = small_job(max_cost=1, backend="x", em="rem").request
    plain = parse_canonical_json(canonical_json(request.to_json()))
    assert plain["observables"] == list(OBSERVABLES)
    assert plain["circuit_sha256"] == sha256_hex(CIRCUIT.source.encode())
    assert plain["seed"] == "sha256:" + sha256_hex(b"7")
    assert (plain["max_cost"], plain["backend"], plain["em"]) == (1, "x", "rem")
    assert request.sha256 == sha256_hex(canonical_json(plain))


def test_without_a_seed_every_job_has_its_own() -> None:
    assert small_job(seed=None).request.seed != small_job(seed=None).request.seed
    assert small_job().request.seed == small_job().request.seed
