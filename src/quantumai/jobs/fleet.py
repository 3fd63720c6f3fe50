"""Ingesting the catalogue and its calibrations, and reading them back for a job."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from quantumai.backends.calibration import CalibrationSnapshot
from quantumai.backends.catalogue import BackendEntry
from quantumai.canonical import sha256_hex
from quantumai.errors import ArtefactError
from quantumai.jobs.desk import artefact_key
from quantumai.jobs.evidence import find_artefact
from quantumai.scheduler.planner import FleetMember
from quantumai.storage.database import Database, Row
from quantumai.storage.objects import ObjectStore


def open_fleet(
    catalogue: Sequence[BackendEntry],
    read_snapshot: Callable[[str], CalibrationSnapshot],
    database: Database,
    objects: ObjectStore,
) -> tuple[FleetMember, ...]:
    """The catalogue's backends with their calibrations; new or changed ones are ingested first."""
    rows = {row["backend_id"]: row for row in database.select("backends")}
    members = []
    for entry in catalogue:
        row = rows.get(entry.backend_id)
        if row is None or row != _backend_row(entry, row["last_calibration_id"], _digest(row)):
            row = _ingest(entry, row, read_snapshot, database, objects)
        members.append(FleetMember(entry, _load(objects, _digest(row)), _digest(row)))
    return tuple(members)


def _ingest(
    entry: BackendEntry,
    row: Row | None,
    read_snapshot: Callable[[str], CalibrationSnapshot],
    database: Database,
    objects: ObjectStore,
) -> Row:
    """Object first, rows after: a row never names a snapshot that is not stored."""
    snapshot = read_snapshot(entry.device)
    data = snapshot.to_bytes()
    digest = sha256_hex(data)
    objects.put_once(artefact_key(digest), data)
    new_row = _backend_row(entry, snapshot.snapshot_id, digest)
    plain = msgspec.to_builtins(snapshot)
    with database.transaction():
        database.upsert("backends", new_row)
        database.upsert(
            "calibration_snapshots",
            {
                "id": snapshot.snapshot_id,
                "backend_id": entry.backend_id,
                "created_at": snapshot.created_at,
                "gates": {"two_qubit_gate": snapshot.two_qubit_gate, "edges": plain["edges"]},
                "readout_errors": [
                    [q.prob_meas1_prep0, q.prob_meas0_prep1] for q in snapshot.qubits
                ],
                "raw_metrics": {
                    "sha256": digest,
                    "qubits": plain["qubits"],
                    "repairs": plain["repairs"],
                },
            },
        )
    return new_row


def _backend_row(entry: BackendEntry, snapshot_id: str, digest: str) -> dict[str, Any]:
    return {
        "backend_id": entry.backend_id,
        "vendor": entry.vendor,
        "region": entry.region,
        "cost_per_shot": entry.cost_per_shot,
        "availability": entry.availability,
        "capabilities": {
            "device": entry.device,
            "num_qubits": entry.num_qubits,
            "crypto_modes": [str(mode) for mode in entry.crypto_modes],
            "calibration_sha256": digest,
        },
        "last_calibration_id": snapshot_id,
    }


def _digest(row: Row) -> str:
    return str(row["capabilities"]["calibration_sha256"])


def _load(objects: ObjectStore, digest: str) -> CalibrationSnapshot:
    data = find_artefact(objects, digest)
    if data is None or sha256_hex(data) != digest:
        raise ArtefactError(
            f"stored calibration {digest[:12]} is missing or damaged",
            hint="restore the object store from a backup",
        )
    return CalibrationSnapshot.from_bytes(data)
