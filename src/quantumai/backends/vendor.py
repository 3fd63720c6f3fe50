"""The vendor port: a batch of circuits in, a job at a vendor, counts, cost and calibration out.

Counts are in Qiskit's bit order for every vendor: the rightmost bit is compact qubit 0. Adapters
ask for raw counts; what undoes noise is ours. Nothing here holds or shows a credential.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from typing import Protocol

from quantumai.backends.calibration import CalibrationSnapshot
from quantumai.backends.physical_circuit import PhysicalCircuit
from quantumai.canonical import canonical_json, sha256_hex
from quantumai.errors import BadInputError


class VendorState(StrEnum):
    """Where a job is. The last four are final; PARTIAL: some of its circuits have counts."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    PARTIAL = "partial"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """Whether nothing will change any more."""
        return self not in (VendorState.QUEUED, VendorState.RUNNING)


@dataclass(frozen=True)
class VendorCircuit:
    """Gates as they are to run: folding and measurement rotations written out.

    Compact qubit i is `physical_qubits[i]` of the device. All compact qubits are measured in Z at
    the end. An adapter runs the gates as they stand or not at all: a compiler would undo folding.
    """

    circuit: PhysicalCircuit
    physical_qubits: tuple[int, ...]

    def __post_init__(self) -> None:
        qubits = self.physical_qubits
        if len(set(qubits)) != self.circuit.num_qubits or len(qubits) != self.circuit.num_qubits:
            raise BadInputError(f"{self.circuit.num_qubits} qubits cannot be placed on {qubits}")


@dataclass(frozen=True)
class VendorBatch:
    """Circuits that run together, each with `shots` shots."""

    circuits: tuple[VendorCircuit, ...]
    shots: int

    def __post_init__(self) -> None:
        if not self.circuits or self.shots < 1:
            raise BadInputError("a batch needs a circuit and a shot")

    @cached_property
    def sha256(self) -> str:
        """What tells this batch from another one under the same key, lower-case hex."""
        circuits = [[c.circuit.to_qasm(), list(c.physical_qubits)] for c in self.circuits]
        return sha256_hex(canonical_json({"circuits": circuits, "shots": self.shots}))

    def part(self, positions: Sequence[int]) -> VendorBatch:
        """The batch of only these circuits."""
        return replace(self, circuits=tuple(self.circuits[position] for position in positions))


@dataclass(frozen=True)
class VendorJob:
    """A job as the vendor knows it: one id, or one for each circuit.

    `was_known` is true where the key had been submitted before, so that nothing new was started,
    and None where the vendor does not tell.
    """

    key: str
    vendor_ids: tuple[str, ...]
    num_circuits: int
    was_known: bool | None


@dataclass(frozen=True)
class JobStatus:
    """State of a job; `message` is the vendor's reason of a failure, without credentials."""

    state: VendorState
    queue_position: int | None = None
    message: str = ""


@dataclass(frozen=True)
class CircuitResult:
    """Counts by bit string, or None and the reason; a vendor may return fewer shots than asked."""

    counts: Mapping[str, int] | None
    failure: str = ""
    is_retryable: bool = False

    @property
    def shots(self) -> int:
        """Shots that came back."""
        return sum(self.counts.values()) if self.counts else 0


@dataclass(frozen=True)
class Cost:
    """What the vendor bills for a job in USD, and how that was found; None where it is not known.

    No vendor's interface returns an invoice: it is the usage that the vendor reports times prices
    that the entry gives.
    """

    usd: float | None
    basis: str


@dataclass(frozen=True)
class JobResult:
    """What came of a job in a final state, `circuits` in the order of the batch.

    `calibrations` are those that may have been in force between start and end of the run, oldest
    first; more than one says that the device was recalibrated. Empty: the vendor shows none. Times
    are UTC, None where the vendor does not tell. `duplicate_ids` are further jobs that the vendor
    started under the same key; `cost` is that of all.
    """

    state: VendorState
    circuits: tuple[CircuitResult, ...]
    cost: Cost
    calibrations: tuple[CalibrationSnapshot, ...]
    submitted_at: datetime | None
    started_at: datetime | None
    ended_at: datetime | None
    duplicate_ids: tuple[str, ...] = ()


class VendorBackend(Protocol):
    """One device or simulator of one vendor.

    Every call may raise `VendorUnavailableError` (ask again) or `VendorError` (do not).
    """

    @property
    def backend_id(self) -> str:
        """The product's id of it."""
        ...

    def calibration(self) -> CalibrationSnapshot | None:
        """The calibration in force now; None where the vendor shows none."""
        ...

    def submit(self, batch: VendorBatch, key: str) -> VendorJob:
        """Start the batch, unless the key was submitted before: then that job is returned.

        Raises `ConflictError` for another batch under a known key, `BadInputError` for one that
        this backend cannot take.
        """
        ...

    def status(self, job: VendorJob) -> JobStatus:
        """Where the job is now."""
        ...

    def result(self, job: VendorJob) -> JobResult:
        """What came of it; a `VendorError` while its state is not final."""
        ...

    def cancel(self, job: VendorJob) -> None:
        """Ask the vendor to stop it; a job in a final state stays as it is."""
        ...


def state_of(circuits: Sequence[CircuitResult], *, was_cancelled: bool = False) -> VendorState:
    """The final state that these results amount to."""
    with_counts = sum(result.counts is not None for result in circuits)
    if with_counts == len(circuits):
        return VendorState.DONE
    if was_cancelled:
        return VendorState.CANCELLED
    return VendorState.PARTIAL if with_counts else VendorState.FAILED


def in_force(
    snapshots: Iterable[CalibrationSnapshot], start: datetime, end: datetime
) -> tuple[CalibrationSnapshot, ...]:
    """Those of `snapshots` that may have been in force from `start` to `end`, oldest first.

    A calibration is in force from its `created_at` until the next one's.
    """
    known = {snapshot.sha256: snapshot for snapshot in snapshots}
    timed = sorted((datetime.fromisoformat(s.created_at), s.sha256) for s in known.values())
    before = [sha256 for moment, sha256 in timed if moment <= start]
    during = [sha256 for moment, sha256 in timed if start < moment <= end]
    return tuple(known[sha256] for sha256 in before[-1:] + during)
