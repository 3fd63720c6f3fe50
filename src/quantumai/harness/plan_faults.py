"""What is wrong with a plan that reads well: names, bounds, and what could not be learned from.

Whatever would come out only after hours, or make a run that can never be reported, is said here.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from quantumai.circuits.families.family import SEEDLESS
from quantumai.circuits.families.imported import IMPORTED
from quantumai.errors import BadInputError
from quantumai.harness.plan import (
    FEWEST_CIRCUITS,
    LEARNED_FROM,
    LEARNED_VARIANTS,
    LIAO_VARIANTS,
    MAX_CELLS,
    OF_THE_DEVICE,
    SPLITS,
    UNSEEN,
    CircuitGroup,
    Learning,
    Plan,
)

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
_LAST_SEED = 2**53 - 1 - MAX_CELLS
_NAMING = "1 to 100 letters, digits, '-', '_' and '.', a letter or digit first"


def plan_faults(plan: Plan) -> list[str]:
    """Every fault in words, with its place; empty for a plan that can be run."""
    found = []
    if plan.schema_version != 1:
        found.append(f"schema_version {plan.schema_version} is not 1")
    for field, names in _names(plan).items():
        found += [f"{field} {n[:40]!r}: {_NAMING}" for n in names if not _NAME.fullmatch(n)]
    if len(plan.seed) > 1000:
        found.append("seed: at most 1000 characters")
    if not plan.shots or not all(1 <= shots <= 10_000_000 for shots in plan.shots):
        found.append("shots: each from 1 to 10000000")
    if not 0 < plan.tolerance < float("inf"):
        found.append("tolerance: a number above 0")
    for field in ("backends", "noises", "methods", "circuits"):
        if not getattr(plan, field):
            found.append(f"{field}: none is given")
    found += _twice(_repeatable(plan))
    found += [f"noises.{name}: {fault}" for name, fault in _noise_faults(plan)]
    if not {vendor.backend_id for vendor in plan.vendors} <= set(plan.backends):
        found.append("vendors: one is not among the backends")
    if plan.vendors and OF_THE_DEVICE in plan.noises:
        found.append(f"noises: {OF_THE_DEVICE!r} is that of the vendors' backends")
    for index, group in enumerate(plan.circuits):
        found.extend(f"circuits[{index}].{fault}" for fault in _group_faults(plan, group))
    if not found and plan.cell_count > MAX_CELLS:
        found.append(f"{plan.cell_count} cells, more than {MAX_CELLS}")
    if not found and plan.learning is not None:
        found += [f"learning{fault}" for fault in _learning_faults(plan, plan.learning)]
    return found


def _names(plan: Plan) -> Mapping[str, Sequence[str]]:
    """Names that become names of files, and stand in reports."""
    return {"name": (plan.name,), "backends": plan.backends, "noises": tuple(plan.noises)}


def _noise_faults(plan: Plan) -> list[tuple[str, str]]:
    found = []
    for name, terms in plan.noises.items():
        try:
            terms.check()
        except BadInputError as error:
            found.append((name, str(error)))
    return found


def _twice(values: Mapping[str, Sequence[Any]]) -> list[str]:
    return [
        f"{field}: {_shown(value)} is given twice"
        for field, given in values.items()
        for value, count in Counter(given).items()
        if count > 1
    ]


def _shown(value: Any) -> str:
    return (value.decode() if isinstance(value, bytes) else repr(value))[:80]


def _learning_faults(plan: Plan, learning: Learning) -> list[str]:
    found = []
    if not learning.variants or not set(learning.variants) <= set(LEARNED_VARIANTS):
        found.append(f".variants: one or more of {', '.join(LEARNED_VARIANTS)}")
    found += [f".{fault}" for fault in _twice({"variants": learning.variants})]
    if learning.rivals and {group.variant for group in plan.circuits} - set(LIAO_VARIANTS):
        found.append(f".rivals: for circuits of {', '.join(LIAO_VARIANTS)} alone")
    if LEARNED_FROM not in plan.methods:
        found.append(f': method "{LEARNED_FROM.name}" without parameters is not among methods')
    for noise in plan.noises:
        training = _circuits(plan, noise, "train")
        if training < FEWEST_CIRCUITS:
            found.append(
                f": {training} circuits to learn from under {noise!r}, at least "
                f"{FEWEST_CIRCUITS} are needed"
            )
        if not _circuits(plan, noise, "test"):
            found.append(f": no circuit to measure models on under {noise!r}")
    return found


def _circuits(plan: Plan, noise: str, split: str) -> int:
    """How many circuits of a split are simulated under a noise; imported ones count as enough."""
    groups = [
        group
        for group in plan.circuits
        if group.split == split
        and any(noise in plan.noises_of(group, name) for name in plan.backends_of(group))
    ]
    return sum(
        FEWEST_CIRCUITS
        if group.variant == IMPORTED
        else group.count * len(group.num_qubits) * len(group.choices())
        for group in groups
    )


def _repeatable(plan: Plan) -> Mapping[str, list[Any]]:
    return {
        "backends": list(plan.backends),
        "shots": list(plan.shots),
        "vendors": [vendor.backend_id for vendor in plan.vendors],
        "methods": [msgspec.json.encode(method, order="sorted") for method in plan.methods],
    }


def _group_faults(plan: Plan, group: CircuitGroup) -> list[str]:
    found = _import_faults(group) if group.variant == IMPORTED else _draw_faults(group)
    if group.split not in SPLITS:
        found.append(f"split: one of {', '.join(SPLITS)}")
    if group.split == "train" and any(map(plan.vendor_of, plan.backends_of(group))):
        found.append("split: models learn from simulated runs alone, not from a vendor's")
    if group.unseen not in UNSEEN:
        found.append("unseen: circuit, backend, family, or empty")
    if not set(group.backends) <= set(plan.backends):
        found.append("backends: one is not among the plan's")
    if not set(group.noises) <= set(plan.noises):
        found.append("noises: one is not among the plan's")
    if not all(group.parameters.values()):
        found.append("parameters: one has no choices")
    return found + _twice(
        {
            "num_qubits": group.num_qubits,
            "backends": group.backends,
            "noises": group.noises,
            **{
                f"parameters.{name}": [msgspec.json.encode(choice) for choice in choices]
                for name, choices in group.parameters.items()
            },
        }
    )


def _draw_faults(group: CircuitGroup) -> list[str]:
    found = []
    if not 1 <= group.count <= MAX_CELLS:
        found.append(f"count: from 1 to {MAX_CELLS}")
    if not group.num_qubits:
        found.append("num_qubits: none is given")
    elif group.count > 1 and group.variant in SEEDLESS:
        found.append(f"count: 1, since the seed of {group.variant} changes nothing")
    if not 0 <= group.first_seed <= _LAST_SEED:
        found.append(f"first_seed: from 0 to {_LAST_SEED}")
    if group.folder:
        found.append(f'folder: for variant "{IMPORTED}" only')
    return found


def _import_faults(group: CircuitGroup) -> list[str]:
    found = [] if group.folder else ["folder: none is given"]
    given = {
        "num_qubits": group.num_qubits,
        "count": group.count,
        "parameters": group.parameters,
        "first_seed": group.first_seed,
    }
    return found + [f"{name}: the files decide" for name, value in given.items() if value]
