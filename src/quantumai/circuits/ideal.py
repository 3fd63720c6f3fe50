"""Exact expectation values, for comparison only: no mitigation method ever sees them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from quantumai.circuits.circuit import Circuit
from quantumai.errors import BadInputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from qiskit.quantum_info import Statevector

MAX_IDEAL_QUBITS = 24


def ideal_values(circuit: Circuit, paulis: Sequence[str]) -> NDArray[np.float64]:
    """Noiseless <P> of each Pauli string in the circuit's final state; shape (len(paulis),).

    Memory: 16 bytes x 2^qubits, a few times. Raises `BadInputError` above 24 qubits.
    """
    import numpy as np
    from qiskit.quantum_info import Pauli

    state = _state(circuit)
    values = [float(np.real(state.expectation_value(Pauli(p)))) for p in paulis]
    return np.array(values, dtype=np.float64)


def ideal_probabilities(circuit: Circuit) -> NDArray[np.float64]:
    """Noiseless probabilities of all outcomes, shape (2**n,); bit q of an outcome is qubit q.

    Raises `BadInputError` above 24 qubits.
    """
    import numpy as np

    return np.asarray(_state(circuit).probabilities(), dtype=np.float64)


def _state(circuit: Circuit) -> Statevector:
    if circuit.num_qubits > MAX_IDEAL_QUBITS:
        raise BadInputError(
            f"{circuit.num_qubits} qubits are too many for an exact value "
            f"(at most {MAX_IDEAL_QUBITS})"
        )
    from qiskit.quantum_info import Statevector

    return Statevector(circuit.quantum)
