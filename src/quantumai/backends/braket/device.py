"""A Braket device or managed simulator by its ARN. Never run against the real service by our tests.

Each circuit is one quantum task. Braket takes an idempotency key for each (`clientToken`), so that
what is submitted twice runs once.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TypeVar

from quantumai.backends.braket.failures import error_code, translated
from quantumai.backends.braket.program import device_program, simulator_program
from quantumai.backends.braket.properties import (
    DeviceProperties,
    read_properties,
    snapshot_of_device,
)
from quantumai.backends.braket.tasks import STATES, read_result, status_of
from quantumai.backends.calibration import CalibrationSnapshot
from quantumai.backends.credentials import Scrubber, Secret, asked, silence
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
from quantumai.backends.vendor_checks import require_device_qubits
from quantumai.backends.vendor_entry import VendorEntry, cost_of_seconds, cost_of_shots
from quantumai.canonical import sha256_hex
from quantumai.errors import BadInputError, ConflictError, QuantumAIError, VendorError

T = TypeVar("T")

_PREFIX = "quantumai"


def connect(arn: str) -> tuple[Any, Any, Scrubber]:
    """Clients of Braket and S3 by boto3's own credentials, and a scrubber that knows those.

    The region is the ARN's; a managed simulator's has none, then it is the one that boto3 finds.
    """

    def open_clients() -> tuple[Any, Any, Scrubber]:
        import boto3
        from botocore.config import Config

        silence("boto3", "botocore")
        session = boto3.Session(region_name=arn.split(":")[3] or None)
        found = session.get_credentials()
        if found is None or session.region_name is None:
            raise BadInputError(
                "no AWS credentials or no region are set",
                hint="set AWS_PROFILE, or AWS_ACCESS_KEY_ID and so on, and AWS_DEFAULT_REGION",
            )
        frozen = found.get_frozen_credentials()
        values = (frozen.access_key, frozen.secret_key, frozen.token)
        scrubber = Scrubber(Secret(value) for value in values if value)
        config = Config(connect_timeout=10, read_timeout=60)
        return (
            session.client("braket", config=config),
            session.client("s3", config=config),
            scrubber,
        )

    return asked(open_clients, lambda error: translated(error, Scrubber()))


class BraketDevice:
    """The device of `entry`, whose `device` is an ARN; `clients` are boto3's of Braket and S3."""

    def __init__(self, entry: VendorEntry, braket: Any, s3: Any, scrubber: Scrubber) -> None:
        if not entry.results_bucket:
            raise BadInputError(
                f"backend {entry.backend_id} has no results_bucket",
                hint="name an S3 bucket that Braket may write to, such as amazon-braket-...",
            )
        self.backend_id = entry.backend_id
        self._entry = entry
        self._is_device = "/qpu/" in entry.device
        self._braket = braket
        self._s3 = s3
        self._scrubber = scrubber
        self._batches: dict[str, str] = {}
        self._seen: dict[str, CalibrationSnapshot] = {}

    def calibration(self) -> CalibrationSnapshot | None:
        """See `VendorBackend.calibration`; a simulator has none."""
        return self._asked(self._calibration_now)

    def submit(self, batch: VendorBatch, key: str) -> VendorJob:
        """See `VendorBackend.submit`; a batch is taken as a whole or its tasks are cancelled.

        After `VendorUnavailableError` some tasks may run: the same key goes on with them.
        """
        known = self._batches.setdefault(key, batch.sha256)
        if known != batch.sha256:
            raise ConflictError(f"another batch was submitted under the key {key!r}")
        programs = self._asked(lambda: self._programs(batch))
        arns: list[str] = []
        for index, program in enumerate(programs):
            request = self._request(program, batch, f"{key}/{index}")
            try:
                arns.append(self._create(request))
            except QuantumAIError as error:
                refusal = error
                break
        else:
            return VendorJob(key, tuple(arns), len(arns), was_known=None)
        if not refusal.retryable:
            for arn in arns:
                self._cancel_task(arn)
        raise refusal

    def status(self, job: VendorJob) -> JobStatus:
        """See `VendorBackend.status`."""
        return status_of([self._task(arn) for arn in job.vendor_ids], self._scrubber)

    def result(self, job: VendorJob) -> JobResult:
        """See `VendorBackend.result`."""
        tasks = [self._task(arn) for arn in job.vendor_ids]
        if not status_of(tasks, self._scrubber).state.is_final:
            raise VendorError(f"job {job.vendor_ids[0]} has no result yet")
        return self._asked(lambda: self._result(tasks))

    def cancel(self, job: VendorJob) -> None:
        """See `VendorBackend.cancel`."""
        for arn in job.vendor_ids:
            self._cancel_task(arn)

    def _asked(self, call: Callable[[], T]) -> T:
        return asked(call, lambda error: translated(error, self._scrubber))

    def _programs(self, batch: VendorBatch) -> list[str]:
        if not self._is_device:
            return [simulator_program(circuit) for circuit in batch.circuits]
        properties = self._properties()
        require_device_qubits(batch, self._noted(properties))
        native_gates = properties.paradigm.nativeGateSet
        return [device_program(circuit, native_gates) for circuit in batch.circuits]

    def _request(self, program: str, batch: VendorBatch, key: str) -> dict[str, Any]:
        import json

        header = {"name": "braket.ir.openqasm.program", "version": "1"}
        token = sha256_hex(key.encode())
        return {
            "clientToken": token,
            "deviceArn": self._entry.device,
            "shots": batch.shots,
            "outputS3Bucket": self._entry.results_bucket,
            "outputS3KeyPrefix": _PREFIX,
            "action": json.dumps({"braketSchemaHeader": header, "source": program}),
            "tags": {f"{_PREFIX}-key": token, f"{_PREFIX}-batch": batch.sha256},
        }

    def _create(self, request: dict[str, Any]) -> str:
        return self._asked(
            lambda: str(self._braket.create_quantum_task(**request)["quantumTaskArn"])
        )

    def _task(self, arn: str) -> dict[str, Any]:
        def get() -> dict[str, Any]:
            task: dict[str, Any] = self._braket.get_quantum_task(
                quantumTaskArn=arn, additionalAttributeNames=["QueueInfo"]
            )
            return task

        return self._asked(get)

    def _cancel_task(self, arn: str) -> None:
        """Cancel it; one that has ended answers with a conflict, which is no fault."""

        def cancel() -> None:
            try:
                self._braket.cancel_quantum_task(
                    quantumTaskArn=arn, clientToken=sha256_hex(f"cancel {arn}".encode())
                )
            except Exception as error:
                if error_code(error) != "ConflictException":
                    raise

        self._asked(cancel)

    def _result(self, tasks: list[dict[str, Any]]) -> JobResult:
        seconds: list[float | None] = []
        circuits = []
        for task in tasks:
            if STATES[task["status"]] is VendorState.DONE:
                result, used_s = self._counts(task)
                circuits.append(result)
                seconds.append(used_s)
            else:
                why = self._scrubber.scrub(task.get("failureReason") or task["status"].lower())
                circuits.append(CircuitResult(None, why))
        submitted_at = min(_utc(task["createdAt"]) for task in tasks)
        ends = [_utc(task["endedAt"]) for task in tasks if task.get("endedAt")]
        ended_at = max(ends) if ends else None
        if self._is_device:
            self._calibration_now()
        return JobResult(
            state_of(circuits, was_cancelled=any(t["status"] == "CANCELLED" for t in tasks)),
            tuple(circuits),
            self._cost(circuits, seconds),
            # Braket tells no time of the start: what was in force in the queue is named, too.
            in_force(self._seen.values(), submitted_at, ended_at) if ended_at else (),
            submitted_at=submitted_at,
            started_at=None,
            ended_at=ended_at,
        )

    def _counts(self, task: dict[str, Any]) -> tuple[CircuitResult, float | None]:
        place = {
            "Bucket": task["outputS3Bucket"],
            "Key": f"{task['outputS3Directory']}/results.json",
        }
        return read_result(self._s3.get_object(**place)["Body"].read().decode())

    def _cost(self, circuits: list[CircuitResult], seconds: list[float | None]) -> Cost:
        """Braket bills completed tasks only."""
        if self._is_device:
            shots = sum(circuit.shots for circuit in circuits)
            return cost_of_shots(len(seconds), shots, self._entry.prices)
        known = [used_s for used_s in seconds if used_s is not None]
        total_s = sum(known) if len(known) == len(seconds) else None
        return cost_of_seconds(total_s, self._entry.prices)

    def _properties(self) -> DeviceProperties:
        found = self._braket.get_device(deviceArn=self._entry.device)
        return read_properties(found["deviceCapabilities"])

    def _calibration_now(self) -> CalibrationSnapshot | None:
        """What is published now, kept: Braket does not show older ones."""
        if not self._is_device:
            return None
        return self._noted(self._properties())

    def _noted(self, properties: DeviceProperties) -> CalibrationSnapshot:
        snapshot = snapshot_of_device(self.backend_id, properties)
        self._seen[snapshot.sha256] = snapshot
        return snapshot


def _utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC)
