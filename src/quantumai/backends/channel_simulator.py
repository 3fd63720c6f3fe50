"""Exact noisy simulation by Pauli-transfer matrices on a real vector over Pauli strings.

The vector grows from qubits that a block has touched (four components each) and shrinks again
to two for every qubit whose last block has passed. Blocks are applied in place wherever their
qubits lie side by side in memory; otherwise the vector is transposed first.
"""

from __future__ import annotations

from math import prod

import numpy as np
from numpy.typing import NDArray

from quantumai.backends.channel_program import ChannelProgram, compile_program
from quantumai.backends.gate_fusion import Block
from quantumai.backends.noise import DeviceNoise
from quantumai.backends.physical_circuit import PhysicalCircuit
from quantumai.backends.simulator import normalised, require_folds

_LARGEST_PASS = 4**12
"""Components carried at once, 128 MiB; applying a block takes as much again."""
_SMALL_BATCH = 16
"""Below this many trailing columns, one large product is faster than many small ones."""


class ChannelSimulator:
    """The default engine; see `Simulator` for the contract."""

    name = "channel"
    max_qubits = 12

    def probabilities(
        self,
        circuit: PhysicalCircuit,
        noise: DeviceNoise,
        basis: str,
        folds: NDArray[np.int64],
    ) -> NDArray[np.float64]:
        """See `Simulator.probabilities`."""
        require_folds(circuit, folds)
        # Where waiting counts it depends on the folds: one row at a time.
        rows = max(1, _LARGEST_PASS // 4**circuit.num_qubits) if noise.idle is None else 1
        starts = range(0, max(len(folds), 1), rows)
        passes = [folds[start : start + rows] for start in starts]
        found = [_State(compile_program(circuit, noise, basis, some)).run() for some in passes]
        return normalised(np.concatenate(found))


class _State:
    """Vectors of all noise factors, shape (factors, components of the live qubits in `order`)."""

    def __init__(self, program: ChannelProgram) -> None:
        self._program = program
        self._vector: NDArray[np.float64] = np.ones((program.num_factors, 1))
        self._order: list[int] = []
        self._sizes: dict[int, int] = {}

    def run(self) -> NDArray[np.float64]:
        """Apply all blocks; returns unnormalised probabilities, shape (factors, 2**n)."""
        for block in self._program.blocks:
            self._apply(block)
        for qubit, probabilities in self._program.untouched.items():
            self._vector = (self._vector[:, :, None] * probabilities).reshape(len(self._vector), -1)
            self._order.append(qubit)
            self._sizes[qubit] = 2
        self._transpose(sorted(self._order, reverse=True))
        return self._vector

    def _apply(self, block: Block) -> None:
        first, second = block.qubits
        matrix = block.matrix
        first_size = self._sizes.get(first, 1)
        second_size = self._sizes.get(second, 1)
        out_first, out_second = block.out_sizes
        if self._comes_before(second, first):
            tensor = matrix.reshape(-1, out_first, out_second, first_size, second_size)
            matrix = tensor.transpose(0, 2, 1, 4, 3).reshape(matrix.shape)
            first, second = second, first
            out_first, out_second = out_second, out_first
        live = [qubit for qubit in (first, second) if qubit in self._sizes]
        start = self._place(first, live)
        before = prod(self._sizes[q] for q in self._order[:start])
        after = prod(self._sizes[q] for q in self._order[start + len(live) :])
        self._vector = _multiply(matrix, self._vector, before, after)
        self._order[start : start + len(live)] = [first, second]
        self._sizes[first], self._sizes[second] = out_first, out_second

    def _comes_before(self, one: int, other: int) -> bool:
        """Whether `one` should lie before `other`: as they lie, else by number."""
        if one in self._sizes and other in self._sizes:
            return self._order.index(one) < self._order.index(other)
        return one < other

    def _place(self, first: int, live: list[int]) -> int:
        """Where the pair starts in `order`, after bringing two live qubits side by side."""
        if not live:
            return sum(q < first for q in self._order)
        start = self._order.index(live[0])
        if len(live) == 2 and self._order.index(live[1]) != start + 1:
            self._transpose([*live, *(q for q in self._order if q not in live)])
            start = 0
        return start

    def _transpose(self, order: list[int]) -> None:
        if order == self._order:
            return
        shape = [self._sizes[q] for q in self._order]
        axes = [1 + self._order.index(q) for q in order]
        tensor = self._vector.reshape(-1, *shape).transpose(0, *axes)
        self._vector = tensor.reshape(len(self._vector), -1)
        self._order = order


def _multiply(
    matrix: NDArray[np.float64], vector: NDArray[np.float64], before: int, after: int
) -> NDArray[np.float64]:
    """Apply (factors, out, in) to the middle of (factors, before * in * after)."""
    factors, outs, ins = matrix.shape
    if after == 1:
        product = vector.reshape(factors, before, ins) @ matrix.transpose(0, 2, 1)
    elif before == 1:
        product = matrix @ vector.reshape(factors, ins, after)
    elif after < _SMALL_BATCH:
        widened = (matrix[:, :, None, :, None] * np.eye(after)[:, None, :]).reshape(
            factors, outs * after, ins * after
        )
        product = vector.reshape(factors, before, ins * after) @ widened.transpose(0, 2, 1)
    else:
        product = matrix[:, None] @ vector.reshape(factors, before, ins, after)
    return product.reshape(factors, -1)
