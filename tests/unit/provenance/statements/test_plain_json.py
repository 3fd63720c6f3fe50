"""Whatever goes in, what comes out can be signed and is read back as it was."""

from __future__ import annotations

import enum
import math
import unicodedata
from decimal import Decimal
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quantumai.canonical import canonical_json, parse_canonical_json
from quantumai.errors import BadInputError
from quantumai.provenance.statements.plain_json import plain_json
from quantumai.provenance.statements.statement import RUN_MANIFEST, build_statement, parse_statement

_SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.floats(2**52, 1e22)
    | st.text()
    | st.sampled_from(["e\u0301", "\u212b", "\u1100\u1161"])
)
_DATA = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


def _plain_or_none(value: Any) -> Any:
    """None where two keys became equal."""
    try:
        return plain_json({"v": value})
    except BadInputError as error:
        if "two keys" in str(error):
            return None
        raise


@settings(max_examples=60, deadline=None)
@given(_DATA)
def test_what_comes_out_is_a_payload(value: Any) -> None:
    plain = _plain_or_none(value)
    if plain is None:
        return
    assert plain_json(plain) == plain
    read = parse_canonical_json(canonical_json(plain))
    assert canonical_json(plain_json(read)) == canonical_json(read)
    payload = build_statement({"x": "0" * 64}, RUN_MANIFEST, plain)
    assert canonical_json(parse_statement(payload).predicate) == canonical_json(plain)


@settings(max_examples=60, deadline=None)
@given(_DATA)
def test_nothing_is_lost_but_the_form(value: Any) -> None:
    plain = _plain_or_none(value)
    if plain is not None:
        assert _same(value, plain["v"])


def _same(given: Any, plain: Any) -> bool:
    if isinstance(given, dict):
        named = {unicodedata.normalize("NFC", key): member for key, member in given.items()}
        return named.keys() == plain.keys() and all(_same(named[n], plain[n]) for n in named)
    if isinstance(given, list | tuple):
        return len(given) == len(plain) and all(map(_same, given, plain))
    if isinstance(given, str):
        return bool(unicodedata.normalize("NFC", given) == plain)
    if isinstance(given, int | float) and isinstance(plain, str):
        return abs(given) > 2**53 - 1 and Decimal(plain) == Decimal(given)
    return type(given) is type(plain) and bool(given == plain)


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (2**53 - 1, 2**53 - 1),
        (2**53, "9007199254740992"),
        (-(2**53), "-9007199254740992"),
        (1e20, "100000000000000000000"),
        (1e21, 1e21),
        (np.float64(0.5), 0.5),
        (np.float32(0.5), 0.5),
        (np.int64(2**60), str(2**60)),
        (np.uint8(7), 7),
        (np.bool_(True), True),
        (np.str_("e\u0301"), "\xe9"),
        (np.array(3), 3),
        ((1, (2,)), [1, [2]]),
        (MappingProxyType({"a": 1}), {"a": 1}),
        (enum.StrEnum("E", {"A": "a"})("a"), "a"),
        (enum.IntEnum("N", {"A": 3})(3), 3),
    ],
)
def test_the_forms_that_change(value: Any, plain: Any) -> None:
    made = plain_json(value)
    assert (made, type(made)) == (plain, type(plain))


def _loop() -> list[Any]:
    loop: list[Any] = []
    loop.append(loop)
    return loop


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ({"a": [0, math.nan]}, r"^record\['a'\]\[1\] is nan"),
        (math.inf, "inf"),
        (np.float64("nan"), "nan"),
        ({"a": {1, 2}}, r"^record\['a'\] is of type set"),
        (b"bytes", "bytes"),
        (1j, "complex"),
        (np.complex128(1j), "complex"),
        (np.array([1, 2]), "ndarray"),
        (np.array(["x"], dtype=object), "ndarray"),
        (np.datetime64("2026-01-01"), "date"),
        (Decimal(1), "Decimal"),
        ({1: 2}, "no string: 1"),
        ({"e\u0301": 1, "\xe9": 2}, "two keys"),
        ("\ud800", "surrogate"),
        ({"\ud800": 1}, "surrogate"),
        pytest.param(10**5000, "too many digits", id="huge"),
        (_loop(), "deeper"),
    ],
)
def test_what_is_no_json_is_refused_in_one_line(value: Any, told: str) -> None:
    with pytest.raises(BadInputError, match=told) as caught:
        plain_json(value, "record")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300
