"""Replay: compute a job again from its evidence and compare every step with what was sealed."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest
from math import isclose
from typing import Any

import msgspec

from quantumai.canonical import canonical_json, parse_canonical_json
from quantumai.errors import BadInputError, UnverifiedError
from quantumai.jobs.computation import execute, plan_job
from quantumai.jobs.desk import Desk
from quantumai.jobs.evidence import Evidence, verify_job
from quantumai.provenance.manifest.run_manifest import Origin
from quantumai.provenance.statements.dsse import parse_envelope
from quantumai.provenance.statements.statement import parse_statement
from quantumai.provenance.verification.report import Outcome

DIGITS = 9
"""Across processors numbers are compared to this many significant digits; whole numbers exactly."""

_ZERO = 1e-12
"""Numbers this close are equal, whatever their digits: values that cancel to zero share none."""

_ABSENT = object()


class ReplayStep(msgspec.Struct, frozen=True):
    """One compared step. `bit_equal` is stricter than `equal`, which allows for `DIGITS`."""

    name: str
    equal: bool
    bit_equal: bool
    difference: str


class ReplayReport(msgspec.Struct, frozen=True):
    """All steps in order; `digits` is the precision of `equal`."""

    job_id: str
    equal: bool
    bit_equal: bool
    digits: int
    steps: tuple[ReplayStep, ...]


def replay_job(desk: Desk, job_id: str) -> ReplayReport:
    """Recompute features, policy, decision and result from the manifest's evidence.

    Raises `UnverifiedError` where that does not verify: to agree with a forgery would say nothing;
    `BadInputError` for a run that was only recorded.
    """
    evidence = Evidence(desk, job_id)
    verification = verify_job(desk, job_id)
    if not verification.verified:
        wrong = next(check for check in verification.checks if check.status is not Outcome.OK)
        raise UnverifiedError(
            f"job {job_id} does not verify, so it is not replayed: {wrong.name}: {wrong.detail}",
            int(verification.exit_code),
            hint=f"qai manifest verify {job_id}",
        )
    if evidence.manifest.origin is Origin.RECORDED:
        raise BadInputError(
            f"job {job_id} was recorded, not run by QuantumAI: there is nothing to replay",
            hint=f"qai manifest verify {job_id} checks who signed it, and that nothing was changed",
        )
    job, fleet = evidence.job(), evidence.fleet()
    sealed = evidence.json("decision")
    simulator = desk.open_simulator(job.request.engine)
    plan = plan_job(job, sealed["job_id"], sealed["created_at"], fleet, simulator)
    again = parse_canonical_json(canonical_json(plan.decision.to_json()))
    transpiled = evidence.artefact("transpiled-circuit").decode()
    made = execute(job, evidence.decision(), transpiled, fleet, simulator)
    steps = [
        compare("features", _features(sealed), _features(again)),
        compare("policy", _policy(sealed), _policy(again)),
        compare("decision", sealed, again),
        compare("signed-decision", _predicate(evidence.artefact("signed-decision")), again),
        compare(
            "transpiled-circuit",
            transpiled.splitlines(),
            plan.placement.transpiled.circuit.to_qasm().splitlines(),
        ),
        *(
            compare(name, evidence.json(name), parse_canonical_json(data))
            for name, data in made.items()
        ),
    ]
    return ReplayReport(
        job_id=job_id,
        equal=all(step.equal for step in steps),
        bit_equal=all(step.bit_equal for step in steps),
        digits=DIGITS,
        steps=tuple(steps),
    )


def compare(name: str, sealed: Any, again: Any) -> ReplayStep:
    """Compare plain JSON data, bit for bit and to `DIGITS` significant digits."""
    difference = next(differences(sealed, again), "")
    return ReplayStep(
        name, not difference, canonical_json(sealed) == canonical_json(again), difference
    )


def differences(sealed: Any, again: Any, path: str = "") -> Iterator[str]:
    """Where two JSON values differ beyond `DIGITS`, in document order, one line each."""
    if isinstance(sealed, dict) and isinstance(again, dict):
        for key in sorted(sealed.keys() | again.keys()):
            old, new = sealed.get(key, _ABSENT), again.get(key, _ABSENT)
            yield from differences(old, new, f"{path}.{key}")
    elif isinstance(sealed, list) and isinstance(again, list):
        for index, (old, new) in enumerate(zip_longest(sealed, again, fillvalue=_ABSENT)):
            yield from differences(old, new, f"{path}[{index}]")
    elif not _same(sealed, again):
        yield f"{path.lstrip('.')}: sealed {_shown(sealed)}, recomputed {_shown(again)}"


def _same(sealed: Any, again: Any) -> bool:
    if {type(sealed), type(again)} in ({float}, {int, float}):  # 1.0 is written as 1
        return isclose(sealed, again, rel_tol=10.0**-DIGITS, abs_tol=_ZERO)
    return type(sealed) is type(again) and bool(sealed == again)


def _shown(value: Any) -> str:
    return "nothing" if value is _ABSENT else f"{value!r:.120}"


def _predicate(envelope: bytes) -> Any:
    return parse_statement(parse_envelope(envelope).payload).predicate


def _features(decision: dict[str, Any]) -> Any:
    mapped = {b["backend_id"]: b["mapped_features"] for b in decision["backends"]}
    return {"circuit": decision["features"], "mapped": mapped}


def _policy(decision: dict[str, Any]) -> Any:
    rows = [(c["backend_id"], c["forecast"]) for c in decision["candidates"]]
    forecasts: dict[str, Any] = {}
    for backend_id, forecast in rows:
        forecasts.setdefault(backend_id, {})[forecast["method"]] = forecast
    return {"policy_digest": decision["policy_digest"], "forecasts": forecasts}
