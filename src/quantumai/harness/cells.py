"""A plan expanded: one row for each cell, that is circuit x backend x noise x shots.

A cell's seed depends on what the cell is and on the plan's seed, never on its place in the table,
so batches of any size and in any order give the same results.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import msgspec

from quantumai.backends.extra_noise import ExtraNoise
from quantumai.canonical import canonical_json, sha256_hex
from quantumai.circuits.families.imported import IMPORTED
from quantumai.errors import BadInputError
from quantumai.harness.imported_groups import Imported
from quantumai.harness.plan import LEARNED_FROM, CircuitGroup, MethodWanted, Plan
from quantumai.randomness import RootSeed

if TYPE_CHECKING:
    import pyarrow as pa

_TEXT = (
    "cell_id", "split", "unseen", "variant", "parameters", "backend_id", "calibration_sha256",
    "noise", "noise_terms", "methods", "seed", "device_seed", "engine",
)  # fmt: skip
_WHOLE = ("num_qubits", "circuit_seed", "shots")
_NONE_IMPORTED: Imported = MappingProxyType({})


@dataclass(frozen=True)
class Cell:
    """One row of the table.

    `circuit_seed` numbers the circuit; `seed` is the root of the cell's shots, `device_seed` that
    of what its calibration does not say of the device, the same for all cells on it.
    """

    cell_id: str
    split: str
    unseen: str
    variant: str
    num_qubits: int
    parameters: Mapping[str, Any]
    circuit_seed: int
    backend_id: str
    calibration_sha256: str
    noise: str
    noise_terms: ExtraNoise
    shots: int
    methods: tuple[MethodWanted, ...]
    seed: RootSeed
    device_seed: RootSeed
    engine: str
    tolerance: float

    @property
    def place_key(self) -> str:
        """Names the circuit on its backend, which cells of several noises and shots share."""
        parameters = canonical_text(self.parameters)
        what = (self.variant, self.num_qubits, parameters, self.circuit_seed)
        return f"{what} on {self.calibration_sha256}"


def cell_schema() -> pa.Schema:
    """The columns of an expanded plan; nested values are canonical JSON text."""
    import pyarrow as pa

    return pa.schema(
        [
            *((name, pa.string()) for name in _TEXT),
            *((name, pa.int64()) for name in _WHOLE),
            ("tolerance", pa.float64()),
        ]
    )


def expand(
    plan: Plan, calibrations: Mapping[str, str], imported: Imported = _NONE_IMPORTED
) -> pa.Table:
    """All cells of a plan, sorted by backend, then circuit.

    `calibrations` maps each backend to the SHA-256 (hex) of the snapshot that it runs under;
    `imported` are the circuits that the plan's groups import. Raises `BadInputError` for a plan
    that has a circuit twice.
    """
    import pyarrow as pa

    rows = [
        row
        for group in plan.circuits
        for row in _rows(plan, group, _circuits(group, imported), calibrations)
    ]
    _require_distinct(rows)
    rows.sort(key=lambda row: (row["backend_id"], row["split"]))  # stable: circuits stay together
    return pa.Table.from_pylist(rows, schema=cell_schema())


def _require_distinct(rows: list[dict[str, Any]]) -> None:
    known: set[str] = set()
    for row in rows:
        if row["cell_id"] in known:
            told = ", ".join(f"{n} {row[n]}" for n in ("variant", "num_qubits", "circuit_seed"))
            raise BadInputError(
                f"the plan has a circuit twice on {row['backend_id']}: {told}, "
                f"parameters {row['parameters'][:80]}",
                hint="give groups that share a circuit other seeds (first_seed)",
            )
        known.add(row["cell_id"])


def read_cells(batch: pa.RecordBatch | pa.Table) -> list[Cell]:
    """The rows of an expanded plan as objects."""
    return [_cell(row) for row in batch.to_pylist()]


def _cell(row: Mapping[str, Any]) -> Cell:
    return Cell(
        **{
            **row,
            "parameters": json.loads(row["parameters"]),
            "noise_terms": msgspec.json.decode(row["noise_terms"], type=ExtraNoise),
            "methods": msgspec.json.decode(row["methods"], type=tuple[MethodWanted, ...]),
            "seed": RootSeed(row["seed"]),
            "device_seed": RootSeed(row["device_seed"]),
        }
    )


def _circuits(group: CircuitGroup, imported: Imported) -> Iterable[tuple[Any, int, int]]:
    """Parameters, number of qubits and seed of each circuit of a group."""
    if group.variant == IMPORTED:
        return [(m.parameters, m.circuit.num_qubits, m.seed) for m in imported[group.folder]]
    seeds = range(group.first_seed, group.first_seed + group.count)
    return product(group.choices(), group.num_qubits, seeds)


def _rows(
    plan: Plan,
    group: CircuitGroup,
    circuits: Iterable[tuple[Any, int, int]],
    calibrations: Mapping[str, str],
) -> Iterator[dict[str, Any]]:
    # Of training circuits only what models learn from is run.
    methods = canonical_text((LEARNED_FROM,) if group.split == "train" else plan.methods)
    places = [
        (backend_id, *noise, shots)
        for backend_id in plan.backends_of(group)
        for noise, shots in product(plan.noises_of(group, backend_id).items(), plan.shots)
    ]
    for circuit, (backend_id, noise, terms, shots) in product(circuits, places):
        parameters, num_qubits, circuit_seed = circuit
        what = {
            "variant": group.variant,
            "num_qubits": num_qubits,
            "parameters": canonical_text(parameters),
            "circuit_seed": circuit_seed,
            "backend_id": backend_id,
            "calibration_sha256": calibrations[backend_id],
            "noise": noise,
            "noise_terms": canonical_text(terms),
            "shots": shots,
            "engine": vendor.vendor if (vendor := plan.vendor_of(backend_id)) else plan.engine,
            "tolerance": plan.tolerance,
        }
        drawn = sha256_hex(canonical_json({**what, "plan_seed": plan.seed}))
        yield {
            **what,
            "cell_id": drawn,
            "seed": f"sha256:{drawn}",
            "device_seed": device_seed(plan.seed, what["calibration_sha256"], noise).text,
            "split": group.split,
            "unseen": group.unseen,
            "methods": methods,
        }


def device_seed(plan_seed: str, calibration_sha256: str, noise: str) -> RootSeed:
    """The root of a device's hidden errors under one of the plan's noises."""
    return RootSeed.of(f"device/{plan_seed}/{calibration_sha256}/{noise}")


def canonical_text(value: Any) -> str:
    """Plain data or a msgspec object as RFC 8785 text."""
    return canonical_json(msgspec.to_builtins(value)).decode()
