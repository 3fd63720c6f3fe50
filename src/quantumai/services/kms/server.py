"""uvicorn as the service needs it, and the addresses that it may listen on."""

from __future__ import annotations

import ipaddress
import socket
from typing import TYPE_CHECKING

from quantumai.errors import BadInputError, StorageError
from quantumai.services.kms.slow_heads import connection_protocol

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from uvicorn import Server

# Longer than what clients keep a connection for, so that it is they who close it.
KEEP_ALIVE_S = 75
_STOP_S = 15  # above the deadline of a call, so that calls that are under way get their answer
_BACKLOG = 1024
# An approval may be the longest SLH-DSA signature: 49,856 bytes, in base64.
_MAX_HEADER_BYTES = 96 * 1024


def make_server(app: Starlette) -> Server:
    """A server for `app` that logs no requests: the audit log is their record."""
    from uvicorn import Config, Server

    return Server(
        Config(
            app,
            http=connection_protocol(),
            ws="none",
            access_log=False,
            log_level="warning",
            lifespan="off",
            server_header=False,
            proxy_headers=False,
            h11_max_incomplete_event_size=_MAX_HEADER_BYTES,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=_STOP_S,
        )
    )


def listen(host: str, port: int) -> socket.socket:
    """A listening socket on a loopback address; port 0 lets the system choose.

    Raises `BadInputError` for any other address: without TLS tokens and data keys would cross the
    network in the clear.
    """
    address = _loopback(host)
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        listener = socket.create_server((address, port), family=family, backlog=_BACKLOG)
        # asyncio does so only for sockets that it made itself. Connections inherit it; without it
        # each answer waits 40 ms for the acknowledgement of its header.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return listener
    except (OSError, OverflowError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise StorageError(f"cannot listen on {address} port {port}: {why}") from None


def _loopback(host: str) -> str:
    name = "127.0.0.1" if host == "localhost" else host
    try:
        if ipaddress.ip_address(name).is_loopback:
            return name
    except ValueError:
        pass
    raise BadInputError(
        f"the service has no TLS yet and does not listen on {host[:80]!r}",
        hint="listen on 127.0.0.1, with a proxy with TLS in front",
    )
