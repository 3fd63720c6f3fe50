"""What a mock vendor does: which calls fail and how each job goes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Fault(StrEnum):
    """What one call meets. LOST_REPLY: it is done, but the answer never comes (a time-out)."""

    NONE = "none"
    UNAVAILABLE = "unavailable"
    LOST_REPLY = "lost reply"
    REFUSED = "refused"


@dataclass(frozen=True)
class ScriptedJob:
    """How one job goes, on the injected clock.

    It waits `queue_s`, then its circuits end one after another within `run_s`; infinity: it hangs.
    `broken` and `flaky` are positions of circuits that yield no counts: submitting them again is of
    no use, or may be. `starts_twice`: the vendor starts a second job under the same key, and bills
    both.
    """

    queue_s: float = 0.0
    run_s: float = 0.0
    broken: tuple[int, ...] = ()
    flaky: tuple[int, ...] = ()
    starts_twice: bool = False


@dataclass(frozen=True)
class Script:
    """Faults of the first calls of "submit", "status", "result" and "cancel", then none.

    `jobs` is for new jobs in order, further ones go well. Prices are in USD: a circuit that ran
    costs `usd_per_circuit`.
    """

    jobs: tuple[ScriptedJob, ...] = ()
    faults: Mapping[str, tuple[Fault, ...]] = field(default_factory=dict)
    usd_per_circuit: float = 0.0
