"""The rows about a sealed job, as its evidence has them: written once, and checked against it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from quantumai.jobs.desk import Desk
from quantumai.jobs.object_names import manifest_key
from quantumai.jobs.request import JobRequest
from quantumai.provenance.manifest.views import flat_view
from quantumai.provenance.statements.dsse import parse_envelope
from quantumai.scheduler.decision import Decision

_INDEXED = (
    "job_id",
    "tenant",
    "backend_id",
    "pqc_suite",
    "crypto_mode",
    "calibration_snapshot_id",
    "em_method",
    "signature",
    "created_at",
)


def index_manifest(desk: Desk, envelope: bytes) -> dict[str, Any]:
    """Write the row in `manifests` of a sealed manifest; returns its flat view."""
    view = flat_view(parse_envelope(envelope))
    name = manifest_key(view["tenant"], view["job_id"])
    desk.database.insert("manifests", manifest_row(view, name))
    return view


def manifest_row(view: Mapping[str, Any], object_name: str) -> dict[str, Any]:
    """The row in `manifests` of a flat view; `object_name` is the stored manifest's."""
    return {column: view[column] for column in _INDEXED} | {"s3_path": object_name}


def decision_row(decision: Decision, object_name: str) -> dict[str, Any]:
    """The row in `scheduler_decisions`, without its id; the name is the signed decision's."""
    plain = decision.to_json()
    return {
        "job_id": decision.job_id,
        "chosen_backend": decision.chosen.backend_id,
        "score": decision.chosen.factors.score,
        "reasons": {name: plain[name] for name in ("chosen", "candidates", "backends")},
        "decision_manifest_path": object_name,
        "created_at": decision.created_at,
    }


def em_result_row(
    view: Mapping[str, Any], request: JobRequest, assessment: Mapping[str, Any]
) -> dict[str, Any]:
    """The row in `em_results`, without its id and what the run took."""
    return {
        "job_id": view["job_id"],
        "circuit_family": "user",  # the benchmark families have names of their own
        "shots": request.shots,
        "unmitigated_fidelity": assessment["unmitigated_fidelity"],
        "mitigated_fidelity": assessment["mitigated_fidelity"],
        "em_method": view["em_method"],
        "created_at": view["created_at"],
    }


def is_same(found: Any, wanted: Any) -> bool:
    """Whether a stored value is `wanted`, as a column gives that back: tuples as lists."""
    return bool(msgspec.json.decode(msgspec.json.encode(wanted)) == found)
