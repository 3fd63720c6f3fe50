"""Results as blocks of numbers: what is compared with what, and what had to be left out.

A block is one noise, one kind of unseen circuits, one family and one number of shots; nothing is
ever averaged over several noises. Methods are compared on complete cells only, those where every
method of the block gave values; all others are counted, with the reasons.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from quantumai.circuits.families.family import VARIANTS
from quantumai.circuits.families.imported import IMPORTED
from quantumai.errors import BadInputError
from quantumai.harness.results import LEARNED, require_results
from quantumai.harness.statistics import Array, CellErrors, Codes

if TYPE_CHECKING:
    import pyarrow as pa

ALL = "all"
"""Stands for all families together, where there are several."""
_FAMILIES = {**VARIANTS, IMPORTED: IMPORTED}
NO_VALUE = "no value and no reason"
_NUMBERS = {
    "error": "rmse_mitigated",
    "mae": "mae_mitigated",
    "raw_error": "rmse_raw",
    "twin_error": "rmse_equal_shot",
    "std_err": "std_err_mitigated",
    "twin_std_err": "std_err_equal_shot",
    "shots": "shots",
    "total_shots": "total_shots",
}
_MORE_NUMBERS = {"fidelity": "mitigated_fidelity", "precision": "observed_precision_fidelity"}
_TEXTS = (
    "cell_id", "circuit_id", "family", "method", "parameters", "variant", "noise", "split",
    "unseen", "failure", "backend_id", "engine",
)  # fmt: skip


@dataclass(frozen=True, order=True)
class Arm:
    """A method with its parameters, as one arm of a comparison."""

    name: str
    parameters: str

    @property
    def options(self) -> Mapping[str, Any]:
        """The parameters as plain data."""
        return dict(json.loads(self.parameters))

    @property
    def control(self) -> str:
        """Which control of a learned method this is; empty if it is none."""
        return str(self.options.get("control") or "") if self.name == LEARNED else ""

    @property
    def variant(self) -> str:
        """Which kind of model a learned method is."""
        return str(self.options.get("variant") or "") if self.name == LEARNED else ""

    @property
    def label(self) -> str:
        """Name and parameters in words; a learned method's model is left out, a control its name.

        Some controls are no model, and none is a method to choose.
        """
        if self.control:
            return self.control
        if self.name == LEARNED:
            words = [self.variant]
        else:
            options = sorted(self.options.items(), key=lambda one: one[0] != "extrapolation")
            words = [_words(name, value) for name, value in options]
        return " ".join([self.name, *(word for word in words if word)])


@dataclass(frozen=True)
class Block:
    """One comparison. Arrays hold complete cells only; the counts say what the others are.

    `circuits`, `signal` and `low_signal` have shape (cells,), all others (cells, arms). `fidelity`
    is NaN where the signal is too low. `failed` counts cells by arm's label and reason; `no_arms`
    are methods that gave nothing anywhere and so are no part of the comparison.
    """

    noise: str
    unseen: str
    family: str
    shots: int
    arms: tuple[Arm, ...]
    circuits: Codes
    errors: CellErrors
    fidelity: Array
    precision: Array
    fallback: Array
    signal: Array
    low_signal: np.ndarray[Any, np.dtype[np.bool_]]
    cell_count: int
    failed: Mapping[str, Mapping[str, int]]
    no_arms: tuple[str, ...]

    @property
    def complete(self) -> int:
        """How many cells are compared."""
        return len(self.circuits)

    @property
    def circuit_count(self) -> int:
        """How many circuits they are of: what the bootstrap draws."""
        return len(np.unique(self.circuits))


class Rows:
    """The rows that are measured, as arrays; training rows are left out and counted."""

    def __init__(self, results: pa.Table) -> None:
        table = require_results(results)
        split = _texts(table, "split")
        self.training_count = int(np.sum(split == "train"))
        measured = table.take(np.flatnonzero(split != "train"))
        self.texts = {name: _texts(measured, name) for name in _TEXTS}
        numbers = {**_NUMBERS, **_MORE_NUMBERS, "signal": "signal"}
        self.numbers = {name: _numbers(measured, column) for name, column in numbers.items()}
        self.fallback = _fallback_share(measured)
        lost = np.isnan(self.numbers["error"])
        silent = lost & (self.texts["failure"] == "")
        self.reasons = np.where(lost, np.where(silent, NO_VALUE, self.texts["failure"]), "")
        # A circuit that could not be built has no family in its row.
        built = self.texts["family"] != ""
        known = np.array([_FAMILIES.get(name, "unknown") for name in self.texts["variant"]], object)
        self.texts["family"] = np.where(built, self.texts["family"], known)
        self.low_signal = _flags(measured, "low_signal")
        self.arms = [
            Arm(*pair) for pair in zip(self.texts["method"], self.texts["parameters"], strict=True)
        ]

    def __len__(self) -> int:
        return len(self.arms)


def blocks_of(rows: Rows) -> list[Block]:
    """All blocks with their rows, and for several families one of them all, in order of names."""
    texts, shots = rows.texts, rows.numbers["shots"].astype(np.int64)
    groups: dict[tuple[str, str, str, int], list[int]] = {}
    for row in range(len(rows)):
        noise, unseen = texts["noise"][row], texts["unseen"][row]
        for family in (texts["family"][row], ALL):
            groups.setdefault((noise, unseen, family, int(shots[row])), []).append(row)
    families: dict[tuple[str, str, int], set[str]] = {}
    for noise, unseen, family, level in groups:
        families.setdefault((noise, unseen, level), set()).add(family)
    kept = {
        key: members
        for key, members in groups.items()
        if key[2] != ALL or len(families[key[0], key[1], key[3]]) > 2
    }
    return [_block(rows, key, np.array(kept[key])) for key in sorted(kept)]


def _block(rows: Rows, key: tuple[str, str, str, int], members: Codes) -> Block:
    cell_names, cells = np.unique(rows.texts["cell_id"][members].astype(str), return_inverse=True)
    arms = tuple(sorted({rows.arms[row] for row in members}, key=lambda arm: arm.label))
    _require_distinct(arms)
    columns = np.array([arms.index(rows.arms[row]) for row in members])
    grid = np.full((len(cell_names), len(arms)), -1)
    if len(np.unique(cells * len(arms) + columns)) != len(members):
        raise BadInputError("the results hold a method twice for one cell", hint="run it anew")
    grid[cells, columns] = members

    has_value = (grid >= 0) & (rows.reasons[grid] == "")
    used = has_value.any(axis=0)
    if not used.any():
        used[:] = True
    complete = has_value[:, used].all(axis=1)
    at = grid[np.ix_(complete, used)]
    first = at[:, 0]
    return Block(
        *key,
        arms=tuple(arm for arm, kept in zip(arms, used, strict=True) if kept),
        circuits=np.unique(rows.texts["circuit_id"][first].astype(str), return_inverse=True)[1],
        errors=CellErrors(**{name: rows.numbers[name][at] for name in _NUMBERS}),
        fidelity=rows.numbers["fidelity"][at],
        precision=rows.numbers["precision"][at],
        fallback=rows.fallback[at],
        signal=rows.numbers["signal"][first],
        low_signal=rows.low_signal[first],
        cell_count=len(cell_names),
        failed=_failed(rows, arms, grid),
        no_arms=tuple(
            a.label for a, kept in zip(arms, has_value.any(axis=0), strict=True) if not kept
        ),
    )


def _failed(rows: Rows, arms: Sequence[Arm], grid: Codes) -> Mapping[str, Mapping[str, int]]:
    found = {}
    for arm, column in zip(arms, grid.T, strict=True):
        reasons = Counter(str(rows.reasons[row]) if row >= 0 else "no row" for row in column)
        del reasons[""]
        if reasons:
            found[arm.label] = dict(sorted(reasons.items()))
    return found


def _require_distinct(arms: Sequence[Arm]) -> None:
    twice = [label for label, count in Counter(arm.label for arm in arms).items() if count > 1]
    if twice:
        raise BadInputError(
            f"the results hold two methods that are both {twice[0]!r} under one noise",
            hint="report the runs of different models apart",
        )


def _words(name: str, value: Any) -> str:
    """An option in words; those that say themselves what they are go without their name."""
    if name == "noise_factors":
        return ",".join(f"{one:g}" for one in value)
    return str(value) if name == "extrapolation" else f"{name} {value}"


def _texts(table: pa.Table, name: str) -> np.ndarray[Any, np.dtype[np.object_]]:
    return np.array([value or "" for value in table.column(name).to_pylist()], dtype=object)


def _numbers(table: pa.Table, name: str) -> Array:
    column = table.column(name).to_numpy()  # null is NaN
    return np.asarray(column, dtype=np.float64)


def _flags(table: pa.Table, name: str) -> np.ndarray[Any, np.dtype[np.bool_]]:
    return np.array([bool(value) for value in table.column(name).to_pylist()], dtype=bool)


def _fallback_share(table: pa.Table) -> Array:
    """Share of a row's observables that fell back to another method; 0 without any."""
    shares = [
        sum(1 for one in names if one) / len(names) if names else 0.0
        for names in table.column("fallbacks").to_pylist()
    ]
    return np.array(shares, dtype=np.float64)
