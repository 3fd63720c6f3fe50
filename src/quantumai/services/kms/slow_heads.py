"""Connections that say nothing: uvicorn has no bound for them, and each holds a descriptor.

A connection whose request head is not complete in time is closed, and so is one too many at once:
without descriptors nobody could be served, and asyncio would log every attempt.
"""

from __future__ import annotations

import asyncio
import resource
from typing import Any

HEAD_S = 10.0
_MOST = 4096


def most_connections() -> int:
    """How many connections are kept: half of what descriptors there are for, 4096 at most."""
    return min(_MOST, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2)


def connection_protocol(head_s: float = HEAD_S, most: int | None = None) -> type[Any]:
    """uvicorn's protocol class for HTTP/1.1 with these bounds."""
    from uvicorn.protocols.http.h11_impl import H11Protocol

    limit = most_connections() if most is None else most

    class BoundedConnection(H11Protocol):
        """Closes itself when a head takes too long, and at once when there are too many."""

        _deadline: asyncio.TimerHandle | None = None

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            if len(self.connections) > limit:
                transport.abort()
                return
            self._wait_for_head()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if self._is_answering():
                self._forget()
            elif self._deadline is None:
                self._wait_for_head()

        def connection_lost(self, exc: Exception | None) -> None:
            self._forget()
            super().connection_lost(exc)

        def _is_answering(self) -> bool:
            cycle: Any = self.cycle  # None before the first request, whatever uvicorn's types say
            return cycle is not None and not cycle.response_complete

        def _wait_for_head(self) -> None:
            self._deadline = self.loop.call_later(head_s, self._too_late)

        def _too_late(self) -> None:
            self._deadline = None
            if not self._is_answering():
                self.transport.close()

        def _forget(self) -> None:
            if self._deadline is not None:
                self._deadline.cancel()
                self._deadline = None

    return BoundedConnection
