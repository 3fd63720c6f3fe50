"""The KMS port over HTTP. Methods and errors are those of `KeyManagement`.

Connections are kept and shared by threads. A call is sent once more after a broken connection only
where a second one does no harm: reading and verifying, and changes, which go out under an
idempotency key, a fresh one if the caller gave none. Signing and unwrapping are never repeated
silently: each is counted and logged. What the service itself refuses is never tried again here.
"""

from __future__ import annotations

import base64
import copy
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import quote, urlsplit
from uuid import uuid4

import msgspec

from quantumai.errors import TokenBusyError
from quantumai.keys.management.records import (
    KeyPolicy,
    KeyPurpose,
    KeyVersion,
    Signed,
    Usage,
)
from quantumai.services.kms import wire
from quantumai.services.kms.connections import open_connections
from quantumai.services.kms.problems import error_of

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse

Answer = TypeVar("Answer", bound=msgspec.Struct)
_READ_S = 20.0  # above the service's own deadline, so that its answer is heard


class HttpKeyManagement:
    """The keys of the tenant that `token` belongs to, in the service at `base_url`.

    Raises `BadInputError` for an address that is neither https, nor http on loopback: tokens and
    data keys do not cross a network in the clear.
    """

    def __init__(
        self,
        base_url: str,
        token: str,
        *,
        read_timeout_s: float = _READ_S,
        new_id: Callable[[], str] = lambda: uuid4().hex,
    ) -> None:
        self._pool = open_connections(base_url, read_timeout_s)
        self._base = base_url.rstrip("/")
        self._prefix = urlsplit(base_url).path.rstrip("/") + "/v1"
        self._new_id = new_id
        self._approval = ""
        self._headers = {"Authorization": f"Bearer {token}", "Accept": wire.MEDIA_TYPE}

    def __repr__(self) -> str:
        return f"HttpKeyManagement({self._base!r})"

    def with_approval(self, signature: bytes) -> HttpKeyManagement:
        """The same client, whose changes carry the caller's approval of one call.

        `signature` is over `JointCall.to_sign`, by a key that is enrolled for the caller.
        """
        approving = copy.copy(self)
        approving._approval = base64.b64encode(signature).decode()
        return approving

    def create(
        self,
        name: str,
        algorithm: str,
        purpose: KeyPurpose,
        *,
        policy: KeyPolicy | None = None,
        idempotency_key: str = "",
    ) -> KeyVersion:
        """See `KeyManagement.create`."""
        body = wire.CreateKey(name, algorithm, purpose, policy)
        return self._change("POST", "/keys", body, KeyVersion, idempotency_key)

    def rotate(
        self, name: str, *, provider: str = "", overlap: bool = False, idempotency_key: str = ""
    ) -> KeyVersion:
        """See `KeyManagement.rotate`."""
        body = wire.RotateKey(provider, overlap)
        return self._change_version(name, "rotate", body, idempotency_key)

    def retire(self, name: str, version: int, *, idempotency_key: str = "") -> KeyVersion:
        """See `KeyManagement.retire`."""
        return self._change_version(name, "retire", wire.RetireVersion(version), idempotency_key)

    def disable(self, name: str, version: int = 0, *, idempotency_key: str = "") -> KeyVersion:
        """See `KeyManagement.disable`."""
        return self._change_version(name, "disable", wire.OneVersion(version), idempotency_key)

    def enable(self, name: str, version: int = 0, *, idempotency_key: str = "") -> KeyVersion:
        """See `KeyManagement.enable`."""
        return self._change_version(name, "enable", wire.OneVersion(version), idempotency_key)

    def mark_compromised(
        self,
        name: str,
        version: int = 0,
        *,
        from_index: int | None = None,
        idempotency_key: str = "",
    ) -> KeyVersion:
        """See `KeyManagement.mark_compromised`."""
        body = wire.MarkCompromised(version, from_index)
        return self._change_version(name, "compromised", body, idempotency_key)

    def schedule_destruction(
        self, name: str, version: int = 0, *, waiting_days: int = 7, idempotency_key: str = ""
    ) -> KeyVersion:
        """See `KeyManagement.schedule_destruction`."""
        body = wire.ScheduleDestruction(version, waiting_days)
        return self._change_version(name, "destroy", body, idempotency_key)

    def cancel_destruction(
        self, name: str, version: int = 0, *, idempotency_key: str = ""
    ) -> KeyVersion:
        """See `KeyManagement.cancel_destruction`."""
        body = wire.OneVersion(version)
        return self._change_version(name, "cancel-destroy", body, idempotency_key)

    def set_policy(self, name: str, policy: KeyPolicy, *, idempotency_key: str = "") -> KeyPolicy:
        """See `KeyManagement.set_policy`."""
        path = _path(name, "policy")
        return self._change("PUT", path, policy, KeyPolicy, idempotency_key)

    def policy(self, name: str) -> KeyPolicy:
        """See `KeyManagement.policy`."""
        return self._read(_path(name, "policy"), KeyPolicy)

    def list(self) -> Sequence[KeyVersion]:
        """See `KeyManagement.list`."""
        return self._read("/keys", wire.KeyList).keys

    def show(self, name: str, version: int = 0) -> KeyVersion:
        """See `KeyManagement.show`."""
        return self._read(f"{_path(name)}?version={version}", KeyVersion)

    def usage(self, name: str) -> Sequence[Usage]:
        """See `KeyManagement.usage`."""
        return self._read(_path(name, "usage"), wire.UsageList).versions

    def sign(self, name: str, message: bytes, context: bytes = b"") -> Signed:
        """See `KeyManagement.sign`."""
        return self._use(name, "sign", wire.SignMessage(message, context), Signed)

    def sign_mu(self, name: str, mu: bytes) -> Signed:
        """See `KeyManagement.sign_mu`."""
        return self._use(name, "sign-mu", wire.SignMu(mu), Signed)

    def sign_statement(
        self, name: str, payload_type: str, predicate_type: str, payload: bytes
    ) -> Sequence[Signed]:
        """See `KeyManagement.sign_statement`."""
        body = wire.SignStatement(payload_type, predicate_type, payload)
        return self._use(name, "sign-statement", body, wire.SignatureList).signatures

    def verify(
        self, name: str, message: bytes, signature: bytes, *, version: int = 0, context: bytes = b""
    ) -> bool:
        """See `KeyManagement.verify`."""
        body = wire.VerifySignature(message, signature, version, context)
        return self._use(name, "verify", body, wire.Verdict, repeatable=True).valid

    def wrap(self, name: str, data_key: bytes, associated_data: bytes = b"") -> bytes:
        """See `KeyManagement.wrap`."""
        body = wire.WrapKey(data_key, associated_data)
        return self._use(name, "wrap", body, wire.Wrapped).wrapped

    def unwrap(self, name: str, wrapped: bytes, associated_data: bytes = b"") -> bytes:
        """See `KeyManagement.unwrap`."""
        body = wire.UnwrapKey(wrapped, associated_data)
        return self._use(name, "unwrap", body, wire.DataKey).data_key

    def _change_version(
        self, name: str, verb: str, body: msgspec.Struct, idempotency_key: str
    ) -> KeyVersion:
        return self._change("POST", _path(name, verb), body, KeyVersion, idempotency_key)

    def _change(
        self,
        method: str,
        path: str,
        body: msgspec.Struct,
        answer: type[Answer],
        idempotency_key: str,
    ) -> Answer:
        key = idempotency_key or self._new_id()
        return self._ask(method, path, body, answer, repeatable=True, idempotency_key=key)

    def _use(
        self,
        name: str,
        verb: str,
        body: msgspec.Struct,
        answer: type[Answer],
        repeatable: bool = False,
    ) -> Answer:
        return self._ask("POST", _path(name, verb), body, answer, repeatable=repeatable)

    def _read(self, path: str, answer: type[Answer]) -> Answer:
        return self._ask("GET", path, None, answer, repeatable=True)

    def _ask(
        self,
        method: str,
        path: str,
        body: msgspec.Struct | None,
        answer: type[Answer],
        *,
        repeatable: bool,
        idempotency_key: str = "",
    ) -> Answer:
        headers = dict(self._headers)
        if idempotency_key:
            headers[wire.IDEMPOTENCY_KEY] = idempotency_key
            if self._approval:
                headers[wire.APPROVAL] = self._approval
        data = None
        if body is not None:
            headers["Content-Type"] = wire.MEDIA_TYPE
            data = msgspec.json.encode(body)
        response = self._send(method, self._prefix + path, headers, data, repeatable)
        if response.status >= 400:
            raise error_of(response.status, response.data)
        return _decoded(response.data, answer)

    def _send(
        self,
        method: str,
        target: str,
        headers: dict[str, str],
        data: bytes | None,
        repeatable: bool,
    ) -> BaseHTTPResponse:
        from urllib3.exceptions import HTTPError, NewConnectionError, ProtocolError

        for is_last in (False, True):
            try:
                return self._pool.urlopen(
                    method, target, data, headers, retries=False, redirect=False
                )
            except (NewConnectionError, ProtocolError) as error:
                # A connection that never came about carried nothing, so even a signature may go.
                if is_last or not (repeatable or isinstance(error, NewConnectionError)):
                    raise self._silent(error) from None
            except HTTPError as error:
                raise self._silent(error) from None
        raise AssertionError

    def _silent(self, error: Exception) -> TokenBusyError:
        return TokenBusyError(
            f"the key service at {self._base} does not answer ({type(error).__name__})",
            hint="what was asked may have been done; look with `list` or `usage`",
        )


def _path(name: str, verb: str = "") -> str:
    named = "/keys/" + quote(name, safe="")
    return f"{named}/{verb}" if verb else named


def _decoded(data: bytes, answer: type[Answer]) -> Answer:
    try:
        return msgspec.json.decode(data, type=answer)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise TokenBusyError(
            "the key service gave an answer that cannot be read", hint="is it a key service?"
        ) from None
