"""Ingesting the catalogue and its calibrations, and reading them back for a job."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from quantumai.backends.calibration import CalibrationSnapshot
from quantumai.backends.catalogue import BackendEntry
from quantumai.canonical import sha256_hex
from quantumai.errors import ArtefactError, NotFoundError
from quantumai.jobs.object_names import former_artefact_key, public_artefact_key
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
        if row is None or row != backend_row(entry, row["last_calibration_id"], _digest(row)):
            row = _ingest(entry, row, read_snapshot, database, objects)
        members.append(FleetMember(entry, _load(objects, _digest(row)), _digest(row)))
    return tuple(members)


def retain_calibrations(objects: ObjectStore, fleet: Sequence[FleetMember]) -> None:
    """Let the calibrations last as long as a manifest that names them today."""
    for member in fleet:
        objects.retain(public_artefact_key(member.snapshot_sha256))


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
    objects.put_once(public_artefact_key(digest), data)
    new_row = backend_row(entry, snapshot.snapshot_id, digest)
    with database.transaction():
        database.upsert("backends", new_row)
        database.upsert(
            "calibration_snapshots", calibration_row(snapshot, entry.backend_id, digest)
        )
    return new_row


def calibration_row(snapshot: CalibrationSnapshot, backend_id: str, digest: str) -> dict[str, Any]:
    """The row in `calibration_snapshots` of a snapshot with SHA-256 `digest` (hex)."""
    plain = msgspec.to_builtins(snapshot)
    return {
        "id": snapshot.snapshot_id,
        "backend_id": backend_id,
        "created_at": snapshot.created_at,
        "gates": {"two_qubit_gate": snapshot.two_qubit_gate, "edges": plain["edges"]},
        "readout_errors": [[q.prob_meas1_prep0, q.prob_meas0_prep1] for q in snapshot.qubits],
        "raw_metrics": {
            "sha256": digest,
            "qubits": plain["qubits"],
            "repairs": plain["repairs"],
        },
    }


def backend_row(entry: BackendEntry, snapshot_id: str, digest: str) -> dict[str, Any]:
    """The row in `backends` of a catalogue entry with its calibration of SHA-256 `digest`."""
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
    data = _find(objects, digest)
    if data is None or sha256_hex(data) != digest:
        raise ArtefactError(
            f"stored calibration {digest[:12]} is missing or damaged",
            hint="restore the object store from a backup",
        )
    return CalibrationSnapshot.from_bytes(data)


def _find(objects: ObjectStore, digest: str) -> bytes | None:
    """The bytes stored for a snapshot, unchecked; from its former place they are put into today's.

    Raises `StorageError` where the store cannot be read.
    """
    key = public_artefact_key(digest)
    try:
        return objects.get(key)
    except NotFoundError:
        pass
    try:
        data = objects.get(former_artefact_key(digest))
    except NotFoundError:
        return None
    if sha256_hex(data) == digest:
        objects.put_once(key, data)
    return data
