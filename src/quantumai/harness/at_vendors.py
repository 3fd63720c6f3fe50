"""What a worker needs to run cells on backends of vendors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from quantumai.backends.vendor import VendorBackend
from quantumai.execution.vendor_methods import VendorAccess
from quantumai.execution.vendor_run import Patience


@dataclass(frozen=True)
class AtVendors:
    """`open_backend` gives one of `backend_ids`; `run_id` is in the keys of all that is submitted.

    `sleep` (seconds) and `monotonic` are the clock by which to wait.
    """

    backend_ids: frozenset[str]
    open_backend: Callable[[str], VendorBackend]
    run_id: str
    sleep: Callable[[float], None]
    monotonic: Callable[[], float]
    patience: Patience = field(default_factory=Patience)

    def access(self, backend_id: str) -> VendorAccess:
        """A backend, opened, and how to wait for it."""
        backend = self.open_backend(backend_id)
        return VendorAccess(backend, self.sleep, self.monotonic, self.patience)
