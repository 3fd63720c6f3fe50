"""A vendor's local simulator behind the vendor port: it runs within `submit` and bills nothing.

What a real vendor keeps, keys and results, is kept in this object; it ends with the process.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from quantumai.backends.calibration import CalibrationSnapshot
from quantumai.backends.vendor import (
    CircuitResult,
    JobResult,
    JobStatus,
    VendorBatch,
    VendorJob,
    VendorState,
)
from quantumai.backends.vendor_checks import require_device_qubits, require_width
from quantumai.backends.vendor_entry import NOTHING_BILLED
from quantumai.errors import ConflictError, VendorError


@dataclass(frozen=True)
class Simulated:
    """What a simulator hands back: the vendor's ids and counts for each circuit."""

    vendor_ids: tuple[str, ...]
    counts: tuple[Mapping[str, int], ...]


MAX_LOCAL_QUBITS = 10
"""Widest circuit of a local density-matrix simulator: at 10 it needs 16 MiB and seconds."""


class LocalVendor:
    """`simulate` is the vendor's own simulator; `snapshot` is the calibration that it imitates."""

    def __init__(
        self,
        backend_id: str,
        snapshot: CalibrationSnapshot,
        simulate: Callable[[VendorBatch], Simulated],
        clock: Callable[[], datetime],
    ) -> None:
        self.backend_id = backend_id
        self._snapshot = snapshot
        self._simulate = simulate
        self._clock = clock
        self._done: dict[str, tuple[str, VendorJob, JobResult]] = {}

    def calibration(self) -> CalibrationSnapshot:
        """See `VendorBackend.calibration`."""
        return self._snapshot

    def submit(self, batch: VendorBatch, key: str) -> VendorJob:
        """See `VendorBackend.submit`; the job is done when this returns."""
        if key in self._done:
            digest, job, _ = self._done[key]
            if digest != batch.sha256:
                raise ConflictError(f"another batch was submitted under the key {key!r}")
            return replace(job, was_known=True)
        require_width(batch, MAX_LOCAL_QUBITS, self.backend_id)
        require_device_qubits(batch, self._snapshot)
        started_at = self._clock()
        simulated = self._simulate(batch)
        result = JobResult(
            VendorState.DONE,
            tuple(CircuitResult(counts) for counts in simulated.counts),
            NOTHING_BILLED,
            (self._snapshot,),
            submitted_at=started_at,
            started_at=started_at,
            ended_at=self._clock(),
        )
        job = VendorJob(key, simulated.vendor_ids, len(batch.circuits), was_known=False)
        self._done[key] = (batch.sha256, job, result)
        return job

    def status(self, job: VendorJob) -> JobStatus:
        """See `VendorBackend.status`."""
        return JobStatus(self.result(job).state)

    def result(self, job: VendorJob) -> JobResult:
        """See `VendorBackend.result`."""
        if job.key not in self._done:
            raise VendorError(f"{self.backend_id} knows no job {', '.join(job.vendor_ids)}")
        return self._done[job.key][2]

    def cancel(self, job: VendorJob) -> None:
        """See `VendorBackend.cancel`: there is nothing left to stop."""
        self.result(job)
