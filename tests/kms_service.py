"""The KMS service for tests: uvicorn in a thread, on a loopback port that the system chose."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from quantumai.keys.management.port import KeyManagement
from quantumai.keys.management.records import Caller
from quantumai.services.kms.client import HttpKeyManagement
from quantumai.services.kms.limits import Limits
from quantumai.services.kms.principals import Principals, new_token

TENANT = "local"
PRINCIPALS = ("alice", "bob", "carol")


@dataclass(frozen=True)
class RunningService:
    """Where the service listens, and the token of each of `PRINCIPALS`."""

    base_url: str
    tokens: dict[str, str] = field(repr=False)

    def client(self, principal: str = PRINCIPALS[0]) -> HttpKeyManagement:
        """The port as `principal`, over HTTP."""
        return HttpKeyManagement(self.base_url, self.tokens[principal])


@contextmanager
def running_service(
    kms_of: Callable[[Caller], KeyManagement],
    *,
    check: Callable[[], None] = lambda: None,
    limits: Limits | None = None,
    tenant: str = TENANT,
    principals: tuple[str, ...] = PRINCIPALS,
) -> Iterator[RunningService]:
    """Serve `kms_of` until the block ends."""
    from quantumai.services.kms.app import create_app
    from quantumai.services.kms.handlers import Service
    from quantumai.services.kms.server import listen, make_server

    tokens = {name: new_token() for name in principals}
    known = Principals.of({tokens[name]: Caller(tenant, name) for name in principals})
    service = Service(kms_of, known, check, limits or Limits())
    with listen("127.0.0.1", 0) as listener:
        server = make_server(create_app(service))
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        try:
            # Connections wait in the backlog until the server accepts them.
            yield RunningService(f"http://127.0.0.1:{listener.getsockname()[1]}", tokens)
        finally:
            server.should_exit = True
            thread.join(30)
            assert not thread.is_alive(), "the service did not stop"
