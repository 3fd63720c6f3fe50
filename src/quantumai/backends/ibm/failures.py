"""What an exception of qiskit-ibm-runtime amounts to: ask again, or not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from quantumai.backends.credentials import Scrubber
from quantumai.errors import QuantumAIError, VendorError, VendorUnavailableError

_TRY_AGAIN = {-1, 408, 425, 429, 500, 502, 503, 504}
"""HTTP statuses; -1 is the library's own for a connection that failed."""

_UNREACHABLE = {
    ("requests", "ConnectionError"),
    ("requests", "Timeout"),
    ("urllib3", "HTTPError"),
}


def translated(error: BaseException, scrubber: Scrubber) -> QuantumAIError:
    """Our error for one of IBM's; the library often hides the HTTP error behind another one."""
    chain = tuple(_chain(error))
    statuses = [status for one in chain if (status := _status(one)) is not None]
    told = scrubber.scrub(error)
    if 401 in statuses or 403 in statuses or type(error).__name__ == "IBMNotAuthorizedError":
        return VendorError(
            f"IBM refuses the credentials: {told}", hint="check the token and the instance"
        )
    if any(status in _TRY_AGAIN for status in statuses) or any(map(_is_unreachable, chain)):
        return VendorUnavailableError(f"IBM does not answer as it should: {told}")
    return VendorError(f"IBM failed ({type(error).__name__}): {told}")


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _status(error: BaseException) -> int | None:
    """An HTTP status under any of the names that the libraries below IBM's use."""
    response: Any = getattr(error, "response", None)
    for holder in (error, response):
        for name in ("status_code", "code", "status"):
            value = getattr(holder, name, None)
            if isinstance(value, int) and not isinstance(value, bool):
                return value
    return None


def _is_unreachable(error: BaseException) -> bool:
    return isinstance(error, (ConnectionError, TimeoutError)) or any(
        (base.__module__.split(".")[0], base.__name__) in _UNREACHABLE
        for base in type(error).__mro__
    )
