"""A proxy before an HTTP server on loopback that loses what it is told to lose.

Faults by name, one for each request in turn: "" passes, "lose-request" drops the connection before
the server sees anything, "lose-answer" after the server has done it, "late" holds the answer back
until the client has gone, "half" cuts the answer's last byte off, and a number answers with that
status.
"""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class LossyProxy:
    """Where it listens, the faults to come, and what was asked: (method, path) in order."""

    def __init__(self, upstream: str) -> None:
        self.upstream = upstream.removeprefix("http://")
        self.endpoint_url = ""
        self.faults: list[str] = []
        self.requests: list[tuple[str, str]] = []
        self.gone = threading.Event()

    def next_fault(self, method: str, path: str) -> str:
        self.requests.append((method, path))
        return self.faults.pop(0) if self.faults else ""


@contextmanager
def lossy_proxy(upstream: str) -> Iterator[LossyProxy]:
    """Run a proxy before `upstream` in threads of this process."""
    proxy = LossyProxy(upstream)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(proxy))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    proxy.endpoint_url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield proxy
    finally:
        proxy.gone.set()
        server.shutdown()
        server.server_close()


def _handler(proxy: LossyProxy) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _pass(self) -> None:
            fault = proxy.next_fault(self.command, self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.close_connection = True
            if fault == "lose-request":
                return
            if fault.isdecimal():
                self._answer(int(fault), [], b"<Error><Code>InternalError</Code></Error>")
                return
            connection = http.client.HTTPConnection(proxy.upstream, timeout=30)
            # The signature covers the host name of the proxy: it goes on as it came.
            connection.request(self.command, self.path, body, dict(self.headers.items()))
            answer = connection.getresponse()
            data = answer.read()
            connection.close()
            if fault == "lose-answer":
                return
            if fault == "late":
                proxy.gone.wait(30)
                return
            self._answer(answer.status, answer.getheaders(), data, cut=fault == "half")

        def _answer(
            self, status: int, headers: list[tuple[str, str]], data: bytes, cut: bool = False
        ) -> None:
            self.send_response_only(status)
            hop = {"connection", "transfer-encoding", "content-length", "keep-alive"}
            length = str(len(data))
            for name, value in headers:
                if name.lower() == "content-length":
                    length = value
                if name.lower() not in hop:
                    self.send_header(name, value)
            self.send_header("Content-Length", length)
            self.send_header("Connection", "close")
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(data[:-1] if cut else data)

        def do_GET(self) -> None:
            self._pass()

        def do_HEAD(self) -> None:
            self._pass()

        def do_PUT(self) -> None:
            self._pass()

        def do_DELETE(self) -> None:
            self._pass()

        def log_message(self, *args: Any) -> None:
            pass

    return Handler
