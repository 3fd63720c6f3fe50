"""The mock vendor: deterministic, on an injected clock, as unreliable as its script says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from quantumai.backends.calibration import CalibrationSnapshot
from quantumai.backends.mock.script import Fault, Script, ScriptedJob
from quantumai.backends.noise import device_noise
from quantumai.backends.simulator import Simulator, no_folding
from quantumai.backends.vendor import (
    CircuitResult,
    Cost,
    JobResult,
    JobStatus,
    VendorBatch,
    VendorJob,
    VendorState,
    in_force,
    state_of,
)
from quantumai.backends.vendor_checks import require_device_qubits, require_width
from quantumai.errors import BadInputError, ConflictError, VendorError, VendorUnavailableError
from quantumai.randomness import RootSeed


@dataclass
class _Job:
    number: int
    batch: VendorBatch
    script: ScriptedJob
    submitted_at: datetime
    cancelled_at: datetime | None = None

    @property
    def vendor_id(self) -> str:
        return f"mock-{self.number}"

    @property
    def started_at(self) -> datetime:
        return _later(self.submitted_at, self.script.queue_s)

    @property
    def ends_at(self) -> datetime:
        planned = _later(self.started_at, self.script.run_s)
        return planned if self.cancelled_at is None else min(planned, self.cancelled_at)

    def circuit_ends_at(self, position: int) -> datetime:
        share = (position + 1) / len(self.batch.circuits)
        return _later(self.started_at, self.script.run_s * share)


class MockVendor:
    """A vendor of one device; `calibrations` are in force from their `created_at` on.

    Counts are drawn from `simulator` under the calibration in force when a circuit ends, with the
    stream "<job>/<circuit>" of `seed`.
    """

    def __init__(
        self,
        backend_id: str,
        calibrations: Sequence[CalibrationSnapshot],
        simulator: Simulator,
        clock: Callable[[], datetime],
        seed: RootSeed,
        script: Script | None = None,
    ) -> None:
        if not calibrations:
            raise BadInputError("a mock vendor needs a calibration")
        self.backend_id = backend_id
        self._calibrations = tuple(calibrations)
        self._simulator = simulator
        self._clock = clock
        self._seed = seed
        self._script = script or Script()
        self._calls = dict.fromkeys(("submit", "status", "result", "cancel"), 0)
        self._jobs: list[_Job] = []
        self._by_key: dict[str, list[_Job]] = {}

    @property
    def jobs_started(self) -> int:
        """How many jobs run or ran here; tests compare it with what is told."""
        return len(self._jobs)

    def calibration(self) -> CalibrationSnapshot:
        """See `VendorBackend.calibration`."""
        return self._calibration_at(self._clock())

    def submit(self, batch: VendorBatch, key: str) -> VendorJob:
        """See `VendorBackend.submit`."""
        fault = self._meet("submit")
        known = self._by_key.get(key)
        if known is None:
            require_width(batch, self._simulator.max_qubits, self.backend_id)
            require_device_qubits(batch, self._calibrations[0])
            self._start(batch, key)
        elif known[0].batch.sha256 != batch.sha256:
            raise ConflictError(f"another batch was submitted under the key {key!r}")
        if fault is Fault.LOST_REPLY:
            raise self._unavailable("submit")
        ids = (self._by_key[key][0].vendor_id,)
        return VendorJob(key, ids, len(batch.circuits), was_known=known is not None)

    def status(self, job: VendorJob) -> JobStatus:
        """See `VendorBackend.status`."""
        self._meet("status", has_effect=False)
        found, now = self._job(job), self._clock()
        if now >= found.ends_at:
            return JobStatus(self._result(job).state)
        if now < found.started_at:
            ahead = [j for j in self._jobs[: found.number - 1] if now < j.started_at]
            return JobStatus(VendorState.QUEUED, len(ahead) + 1)
        return JobStatus(VendorState.RUNNING)

    def result(self, job: VendorJob) -> JobResult:
        """See `VendorBackend.result`."""
        self._meet("result", has_effect=False)
        if self._clock() < self._job(job).ends_at:
            raise VendorError(f"job {job.vendor_ids[0]} has no result yet")
        return self._result(job)

    def cancel(self, job: VendorJob) -> None:
        """See `VendorBackend.cancel`."""
        fault = self._meet("cancel")
        found, now = self._job(job), self._clock()
        if now < found.ends_at:
            found.cancelled_at = now
        if fault is Fault.LOST_REPLY:
            raise self._unavailable("cancel")

    def _meet(self, name: str, *, has_effect: bool = True) -> Fault:
        """The fault of this call; one that is lost on its way there is raised at once."""
        faults = self._script.faults.get(name, ())
        number = self._calls[name]
        self._calls[name] += 1
        fault = faults[number] if number < len(faults) else Fault.NONE
        if fault is Fault.REFUSED:
            raise VendorError(f"the mock vendor refuses to {name}")
        if fault is Fault.UNAVAILABLE or (fault is Fault.LOST_REPLY and not has_effect):
            raise self._unavailable(name)
        return fault

    def _unavailable(self, name: str) -> VendorUnavailableError:
        return VendorUnavailableError(f"the mock vendor does not answer to {name}")

    def _start(self, batch: VendorBatch, key: str) -> None:
        jobs = self._script.jobs
        position = len(self._by_key)
        script = jobs[position] if position < len(jobs) else ScriptedJob()
        started = self._by_key.setdefault(key, [])
        for _ in range(2 if script.starts_twice else 1):
            job = _Job(len(self._jobs) + 1, batch, script, self._clock())
            self._jobs.append(job)
            started.append(job)

    def _job(self, job: VendorJob) -> _Job:
        found = self._by_key.get(job.key)
        if found is None:
            raise VendorError(f"{self.backend_id} knows no job {', '.join(job.vendor_ids)}")
        return found[0]

    def _calibration_at(self, moment: datetime) -> CalibrationSnapshot:
        found = in_force(self._calibrations, moment, moment)
        if not found:
            raise VendorError(f"{self.backend_id} was not calibrated at {moment}")
        return found[-1]

    def _result(self, job: VendorJob) -> JobResult:
        found = self._job(job)
        circuits = [self._circuit(found, position) for position in range(job.num_circuits)]
        ran = sum(self._ran(found, position) for position in range(job.num_circuits))
        same_key = self._by_key[job.key]
        usd = ran * len(same_key) * self._script.usd_per_circuit
        started_at = found.started_at if ran else None
        return JobResult(
            state_of(circuits, was_cancelled=found.cancelled_at is not None),
            tuple(circuits),
            Cost(usd, f"{ran * len(same_key)} circuits by the script's price"),
            in_force(self._calibrations, found.started_at, found.ends_at) if ran else (),
            submitted_at=found.submitted_at,
            started_at=started_at,
            ended_at=found.ends_at,
            duplicate_ids=tuple(other.vendor_id for other in same_key[1:]),
        )

    def _ran(self, job: _Job, position: int) -> bool:
        return job.cancelled_at is None or job.circuit_ends_at(position) <= job.cancelled_at

    def _circuit(self, job: _Job, position: int) -> CircuitResult:
        if not self._ran(job, position):
            return CircuitResult(None, "the job was cancelled")
        if position in job.script.broken:
            return CircuitResult(None, "the mock vendor cannot run this circuit")
        if position in job.script.flaky:
            return CircuitResult(None, "the mock vendor lost this circuit", is_retryable=True)
        snapshot = self._calibration_at(job.circuit_ends_at(position))
        return CircuitResult(self._draw(job, position, snapshot))

    def _draw(self, job: _Job, position: int, snapshot: CalibrationSnapshot) -> dict[str, int]:
        vendor_circuit = job.batch.circuits[position]
        circuit = vendor_circuit.circuit
        noise = device_noise(snapshot, vendor_circuit.physical_qubits)
        basis = "Z" * circuit.num_qubits
        row = self._simulator.probabilities(circuit, noise, basis, no_folding(circuit))[0]
        drawn = self._seed.generator(f"{job.number}/{position}").multinomial(job.batch.shots, row)
        width = circuit.num_qubits
        return {format(int(i), f"0{width}b"): int(drawn[i]) for i in np.flatnonzero(drawn)}


def _later(moment: datetime, seconds: float) -> datetime:
    """`moment` plus seconds; infinity is the end of time."""
    end = datetime.max.replace(tzinfo=moment.tzinfo)
    return end if seconds >= (end - moment).total_seconds() else moment + timedelta(seconds=seconds)
