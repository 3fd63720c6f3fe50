"""Results of a recorded run as plain records: from Qiskit, its primitives, Braket, or counts.

Only what is named here is taken over: counts, expectation values and their errors, the vendor's
job id. Metadata, headers and options stay where they are, since nobody knows what is in them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from operator import index as as_integer
from typing import Any

from quantumai.circuits.qasm_tokens import one_line
from quantumai.errors import BadInputError
from quantumai.jobs.run_data import BitOrder, ExpectationValue, Histogram, OtherValue
from quantumai.provenance.statements.plain_json import plain_json
from quantumai.sdk.arguments import shown
from quantumai.sdk.foreign import is_a
from quantumai.sdk.record_arguments import MOST_SHOTS
from quantumai.sdk.recorded_observables import observable_names

PLAIN_VALUES = "values"
"""The source of numbers that came in no library's result."""
_MOST_BITS = 10_000
_HINT = (
    "give a qiskit Result or PrimitiveResult, a braket task result, a dict of counts, "
    "or numbers with their observables"
)


@dataclass
class ResultParts:
    """What was found in one result; `circuit` numbers in it count from 0."""

    source: str
    circuits: int = 1
    histograms: list[Histogram] = field(default_factory=list)
    values: list[ExpectationValue] = field(default_factory=list)
    others: list[OtherValue] = field(default_factory=list)
    vendor_job_id: str = ""

    @property
    def shots(self) -> int:
        """Shots that were spent; registers of one circuit share theirs."""
        spent: dict[tuple[int, tuple[int, ...]], int] = {}
        for each in self.histograms:
            place = (each.circuit, each.index)
            spent[place] = max(each.shots, spent.get(place, 0))
        return sum(spent.values())


def result_parts(result: Any, observables: Sequence[Any] | None = None) -> ResultParts:
    """Take a result apart. Raises `BadInputError` for what is none, or holds nothing.

    `observables` name the expectation values, in order; of a sweep's values they are the last axis.
    """
    named = None if observables is None else observable_names(observables)
    if is_a(result, "qiskit", "Result"):
        parts = _of_qiskit(result)
    elif is_a(result, "qiskit", "PrimitiveResult"):
        parts = _of_primitive(result, named)
    elif is_a(result, "braket", "GateModelQuantumTaskResult"):
        if named is not None:
            raise BadInputError(
                "a braket result names its observables itself", hint="leave them out"
            )
        parts = _of_braket(result)
    elif isinstance(result, Mapping):
        parts = ResultParts("counts", 1, [_histogram(result, "as-given")])
    elif isinstance(result, Sequence) and result and all(isinstance(c, Mapping) for c in result):
        many = [_histogram(each, "as-given", circuit=i) for i, each in enumerate(result)]
        parts = ResultParts("counts", len(result), many)
    elif named is not None:
        parts = ResultParts(PLAIN_VALUES, 1, values=list(_values(result, None, named, 0)))
    else:
        raise BadInputError(f"a {type(result).__name__} is no result", hint=_HINT)
    if not (parts.histograms or parts.values or parts.others):
        raise BadInputError("the result holds neither counts nor values", hint=_HINT)
    return parts


def _of_qiskit(result: Any) -> ResultParts:
    if not result.success:
        raise BadInputError(f"the result says that the run failed: {one_line(str(result.status))}")
    parts = ResultParts("qiskit-result", len(result.results))
    for number, experiment in enumerate(result.results):
        if not getattr(experiment.data, "counts", None):
            raise BadInputError(
                f"circuit {number} of the result has no counts", hint="measure its qubits"
            )
        counts = result.get_counts(number)
        parts.histograms.append(_histogram(counts, "rightmost-is-0", circuit=number))
    parts.vendor_job_id = _vendor_id(result.job_id)
    return parts


def _of_primitive(result: Any, named: list[str] | None) -> ResultParts:
    parts = ResultParts("qiskit-primitive-result", len(result))
    for number, pub in enumerate(result):
        for label, data in pub.data.items():
            if is_a(data, "qiskit", "BitArray"):
                parts.histograms += _of_bits(data, str(label), number)
        if "evs" in pub.data:
            errors = pub.data.stds if "stds" in pub.data else None
            parts.values += _values(pub.data.evs, errors, named, number)
    return parts


def _of_bits(data: Any, label: str, circuit: int) -> Iterator[Histogram]:
    import numpy as np

    for place in np.ndindex(data.shape):
        counts = data.get_counts(place if place else None)
        yield _histogram(counts, "rightmost-is-0", label=label, circuit=circuit, index=place)


def _of_braket(result: Any) -> ResultParts:
    parts = ResultParts("braket-task-result")
    if result.measurement_counts:
        parts.histograms.append(_histogram(result.measurement_counts, "leftmost-is-0"))
    for each in result.result_types or ():
        kind = str(getattr(each.type.type, "value", each.type.type))
        targets = tuple(int(q) for q in getattr(each.type, "targets", None) or ())
        observable = _braket_observable(getattr(each.type, "observable", None), targets)
        if kind == "expectation":
            value = _finite(each.value, observable or "the expectation value")
            parts.values.append(ExpectationValue(observable=observable, value=value))
        else:
            plain = plain_json(_numbers(each.value))
            parts.others.append(
                OtherValue(kind=kind, value=plain, observable=observable, targets=targets)
            )
    parts.vendor_job_id = _vendor_id(result.task_metadata.id)
    return parts


def _histogram(
    counts: Mapping[Any, Any],
    bit_order: BitOrder,
    *,
    label: str = "",
    circuit: int = 0,
    index: tuple[int, ...] = (),
) -> Histogram:
    plain: dict[str, int] = {}
    for outcome, count in counts.items():
        if (
            not isinstance(outcome, str)
            or not set(outcome) & {"0", "1"}
            or set(outcome) - set("01 ")
        ):
            raise BadInputError(
                f"counts have an outcome {shown(outcome)}",
                hint='outcomes are bit strings, as "011"',
            )
        plain[outcome] = _count(count, outcome)
    shapes = {outcome.replace("1", "0") for outcome in plain}
    if len(shapes) > 1 or len(next(iter(plain), "")) > _MOST_BITS:
        raise BadInputError(
            f"outcomes of one circuit have as many bits, {_MOST_BITS} at most",
            hint="hand in the counts of each circuit for themselves",
        )
    if not any(plain.values()):
        raise BadInputError("the counts are empty", hint="was anything measured?")
    return Histogram(
        counts=plain, bit_order=bit_order, label=plain_json(label), circuit=circuit, index=index
    )


def _count(count: Any, outcome: str) -> int:
    try:
        number = -1 if isinstance(count, bool) else as_integer(count)
    except TypeError:
        number = -1
    if not 0 <= number <= MOST_SHOTS:
        raise BadInputError(f"outcome {outcome[:40]} has the count {shown(count)}")
    return number


def _values(
    values: Any, errors: Any, named: list[str] | None, circuit: int
) -> Iterator[ExpectationValue]:
    import numpy as np

    try:
        numbers = np.asarray(values)
        spread = None if errors is None else np.asarray(errors, dtype=float)
    except (TypeError, ValueError, OverflowError):  # lists of unlike lengths, for one
        raise BadInputError("the values are no array of numbers", hint=_HINT) from None
    if numbers.dtype.kind not in "iuf":
        raise BadInputError("the values are not real numbers", hint=_HINT)
    if spread is not None and spread.shape != numbers.shape:
        raise BadInputError("values and standard errors differ in shape")
    if named is not None and len(named) != (numbers.shape[-1] if numbers.ndim else 1):
        raise BadInputError(
            f"{numbers.size} values do not go with {len(named)} observables",
            hint="name one observable for each value, in order",
        )
    for place in np.ndindex(numbers.shape):
        observable = "" if named is None else named[place[-1] if place else 0]
        what = observable or f"value {list(place)}"
        yield ExpectationValue(
            observable=observable,
            value=_finite(numbers[place], what),
            std_err=None if spread is None else _finite(spread[place], f"the error of {what}"),
            circuit=circuit,
            index=place,
        )


def _finite(value: Any, what: str) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise BadInputError(f"{what} is {number}, which is no finite number")
    return number


def _braket_observable(factors: Any, targets: tuple[int, ...]) -> str:
    """`["z", "x"]` on qubits 0 and 2 as "z(0)@x(2)"; a matrix has no name: it is a "hermitian"."""
    names = [factor if isinstance(factor, str) else "hermitian" for factor in factors or ()]
    if len(names) == len(targets):
        names = [f"{name}({target})" for name, target in zip(names, targets, strict=True)]
    return "@".join(names)


def _numbers(value: Any) -> Any:
    """Arrays as nested lists, complex numbers as [real, imaginary]."""
    import numpy as np

    if isinstance(value, Mapping):
        return {str(name): _numbers(member) for name, member in value.items()}
    array = np.asarray(value)
    if np.iscomplexobj(array):
        array = np.stack([array.real, array.imag], axis=-1)
    return array.tolist()


def _vendor_id(text: Any) -> str:
    """A vendor's id without the account that an ARN names (the part before the last slash)."""
    return str(plain_json(one_line(str(text or "").rpartition("/")[2])))
