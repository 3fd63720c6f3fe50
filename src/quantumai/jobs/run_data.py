"""What a run came to, as typed records: the artefacts `histograms` and `result` read and written.

A job that QuantumAI ran and one that was only recorded keep them in forms of their own; here both
become the same records.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Literal, TypeVar

import msgspec

from quantumai.canonical import canonical_json, parse_canonical_json
from quantumai.errors import BadInputError, EvidenceError

_Read = TypeVar("_Read")
BitOrder = Literal["rightmost-is-0", "leftmost-is-0", "as-given"]


class Histogram(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Counts by outcome. `bit_order` says where bit 0 of an outcome stands.

    `label` is the register or the measurement basis, `circuit` the circuit's number in the run,
    `index` the place in a sweep of parameters. `noise_factor` is 1 where no noise was added.
    """

    counts: dict[str, int]
    bit_order: BitOrder
    label: str = ""
    circuit: int = 0
    index: tuple[int, ...] = ()
    noise_factor: float = 1.0

    @property
    def shots(self) -> int:
        """Sum of the counts."""
        return sum(self.counts.values())


class ExpectationValue(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An observable's value, mitigated where a method was used, with its standard error.

    `observable` is a Pauli string (or sum) as the run's maker wrote it, "" where it was not told;
    `circuit` and `index` are as in `Histogram`. `raw` values are those before mitigation.
    """

    observable: str
    value: float
    std_err: float | None = None
    raw: float | None = None
    raw_std_err: float | None = None
    circuit: int = 0
    index: tuple[int, ...] = ()


class OtherValue(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A result of another kind, such as Braket's probability or variance, as plain JSON data."""

    kind: str
    value: Any
    observable: str = ""
    targets: tuple[int, ...] = ()
    circuit: int = 0


class RunResult(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The `result` artefact. `shots_spent` is None where the run's maker did not tell.

    `source` names the kind of object that the result was taken from; `vendor_job_ids` are those by
    which the vendor knows the run.
    """

    source: str
    shots_spent: int | None
    expectation_values: tuple[ExpectationValue, ...] = ()
    other_values: tuple[OtherValue, ...] = ()
    vendor_job_ids: tuple[str, ...] = ()


def write_histograms(histograms: Iterable[Histogram]) -> bytes:
    """The `histograms` artefact of a recorded run."""
    return canonical_json(
        {"schema_version": 1, "recorded": [msgspec.to_builtins(each) for each in histograms]}
    )


def write_result(result: RunResult) -> bytes:
    """The `result` artefact of a recorded run."""
    return canonical_json({"schema_version": 1, "recorded": msgspec.to_builtins(result)})


def read_histograms(artefact: bytes) -> tuple[Histogram, ...]:
    """The histograms of a run of either origin. Raises `EvidenceError` for another artefact."""
    return _read("histograms", artefact, _histograms)


def read_result(artefact: bytes) -> RunResult:
    """The result of a run of either origin. Raises `EvidenceError` for another artefact."""
    return _read("result", artefact, _result)


def _read(name: str, artefact: bytes, convert: Callable[[dict[str, Any]], _Read]) -> _Read:
    try:
        plain = parse_canonical_json(artefact)
        if plain["schema_version"] != 1:
            raise ValueError(f"schema version {plain['schema_version']} is unknown")
        return convert(plain)
    except (BadInputError, msgspec.ValidationError, KeyError, TypeError, ValueError) as error:
        raise EvidenceError(f"the artefact {name!r} is not one of this version: {error}") from None


def _histograms(plain: dict[str, Any]) -> tuple[Histogram, ...]:
    if "recorded" in plain:
        return msgspec.convert(plain["recorded"], tuple[Histogram, ...])
    return tuple(
        Histogram(
            counts=counts, bit_order="rightmost-is-0", label=basis["basis"], noise_factor=factor
        )
        for basis in plain["bases"]
        for factor, counts in zip(plain["noise_factors"], basis["counts"], strict=True)
    )


def _result(plain: dict[str, Any]) -> RunResult:
    if "recorded" in plain:
        return msgspec.convert(plain["recorded"], RunResult)
    return RunResult(
        source=f"quantumai {plain['simulator']}",
        shots_spent=plain["shots_spent"],
        expectation_values=tuple(
            ExpectationValue(
                observable=each["pauli"],
                value=each["mitigated"],
                std_err=each["std_err"],
                raw=each["raw"],
                raw_std_err=each["raw_std_err"],
            )
            for each in plain["observables"]
        ),
    )
