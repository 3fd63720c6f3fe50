"""What a user asks for, checked before a home is opened or anything is spent."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from quantumai.canonical import canonical_json, sha256_hex
from quantumai.circuits.circuit import Circuit, SourceFormat
from quantumai.circuits.observables import measurement_bases, parse_observables
from quantumai.crypto_mode import CryptoMode
from quantumai.errors import BadInputError
from quantumai.execution.run import split_shots
from quantumai.jobs.object_names import check_tenant
from quantumai.mitigation.methods import METHODS, Method, find_method
from quantumai.randomness import RootSeed

AUTO = "auto"
MAX_SHOTS = 10_000_000
MIN_TOLERANCE = 1e-6
MAX_SEED_CHARACTERS = 1000
_LONGEST_NAME = 60
ENGINES = ("channel", "aer")
HOME_TENANT = "local"


class JobRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The request artefact; with the circuit's text it is all that the user said.

    `shots` is what method "none" would spend; `max_cost` in USD; `seed` the root seed.
    """

    schema_version: int
    circuit_sha256: str
    circuit_format: SourceFormat
    circuit_name: str
    observables: tuple[str, ...]
    shots: int
    crypto_mode: CryptoMode
    backend: str
    em: str
    tolerance: float
    max_cost: float | None
    seed: str
    engine: str
    tenant: str = HOME_TENANT

    def to_json(self) -> dict[str, Any]:
        """Plain JSON data, ready to be canonicalised."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        return plain

    @property
    def sha256(self) -> str:
        """SHA-256 of the canonical JSON."""
        return sha256_hex(canonical_json(self.to_json()))

    @property
    def methods(self) -> tuple[Method, ...]:
        """The methods to consider."""
        return tuple(METHODS.values()) if self.em == AUTO else (find_method(self.em),)

    @property
    def backend_id(self) -> str | None:
        """The one backend to consider, or None for all."""
        return None if self.backend == AUTO else self.backend


@dataclass(frozen=True)
class PreparedJob:
    """A checked request and its circuit."""

    request: JobRequest
    circuit: Circuit


def prepare_job(
    circuit: Circuit,
    observables: Sequence[str],
    *,
    shots: int,
    crypto_mode: str = CryptoMode.PQC_REQUIRED,
    backend: str = AUTO,
    em: str = AUTO,
    tolerance: float = 0.05,
    max_cost: float | None = None,
    seed: str | None = None,
    engine: str = ENGINES[0],
    tenant: str = HOME_TENANT,
) -> PreparedJob:
    """Check everything that needs no home; raises `BadInputError` at the first mistake."""
    names = {"crypto mode": crypto_mode, "backend": backend, "em": em, "engine": engine}
    for name, text in names.items():
        if not isinstance(text, str):
            raise BadInputError(f"{name} must be text, not a {type(text).__name__}")
        if len(text) > _LONGEST_NAME:
            raise BadInputError(f"unknown {name} {text[:_LONGEST_NAME] + '...'!r}")
    if not (seed is None or isinstance(seed, str)):
        raise BadInputError(f"seed must be text, not a {type(seed).__name__}", hint='seed="7"')
    if seed is not None and not 1 <= len(seed) <= MAX_SEED_CHARACTERS:
        raise BadInputError(f"seed must have 1 to {MAX_SEED_CHARACTERS} characters")
    if seed is not None and not seed.isprintable():
        raise BadInputError("seed must be printable text")
    paulis = parse_observables(observables, circuit.num_qubits)
    if type(shots) is not int or not 1 <= shots <= MAX_SHOTS:
        raise BadInputError(f"shots must be from 1 to {MAX_SHOTS}, not {_shown(shots)}")
    split_shots(shots, len(measurement_bases(paulis)))
    if not (_is_finite(tolerance) and MIN_TOLERANCE <= tolerance <= 2):
        raise BadInputError(
            f"tolerance must be from {MIN_TOLERANCE:g} to 2, not {_shown(tolerance)}",
            hint="no method reaches an error below that",
        )
    if max_cost is not None and not (_is_finite(max_cost) and max_cost > 0):
        raise BadInputError(f"max-cost must be a positive number of USD, not {_shown(max_cost)}")
    if em != AUTO:
        find_method(em)
    if engine not in ENGINES:
        raise BadInputError(f"unknown engine {engine!r}", hint=f"use one of: {', '.join(ENGINES)}")
    request = JobRequest(
        schema_version=1,
        circuit_sha256=circuit.sha256,
        circuit_format=circuit.source_format,
        circuit_name=circuit.name,
        observables=paulis,
        shots=shots,
        crypto_mode=CryptoMode.parse(crypto_mode),
        backend=backend,
        em=em,
        tolerance=float(tolerance),
        max_cost=None if max_cost is None else float(max_cost),
        seed=RootSeed.of(seed).text,
        engine=engine,
        tenant=check_tenant(tenant),
    )
    return PreparedJob(request, circuit)


def _is_finite(value: object) -> bool:
    """Whether `value` is a number that a float holds (not a truth value, NaN or 10**400)."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) <= sys.float_info.max


def _shown(value: object) -> str:
    """A value from the caller in one short line; Python refuses to write out very long integers."""
    return "that" if isinstance(value, int) and abs(value) >= 10**20 else f"{value!r:.40}"
