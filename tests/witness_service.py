"""A witness for tests: the application under uvicorn in a thread, on a port of the system."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from quantumai.provenance.public_log.witness import Witness


@contextmanager
def running_witness(witness: Witness) -> Iterator[str]:
    """Serve `witness` until the block ends; its submission prefix."""
    from quantumai.services.kms.server import listen, make_server
    from quantumai.services.witness.app import create_app

    with listen("127.0.0.1", 0) as listener:
        server = make_server(create_app(witness, body_s=0.5))
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(30)
            assert not thread.is_alive(), "the witness did not stop"


@contextmanager
def canned_answers(
    *answers: tuple[int, str, bytes], drips: bool = False
) -> Iterator[tuple[str, list[bytes]]]:
    """A server that gives (status, media type, body) one after the other, the last for ever.

    Yields its prefix and the bodies that it was sent. With `drips` it never finishes a body.
    """
    left, seen, stopped = list(answers), [], threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            seen.append(self.rfile.read(int(self.headers.get("Content-Length", 0))))
            status, kind, body = left.pop(0) if len(left) > 1 else left[0]
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(1 << 16 if drips else len(body)))
            self.end_headers()
            while drips and not stopped.wait(0.05):
                self.wfile.write(b"\n")
            self.wfile.write(body)

        do_GET = do_POST  # noqa: N815

        def log_message(self, *unused: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", seen
    finally:
        stopped.set()
        server.shutdown()
        server.server_close()
        thread.join(10)
