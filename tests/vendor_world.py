"""Vendors for tests: calibrations, circuits, and stand-ins for the remote services.

The stand-ins sit where the vendors' libraries would go to the network. They run circuits on the
vendors' own local simulators and check what they are sent against the vendors' own schemas.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import Any

from quantumai.backends.calibration import CalibrationSnapshot
from quantumai.backends.physical_circuit import NativeGate, PhysicalCircuit
from quantumai.backends.vendor import VendorCircuit

START = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)


@dataclass
class Clock:
    """A clock that only `sleep` moves."""

    now: datetime = START

    def __call__(self) -> datetime:
        return self.now

    def monotonic(self) -> float:
        return (self.now - START).total_seconds()

    def sleep(self, seconds: float) -> None:
        assert seconds >= 0
        self.now += timedelta(seconds=seconds)


def flips(bits: str, qubits: tuple[int, ...]) -> VendorCircuit:
    """X on each compact qubit whose bit is 1; `bits` has compact qubit 0 rightmost."""
    gates = [NativeGate("x", (q,)) for q, bit in enumerate(reversed(bits)) if bit == "1"]
    return VendorCircuit(PhysicalCircuit(len(bits), tuple(gates)), qubits)


def path_of(snapshot: CalibrationSnapshot, length: int) -> tuple[int, ...]:
    """Physical qubits in a row, each coupled to the next, neither sorted nor from 0."""
    neighbours: dict[int, list[int]] = {}
    for edge in snapshot.edges:
        neighbours.setdefault(edge.control, []).append(edge.target)
        neighbours.setdefault(edge.target, []).append(edge.control)
    paths = [(q,) for q in sorted(neighbours, reverse=True)]
    for _ in range(length - 1):
        paths = [(*p, n) for p in paths for n in neighbours[p[-1]] if n not in p]
    return next(p for p in paths if list(p) != sorted(p))


def scrambled(snapshot: CalibrationSnapshot, qubits: tuple[int, ...], folds: int) -> VendorCircuit:
    """Rotations of all kinds between the native two-qubit gates of a path, each `folds` times."""
    edges = {(edge.control, edge.target) for edge in snapshot.edges}
    gates: list[NativeGate] = []
    for layer in range(2):
        for q in range(len(qubits)):
            angle = 0.3 + 0.7 * q + 1.1 * layer
            gates += [NativeGate("sx", (q,)), NativeGate("rz", (q,), angle), NativeGate("sx", (q,))]
        gates.append(NativeGate("x", (layer,)))
        for q in range(len(qubits) - 1):
            ends = (q, q + 1) if (qubits[q], qubits[q + 1]) in edges else (q + 1, q)
            gates += [NativeGate(snapshot.two_qubit_gate, ends)] * folds
    gates += [NativeGate("sx", (q,)) for q in range(len(qubits))]
    return VendorCircuit(PhysicalCircuit(len(qubits), tuple(gates)), qubits)


def mirrored(snapshot: CalibrationSnapshot, qubits: tuple[int, ...], folds: int) -> VendorCircuit:
    """A scrambled circuit and its inverse: without noise all zeros, with noise visibly not."""
    there = scrambled(snapshot, qubits, folds).circuit.gates
    back: list[NativeGate] = []
    for gate in reversed(there):
        turned = replace(gate, angle=-gate.angle)
        back += [turned] * (3 if gate.name == "sx" else 1)  # sx^3 is its inverse
    return VendorCircuit(PhysicalCircuit(len(qubits), (*there, *back)), qubits)


# ---- IBM


@dataclass
class RuntimeJob:
    """A job of the stand-in of IBM's service: a local one with what a remote one knows besides."""

    local: Any
    tags: list[str]
    created: datetime
    state: str = "DONE"
    reason: str = ""
    charged_s: float | None = 2.0
    running: datetime | None = None

    @property
    def creation_date(self) -> datetime:
        return self.created

    def job_id(self) -> str:
        return str(self.local.job_id())

    def status(self) -> str:
        return self.state

    def error_message(self) -> str:
        return self.reason

    def result(self) -> Any:
        return self.local.result()

    def cancel(self) -> None:
        self.state = "CANCELLED"

    def metrics(self) -> dict[str, Any]:
        ran = self.state not in ("QUEUED", "CANCELLED")
        running = self.running or self.created
        stamps = {"created": self.created, "running": running, "finished": running}
        return {
            "timestamps": {
                name: moment.isoformat().replace("+00:00", "Z")
                for name, moment in stamps.items()
                if ran or name == "created"
            },
            "usage": {"qpu_charge_time_seconds": self.charged_s, "status": "complete"}
            if self.charged_s is not None
            else {"status": "pending"},
        }


@dataclass
class RuntimeService:
    """IBM's service with one device, of which it keeps calibrations by the time they were made."""

    device: str = "fake_lima"
    clock: Clock = field(default_factory=Clock)
    all_jobs: list[RuntimeJob] = field(default_factory=list)
    properties_at: dict[datetime, Any] = field(default_factory=dict)
    lists_late: int = 0
    asked_for: list[datetime | None] = field(default_factory=list)

    def backend(self, name: str) -> Any:
        from qiskit_ibm_runtime import QiskitRuntimeService

        backend = QiskitRuntimeService(channel="local").backend(name)
        published = backend.properties()

        def properties(refresh: bool = False, datetime: datetime | None = None) -> Any:
            self.asked_for.append(datetime)
            moment = self.clock() if datetime is None else datetime
            older = [when for when in sorted(self.properties_at) if when <= moment]
            return self.properties_at[older[-1]] if older else published

        backend.properties = properties
        return backend

    def sample(self, backend: Any, batch: Any, options: dict[str, Any]) -> RuntimeJob:
        """In the place of `sampling.sample`: checks the options, runs locally, keeps the tags."""
        from qiskit_ibm_runtime.options import SamplerOptions

        from quantumai.backends.ibm import sampling

        checked = SamplerOptions(**options)
        assert checked.dynamical_decoupling.enable is False
        assert checked.twirling.enable_gates is False
        assert checked.twirling.enable_measure is False
        local = sampling.sample(backend, batch, None)
        job = RuntimeJob(local, list(checked.environment.job_tags), self.clock())
        self.all_jobs.append(job)
        return job

    def job(self, job_id: str) -> RuntimeJob:
        for job in self.all_jobs:
            if job.job_id() == job_id:
                return job
        from qiskit_ibm_runtime.exceptions import RuntimeJobNotFound

        raise RuntimeJobNotFound(f"Job not found: {job_id}")

    def jobs(self, *, job_tags: list[str], backend_name: str, limit: None) -> list[RuntimeJob]:
        assert backend_name == self.device
        if self.lists_late:
            self.lists_late -= 1
            return []
        return [job for job in reversed(self.all_jobs) if set(job_tags) <= set(job.tags)]


# ---- Braket


def braket_capabilities(
    snapshot: CalibrationSnapshot,
    *,
    natives: tuple[str, ...],
    gate_name: str,
    updated_at: str,
    directed: bool = False,
) -> dict[str, Any]:
    """The device of `snapshot` as Braket's Rigetti capabilities write it."""
    header = "braket.device_schema."
    one_qubit = {
        str(q): {
            "T1": {"value": one.t1_s * 1e6, "standardError": None, "unit": "us"},
            "T2": {"value": one.t2_s, "standardError": None, "unit": "S"},
            "oneQubitFidelity": [
                _fidelity("RANDOMIZED_BENCHMARKING", 1 - one.sx_error),
                _fidelity("READOUT", 1 - one.prob_meas1_prep0),
            ],
        }
        for q, one in enumerate(snapshot.qubits)
        if one.operational
    }
    pairs: dict[str, Any] = {}
    for edge in snapshot.edges:
        ends = (edge.control, edge.target) if directed else sorted((edge.control, edge.target))
        fidelity = {**_fidelity("INTERLEAVED_RANDOMIZED_BENCHMARKING", 1 - edge.error)}
        if directed:
            fidelity["direction"] = {"control": ends[0], "target": ends[1]}
        pairs[f"{ends[0]}-{ends[1]}"] = {
            "twoQubitGateFidelity": [{**fidelity, "gateName": gate_name}]
        }
    graph = {
        q: [name.split("-")[1 - at] for name in pairs for at in (0, 1) if name.split("-")[at] == q]
        for q in one_qubit
    }
    return {
        "braketSchemaHeader": {
            "name": header + "rigetti.rigetti_device_capabilities",
            "version": "2",
        },
        "service": {
            "braketSchemaHeader": {"name": header + "device_service_properties", "version": "1"},
            "executionWindows": [
                {"executionDay": "Everyday", "windowStartHour": "00:00", "windowEndHour": "23:59"}
            ],
            "shotsRange": [1, 50000],
            "deviceCost": {"price": 0.0009, "unit": "shot"},
            "updatedAt": updated_at,
        },
        "action": {
            "braket.ir.openqasm.program": {
                "actionType": "braket.ir.openqasm.program",
                "version": ["1"],
                "supportedOperations": list(natives),
                "supportedResultTypes": [
                    {"name": "Probability", "observables": None, "minShots": 1, "maxShots": 50000}
                ],
            }
        },
        "deviceParameters": {},
        "paradigm": {
            "braketSchemaHeader": {
                "name": header + "gate_model_qpu_paradigm_properties",
                "version": "1",
            },
            "qubitCount": len(one_qubit),
            "nativeGateSet": list(natives),
            "connectivity": {"fullyConnected": False, "connectivityGraph": graph},
        },
        "standardized": {
            "braketSchemaHeader": {
                "name": header + "standardized_gate_model_qpu_device_properties",
                "version": "1",
            },
            "oneQubitProperties": one_qubit,
            "twoQubitProperties": pairs,
        },
    }


def _fidelity(name: str, value: float) -> dict[str, Any]:
    return {"fidelityType": {"name": name}, "fidelity": value, "standardError": None}


@dataclass
class BraketService:
    """Boto3's clients of Braket and S3 in one: tasks run at once on Braket's local simulator."""

    capabilities: dict[str, Any]
    clock: Clock = field(default_factory=Clock)
    tasks: dict[str, dict[str, Any]] = field(default_factory=dict)
    bodies: dict[str, str] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)
    programs: list[str] = field(default_factory=list)
    fails: list[Exception | None] = field(default_factory=list)

    def create_quantum_task(self, **request: Any) -> dict[str, Any]:
        _check_request("CreateQuantumTask", request)
        if self.fails and (failure := self.fails.pop(0)) is not None:
            raise failure
        token = request["clientToken"]
        if token not in self.tokens:
            self.tokens[token] = self._run(request)
        return {"quantumTaskArn": self.tokens[token]}

    def get_quantum_task(self, **request: Any) -> dict[str, Any]:
        _check_request("GetQuantumTask", request)
        arn = request["quantumTaskArn"]
        if arn not in self.tasks:
            raise client_error("ResourceNotFoundException", "no such task")
        return self.tasks[arn]

    def cancel_quantum_task(self, **request: Any) -> dict[str, Any]:
        _check_request("CancelQuantumTask", request)
        task = self.tasks[request["quantumTaskArn"]]
        if task["status"] in ("COMPLETED", "FAILED", "CANCELLED"):
            raise client_error("ConflictException", "the task has ended")
        task.update(status="CANCELLED", endedAt=self.clock())
        return {"quantumTaskArn": request["quantumTaskArn"], "cancellationStatus": "CANCELLING"}

    def get_device(self, **request: Any) -> dict[str, Any]:
        _check_request("GetDevice", request)
        return {"deviceCapabilities": json.dumps(self.capabilities)}

    def get_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:
        return {"Body": BytesIO(self.bodies[f"{Bucket}/{Key}"].encode())}

    def _run(self, request: Mapping[str, Any]) -> str:
        from braket.default_simulator import DensityMatrixSimulator
        from braket.ir.openqasm import Program

        program = Program.parse_raw(request["action"])
        self.programs.append(program.source)
        result = DensityMatrixSimulator().run(program, shots=request["shots"])
        result.additionalMetadata.action = program
        arn = f"arn:aws:braket:us-west-1:123456789012:quantum-task/{len(self.tasks)}"
        folder = f"{request['outputS3KeyPrefix']}/{len(self.tasks)}"
        self.bodies[f"{request['outputS3Bucket']}/{folder}/results.json"] = result.json()
        self.tasks[arn] = {
            "quantumTaskArn": arn,
            "status": "COMPLETED",
            "createdAt": self.clock(),
            "endedAt": self.clock() + timedelta(seconds=10),
            "outputS3Bucket": request["outputS3Bucket"],
            "outputS3Directory": folder,
            "shots": request["shots"],
        }
        return arn


def client_error(code: str, message: str) -> Exception:
    """What boto3 raises for a refused call."""
    from botocore.exceptions import ClientError

    return ClientError({"Error": {"Code": code, "Message": message}}, "Call")


def _check_request(operation: str, request: Mapping[str, Any]) -> None:
    """Against AWS's own model of the service."""
    import botocore.session
    from botocore.validate import validate_parameters

    model = botocore.session.get_session().get_service_model("braket")
    validate_parameters(dict(request), model.operation_model(operation).input_shape)
