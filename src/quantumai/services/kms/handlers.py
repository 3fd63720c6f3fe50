"""From a request to an answer: authenticate, take a place, read, call the KMS in a thread, write.

Plain request handlers over msgspec: functions with pydantic bodies, as FastAPI usually has them,
take far more CPU, enough to be felt beside a signature.
"""

from __future__ import annotations

import asyncio
import logging
import time
import traceback
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from uuid import uuid4

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from quantumai.errors import NotFoundError, QuantumAIError, TokenBusyError
from quantumai.keys.jwk import public_jwk
from quantumai.keys.management.port import KeyManagement
from quantumai.keys.management.records import Caller
from quantumai.keys.spki import pem_of_spki
from quantumai.services.kms import wire
from quantumai.services.kms.limits import Gate, Limits
from quantumai.services.kms.operations import Operation
from quantumai.services.kms.principals import Principals
from quantumai.services.kms.problems import MEDIA_TYPE, Problem, internal_problem, problem_of
from quantumai.services.kms.requests import (
    approval_of,
    asked,
    read_body,
    request_id_of,
    version_of,
)

_LOG = logging.getLogger("quantumai.kms")
_READY_FOR_S = 1.0

Endpoint = Callable[[Request], Awaitable[Response]]
Handler = Callable[[Request, str], Awaitable[Response]]


@dataclass(frozen=True)
class Service:
    """What the routes need: the KMS of a caller, who callers are, whether the provider answers."""

    kms_of: Callable[[Caller], KeyManagement]
    principals: Principals
    check: Callable[[], None]
    limits: Limits = field(default_factory=Limits)
    new_id: Callable[[], str] = lambda: uuid4().hex
    monotonic: Callable[[], float] = time.monotonic


def problem_response(problem: Problem) -> Response:
    """A problem as an HTTP answer."""
    return Response(
        msgspec.json.encode(problem), problem.status, problem.headers, media_type=MEDIA_TYPE
    )


def guarded(handler: Handler, new_id: Callable[[], str]) -> Endpoint:
    """`handler` with a request id for every answer, and a problem for every error."""

    async def endpoint(request: Request) -> Response:
        request_id = request_id_of(request, new_id)
        try:
            response = await handler(request, request_id)
        except QuantumAIError as error:
            response = problem_response(problem_of(error, request_id))
        except Exception as error:
            log_internal(error, request_id)
            response = problem_response(internal_problem(request_id))
        response.headers[wire.REQUEST_ID] = request_id
        return response

    return endpoint


def log_internal(error: BaseException, request_id: str) -> None:
    """Log what an unforeseen error is and where it arose, not what it says: that may be secret."""
    frames = traceback.extract_tb(error.__traceback__)
    places = " < ".join(f"{frame.name}:{frame.lineno}" for frame in reversed(frames[-4:]))
    _LOG.error("internal error, request %s: %s in %s", request_id, type(error).__name__, places)


def operation_handler(operation: Operation, service: Service, gate: Gate) -> Handler:
    """The handler of an entry of the table."""

    async def handler(request: Request, request_id: str) -> Response:
        caller = service.principals.caller(request.headers.get("authorization", ""), request_id)
        async with gate.place():
            body = await read_body(request, gate.limits.body_s) if operation.body else b""
            question = asked(operation, request, body)
            if operation.changes:
                caller = replace(caller, approval=approval_of(request))
            answer = await gate.run(
                lambda: msgspec.json.encode(operation.call(service.kms_of(caller), question))
            )
        return Response(answer, operation.status, media_type=wire.MEDIA_TYPE)

    return handler


def public_key_handler(service: Service, gate: Gate) -> Handler:
    """Gives the public key of a version as PEM, or as a JWK to whom accepts JSON."""

    async def handler(request: Request, request_id: str) -> Response:
        caller = service.principals.caller(request.headers.get("authorization", ""), request_id)
        name, version = request.path_params["name"], version_of(request)
        async with gate.place():
            found = await gate.run(lambda: service.kms_of(caller).show(name, version))
        if found.public_key is None:
            raise NotFoundError(f"key {found.label} has no public key yet", hint="try again later")
        if "json" in request.headers.get("accept", ""):
            jwk = msgspec.json.encode(public_jwk(found.public_key))
            return Response(jwk, media_type=wire.JWK_MEDIA_TYPE)
        return Response(pem_of_spki(found.public_key.spki_der), media_type=wire.PEM_MEDIA_TYPE)

    return handler


def health_handler(gate: Gate) -> Handler:
    """Says that the process is alive; asks nobody."""

    async def handler(request: Request, request_id: str) -> Response:
        return _health("alive", gate)

    return handler


def readiness_handler(service: Service, gate: Gate) -> Handler:
    """Says whether the provider answers, asked at most once a second however many want to know."""
    lock = asyncio.Lock()
    last: tuple[float, QuantumAIError | None] | None = None

    async def check() -> QuantumAIError | None:
        try:
            async with gate.place():
                await gate.run(service.check)
        except QuantumAIError as error:
            return error
        return None

    async def handler(request: Request, request_id: str) -> Response:
        nonlocal last
        async with lock:
            if last is None or service.monotonic() - last[0] > _READY_FOR_S:
                failure = await check()
                last = (service.monotonic(), failure)
            failure = last[1]
        if failure is not None:
            # Whatever the reason, "not ready" is 503 to whoever balances the load.
            raise TokenBusyError(f"not ready: {failure}", hint=failure.hint)
        return _health("ready", gate)

    return handler


def _health(status: str, gate: Gate) -> Response:
    body = msgspec.json.encode(wire.Health(status, gate.leaked))
    return Response(body, media_type=wire.MEDIA_TYPE)
