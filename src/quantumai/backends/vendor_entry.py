"""What a vendor's device is called and what it costs: everything to reach it but credentials."""

from __future__ import annotations

from typing import Literal

import msgspec

from quantumai.backends.vendor import Cost


class Prices(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """USD of your contract with the vendor; None: not known."""

    usd_per_task: float | None = None
    usd_per_shot: float | None = None
    usd_per_second: float | None = None


class VendorEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One backend at a vendor.

    `device`: for ibm the device's name ("fake_lima" is simulated locally, "ibm_torino" is a real
    one), for braket "local" or an ARN, for mock any name. `results_bucket` is the S3 bucket of a
    Braket device's results.
    """

    backend_id: str
    vendor: Literal["ibm", "braket", "mock"]
    device: str
    prices: Prices = Prices()
    results_bucket: str = ""


NOTHING_BILLED = Cost(0.0, "simulated on this machine")


def cost_of_seconds(seconds: float | None, prices: Prices) -> Cost:
    """Cost of so many seconds of use; None: the vendor has not said yet."""
    if seconds is None:
        return Cost(None, "the vendor has not reported the usage")
    if prices.usd_per_second is None:
        return Cost(None, f"{seconds:g} s used; no price per second is given")
    return Cost(seconds * prices.usd_per_second, f"{seconds:g} s used, by the price per second")


def cost_of_shots(tasks: int, shots: int, prices: Prices) -> Cost:
    """Cost of completed tasks and their shots."""
    used = f"{tasks} tasks, {shots} shots"
    if prices.usd_per_task is None or prices.usd_per_shot is None:
        return Cost(None, f"{used}; no price per task and shot is given")
    usd = tasks * prices.usd_per_task + shots * prices.usd_per_shot
    return Cost(usd, f"{used}, by the price per task and shot")
