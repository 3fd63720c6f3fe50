"""Where a client of the key service may connect to: its token does not go out in the clear."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from quantumai.errors import BadInputError

if TYPE_CHECKING:
    from urllib3 import HTTPConnectionPool

_CONNECT_S = 5.0
_CONNECTIONS = 64
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


def open_connections(base_url: str, read_timeout_s: float) -> HTTPConnectionPool:
    """Connections to the service at `base_url`; none is made yet.

    Raises `BadInputError` for anything but https, or http on loopback.
    """
    from urllib3 import Timeout, connection_from_url

    refused = BadInputError(f"not the address of a key service: {base_url[:80]!r}")
    try:
        address = urlsplit(base_url)
        if address.scheme not in ("http", "https") or not address.netloc:
            raise refused
        timeout = Timeout(connect=_CONNECT_S, read=read_timeout_s)
        pool = connection_from_url(base_url, maxsize=_CONNECTIONS, timeout=timeout)
    except ValueError:
        raise refused from None
    # Of the pool, since it is there that the token goes: parsers differ about strange addresses.
    if pool.scheme != "https" and pool.host not in _LOOPBACK:
        raise BadInputError(
            "the address of a key service is https, or http on loopback",
            hint="the token must not cross a network in the clear",
        )
    return pool
