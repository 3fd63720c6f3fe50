"""The leakage audit: what a learned method must not have seen before it is measured.

It runs before every report and fails the run. Training and test rows may share no circuit, neither
as it was drawn nor as it stands on a backend; what a plan calls unseen has to be; and no feature
may be nearer to the ideal value than shots allow.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from quantumai.errors import QuantumAIError
from quantumai.harness.feature_rows import FeatureRows, read_feature_rows
from quantumai.harness.near_duplicates import near_duplicates
from quantumai.harness.results import require_results

if TYPE_CHECKING:
    import pyarrow as pa

OK, LEAK, NOT_CHECKED = "ok", "leak", "not checked"
ALLOWED = "allowed by the plan"
NEAR = "near duplicates"
SHOT_NOISE_SHARE = 0.3
"""A feature whose best line to the ideal value leaves less than this share of the raw value's shot
noise holds the ideal: it would take eleven times the shots to know as much."""
FEWEST_ROWS = 30
_EQUAL, _MOST_EQUAL = 1e-9, 0.01


class LeakageError(QuantumAIError):
    """Test rows, or what they are compared with, were known to a model in training."""

    code: ClassVar[str] = "leakage"


@dataclass(frozen=True)
class Check:
    """One check of the audit: what it compared, and what it found."""

    name: str
    outcome: str
    detail: str


def require_no_leakage(
    results: pa.Table, features: pa.Table | None, feature_names: Sequence[str], allowed: str = ""
) -> tuple[Check, ...]:
    """All checks if none found a leak, else `LeakageError` that tells of the first.

    `allowed` names a check whose leak is told and no more.
    """
    checks = tuple(
        replace(check, outcome=ALLOWED) if (check.outcome, check.name) == (LEAK, allowed) else check
        for check in audit(results, features, feature_names)
    )
    leaks = [check for check in checks if check.outcome == LEAK]
    if leaks:
        more = f", and {len(leaks) - 1} more" if len(leaks) > 1 else ""
        raise LeakageError(
            f"the run leaks, {leaks[0].name}: {leaks[0].detail}{more}",
            hint="draw the test circuits anew, or leave the feature out; nothing was reported",
        )
    return checks


def audit(
    results: pa.Table, features: pa.Table | None, feature_names: Sequence[str]
) -> tuple[Check, ...]:
    """Every check with its outcome.

    `features` has columns `cell_id` and `features`, the rows of a cell's observables one after the
    other, each in the order of `feature_names`.
    """
    table = require_results(results)
    train, test = _split(table)
    checks = [_rows_once(table), *_shared(train, test), *_unseen(train, test)]
    if features is None:
        why = "no features were handed in"
        checks += [Check(n, NOT_CHECKED, why) for n in (NEAR, "features hold ideals")]
        return tuple(checks)
    rows = read_feature_rows(table, features, feature_names)
    return (*checks, _near(rows), _ideals(rows))


def _split(table: pa.Table) -> tuple[dict[str, list[Any]], dict[str, list[Any]]]:
    names = ("circuit_id", "physical_circuit_sha256", "cell_id", "backend_id", "family", "unseen")
    columns = table.select([*names, "split"]).to_pydict()
    split = columns.pop("split")
    return tuple(  # type: ignore[return-value]
        {
            name: [
                value for value, its in zip(values, split, strict=True) if (its == "train") == of
            ]
            for name, values in columns.items()
        }
        for of in (True, False)
    )


def _rows_once(table: pa.Table) -> Check:
    """A cell's method counts once: a row twice would narrow every interval."""
    names = ("cell_id", "method", "parameters")
    seen = Counter(zip(*(table.column(name).to_pylist() for name in names), strict=True))
    twice = sum(1 for count in seen.values() if count > 1)
    return _check("rows stand once", twice, f"{twice} of {len(seen)} stand more than once")


def _shared(train: dict[str, list[Any]], test: dict[str, list[Any]]) -> Iterator[Check]:
    for name, words in (
        ("circuit_id", "circuits"),
        ("physical_circuit_sha256", "physical circuits"),
        ("cell_id", "cells"),
    ):
        learned, measured = set(train[name]) - {None}, set(test[name]) - {None}
        both = learned & measured
        detail = f"{len(both)} of {len(measured)} test {words} are among {len(learned)} of training"
        yield _check(f"{words} apart", len(both), detail)


def _unseen(train: dict[str, list[Any]], test: dict[str, list[Any]]) -> Iterator[Check]:
    """What a plan calls an unseen backend or family is none of training's."""
    for kind, name, words in (
        ("backend", "backend_id", "backends"),
        ("family", "family", "families"),
    ):
        called = {
            value
            for value, unseen in zip(test[name], test["unseen"], strict=True)
            if unseen == kind
        } - {None}
        met = called & set(train[name])
        detail = f"{len(met)} of {len(called)} {words} called unseen are met in training"
        yield _check(f"unseen {kind}", len(met), f"{detail} {sorted(met)[:3] or ''}".strip())


def _near(rows: FeatureRows) -> Check:
    pairs = near_duplicates(rows)
    detail = f"{len(pairs)} test circuits of {rows.circuit_count(train=False)} are all but "
    detail += f"one of {rows.circuit_count(train=True)} in training"
    if pairs:
        detail += f", such as {pairs[0][0][:19]} and {pairs[0][1][:19]}"
    return _check(NEAR, len(pairs), detail)


def _ideals(rows: FeatureRows) -> Check:
    held = sorted({name for name in rows.names if _holds_ideal(rows, name)})
    detail = f"{len(held)} of {len(rows.names)} features, on {len(rows.ideal)} observables"
    return _check("features hold ideals", len(held), f"{detail} {held[:5] or ''}".strip())


def _holds_ideal(rows: FeatureRows, name: str) -> bool:
    """Whether a feature equals the ideal value, or a line through it is better than shots allow.

    Asked of all rows and of each family, so that a leak in one of them is found.
    """
    feature = rows.column(name)
    # Values at the ends and at 0 are met by honest counts too.
    telling = (np.abs(rows.ideal) > _EQUAL) & (np.abs(rows.ideal) < 1 - _EQUAL)
    equal = telling & (np.abs(feature - rows.ideal) <= _EQUAL)
    # Among few values that repeat, such as those of a W state, honest counts meet one by chance.
    if telling.sum() >= FEWEST_ROWS and equal.sum() > _MOST_EQUAL * telling.sum():
        return True
    groups = [np.ones(len(feature), bool), *(rows.family == f for f in set(rows.family))]
    return any(_too_good(feature[g], rows.ideal[g], rows.raw_std_err[g]) for g in groups)


def _too_good(feature: Any, ideal: Any, raw_std_err: Any) -> bool:
    noise = float(np.sqrt(np.mean(raw_std_err**2))) if len(ideal) else 0.0
    # Where ideal values hardly differ, a constant is as good as they are.
    if len(ideal) < FEWEST_ROWS or ideal.std() <= 3 * noise or feature.std() == 0:
        return False
    left = ideal.std() * np.sqrt(max(0.0, 1 - np.corrcoef(feature, ideal)[0, 1] ** 2))
    return bool(left < SHOT_NOISE_SHARE * noise)


def _check(name: str, faults: int, detail: str) -> Check:
    return Check(name, LEAK if faults else OK, detail)
