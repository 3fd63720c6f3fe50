"""What a request says before the KMS hears of it: id, version, idempotency key, bounded body."""

from __future__ import annotations

import asyncio
import base64
import binascii
import re
from collections.abc import Callable
from typing import Any

import msgspec
from starlette.requests import ClientDisconnect, Request

from quantumai.errors import BadInputError
from quantumai.services.kms.operations import Asked, Operation
from quantumai.services.kms.problems import TooLargeError, TooSlowError
from quantumai.services.kms.wire import APPROVAL, IDEMPOTENCY_KEY, MAX_BODY_BYTES, REQUEST_ID

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_IDEMPOTENCY_KEY = re.compile(r"[\x21-\x7e]{1,255}")
_VERSION = re.compile(r"[0-9]{1,6}")


def request_id_of(request: Request, new_id: Callable[[], str]) -> str:
    """The caller's X-Request-Id if it may stand in a log, else a fresh one."""
    given = request.headers.get(REQUEST_ID, "")
    return given if _REQUEST_ID.fullmatch(given) else new_id()


def version_of(request: Request) -> int:
    """The query parameter `version`, 0 if there is none. Raises `BadInputError`."""
    text = request.query_params.get("version", "0")
    if not _VERSION.fullmatch(text):
        raise BadInputError(f"not a version: {text[:20]!r}", hint="such as ?version=2")
    return int(text)


def asked(operation: Operation, request: Request, body: bytes) -> Asked:
    """What the request asks of `operation`. Raises `BadInputError`."""
    key = request.headers.get(IDEMPOTENCY_KEY, "") if operation.changes else ""
    if key and not _IDEMPOTENCY_KEY.fullmatch(key):
        raise BadInputError(
            f"{IDEMPOTENCY_KEY} cannot be used", hint="1 to 255 visible ASCII characters"
        )
    return Asked(
        request.path_params.get("name", ""),
        version_of(request) if operation.by_version else 0,
        _decoded(body, operation.body) if operation.body else None,
        key,
    )


def approval_of(request: Request) -> bytes:
    """The signature in the header `Approval`, empty if there is none. Raises `BadInputError`."""
    try:
        return base64.b64decode(request.headers.get(APPROVAL, ""), validate=True)
    except (binascii.Error, ValueError):
        raise BadInputError(f"{APPROVAL} is not base64", hint="of the signature's bytes") from None


async def read_body(request: Request, timeout_s: float) -> bytes:
    """The whole body. Raises `TooLargeError` or `TooSlowError`; what is too long is not kept."""
    length = request.headers.get("content-length", "0")
    if len(length) > 12 or (length.isdigit() and int(length) > MAX_BODY_BYTES):
        raise _too_large()
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(timeout_s):
            async for part in request.stream():
                size += len(part)
                if size > MAX_BODY_BYTES:
                    raise _too_large()
                parts.append(part)
    except ClientDisconnect:
        raise BadInputError("the caller went away before the body was read") from None
    except TimeoutError:
        raise TooSlowError(f"the body did not arrive within {timeout_s:g} s") from None
    return b"".join(parts)


def _decoded(body: bytes, kind: type[msgspec.Struct]) -> Any:
    try:
        return msgspec.json.decode(body or b"{}", type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadInputError(
            f"the body is no {kind.__name__}: {error}"[:300], hint="see /openapi.json"
        ) from None


def _too_large() -> TooLargeError:
    return TooLargeError(
        f"the body is larger than {MAX_BODY_BYTES // 2**20} MiB",
        hint="sign a hash of the message, or its external mu",
    )
