"""The KMS over HTTP as an ASGI application: FastAPI routes over any `KeyManagement`.

Every answer carries X-Request-Id, and every error is a problem document (RFC 9457).
"""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from quantumai.errors import BadInputError, NotFoundError, QuantumAIError
from quantumai.keys.management.kms import Kms
from quantumai.services.kms import wire
from quantumai.services.kms.handlers import (
    Handler,
    Service,
    guarded,
    health_handler,
    log_internal,
    operation_handler,
    problem_response,
    public_key_handler,
    readiness_handler,
)
from quantumai.services.kms.limits import Gate
from quantumai.services.kms.openapi import components, described, described_public_key
from quantumai.services.kms.operations import OPERATIONS
from quantumai.services.kms.principals import Principals
from quantumai.services.kms.problems import NoSuchMethodError, internal_problem, problem_of
from quantumai.services.kms.requests import request_id_of


def service_of(kms: Kms, principals: Principals) -> Service:
    """The service over the KMS of a home; it is ready while all its providers answer."""

    def check() -> None:
        for provider in kms.parts.providers.values():
            provider.check()

    return Service(kms.of, principals, check)


def create_app(service: Service) -> FastAPI:
    """The application. Run it in one process: limits and threads are its own."""
    # The pages that show the OpenAPI document would load scripts from elsewhere.
    app = FastAPI(
        title="QuantumAI KMS", version="1", docs_url=None, redoc_url=None, redirect_slashes=False
    )
    gate = Gate(service.limits)

    def add(method: str, path: str, handler: Handler, **description: Any) -> None:
        endpoint = guarded(handler, service.new_id)
        app.add_api_route(
            path,
            endpoint,
            methods=[method],
            response_model=None,
            **{"tags": ["keys"]} | description,
        )

    for operation in OPERATIONS:
        add(
            operation.method,
            "/v1" + operation.path,
            operation_handler(operation, service, gate),
            summary=operation.summary,
            status_code=operation.status,
            openapi_extra=described(operation),
        )
    add(
        "GET",
        "/v1/keys/{name}/public",
        public_key_handler(service, gate),
        summary="Give a public key as SPKI in PEM, or as JWK.",
        openapi_extra=described_public_key(),
    )
    add("GET", "/healthz", health_handler(gate), summary="Say that the process is alive.")
    add("GET", "/readyz", readiness_handler(service, gate), summary="Say if the provider answers.")
    _say_problems(app, service)
    _describe_bodies(app)
    return app


def _say_problems(app: FastAPI, service: Service) -> None:
    """What never reaches a handler of ours is a problem document too."""

    def answer(request: Request, error: QuantumAIError) -> Response:
        request_id = request_id_of(request, service.new_id)
        response = problem_response(problem_of(error, request_id))
        response.headers[wire.REQUEST_ID] = request_id
        return response

    @app.exception_handler(HTTPException)
    async def refused(request: Request, error: HTTPException) -> Response:
        if error.status_code == 405:
            response = answer(request, NoSuchMethodError(f"{request.method} is not offered here"))
            response.headers.update(error.headers or {})
            return response
        if error.status_code == 404:
            return answer(request, NotFoundError("no such path", hint="see /openapi.json"))
        return answer(request, BadInputError(str(error.detail)[:200]))

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        return answer(request, BadInputError("the request does not fit", hint="see /openapi.json"))

    @app.exception_handler(Exception)
    async def unforeseen(request: Request, error: Exception) -> Response:
        request_id = request_id_of(request, service.new_id)
        log_internal(error, request_id)
        return problem_response(internal_problem(request_id))


def _describe_bodies(app: FastAPI) -> None:
    """Add the schemas of the bodies to the document that FastAPI writes."""
    of_fastapi = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = of_fastapi()
            for name, parts in components().items():
                document.setdefault("components", {}).setdefault(name, {}).update(parts)
        assert app.openapi_schema is not None
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]
