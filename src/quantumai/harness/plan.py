"""Plans: which circuits, backends, noises and methods an experiment is made of.

A plan is a YAML file that people write, read strictly (`strict_yaml`); every mistake is named with
its place. The packaged ones lie in `plans/`.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from pathlib import Path
from typing import Any, Literal

import msgspec

from quantumai.backends.extra_noise import FRIENDLY, ExtraNoise
from quantumai.backends.vendor_entry import VendorEntry
from quantumai.bounded_reading import read_bounded, shown_path
from quantumai.errors import BadInputError
from quantumai.strict_yaml import parse_strict_yaml

PACKAGED_PLANS = Path(__file__).with_name("plans")
MAX_CELLS = 200_000
_MAX_BYTES = 1_000_000
SPLITS = ("train", "test")
LIAO_VARIANTS = ("liao_random", "liao_ising")
UNSEEN = ("", "circuit", "backend", "family")
LEARNED_VARIANTS = ("rf", "xgb", "mlp")
FEWEST_CIRCUITS = 20
"""So many circuits a model learns from at least."""
OF_THE_DEVICE = "device"
"""The noise of a vendor's backend: whatever it has."""


class MethodWanted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A method by the specification's name, with its variant parameters."""

    name: str
    parameters: dict[str, Any] = {}


LEARNED_FROM = MethodWanted("rem")
"""The method whose runs models learn from, and to whose values they add a residual."""


class CircuitGroup(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Circuits of one variant: `count` seeds for every size and every choice of parameters.

    `parameters` gives the choices of each parameter. Seeds count from `first_seed`. `split` says
    whether models learn from these circuits or are measured on them, `unseen` what of a measured
    circuit no model has met: the circuit itself, its backend, or its family. `backends` and
    `noises` are choices of the plan's, all of them by default.

    Variant "imported" is every OpenQASM file of `folder`, relative to the plan's own; files decide
    sizes and count.
    """

    variant: str
    num_qubits: tuple[int, ...] = ()
    count: int = 0
    folder: str = ""
    parameters: dict[str, tuple[Any, ...]] = {}
    first_seed: int = 0
    split: str = "test"
    unseen: str = ""
    backends: tuple[str, ...] = ()
    noises: tuple[str, ...] = ()

    def choices(self) -> list[dict[str, Any]]:
        """Every combination of the parameters' choices, in the order in which they are written."""
        names = tuple(self.parameters)
        return [
            dict(zip(names, values, strict=True)) for values in product(*self.parameters.values())
        ]


class Learning(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What models are trained on the plan's training circuits, one of each kind per noise.

    `rivals` are models of others that are trained on the same circuits.
    """

    variants: tuple[str, ...]
    controls: bool = True
    rivals: tuple[Literal["liao-forest"], ...] = ()


class Plan(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An experiment. `shots` are what method "none" spends; `tolerance` is the eps of DESIGN.md.

    Backends that `vendors` names are reached there; all others are simulated by `engine`, under
    each of `noises`. `near_duplicates`, test circuits that are all but one of training, fail a run;
    they are counted and told where a plan repeats a set-up that has them.
    """

    schema_version: int
    name: str
    seed: str
    shots: tuple[int, ...]
    tolerance: float
    engine: str
    backends: tuple[str, ...]
    noises: dict[str, ExtraNoise]
    methods: tuple[MethodWanted, ...]
    circuits: tuple[CircuitGroup, ...]
    learning: Learning | None = None
    vendors: tuple[VendorEntry, ...] = ()
    near_duplicates: Literal["refused", "told"] = "refused"

    def vendor_of(self, backend_id: str) -> VendorEntry | None:
        """How a backend is reached at its vendor; None for one that is simulated here."""
        return next((v for v in self.vendors if v.backend_id == backend_id), None)

    def noises_of(self, group: CircuitGroup, backend_id: str) -> Mapping[str, ExtraNoise]:
        """The noises that a group's circuits meet on a backend: a vendor's has its own alone."""
        if self.vendor_of(backend_id):
            return {OF_THE_DEVICE: FRIENDLY}
        return {name: self.noises[name] for name in group.noises} or self.noises

    def backends_of(self, group: CircuitGroup) -> tuple[str, ...]:
        """The backends on which a group's circuits run."""
        return group.backends or self.backends

    def cells_of(self, group: CircuitGroup, circuits: int) -> int:
        """How many cells `circuits` circuits of a group make."""
        places = sum(len(self.noises_of(group, name)) for name in self.backends_of(group))
        return circuits * places * len(self.shots)

    @property
    def cell_count(self) -> int:
        """How many circuit x backend x noise x shots the plan has, imported circuits apart."""
        return sum(
            self.cells_of(group, group.count * len(group.num_qubits) * len(group.choices()))
            for group in self.circuits
        )


def packaged_plans() -> tuple[str, ...]:
    """Names of the plans that come with the product."""
    return tuple(sorted(path.stem for path in PACKAGED_PLANS.glob("*.yaml")))


def plan_path(name_or_path: str) -> Path:
    """Where a plan lies, packaged or not. Raises `BadInputError` if there is none."""
    if name_or_path in packaged_plans():
        return PACKAGED_PLANS / f"{name_or_path}.yaml"
    path = Path(name_or_path)
    try:
        there = path.exists()
    except (OSError, ValueError):  # a name that no file can have
        there = False
    if not there:
        raise BadInputError(
            f"there is no plan {shown_path(path)!r}",
            hint=f"a file, or one of: {', '.join(packaged_plans())}",
        )
    return path


def load_plan(name_or_path: str) -> tuple[Plan, bytes]:
    """A packaged plan by its name, or a file, and the bytes it was read from.

    Raises `BadInputError` that names the place of the mistake.
    """
    path = plan_path(name_or_path)
    data = read_bounded(path, _MAX_BYTES, "the plan")
    return parse_plan(data, f"plan {shown_path(path)}"), data


def parse_plan(data: bytes, what: str) -> Plan:
    """Read a plan's YAML; `what` names it in errors. Raises `BadInputError`."""
    try:
        plan = msgspec.convert(parse_strict_yaml(data, what), Plan)
    except msgspec.ValidationError as error:
        raise BadInputError(f"{what}: {error}", hint="see docs/guides/em-benchmarks.md") from None
    from quantumai.harness.plan_faults import plan_faults

    for fault in plan_faults(plan):
        raise BadInputError(f"{what}: {fault}", hint="see docs/guides/em-benchmarks.md")
    return plan
