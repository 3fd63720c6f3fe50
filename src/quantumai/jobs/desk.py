"""The ports that a job needs, in one place; the composition root fills it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from quantumai.backends.simulator import Simulator
from quantumai.jobs.job_objects import JobObjects
from quantumai.provenance.sealing.sealer import Sealer
from quantumai.provenance.sealing.tenant_cipher import TenantCipher
from quantumai.scheduler.planner import FleetMember
from quantumai.storage.database import Database
from quantumai.storage.objects import ObjectStore
from quantumai.storage.run_locks import RunLocks


@dataclass(frozen=True)
class Desk:
    """Everything outside the pure core. `clock` gives aware UTC times, `new_id` a UUID text.

    `fleet`, `sealer`, `simulator` and `cipher` are asked for when needed, since opening them costs
    time. With `encrypts` what tenants hand in is encrypted at rest; with `is_witnessed` others
    cosign the ledger's checkpoints.
    """

    database: Database
    objects: ObjectStore
    run_locks: RunLocks
    clock: Callable[[], datetime]
    new_id: Callable[[], str]
    open_fleet: Callable[[], tuple[FleetMember, ...]]
    open_sealer: Callable[[], Sealer]
    open_simulator: Callable[[str], Simulator]
    open_cipher: Callable[[], TenantCipher]
    encrypts: bool = False
    is_witnessed: bool = False

    def now(self) -> str:
        """The time as the database and the manifest write it."""
        return self.clock().strftime("%Y-%m-%dT%H:%M:%S.%fZ")

    def job_objects(self, tenant: str, job_id: str) -> JobObjects:
        """The stored objects of a job. Raises `BadInputError` for an impossible tenant."""
        return JobObjects(self.objects, self.open_cipher, tenant, job_id, encrypts=self.encrypts)
