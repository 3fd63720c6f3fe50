"""Strict YAML: what we write other readers read alike, and nothing of two meanings is read."""

from __future__ import annotations

import json
import math
import time
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from quantumai.errors import BadInputError
from quantumai.strict_yaml import parse_strict_yaml, write_strict_yaml

_TEXT = st.text() | st.sampled_from(
    [
        "no",
        "~",
        "1e3",
        "0o7",
        "2026-01-01",
        "<<",
        "",
        " a ",
        "a\nb",
        "\x85\u2028",
        "\ufeff",
        "'\"\\",
    ]
)
_DATA = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | _TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(_TEXT, inner),
    max_leaves=12,
)
_LONG_KEY = st.just({1100 * "k": 1})  # beyond what YAML allows before a colon
_READERS = [yaml.SafeLoader, *([yaml.CSafeLoader] if yaml.__with_libyaml__ else [])]


def read(text: str) -> Any:
    return parse_strict_yaml(text.encode("utf-8", "surrogatepass"), "the page")


@settings(max_examples=60, deadline=None)
@given(_DATA | _LONG_KEY)
def test_what_is_written_other_readers_read_alike(value: Any) -> None:
    written = write_strict_yaml(value)
    assert _exactly(parse_strict_yaml(written, "it"), value)
    for loader in _READERS:
        assert _exactly(yaml.load(written, Loader=loader), value)  # noqa: S506


@settings(max_examples=60, deadline=None)
@given(_DATA)
def test_json_that_people_indent_is_read_as_the_same(value: Any) -> None:
    """JSON is YAML, but for what its escapes say of characters beyond the first 65,536."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    for character in ("\x7f", *map(chr, range(0x80, 0xA0)), "\u2028", "\u2029", "\ufeff"):
        text = text.replace(character, f"\\u{ord(character):04x}")
    if not any(ord(character) & 0xFFFF >= 0xFFFE for character in text):
        assert _exactly(read(text), value)


def _exactly(one: Any, other: Any) -> bool:
    return repr(one) == repr(other)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('"a": 1', {"a": 1}),
        (
            "# remark\n---\n'a' : [1, -0.5e1, true, null] # more\n...\n",
            {"a": [1, -5.0, True, None]},
        ),
        ('{"a": {}, "b": []}', {"a": {}, "b": []}),
        ('? "a"\n: "b\n  c"', {"a": "b c"}),
        ('- "\\x41\\u00e9\\U0001F600"\r\n- "\u00e9"\r\n', ["A\xe9\U0001f600", "\xe9"]),
        ('"<<": "no merge key, for it is quoted"', {"<<": "no merge key, for it is quoted"}),
    ],
)
def test_other_spellings(text: str, value: Any) -> None:
    assert _exactly(read(text), value)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "empty"),
        ("# only a remark", "empty"),
        ('"a": &x 1', "anchor stands in line 1"),
        ('&x "a": 1', "anchor"),
        ('&x {"a": 1}', "anchor"),
        ('"a": &x ["b"]\n"c": *x', "anchor"),
        ('"a": *x', "alias"),
        ('"a": !!str "b"', "tag"),
        ('"a": !!python/object/apply:os.system ["true"]', "tag"),
        ('"a": ! "b"', "tag"),
        ('!!map {"a": 1}', "tag"),
        ('%YAML 1.2\n---\n"a": 1', "directive"),
        ('%TAG ! urn:x:\n---\n"a": 1', "directive"),
        ('"a": 1\n---\n"b": 2', "second document"),
        ('"a": 1\n...\n"b"', "not YAML"),
        ('"a": 1\n"a": 1', "stands twice, again in line 2"),
        ('{"a": 1, "b": {"c": 1, "\\x63": 2}}', "stands twice"),
        ('<<: {"a": 1}', "neither quoted"),
        ('1: "a"', "no string"),
        ('true: "a"', "no string"),
        ('? ["a"]\n: 1', "no string"),
        ('a: "b"', "neither quoted"),
        ('"a": b', "neither quoted"),
        ('"a":', "neither quoted"),
        ('{"a"}', "neither quoted"),
        ('"a": ~', "neither quoted"),
        ('"a": yes', "neither quoted"),
        ('"a": True', "neither quoted"),
        ('"a": 0x1f', "neither quoted"),
        ('"a": 017', "neither quoted"),
        ('"a": +1', "neither quoted"),
        ('"a": 1_000', "neither quoted"),
        ('"a": 1:30', "neither quoted"),
        ('"a": .5', "neither quoted"),
        ('"a": \u0661', "neither quoted"),
        ('"a": .nan', "neither quoted"),
        ('"a": NaN', "neither quoted"),
        ('"a": -.inf', "neither quoted"),
        ('"a": 1e999', "too large"),
        ('"a": 1' + 5000 * "0", "integer string conversion"),
        ('"a": 2026-01-01', "neither quoted"),
        ('"a": |\n  text', "not in quotes"),
        ('"a": >-\n  text', "not in quotes"),
        ('"a": "\\ud83d\\ude00"', "surrogates"),
        ('"a": "\\UFFFFFFFF"', "strict YAML"),
        ('"a": "\\U00110000"', "strict YAML"),
        ('"a": "\x85"', "U\\+0085"),
        ('"a": "\u2028"', "U\\+2028"),
        ('\ufeff"a": 1', "U\\+FEFF"),
        ('"a": "\x00"', "strict YAML"),
        ('"a": "\ud800"', "utf-8"),
        (65 * "[" + 65 * "]", "deeper than 64"),
        (100_000 * "[", "deeper than 64"),
        ("".join(f"{depth * ' '}-\n" for depth in range(66)), "deeper than 64"),
        pytest.param("[" + 60_000 * "1," + "]", "too many", marks=pytest.mark.slow),
        ('"a": [1', "not YAML"),
        ('"a": "b', "not YAML"),
        ("\t- 1", "not YAML"),
    ],
)
def test_what_has_two_meanings_or_none_is_refused(text: str, told: str) -> None:
    with pytest.raises(BadInputError, match=told) as caught:
        read(text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "latin-1"])
def test_only_utf_8_without_a_mark_is_read(encoding: str) -> None:
    with pytest.raises(BadInputError):
        parse_strict_yaml('"a": "\xe9"'.encode(encoding), "the page")


def test_nan_is_not_written_as_if_it_were_a_number() -> None:
    with pytest.raises(BadInputError):
        parse_strict_yaml(write_strict_yaml({"a": math.nan}), "the page")


def test_a_long_text_is_refused_before_it_is_parsed() -> None:
    started = time.process_time()
    for text in ("# a comment\n" * 2_000_000, "\n" * 20_000_000, '"a": "' + "x\n  " * 5_000_000):
        with pytest.raises(BadInputError, match="longer than 2097152 bytes"):
            read(text)
    for text in ("\n" * 2_000_000, '"a": "' + "x\r\n" * 600_000, "# \r" * 500_000):
        with pytest.raises(BadInputError, match="more than 100000 lines"):
            read(text)
    assert time.process_time() - started < 1
