"""A real IBM device through qiskit-ibm-runtime. Never run against the real service by our tests."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

import msgspec

from quantumai.backends.calibration import CalibrationSnapshot
from quantumai.backends.credentials import Scrubber, Secret, asked, silence
from quantumai.backends.ibm.failures import translated
from quantumai.backends.ibm.sampling import counts_of, sample
from quantumai.backends.ibm_fake import Properties, snapshot_of
from quantumai.backends.vendor import (
    CircuitResult,
    JobResult,
    JobStatus,
    VendorBatch,
    VendorJob,
    VendorState,
    state_of,
)
from quantumai.backends.vendor_entry import Prices, cost_of_seconds
from quantumai.canonical import sha256_hex
from quantumai.errors import BadInputError, ConflictError, VendorError

T = TypeVar("T")

_STATES = {
    "INITIALIZING": VendorState.QUEUED,
    "QUEUED": VendorState.QUEUED,
    "VALIDATING": VendorState.QUEUED,
    "RUNNING": VendorState.RUNNING,
    "DONE": VendorState.DONE,
    "ERROR": VendorState.FAILED,
    "CANCELLED": VendorState.CANCELLED,
}
# Raw counts: what the sampler could do about noise by itself is off, whatever IBM's default.
_RAW: dict[str, Any] = {
    "dynamical_decoupling": {"enable": False},
    "twirling": {"enable_gates": False, "enable_measure": False},
}


def connect(token: Secret, instance: str | None) -> Any:
    """IBM's service for this account; it asks the network at once."""

    def open_service() -> Any:
        from qiskit_ibm_runtime import QiskitRuntimeService

        silence("qiskit_ibm_runtime", "ibm_cloud_sdk_core")
        return QiskitRuntimeService(
            channel="ibm_quantum_platform", token=token.reveal(), instance=instance or "auto"
        )

    return asked(open_service, lambda error: translated(error, Scrubber([token])))


class IbmDevice:
    """One device of a `QiskitRuntimeService`.

    IBM has no idempotency keys. A job carries its key as a tag, and who submits looks for the tag
    first. A job whose acceptance was not confirmed may appear late, and then a second one runs:
    `JobResult.duplicate_ids` tells.
    """

    def __init__(
        self, backend_id: str, device: str, service: Any, prices: Prices, scrubber: Scrubber
    ) -> None:
        self.backend_id = backend_id
        self._device = device
        self._service = service
        self._prices = prices
        self._scrubber = scrubber

    def calibration(self) -> CalibrationSnapshot | None:
        """See `VendorBackend.calibration`."""
        return self._asked(lambda: self._calibration_at(None))

    def submit(self, batch: VendorBatch, key: str) -> VendorJob:
        """See `VendorBackend.submit`."""
        return self._asked(lambda: self._submit(batch, key))

    def status(self, job: VendorJob) -> JobStatus:
        """See `VendorBackend.status`; IBM's jobs do not tell their place in the queue."""
        return self._asked(lambda: self._status(self._service.job(job.vendor_ids[0])))

    def result(self, job: VendorJob) -> JobResult:
        """See `VendorBackend.result`."""
        return self._asked(lambda: self._result(job))

    def cancel(self, job: VendorJob) -> None:
        """See `VendorBackend.cancel`."""
        if not self.status(job).state.is_final:
            self._asked(lambda: self._service.job(job.vendor_ids[0]).cancel())

    def _asked(self, call: Callable[[], T]) -> T:
        return asked(call, lambda error: translated(error, self._scrubber))

    def _submit(self, batch: VendorBatch, key: str) -> VendorJob:
        found = self._jobs_of(key)
        if found:
            first = found[0]
            if _batch_tag(batch) not in (first.tags or ()):
                raise ConflictError(f"another batch was submitted under the key {key!r}")
            return VendorJob(key, (str(first.job_id()),), len(batch.circuits), was_known=True)
        backend = self._service.backend(self._device)
        for circuit in batch.circuits:
            if not all(0 <= q < backend.num_qubits for q in circuit.physical_qubits):
                raise BadInputError(f"{self._device} has no qubits {circuit.physical_qubits}")
        tags = {"environment": {"job_tags": [_key_tag(key), _batch_tag(batch)]}}
        job = sample(backend, batch, {**_RAW, **tags})
        return VendorJob(key, (str(job.job_id()),), len(batch.circuits), was_known=False)

    def _jobs_of(self, key: str) -> list[Any]:
        """All jobs under the key, the oldest first."""
        tag = _key_tag(key)
        jobs = self._service.jobs(job_tags=[tag], backend_name=self._device, limit=None)
        return sorted(
            (job for job in jobs if tag in (job.tags or ())),
            key=lambda job: (str(job.creation_date), str(job.job_id())),
        )

    def _status(self, job: Any) -> JobStatus:
        name = getattr(job.status(), "name", job.status())
        if name not in _STATES:
            raise VendorError(f"IBM names an unknown state: {self._scrubber.scrub(name)}")
        state = _STATES[name]
        message = job.error_message() if state is VendorState.FAILED else ""
        return JobStatus(state, message=self._scrubber.scrub(message or ""))

    def _result(self, job: VendorJob) -> JobResult:
        found = self._service.job(job.vendor_ids[0])
        status = self._status(found)
        if not status.state.is_final:
            raise VendorError(f"job {job.vendor_ids[0]} is {status.state}, it has no result yet")
        duplicates = [one for one in self._jobs_of(job.key) if one.job_id() != job.vendor_ids[0]]
        circuits = self._circuits(found, status, job.num_circuits)
        metrics = found.metrics()
        times = {name: _utc(text) for name, text in metrics.get("timestamps", {}).items() if text}
        usage = [_seconds(metrics), *(_seconds(one.metrics()) for one in duplicates)]
        known = [seconds for seconds in usage if seconds is not None]
        return JobResult(
            state_of(circuits, was_cancelled=status.state is VendorState.CANCELLED),
            circuits,
            cost_of_seconds(sum(known) if len(known) == len(usage) else None, self._prices),
            self._calibrations([times.get("running"), times.get("finished")]),
            submitted_at=times.get("created"),
            started_at=times.get("running"),
            ended_at=times.get("finished"),
            duplicate_ids=tuple(str(one.job_id()) for one in duplicates),
        )

    def _circuits(self, job: Any, status: JobStatus, count: int) -> tuple[CircuitResult, ...]:
        if status.state is not VendorState.DONE:
            why = status.message or f"the job was {status.state}"
            return (CircuitResult(None, why),) * count
        counts = [CircuitResult(counts_of(publication)) for publication in job.result()]
        missing = [CircuitResult(None, "IBM returned no counts", is_retryable=True)]
        return tuple((counts + missing * count)[:count])

    def _calibrations(self, moments: Sequence[datetime | None]) -> tuple[CalibrationSnapshot, ...]:
        """What was in force then; a job that never ran had none."""
        found = {}
        for moment in moments:
            snapshot = None if moment is None else self._calibration_at(moment)
            if snapshot is not None:
                found[snapshot.sha256] = snapshot
        return tuple(found.values())

    def _calibration_at(self, moment: datetime | None) -> CalibrationSnapshot | None:
        """The last one published before `moment` (UTC: the library takes others for local time)."""
        backend = self._service.backend(self._device)
        properties = backend.properties(refresh=True, datetime=moment)
        if properties is None:
            return None
        plain = properties.to_dict()
        plain["last_update_date"] = _iso(plain["last_update_date"])
        gates = backend.configuration().basis_gates
        return snapshot_of(self.backend_id, gates, msgspec.convert(plain, Properties))


def _key_tag(key: str) -> str:
    """A tag of bounded length for a key of any."""
    return f"quantumai-key-{sha256_hex(key.encode())[:40]}"


def _batch_tag(batch: VendorBatch) -> str:
    return f"quantumai-batch-{batch.sha256[:40]}"


def _seconds(metrics: Mapping[str, Any]) -> float | None:
    """Seconds that IBM charges; None until it has settled them."""
    usage = metrics.get("usage") or {}
    seconds = usage.get("qpu_charge_time_seconds")
    return None if seconds is None or usage.get("status") == "pending" else float(seconds)


def _utc(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def _iso(moment: Any) -> str:
    return moment.isoformat() if isinstance(moment, datetime) else str(moment)
