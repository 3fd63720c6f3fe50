"""The ports that a job needs, in one place; the composition root fills it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from quantumai.backends.simulator import Simulator
from quantumai.provenance.sealing import Sealer
from quantumai.scheduler.planner import FleetMember
from quantumai.storage.database import Database
from quantumai.storage.objects import ObjectStore
from quantumai.storage.run_locks import RunLocks


@dataclass(frozen=True)
class Desk:
    """Everything outside the pure core. `clock` gives aware UTC times, `new_id` a UUID text.

    `fleet`, `sealer` and `simulator` are asked for when needed, since opening them costs time.
    """

    database: Database
    objects: ObjectStore
    run_locks: RunLocks
    clock: Callable[[], datetime]
    new_id: Callable[[], str]
    open_fleet: Callable[[], tuple[FleetMember, ...]]
    open_sealer: Callable[[], Sealer]
    open_simulator: Callable[[str], Simulator]

    def now(self) -> str:
        """The time as the database and the manifest write it."""
        return self.clock().strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def artefact_key(sha256: str) -> str:
    """Where an artefact lies in the object store."""
    return f"artefacts/{sha256}"


def manifest_key(job_id: str) -> str:
    """Where a job's manifest (DSSE envelope) lies."""
    return f"manifests/{job_id}/manifest.json"


def proof_key(job_id: str) -> str:
    """Where a job's proof file lies."""
    return f"manifests/{job_id}/proof.json"
