"""Reduces a Qiskit circuit to its unitary part in standard gates, or says why it cannot."""

from __future__ import annotations

import math
from functools import cache
from typing import TYPE_CHECKING, Any

from quantumai.circuits.qasm_expansion import MAX_OPERATIONS
from quantumai.circuits.qasm_limits import MAX_QUBITS
from quantumai.circuits.qasm_tokens import one_line
from quantumai.errors import BadInputError

if TYPE_CHECKING:
    from qiskit import QuantumCircuit

_STATIC = "give a circuit of gates with measurements at the end only"
_NOT_GATES = frozenset({"delay", "reset", "measure"})
_MAX_COMPARED_QUBITS = 4


@cache
def standard_gates() -> dict[str, Any]:
    """Gate classes of Qiskit's standard library by OpenQASM name."""
    from qiskit.circuit.library import get_standard_gate_name_mapping

    return {
        name: gate.base_class
        for name, gate in get_standard_gate_name_mapping().items()
        if name not in _NOT_GATES
    }


def unitary_part(qc: QuantumCircuit) -> tuple[QuantumCircuit, tuple[int, ...]]:
    """The gates of `qc` on all its qubits in their order, and the qubits measured at its end.

    Definitions are expanded until only standard gates are left; barriers are dropped. A gate
    that a file defines itself under a standard name stays one gate if its matrix is the
    standard one (up to global phase), else its own definition counts.

    Raises `BadInputError` for anything that acts after a measurement of the same qubit, and for
    resets, delays, control flow, free parameters and parameters that are not finite.
    """
    from qiskit import QuantumCircuit

    if qc.num_qubits == 0:
        raise BadInputError("the circuit has no qubits", hint="declare a quantum register")
    if qc.num_qubits > MAX_QUBITS:
        raise BadInputError(f"the circuit has more than {MAX_QUBITS} qubits")
    gates = standard_gates()
    result = QuantumCircuit(qc.num_qubits)
    phase = _number(qc.global_phase)
    index = {qubit: i for i, qubit in enumerate(qc.qubits)}
    measured: set[int] = set()
    same: dict[tuple[Any, ...], bool] = {}
    # A stack instead of recursion: definitions may nest as deep as they like.
    stack: list[tuple[Any, tuple[int, ...]]] = [
        (item.operation, tuple(index[q] for q in item.qubits)) for item in reversed(qc.data)
    ]
    steps = 0
    while stack:
        operation, qubits = stack.pop()
        steps += 1
        if steps > 2 * MAX_OPERATIONS:
            raise BadInputError(f"more than {MAX_OPERATIONS} operations after expansion")
        name = operation.name
        if name == "barrier":
            continue
        if not measured.isdisjoint(qubits):
            raise BadInputError("mid-circuit measurement is not supported", hint=_STATIC)
        if name == "measure":
            measured.update(qubits)
            continue
        _check_kind(operation)
        gate = gates.get(name)
        if gate is not None and len(operation.params) <= 4:
            params = [_number(p) for p in operation.params]
            if operation.base_class is gate or _is_standard(operation, gate, params, same):
                if name == "global_phase":
                    phase += params[0]
                else:
                    result.append(gate(*params), qubits, copy=False)
                continue
        definition = _definition(operation)
        phase += _number(definition.global_phase)
        inner = {qubit: qubits[i] for i, qubit in enumerate(definition.qubits)}
        stack.extend(
            (item.operation, tuple(inner[q] for q in item.qubits))
            for item in reversed(definition.data)
        )
    result.global_phase = phase
    return result, tuple(sorted(measured))


def _check_kind(operation: Any) -> None:
    from qiskit.circuit import ControlFlowOp

    name = operation.name
    if isinstance(operation, ControlFlowOp) or name == "store":
        raise BadInputError("classical control flow is not supported", hint=_STATIC)
    if name in ("reset", "delay"):
        raise BadInputError(f"{name} is not supported", hint=_STATIC)


def _number(value: Any) -> float:
    """A gate parameter as a finite float in radians."""
    if getattr(value, "parameters", None):
        raise BadInputError(
            one_line(f"free parameter in the circuit: {value}"), hint="bind all parameters first"
        )
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        raise BadInputError("a gate parameter is not a real number") from None
    if not math.isfinite(number):
        raise BadInputError(f"a gate parameter is not finite: {number}")
    return number


def _is_standard(
    operation: Any, gate: Any, params: list[float], same: dict[tuple[Any, ...], bool]
) -> bool:
    key = (operation.name, *params)
    if getattr(operation, "ctrl_state", None) is not None:
        return False
    if key not in same:
        same[key] = _equal_matrices(operation, gate, params)
    return same[key]


def _equal_matrices(operation: Any, gate: Any, params: list[float]) -> bool:
    from qiskit.exceptions import QiskitError
    from qiskit.quantum_info import Operator

    try:
        standard = gate(*params)
        if standard.num_qubits != operation.num_qubits or operation.num_clbits:
            return False
        if standard.num_qubits > _MAX_COMPARED_QUBITS:
            return False
        return bool(Operator(_definition(operation)).equiv(Operator(standard), atol=1e-12))
    except (TypeError, QiskitError):
        return False


def _definition(operation: Any) -> QuantumCircuit:
    name = one_line(str(operation.name))[:40]
    try:
        definition: QuantumCircuit | None = operation.definition
    except Exception as error:
        raise BadInputError(one_line(f"cannot expand {name!r}: {error}")) from None
    if definition is None:
        definition = _synthesised(operation)
    if definition is None:
        raise BadInputError(
            f"operation {name!r} has no definition in gates", hint="decompose it first"
        )
    return definition


def _synthesised(operation: Any) -> QuantumCircuit | None:
    """What Qiskit's synthesis makes of an abstract operation such as a permutation, if anything."""
    from qiskit import QuantumCircuit
    from qiskit.exceptions import QiskitError
    from qiskit.transpiler.passes import HighLevelSynthesis

    if operation.num_clbits:
        return None
    abstract = QuantumCircuit(operation.num_qubits)
    abstract.append(operation, range(operation.num_qubits))
    try:
        made: QuantumCircuit = HighLevelSynthesis()(abstract)
    except QiskitError:
        return None
    return None if made.count_ops().get(operation.name) else made
