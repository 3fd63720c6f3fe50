"""Run a batch at a vendor, patiently: retries, partial results, a deadline, and nothing unsaid.

Whatever happens here may happen again after a crash: the same key with the same batch finds the
jobs that were submitted before, so that nothing runs twice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from quantumai.backends.calibration import CalibrationSnapshot
from quantumai.backends.vendor import JobResult, VendorBackend, VendorBatch, VendorJob
from quantumai.errors import VendorError, VendorUnavailableError

T = TypeVar("T")


@dataclass(frozen=True)
class Patience:
    """How long to try. Waits begin at `first_wait_s` and double up to `longest_wait_s`.

    A call is made `tries` times at most. At `deadline_s` a job is cancelled and has `grace_s` to
    end. Circuits without counts that may succeed are submitted again, in `max_jobs` jobs in all.
    """

    first_wait_s: float = 1.0
    longest_wait_s: float = 60.0
    tries: int = 6
    deadline_s: float = 3600.0
    grace_s: float = 120.0
    max_jobs: int = 3


@dataclass(frozen=True)
class JobRecord:
    """One job of a run: which circuits of the batch it had, by position, and what came of it."""

    job: VendorJob
    positions: tuple[int, ...]
    result: JobResult
    is_out_of_time: bool


@dataclass(frozen=True)
class VendorRun:
    """What came of a batch; `counts[i]` of circuit i, or None and the reason in `failures[i]`."""

    counts: tuple[Mapping[str, int] | None, ...]
    failures: tuple[str, ...]
    jobs: tuple[JobRecord, ...]

    @property
    def is_complete(self) -> bool:
        """Whether every circuit has counts."""
        return all(counts is not None for counts in self.counts)

    @property
    def vendor_ids(self) -> tuple[str, ...]:
        """All of the vendor's ids, duplicates included, in order."""
        return tuple(
            name for one in self.jobs for name in (*one.job.vendor_ids, *one.result.duplicate_ids)
        )

    @property
    def runs_of_circuits(self) -> tuple[int, ...]:
        """How often each circuit was run or tried; more than 1 is what has to be said."""
        runs = [0] * len(self.counts)
        for one in self.jobs:
            for position in one.positions:
                runs[position] += 1 + len(one.result.duplicate_ids)
        return tuple(runs)

    @property
    def cost_usd(self) -> float | None:
        """What all jobs cost; None if that of one is not known."""
        known = [one.result.cost.usd for one in self.jobs]
        total = 0.0
        for usd in known:
            if usd is None:
                return None
            total += usd
        return total

    @property
    def calibrations(self) -> tuple[CalibrationSnapshot, ...]:
        """Those in force during the runs, each once; more than one says that they changed."""
        found = {c.sha256: c for one in self.jobs for c in one.result.calibrations}
        return tuple(found.values())


def run_on_vendor(
    vendor: VendorBackend,
    batch: VendorBatch,
    key: str,
    *,
    sleep: Callable[[float], None],
    monotonic: Callable[[], float],
    patience: Patience | None = None,
) -> VendorRun:
    """Submit under `key`, wait, collect; job n has the idempotency key "<key>/<n>".

    Raises `VendorUnavailableError` if the vendor does not answer for too long or a job does not
    even end when cancelled: calling again with the same key goes on. Other `VendorError`s and
    `BadInputError` are the vendor's refusal.
    """
    run = _Run(vendor, patience or Patience(), sleep, monotonic)
    counts: list[Mapping[str, int] | None] = [None] * len(batch.circuits)
    failures = [""] * len(batch.circuits)
    records: list[JobRecord] = []
    wanted = tuple(range(len(batch.circuits)))
    while wanted and len(records) < run.patience.max_jobs:
        record = run.job(batch.part(wanted), f"{key}/{len(records) + 1}", wanted)
        records.append(record)
        again = []
        for position, result in zip(wanted, record.result.circuits, strict=True):
            counts[position], failures[position] = result.counts, result.failure
            if result.counts is None and result.is_retryable:
                again.append(position)
        if record.is_out_of_time or run.is_over:
            break
        wanted = tuple(again)
    return VendorRun(tuple(counts), tuple(failures), tuple(records))


class _Run:
    """The waiting of one run."""

    def __init__(
        self,
        vendor: VendorBackend,
        patience: Patience,
        sleep: Callable[[float], None],
        monotonic: Callable[[], float],
    ) -> None:
        self.patience = patience
        self._vendor = vendor
        self._sleep = sleep
        self._monotonic = monotonic
        self._deadline = monotonic() + patience.deadline_s

    @property
    def is_over(self) -> bool:
        """Whether the deadline has passed, so that no further job is begun."""
        return self._monotonic() >= self._deadline

    def job(self, batch: VendorBatch, key: str, positions: tuple[int, ...]) -> JobRecord:
        """One job from its submission to its result."""
        # The same key every time: a submission whose answer was lost is found, not repeated.
        job = self._retried(lambda: self._vendor.submit(batch, key))
        is_out_of_time = not self._ends_by(job, self._deadline)
        if is_out_of_time:
            self._retried(lambda: self._vendor.cancel(job))
            if not self._ends_by(job, self._monotonic() + self.patience.grace_s):
                raise VendorUnavailableError(
                    f"job {job.vendor_ids[0]} did not end in time, nor when cancelled",
                    hint="run again under the same key to go on waiting",
                )
        result = self._retried(lambda: self._vendor.result(job))
        return JobRecord(job, positions, result, is_out_of_time)

    def _ends_by(self, job: VendorJob, deadline: float) -> bool:
        wait_s = self.patience.first_wait_s
        while not self._retried(lambda: self._vendor.status(job)).state.is_final:
            left_s = deadline - self._monotonic()
            if left_s <= 0:
                return False
            self._sleep(min(wait_s, left_s))
            wait_s = min(2 * wait_s, self.patience.longest_wait_s)
        return True

    def _retried(self, call: Callable[[], T]) -> T:
        wait_s = self.patience.first_wait_s
        for left in reversed(range(self.patience.tries)):
            try:
                return call()
            except VendorError as error:
                if not isinstance(error, VendorUnavailableError) or not left:
                    raise
                asked_s = error.retry_after_s
            self._sleep(max(wait_s, asked_s))
            wait_s = min(2 * wait_s, self.patience.longest_wait_s)
        raise ValueError("patience of no tries")
