"""The part of the OpenAPI document that FastAPI cannot find out: bodies are msgspec records."""

from __future__ import annotations

from typing import Any

import msgspec

from quantumai.services.kms import problems, wire
from quantumai.services.kms.operations import OPERATIONS, Operation

_SCHEMAS = "#/components/schemas/"
_BEARER = "bearer"
_VERSION = {
    "name": "version",
    "in": "query",
    "description": "0 is the current one.",
    "schema": {"type": "integer", "minimum": 0, "default": 0},
}
_NAME = {"name": "name", "in": "path", "required": True, "schema": {"type": "string"}}
_IDEMPOTENCY_KEY = {
    "name": wire.IDEMPOTENCY_KEY,
    "in": "header",
    "description": "The same call again within a day does nothing and answers the same.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
}
_APPROVAL = {
    "name": wire.APPROVAL,
    "in": "header",
    "description": "Base64 of the caller's signature, where two approvers have to sign a call.",
    "schema": {"type": "string", "format": "byte"},
}


def described(operation: Operation) -> dict[str, Any]:
    """The OpenAPI operation object of an entry of the table."""
    found: dict[str, Any] = {
        "operationId": _operation_id(operation),
        "parameters": [
            parameter
            for parameter, wanted in (
                (_NAME, operation.names_key),
                (_VERSION, operation.by_version),
                (_IDEMPOTENCY_KEY, operation.changes),
                (_APPROVAL, operation.changes),
            )
            if wanted
        ],
        "responses": {str(operation.status): _content(operation.answer), "default": _problem()},
        "security": [{_BEARER: []}],
    }
    if operation.body is not None:
        required = bool(msgspec.structs.fields(operation.body)[0].required)
        found["requestBody"] = {"required": required, **_content(operation.body)}
    return found


def described_public_key() -> dict[str, Any]:
    """The operation object of the route that gives a public key as PEM or JWK."""
    return {
        "operationId": "public",
        "parameters": [_NAME, _VERSION],
        "responses": {
            "200": {
                "description": "A SubjectPublicKeyInfo in PEM; by the header Accept a JWK.",
                "content": {
                    wire.PEM_MEDIA_TYPE: {"schema": {"type": "string"}},
                    wire.JWK_MEDIA_TYPE: {"schema": {"type": "object"}},
                },
            },
            "default": _problem(),
        },
        "security": [{_BEARER: []}],
    }


def components() -> dict[str, Any]:
    """Schemas of all bodies and problems, and the way to authenticate."""
    kinds: set[type[msgspec.Struct]] = {problems.Problem, wire.Health}
    kinds |= {o.body for o in OPERATIONS if o.body} | {o.answer for o in OPERATIONS}
    _, schemas = msgspec.json.schema_components(
        sorted(kinds, key=lambda kind: kind.__name__), ref_template=_SCHEMAS + "{name}"
    )
    return {
        "schemas": schemas,
        "securitySchemes": {_BEARER: {"type": "http", "scheme": "bearer"}},
    }


def _operation_id(operation: Operation) -> str:
    last = operation.path.rpartition("/")[2]
    named = {"keys": "create" if operation.changes else "list", "{name}": "show"}
    verb = named.get(last, last.replace("-", "_"))
    return f"set_{verb}" if operation.method == "PUT" else verb


def _content(kind: type[msgspec.Struct]) -> dict[str, Any]:
    schema = {"$ref": _SCHEMAS + kind.__name__}
    return {
        "description": (kind.__doc__ or "").partition("\n")[0],
        "content": {wire.MEDIA_TYPE: {"schema": schema}},
    }


def _problem() -> dict[str, Any]:
    schema = {"$ref": _SCHEMAS + problems.Problem.__name__}
    return {
        "description": "RFC 9457 problem details.",
        "content": {problems.MEDIA_TYPE: {"schema": schema}},
    }
