"""One HTTP call with bounds: on its time, whole, and on the bytes that are read.

What is fetched here carries its own signatures, so plain http is fine; redirects are not followed.
"""

from __future__ import annotations

import http.client
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from urllib.parse import SplitResult, quote, urlsplit

from quantumai.errors import UnreachableError
from quantumai.services.web_address import check_url

_CONNECT_S = 5.0


@dataclass(frozen=True)
class Fetched:
    """Status, media type and body of an answer."""

    status: int
    media_type: str
    body: bytes


def fetch(
    url: str,
    *,
    body: bytes | None = None,
    most_bytes: int,
    within_s: float,
) -> Fetched:
    """GET `url`, or POST `body` to it. Raises `UnreachableError` where no answer comes in time."""
    parts = urlsplit(check_url(url))
    method = "GET" if body is None else "POST"
    target = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~")
    headers = {"Accept-Encoding": "identity", "User-Agent": "quantumai"}
    if body is not None:
        headers["Content-Type"] = "text/plain; charset=utf-8"
    try:
        with _connected(parts, within_s) as connection:
            connection.request(method, target, body, headers)
            response = connection.getresponse()
            answer = response.read(most_bytes + 1)
            cut_short = response.length not in (None, 0) and len(answer) <= most_bytes
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise UnreachableError(
            f"no answer from {parts.netloc[:80]}: {type(error).__name__}", hint="try again later"
        ) from None
    if len(answer) > most_bytes or cut_short:
        raise UnreachableError(f"the answer from {parts.netloc[:80]} is too long or cut short")
    return Fetched(response.status, response.headers.get("Content-Type", ""), answer)


@contextmanager
def _connected(parts: SplitResult, within_s: float) -> Iterator[http.client.HTTPConnection]:
    """A connection that is cut after `within_s`, whatever it is at.

    A server that sends byte after byte would never run into the timeout of a single read.
    """
    host = parts.hostname or ""
    is_secure = parts.scheme == "https"
    port = parts.port or (443 if is_secure else 80)
    with socket.create_connection((host, port), min(_CONNECT_S, within_s)) as plain:
        plain.settimeout(within_s)
        # A second handle of the same connection: TLS takes the first one over.
        with plain.dup() as handle:
            watchdog = threading.Timer(within_s, _cut, [handle])
            watchdog.daemon = True
            watchdog.start()
            connection = http.client.HTTPConnection(host, port)
            try:
                connection.sock = _secured(plain, host) if is_secure else plain
                yield connection
            finally:
                watchdog.cancel()
                connection.close()


def _secured(plain: socket.socket, host: str) -> socket.socket:
    import ssl

    return ssl.create_default_context().wrap_socket(plain, server_hostname=host)


def _cut(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
