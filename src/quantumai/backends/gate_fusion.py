"""Merging a circuit's gates into few matrices on pairs of qubits.

One-qubit gates are merged into the next two-qubit gate's 16 x 16 matrix, and neighbouring
two-qubit gates on the same pair into one block. All noise factors are merged at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from quantumai.backends.pauli_transfer import Matrix, ideal_transfer, rz_transfers
from quantumai.backends.physical_circuit import NativeGate

_NONE = -1
"""No open run of one-qubit gates, or no block yet."""


@dataclass(slots=True)
class Block:
    """A matrix per noise factor, shape (factors, out, in), on an ordered pair of qubits.

    An index runs over the first qubit's components, then the second's. `gates` are the native gates
    merged into it, noiseless rz apart. `out_sizes` are the components that leave, first and second.
    """

    qubits: tuple[int, int]
    matrix: NDArray[np.float64]
    gates: list[NativeGate]
    out_sizes: tuple[int, int] = (4, 4)


class GateMatrices(Protocol):
    """Where `fuse` gets its matrices from; rz, exact and noiseless everywhere, apart."""

    def one_qubit(self, gate: NativeGate) -> Matrix:
        """Matrix of an sx or x, 4 x 4."""
        ...

    def folded(self, gate: NativeGate, folds: tuple[int, ...]) -> NDArray[np.float64]:
        """A two-qubit gate at each noise factor, shape (factors, 16, 16)."""
        ...


class IdealGates:
    """Noiseless matrices, at one noise factor."""

    def one_qubit(self, gate: NativeGate) -> Matrix:
        """See `GateMatrices.one_qubit`."""
        return ideal_transfer(gate.name)

    def folded(self, gate: NativeGate, folds: tuple[int, ...]) -> NDArray[np.float64]:
        """See `GateMatrices.folded`; folding an ideal gate changes nothing."""
        return ideal_transfer(gate.name)[None]


@dataclass(frozen=True)
class FusedCircuit:
    """Blocks in time order, each qubit's last block, and what follows that block on the qubit.

    `trailing` is its matrix, `trailing_gates` the gates in it, noiseless rz apart.
    """

    blocks: list[Block]
    last_block: list[Block | None]
    trailing: list[Matrix | None]
    trailing_gates: list[list[NativeGate]]


def fuse(
    gates: Iterable[NativeGate],
    num_qubits: int,
    matrices: GateMatrices,
    folds: NDArray[np.int64],
) -> FusedCircuit:
    """Merge gates into blocks, for all rows of `folds` (factors x two-qubit gates) at once.

    One walk decides which gates go together; their matrices are then multiplied in a few large
    steps, since a NumPy call per gate costs more than the simulation of a small circuit.
    """
    groups = _Groups(num_qubits)
    for gate in gates:
        groups.add(gate)
    runs = _products(_one_qubit_matrices(groups.singles, matrices), groups.run_of_single)
    runs = np.concatenate([runs, np.eye(4)[None]])  # the last one is where _NONE points
    blocks = []
    if groups.pairs:
        columns = zip(groups.pairs, folds.T.tolist(), strict=True)
        steps = np.stack([matrices.folded(gate, tuple(column)) for gate, column in columns])
        before = _kron(*runs[np.transpose(groups.runs_before)])
        steps = (steps.reshape(len(steps), -1, 16) @ before).reshape(steps.shape)
        steps[groups.swapped] = swap_qubits(steps[groups.swapped])
        products = _products(steps, groups.block_of_pair)
        named = zip(groups.block_qubits, products, groups.block_gates, strict=True)
        blocks = [Block(qubits, matrix, merged) for qubits, matrix, merged in named]
    return FusedCircuit(
        blocks,
        [None if block == _NONE else blocks[block] for block in groups.last_block],
        [None if run == _NONE else runs[run] for run in groups.open_run],
        groups.waiting,
    )


class _Groups:
    """Which gates go together: runs of one-qubit gates, then blocks of two-qubit gates.

    Per qubit: `last_block`, the run that is still open and its gates, rz apart. Per two-qubit gate:
    the runs before it, its block, and whether it names its qubits the other way round.
    """

    def __init__(self, num_qubits: int) -> None:
        self.singles: list[NativeGate] = []
        self.run_of_single: list[int] = []
        self.open_run = [_NONE] * num_qubits
        self.waiting: list[list[NativeGate]] = [[] for _ in range(num_qubits)]
        self.pairs: list[NativeGate] = []
        self.runs_before: list[tuple[int, int]] = []
        self.block_of_pair: list[int] = []
        self.swapped: list[bool] = []
        self.last_block = [_NONE] * num_qubits
        self.block_qubits: list[tuple[int, int]] = []
        self.block_gates: list[list[NativeGate]] = []
        self._num_runs = 0

    def add(self, gate: NativeGate) -> None:
        """The next gate in time order."""
        if len(gate.qubits) == 2:
            self._add_pair(gate, *gate.qubits)
            return
        (qubit,) = gate.qubits
        if self.open_run[qubit] == _NONE:
            self.open_run[qubit] = self._num_runs
            self._num_runs += 1
        self.singles.append(gate)
        self.run_of_single.append(self.open_run[qubit])
        if gate.name != "rz":
            self.waiting[qubit].append(gate)

    def _add_pair(self, gate: NativeGate, first: int, second: int) -> None:
        block = self.last_block[first]
        if block == _NONE or block != self.last_block[second]:
            block = self.last_block[first] = self.last_block[second] = len(self.block_gates)
            self.block_qubits.append((first, second))
            self.block_gates.append([])
        self.block_gates[block] += [*self.waiting[first], *self.waiting[second], gate]
        self.pairs.append(gate)
        self.runs_before.append((self.open_run[first], self.open_run[second]))
        self.block_of_pair.append(block)
        self.swapped.append(self.block_qubits[block] != gate.qubits)
        self.open_run[first] = self.open_run[second] = _NONE
        self.waiting[first], self.waiting[second] = [], []


def _products(matrices: NDArray[np.float64], groups: Sequence[int]) -> NDArray[np.float64]:
    """Product of each group's matrices, shape (groups, ..., d, d), later ones on the left.

    `groups[i]` is the group of `matrices[i]`; groups are numbered from 0 without gaps.
    """
    if not groups:
        return matrices
    lengths = np.bincount(groups)
    by_group = np.argsort(groups, kind="stable")
    longest_first = np.argsort(-lengths, kind="stable")
    starts = (np.cumsum(lengths) - lengths)[longest_first]
    running = matrices[by_group[starts]]
    for step in range(1, int(lengths.max())):
        longer = np.count_nonzero(lengths > step)
        running[:longer] = matrices[by_group[starts[:longer] + step]] @ running[:longer]
    products: NDArray[np.float64] = np.empty_like(running)
    products[longest_first] = running
    return products


def _one_qubit_matrices(gates: Sequence[NativeGate], matrices: GateMatrices) -> NDArray[np.float64]:
    transfers = rz_transfers([gate.angle for gate in gates])
    for transfer, gate in zip(transfers, gates, strict=True):
        if gate.name != "rz":
            transfer[:] = matrices.one_qubit(gate)
    return transfers


def swap_qubits(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """The same map with first and second qubit exchanged; both with four components."""
    tensor = matrix.reshape(-1, 4, 4, 4, 4)
    return tensor.transpose(0, 2, 1, 4, 3).reshape(matrix.shape)


def _kron(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    """Kronecker products of 4 x 4 matrices, shape (count, 16, 16)."""
    return (first[:, :, None, :, None] * second[:, None, :, None, :]).reshape(-1, 16, 16)
