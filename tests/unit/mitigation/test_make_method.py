"""Methods from a name and parameters: defaults, strict reading, and those that others install."""

from __future__ import annotations

import importlib.metadata
import tomllib
from contextlib import suppress
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quantumai.canonical import canonical_json
from quantumai.errors import BadInputError
from quantumai.mitigation.entry_points import BUILT_IN, GROUP, make_method
from quantumai.mitigation.methods import METHODS

REPOSITORY = Path(__file__).parents[3]
FACTORS = [1.0, 1.5, 3.0]
VARIANTS: list[tuple[str, dict[str, Any]]] = [
    *((name, {}) for name in METHODS),
    ("zne", {"extrapolation": "polynomial"}),
    ("zne", {"extrapolation": "polynomial", "degree": 1, "noise_factors": FACTORS}),
    ("zne", {"extrapolation": "exponential", "noise_factors": FACTORS}),
    ("richardson", {"noise_factors": FACTORS}),
    ("rem", {"confusion": "circuits"}),
    ("rem+zne", {"confusion": "circuits", "calibration_share": 1.0}),
    ("rem+zne", {"extrapolation": "exponential", "confusion": "circuits"}),
    ("rem+zne", {"extrapolation": "polynomial", "noise_factors": [1, 2, 3]}),
]


@pytest.mark.parametrize("name", METHODS)
def test_without_parameters_it_is_the_schedulers_method(name: str) -> None:
    assert make_method(name, {}) == METHODS[name]


@pytest.mark.parametrize(("name", "parameters"), VARIANTS)
def test_what_is_recorded_makes_the_same_method(name: str, parameters: dict[str, Any]) -> None:
    method = make_method(name, parameters)
    assert method.name == name
    assert canonical_json(dict(method.params))  # plain JSON data
    assert make_method(name, method.params) == method
    for key, value in parameters.items():
        assert method.params[key] == value
    assert method.corrects_readout == ("rem" in name)
    assert method.noise_factors == tuple(method.params.get("noise_factors", [1]))


def test_the_price_counts_calibration_circuits() -> None:
    price = {
        (name, confusion): make_method(name, {"confusion": confusion}).shot_multiplier
        for name in ("rem", "rem+zne")
        for confusion in ("calibration", "circuits")
    }
    assert price == {
        ("rem", "calibration"): 1,
        ("rem", "circuits"): 1.25,
        ("rem+zne", "calibration"): 3,
        ("rem+zne", "circuits"): 3.25,
    }
    assert make_method("zne", {"extrapolation": "polynomial"}).shot_multiplier == 4


@pytest.mark.parametrize(
    ("name", "parameters", "says"),
    [
        ("none", {"noise_factors": [1, 2]}, "unknown field"),
        ("rem", {"confusion": "circuit"}, "confusion"),
        ("rem", {"degree": 2}, "unknown field"),
        ("rem", {"calibration_share": 0.5}, "circuits"),
        ("rem", {"confusion": "circuits", "calibration_share": 0.0}, "above 0"),
        ("rem", {"confusion": "circuits", "calibration_share": float("nan")}, "above 0"),
        ("rem", {"confusion": "circuits", "calibration_share": True}, "bool"),
        ("zne", {"confusion": "circuits"}, "unknown field"),
        ("zne", {"extrapolation": "cubic"}, "cubic"),
        ("zne", {"extrapolation": "richardson"}, "richardson"),
        ("zne", {"degree": 2}, "polynomial"),
        ("zne", {"extrapolation": "polynomial", "degree": 0}, "degree 0"),
        ("zne", {"extrapolation": "polynomial", "degree": 4}, "degree 4"),
        ("zne", {"extrapolation": "polynomial", "degree": 1.5}, "degree"),
        ("zne", {"extrapolation": "exponential", "degree": 1}, "exponential"),
        ("zne", {"noise_factors": [1]}, "2 to"),
        ("zne", {"noise_factors": [1] * 99}, "2 to"),
        ("zne", {"noise_factors": [2, 3]}, "start at 1"),
        ("zne", {"noise_factors": [1, 3, 2]}, "ascend"),
        ("zne", {"noise_factors": [1, 3, 3]}, "ascend"),
        ("zne", {"noise_factors": [1, float("nan")]}, "ascend"),
        ("zne", {"noise_factors": [1, float("inf")]}, "ascend"),
        ("zne", {"noise_factors": [1, 1e9]}, "exceed"),
        ("zne", {"noise_factors": "12"}, "noise_factors"),
        ("zne", {"noise_factors": ["1", "2"]}, "noise_factors"),
        ("richardson", {"extrapolation": "linear"}, "linear"),
        ("zne", {"a\nb": 1}, "a b"),
        ("zne", None, "null"),
        ("zne", [1], "array"),
        ("zne", {1: 2}, "zne"),
    ],
)
def test_what_a_method_does_not_take(name: str, parameters: Any, says: str) -> None:
    with pytest.raises(BadInputError, match=says) as caught:
        make_method(name, parameters)
    assert str(caught.value).startswith(f"parameters of method {name}: ")
    assert "\n" not in str(caught.value)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 5) | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=4),
    max_leaves=6,
)
_KEYS = ("extrapolation", "degree", "noise_factors", "confusion", "calibration_share")
_NUMBERS = st.lists(st.sampled_from([1, 1.0, 2, 2.5, 3, 0, True]), max_size=4)
_WORDS = st.sampled_from(["linear", "polynomial", "exponential", "circuits", "calibration"])


@settings(derandomize=True, deadline=None, max_examples=300)
@given(
    st.sampled_from(list(BUILT_IN)),
    st.dictionaries(st.sampled_from(_KEYS), _WORDS | _NUMBERS | _JSON),
)
def test_any_json_makes_a_method_or_one_clear_error(name: str, parameters: dict[str, Any]) -> None:
    with suppress(BadInputError):
        method = make_method(name, parameters)
        assert make_method(name, method.params) == method
        assert method.shot_multiplier >= len(method.noise_factors)


def test_our_own_are_declared_as_entry_points() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    declared = project["entry-points"][GROUP]
    for name, maker in BUILT_IN.items():
        entry = importlib.metadata.EntryPoint(name, declared[name], GROUP)
        assert entry.load() is maker


def test_our_own_are_found_without_scanning(monkeypatch: pytest.MonkeyPatch) -> None:
    def scanned(**_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(importlib.metadata, "entry_points", scanned)
    for name in BUILT_IN:
        make_method(name, {})


PLUG_IN = """
    from quantumai.errors import BadInputError
    from quantumai.mitigation.methods import LinearMethod

    def half(parameters):
        if set(parameters) - {"factor"}:
            raise BadInputError("half takes a factor")
        share = parameters.get("factor", 0.5)
        return LinearMethod("half", lambda k: k * 0 + share, params={"factor": share})

    def stranger(parameters):
        return LinearMethod("other", lambda k: k)

    def nothing(parameters):
        return {"name": "nothing"}
"""


def _install(folder: Path, distribution: str, entries: dict[str, str]) -> None:
    """A distribution as an installer leaves it: its module and a dist-info folder."""
    module = distribution.replace("-", "_")
    (folder / f"{module}.py").write_text(dedent(PLUG_IN))
    info = folder / f"{module}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
    lines = [f"{name} = {module}:{function}" for name, function in entries.items()]
    (info / "entry_points.txt").write_text("\n".join([f"[{GROUP}]", *lines, ""]))


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def test_another_distribution_adds_a_method(site: Path) -> None:
    with pytest.raises(BadInputError, match="unknown error-mitigation method 'half'"):
        make_method("half", {})
    _install(site, "halving-a", {"half": "half", "none": "half"})
    method = make_method("half", {"factor": 0.25})
    assert (method.name, method.params) == ("half", {"factor": 0.25})
    with pytest.raises(BadInputError, match="half takes a factor"):
        make_method("half", {"x": 1})
    with pytest.raises(BadInputError, match="unknown") as caught:
        make_method("quarter\n", {})
    assert "half" in caught.value.hint
    assert "zne" in caught.value.hint
    assert make_method("none", {}) == METHODS["none"]  # ours are not replaced


def test_installed_methods_that_are_of_no_use(site: Path) -> None:
    entries = {"stranger": "stranger", "nothing": "nothing", "gone": "gone", "half": "half"}
    _install(site, "halving-b", entries)
    for name in ("stranger", "nothing"):
        with pytest.raises(BadInputError, match=f"installed as method '{name}' is not one"):
            make_method(name, {})
    with pytest.raises(BadInputError, match="'gone' cannot be loaded"):
        make_method("gone", {})
    _install(site, "halving-c", {"half": "half"})
    with pytest.raises(BadInputError, match="installed twice: halving_b:half, halving_c:half"):
        make_method("half", {})
