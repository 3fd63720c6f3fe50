"""The witness as an ASGI application: `add-checkpoint`, and the checkpoints that it cosigned."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from quantumai.canonical import sha256_hex
from quantumai.errors import QuantumAIError
from quantumai.provenance.public_log.witness import LONGEST_REQUEST, Answer, Witness

_LOG = logging.getLogger("quantumai.witness")
_BODY_S = 10.0


def create_app(witness: Witness, body_s: float = _BODY_S) -> Starlette:
    """The application; several processes may serve one store."""
    origins = {sha256_hex(origin.encode()): origin for origin in witness.logs}

    async def add_checkpoint(request: Request) -> Response:
        body = await _read_body(request, body_s)
        if isinstance(body, Answer):
            return _response(body)
        return _response(await run_in_threadpool(_guarded, lambda: witness.add_checkpoint(body)))

    async def checkpoint(request: Request) -> Response:
        origin = origins.get(request.path_params["origin_hash"], "")
        return _response(await run_in_threadpool(_guarded, lambda: _newest(witness, origin)))

    return Starlette(
        routes=[
            Route("/add-checkpoint", add_checkpoint, methods=["POST"]),
            Route("/{origin_hash:str}/checkpoint", checkpoint, methods=["GET"]),
        ]
    )


def _newest(witness: Witness, origin: str) -> Answer:
    found = witness.newest(origin)
    return Answer(404, b"nothing was cosigned\n") if found is None else Answer(200, found)


def _guarded(call: Callable[[], Answer]) -> Answer:
    try:
        return call()
    except QuantumAIError as error:
        # No cosignature leaves unless all of it was remembered.
        _LOG.error("%s", error)
        return Answer(503, b"the witness cannot sign now\n")


async def _read_body(request: Request, within_s: float) -> bytes | Answer:
    parts, size = [], 0
    try:
        async with asyncio.timeout(within_s):
            async for part in request.stream():
                size += len(part)
                if size > LONGEST_REQUEST:
                    return Answer(413, b"the request is too long\n")
                parts.append(part)
    except ClientDisconnect:
        return Answer(400, b"the caller went away\n")
    except TimeoutError:
        return Answer(408, b"the request did not arrive in time\n")
    return b"".join(parts)


def _response(answer: Answer) -> Response:
    headers = {"Content-Type": answer.media_type, "Cache-Control": "no-store"}
    return Response(answer.body, answer.status, headers)
