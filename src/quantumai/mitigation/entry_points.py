"""Methods by name and parameters: our own, and those that other distributions declare.

A distribution adds a method by an entry point of the group `quantumai.mitigation_methods`. Its name
is the method's, and it refers to a function from parameters (plain JSON data) to a `Method`, which
raises `BadInputError` for parameters that it does not take. Our own are declared like that too, but
found without looking: scanning what is installed costs more than a run's start may.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from quantumai.circuits.qasm_tokens import one_line
from quantumai.errors import BadInputError
from quantumai.mitigation import built_in
from quantumai.mitigation.methods import Method

GROUP = "quantumai.mitigation_methods"

Maker = Callable[[Mapping[str, Any]], Method]


BUILT_IN: Mapping[str, Maker] = {
    "none": built_in.none,
    "rem": built_in.rem,
    "zne": built_in.zne,
    "richardson": built_in.richardson,
    "rem+zne": built_in.rem_zne,
}


def make_method(name: str, parameters: Mapping[str, Any]) -> Method:
    """The method `name` with these parameters; what is left out takes its default.

    Raises `BadInputError` for an unknown name, parameters that the method does not take, or an
    installed method that cannot be loaded.
    """
    maker = BUILT_IN.get(name)
    return maker(parameters) if maker else _checked(name, _installed(name)(parameters))


def _checked(name: str, method: object) -> Method:
    if not isinstance(method, Method) or method.name != name or method.noise_factors[:1] != (1,):
        raise BadInputError(
            f"what is installed as method {_shown(name)} is not one",
            hint="see the Method protocol; the name is the entry point's, the first factor 1",
        )
    return method


def _installed(name: str) -> Maker:
    from importlib.metadata import entry_points

    found = entry_points(group=GROUP)
    named = sorted({entry.value for entry in found if entry.name == name})
    if not named:
        known = sorted({*BUILT_IN, *found.names})
        raise BadInputError(
            f"unknown error-mitigation method {_shown(name)}",
            hint=f"installed: {', '.join(known)}",
        )
    if len(named) > 1:
        raise BadInputError(
            f"the method {_shown(name)} is installed twice: {', '.join(named)}",
            hint="uninstall one of the distributions",
        )
    try:
        maker: Maker = next(entry for entry in found if entry.name == name).load()
    except (ImportError, AttributeError) as error:
        raise BadInputError(
            f"the installed method {_shown(name)} cannot be loaded: {one_line(str(error))}"
        ) from None
    return maker


def _shown(name: str) -> str:
    return repr(one_line(name)[:60])
