"""A real IBM device, its service stood in for: what is sent, found again, told and translated."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from quantumai.backends.credentials import Scrubber
from quantumai.backends.ibm import device as ibm_device
from quantumai.backends.ibm.failures import translated
from quantumai.backends.vendor import VendorBatch, VendorState
from quantumai.backends.vendor_entry import Prices
from quantumai.errors import VendorError, VendorUnavailableError
from quantumai.execution.vendor_run import run_on_vendor
from tests.vendor_world import START, RuntimeService, flips

pytestmark = pytest.mark.slow
BATCH = VendorBatch((flips("01", (1, 0)),), 100)


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> RuntimeService:
    service = RuntimeService()
    monkeypatch.setattr(ibm_device, "sample", service.sample)
    return service


def open_device(service: Any) -> ibm_device.IbmDevice:
    prices = Prices(usd_per_second=1.6)
    return ibm_device.IbmDevice("ibm.fake_lima", "fake_lima", service, prices, Scrubber())


def recalibrated(service: RuntimeService, after_s: float) -> Any:
    """The device's properties with another T1, published so long after the beginning."""
    properties = service.backend("fake_lima").properties()
    moment = START + timedelta(seconds=after_s)
    plain = properties.to_dict()
    plain["last_update_date"] = moment
    plain["qubits"][0][0]["value"] *= 0.5
    service.properties_at[moment] = type(properties).from_dict(plain)
    return plain["qubits"][0][0]["value"] * 1e-6


def test_calibration_is_asked_for_the_start_of_the_run(service: RuntimeService) -> None:
    """Created at 0 s, recalibrated at 50 s, run at 100 s, recalibrated at 200 s."""
    vendor = open_device(service)
    job = vendor.submit(BATCH, "k")
    t1_s = recalibrated(service, 50)
    recalibrated(service, 200)
    service.all_jobs[0].running = START + timedelta(seconds=100)
    service.clock.sleep(300)
    (found,) = vendor.result(job).calibrations
    assert found.qubits[0].t1_s == pytest.approx(t1_s)
    assert found.created_at == "2026-11-26T12:00:50Z"
    assert all(m is None or m.utcoffset() == timedelta(0) for m in service.asked_for)


def test_another_process_finds_the_job(service: RuntimeService) -> None:
    first = open_device(service).submit(BATCH, "k")
    again = open_device(service).submit(BATCH, "k")
    assert again.vendor_ids == first.vendor_ids
    assert again.was_known
    assert len(service.all_jobs) == 1


def test_a_job_that_is_listed_late_runs_twice_and_that_is_told(service: RuntimeService) -> None:
    vendor = open_device(service)
    vendor.submit(BATCH, "k/1")
    service.lists_late = 1
    run = run_on_vendor(
        vendor, BATCH, "k", sleep=service.clock.sleep, monotonic=service.clock.monotonic
    )
    assert set(run.vendor_ids) == {job.job_id() for job in service.all_jobs}
    assert run.runs_of_circuits == (2,)
    assert run.cost_usd == pytest.approx(2 * 2.0 * 1.6)


def test_a_failed_and_a_cancelled_job(service: RuntimeService) -> None:
    vendor = open_device(service)
    job = vendor.submit(BATCH, "failed")
    service.all_jobs[0].state, service.all_jobs[0].reason = "ERROR", "Error code 1517; not ISA"
    assert vendor.status(job).message == "Error code 1517; not ISA"
    result = vendor.result(job)
    assert (result.state, result.circuits[0].counts) == (VendorState.FAILED, None)
    assert "1517" in result.circuits[0].failure
    job = vendor.submit(BATCH, "cancelled")
    service.all_jobs[1].state = "QUEUED"
    with pytest.raises(VendorError, match="no result yet"):
        vendor.result(job)
    vendor.cancel(job)
    result = vendor.result(job)
    assert (result.state, result.calibrations) == (VendorState.CANCELLED, ())


def test_usage_that_is_not_settled_is_not_free(service: RuntimeService) -> None:
    vendor = open_device(service)
    job = vendor.submit(BATCH, "k")
    service.all_jobs[0].charged_s = None
    assert vendor.result(job).cost.usd is None


def _hidden(status: int) -> Exception:
    """As the library raises it: the HTTP error is only its context."""
    from qiskit_ibm_runtime.api.exceptions import RequestsApiError
    from qiskit_ibm_runtime.exceptions import IBMRuntimeError

    try:
        try:
            raise RequestsApiError("server said something", status_code=status)
        except RequestsApiError as error:
            raise IBMRuntimeError(f"Failed to run program: {error}") from None
    except IBMRuntimeError as error:
        return error


@pytest.mark.parametrize(
    ("status", "retryable"),
    [(-1, True), (429, True), (503, True), (400, False), (401, False), (404, False), (409, False)],
)
def test_which_failures_may_be_tried_again(status: int, retryable: bool) -> None:
    found = translated(_hidden(status), Scrubber())
    assert isinstance(found, VendorError)
    assert found.retryable == retryable
    assert ("credentials" in str(found)) == (status == 401)


def test_a_connection_that_fails_may_be_tried_again() -> None:
    import requests

    for error in (requests.ConnectTimeout("x"), requests.ConnectionError("x"), TimeoutError("x")):
        assert isinstance(translated(error, Scrubber()), VendorUnavailableError)
    assert not translated(KeyError("x"), Scrubber()).retryable
