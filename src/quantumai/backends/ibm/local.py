"""IBM's local testing mode: a frozen device, simulated by qiskit-aer with its published noise."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from datetime import datetime
from importlib.util import find_spec

from quantumai.backends.credentials import Scrubber, asked
from quantumai.backends.ibm.failures import translated
from quantumai.backends.ibm.sampling import counts_of, sample
from quantumai.backends.ibm_fake import read_snapshot
from quantumai.backends.local_vendor import LocalVendor, Simulated
from quantumai.backends.vendor import VendorBatch
from quantumai.errors import BadInputError

PREFIX = "fake_"


def ibm_local(backend_id: str, device: str, clock: Callable[[], datetime]) -> LocalVendor:
    """A device such as "fake_lima"; its calibration is the packaged one.

    Raises `BadInputError` for an unknown device, or where a package is missing. The local mode
    ignores resilience options, hence none is set, and it takes no account.
    """
    snapshot = read_snapshot(device.removeprefix(PREFIX))
    for package in ("qiskit_ibm_runtime", "qiskit_aer"):
        # Without Aer the vendor's library would simulate without noise, and only warn.
        if find_spec(package) is None:
            raise BadInputError(
                f"{package} is not installed", hint="pip install 'quantumai[ibm,aer]'"
            )

    def simulate(batch: VendorBatch) -> Simulated:
        return asked(lambda: _simulated(device, batch), lambda e: translated(e, Scrubber()))

    return LocalVendor(backend_id, snapshot, simulate, clock)


def _simulated(device: str, batch: VendorBatch) -> Simulated:
    from qiskit_ibm_runtime import QiskitRuntimeService

    with warnings.catch_warnings():
        # Looking one device up makes all of them, and some say of themselves that they are made up.
        warnings.filterwarnings("ignore", "Properties of fake_", UserWarning)
        backend = QiskitRuntimeService(channel="local").backend(device)
    job = sample(backend, batch, None)
    counts = tuple(counts_of(publication) for publication in job.result())
    return Simulated((job.job_id(),), counts)
