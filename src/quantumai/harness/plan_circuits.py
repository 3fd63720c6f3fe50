"""Whether the circuits of a plan can be built and placed, before anything is run."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product

from quantumai.backends.calibration import CalibrationSnapshot
from quantumai.circuits.families.family import benchmark_circuit
from quantumai.circuits.families.imported import IMPORTED
from quantumai.errors import BadInputError
from quantumai.harness.imported_groups import Imported
from quantumai.harness.plan import CircuitGroup, Plan

_HINT = "see docs/guides/benchmark-circuits.md"


def check_circuits(
    plan: Plan, imported: Imported, snapshots: Mapping[str, CalibrationSnapshot]
) -> None:
    """Build the first circuit of every size and choice, and compare sizes with backends.

    `snapshots` by backend. Raises `BadInputError` that names the group.
    """
    for index, group in enumerate(plan.circuits):
        try:
            sizes = _sizes(group, imported)
        except BadInputError as error:
            raise BadInputError(f"circuits[{index}]: {error}", hint=error.hint or _HINT) from None
        for backend_id in plan.backends_of(group):
            usable = sum(qubit.operational for qubit in snapshots[backend_id].qubits)
            if max(sizes) > usable:
                raise BadInputError(
                    f"circuits[{index}]: {max(sizes)} qubits do not fit on {backend_id}, "
                    f"which has {usable} usable ones",
                    hint="give the group smaller circuits, or backends of its own",
                )


def _sizes(group: CircuitGroup, imported: Imported) -> set[int]:
    if group.variant == IMPORTED:
        return {made.circuit.num_qubits for made in imported[group.folder]}
    for choice, num_qubits in product(group.choices(), group.num_qubits):
        benchmark_circuit(group.variant, num_qubits, choice, group.first_seed)
    return set(group.num_qubits)
