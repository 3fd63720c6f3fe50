"""One circuit of a benchmark, fully determined by its variant, size, parameters and seed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import msgspec

from quantumai.canonical import canonical_json, sha256_hex
from quantumai.circuits.circuit import Circuit
from quantumai.circuits.families import liao_2024, random, trotter, variational
from quantumai.circuits.loading import from_qiskit
from quantumai.errors import BadInputError
from quantumai.randomness import RootSeed

if TYPE_CHECKING:
    import numpy as np
    from qiskit import QuantumCircuit

MIN_QUBITS, MAX_QUBITS = 4, 12


@dataclass(frozen=True)
class BenchmarkCircuit:
    """`family` is the specification's; `parameters` are complete, with defaults filled in.

    `observables` are Pauli strings in Qiskit's order, fixed before any ideal value is seen.
    """

    family: str
    variant: str
    parameters: Mapping[str, Any]
    seed: int
    circuit: Circuit
    observables: tuple[str, ...]

    @cached_property
    def circuit_id(self) -> str:
        """`sha256:<hex>` of what is run and asked: OpenQASM text and observables."""
        return circuit_id(self.circuit, self.observables)


def circuit_id(circuit: Circuit, observables: tuple[str, ...]) -> str:
    """The content hash of a circuit with its observables; its name and origin do not count."""
    content = {"source": circuit.source, "observables": list(observables)}
    return "sha256:" + sha256_hex(canonical_json(content))


@dataclass(frozen=True)
class _Variant:
    family: str
    form: type[msgspec.Struct]
    build: Callable[[int, Any, np.random.Generator], tuple[QuantumCircuit, tuple[str, ...]]]


_VARIANTS: Mapping[str, _Variant] = {
    "brickwork": _Variant("random", random.Brickwork, random.brickwork),
    "clifford_t": _Variant("random", random.CliffordT, random.clifford_t),
    "tfim": _Variant("trotter", trotter.Tfim, trotter.tfim),
    "heisenberg": _Variant("trotter", trotter.Heisenberg, trotter.heisenberg),
    **{
        name: _Variant("trotter", trotter.Molecular, partial(trotter.molecular, name))
        for name in trotter.MOLECULES
    },
    "vqe": _Variant("variational", variational.Vqe, variational.vqe),
    "qaoa": _Variant("variational", variational.Qaoa, variational.qaoa),
    "liao_random": _Variant("random", liao_2024.LiaoRandom, liao_2024.liao_random),
    "liao_ising": _Variant("trotter", liao_2024.LiaoIsing, liao_2024.liao_ising),
}
VARIANTS: Mapping[str, str] = {name: variant.family for name, variant in _VARIANTS.items()}
"""Variant -> the specification's family."""
SEEDLESS = ("tfim", "heisenberg")
"""Variants whose seed changes nothing."""


def benchmark_circuit(
    variant: str, num_qubits: int, parameters: Mapping[str, Any], seed: int
) -> BenchmarkCircuit:
    """The circuit number `seed` of a variant; the same call, the same circuit.

    Raises `BadInputError` for an unknown variant, parameter, or size (4 to 12 qubits).
    """
    known = _VARIANTS.get(variant)
    if known is None:
        raise BadInputError(
            f"unknown circuit variant {variant[:40]!r}", hint=f"one of {', '.join(_VARIANTS)}"
        )
    if not MIN_QUBITS <= num_qubits <= MAX_QUBITS:
        raise BadInputError(f"{num_qubits} qubits: families have {MIN_QUBITS} to {MAX_QUBITS}")
    try:
        wanted = msgspec.convert(dict(parameters), known.form)
    except msgspec.ValidationError as error:
        raise BadInputError(
            f"parameters of {variant}: {error}",
            hint=f"it takes {', '.join(known.form.__struct_fields__)}",
        ) from None
    full = msgspec.to_builtins(wanted)
    # Parameters are in the stream's name: circuits that differ in one share no random numbers.
    stream = f"circuits/{variant}/{num_qubits}/{canonical_json(full).decode()}"
    quantum, observables = known.build(num_qubits, wanted, RootSeed.of(str(seed)).generator(stream))
    circuit = from_qiskit(quantum, name=f"{variant}-{num_qubits}q-{seed}")
    return BenchmarkCircuit(known.family, variant, full, seed, circuit, observables)
