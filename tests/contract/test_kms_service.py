"""The HTTP service itself: errors, limits, tokens, idempotency, and what must never be seen."""

from __future__ import annotations

import contextlib
import http.client
import json
import logging
import queue
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from quantumai.errors import (
    ApprovalNeededError,
    BadInputError,
    ConflictError,
    DeniedError,
    EvidenceError,
    KeyUnavailableError,
    NotFoundError,
    QuantumAIError,
    RateLimitedError,
    StorageError,
    TokenBusyError,
)
from quantumai.keys.management.records import Caller, KeyPurpose, Signed
from quantumai.services.kms import wire
from quantumai.services.kms.client import HttpKeyManagement
from quantumai.services.kms.limits import Limits
from quantumai.services.kms.principals import add_principal, new_token, read_principals
from quantumai.services.kms.server import listen
from tests.key_management import soft_kms
from tests.kms_service import RunningService, running_service

pytestmark = pytest.mark.slow

SECRET = b"a-data-key-of-32-bytes-or-there--"[:32]


@dataclass
class ScriptedKeys:
    """A KMS in which a test says what signing does; it remembers who called and with what."""

    on_sign: Callable[[], Any] = lambda: None
    callers: list[Caller] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)

    def of(self, caller: Caller) -> Any:
        self.callers.append(caller)
        return self

    def sign(self, name: str, message: bytes, context: bytes = b"") -> Signed:
        self.on_sign()
        return Signed(name, 1, "0" * 64, "ML-DSA-65", message)

    def unwrap(self, name: str, wrapped: bytes, associated_data: bytes = b"") -> bytes:
        return SECRET

    def rotate(self, name: str, *, provider: str, overlap: bool, idempotency_key: str) -> None:
        self.keys.append(idempotency_key)
        raise ConflictError("noted")


@contextmanager
def scripted(
    on_sign: Callable[[], Any] = lambda: None,
    check: Callable[[], None] = lambda: None,
    **limits: Any,
) -> Iterator[tuple[RunningService, ScriptedKeys]]:
    keys = ScriptedKeys(on_sign)
    with running_service(keys.of, check=check, limits=Limits(**limits)) as service:
        yield service, keys


def raising(error: BaseException) -> Callable[[], None]:
    def act() -> None:
        raise error

    return act


@dataclass
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def problem(self) -> dict[str, Any]:
        """The body, which has to be a whole problem document for this status."""
        assert self.headers["Content-Type"] == "application/problem+json"
        found: dict[str, Any] = json.loads(self.body)
        assert found["status"] == self.status
        assert found["type"].startswith("urn:quantumai:problem:")
        assert found["title"]
        assert found["detail"]
        assert found["request_id"] == self.headers["X-Request-Id"]
        return found

    @property
    def code(self) -> str:
        return str(self.problem["type"]).rpartition(":")[2]


def ask(
    service: RunningService,
    method: str,
    path: str,
    body: Any = None,
    connection: http.client.HTTPConnection | None = None,
    **headers: str,
) -> Answer:
    """One request without our client; alice's token unless `Authorization` says otherwise."""
    used = connection or connect(service)
    sent = {"Authorization": f"Bearer {service.tokens['alice']}"} | {
        name.replace("_", "-"): value for name, value in headers.items()
    }
    data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
    used.request(method, path, data, sent)
    response = used.getresponse()
    answer = Answer(response.status, response.headers, response.read())
    if connection is None:
        used.close()
    return answer


def connect(service: RunningService) -> http.client.HTTPConnection:
    host = service.base_url.removeprefix("http://")
    return http.client.HTTPConnection(host, timeout=20)


ERRORS = [
    (BadInputError("no such algorithm", hint="use another"), 400),
    (NotFoundError("no key"), 404),
    (DeniedError("not yours", hint="ask"), 403),
    (ApprovalNeededError("noted: bob has to ask too"), 403),
    (ConflictError("there is one"), 409),
    (RateLimitedError("too often", retry_after_s=2.5), 429),
    (TokenBusyError("slow", retry_after_s=0.25), 503),
    (KeyUnavailableError("device error"), 502),
    (StorageError("disk full"), 503),
    (EvidenceError("a hash differs"), 500),
]


@pytest.mark.parametrize(("error", "status"), ERRORS, ids=lambda v: type(v).__name__)
def test_an_error_comes_out_of_the_client_as_it_went_into_the_service(
    error: QuantumAIError, status: int
) -> None:
    with scripted(raising(error)) as (service, _):
        with pytest.raises(QuantumAIError) as caught:
            service.client().sign("k", b"m")
        answer = ask(service, "POST", "/v1/keys/k/sign", {"message": ""})

    assert type(caught.value) is type(error)
    assert (str(caught.value), caught.value.hint) == (str(error), error.hint)
    assert getattr(caught.value, "retry_after_s", None) == getattr(error, "retry_after_s", None)
    assert (answer.status, answer.code) == (status, error.code)
    assert answer.problem.get("retryable", False) is error.retryable
    assert ("Retry-After" in answer.headers) is error.retryable
    if error.retryable:
        assert int(answer.headers["Retry-After"]) >= 1


def test_everything_that_is_refused_is_a_problem_document() -> None:
    too_long = b" " * (wire.MAX_BODY_BYTES + 1)
    with scripted() as (service, keys):
        refused = {
            "path": ask(service, "GET", "/v1/nothing"),
            "method": ask(service, "DELETE", "/v1/keys/k/sign"),
            "json": ask(service, "POST", "/v1/keys/k/sign", b"{"),
            "utf-8": ask(service, "POST", "/v1/keys/k/sign", b'{"message": "\xff"}'),
            "base64": ask(service, "POST", "/v1/keys/k/sign", {"message": "?"}),
            "field": ask(service, "POST", "/v1/keys/k/sign", {"message": "", "seed": ""}),
            "missing": ask(service, "POST", "/v1/keys/k/sign"),
            "version": ask(service, "GET", "/v1/keys/k?version=-1"),
            "key": ask(service, "POST", "/v1/keys/k/rotate", Idempotency_Key="\xe4"),
            "nobody": ask(service, "POST", "/v1/keys/k/sign", {"message": ""}, Authorization=""),
            "unknown": ask(
                service, "POST", "/v1/keys/k/sign", {"message": ""}, Authorization="Bearer x"
            ),
            "large": ask(service, "POST", "/v1/keys/k/sign", too_long),
            "chunked": _chunked(service, too_long),
        }
        sound = ask(service, "POST", "/v1/keys/k/sign", {"message": "AAAA"})

    assert {name: (a.status, a.code) for name, a in refused.items()} == {
        "path": (404, "not-found"),
        "method": (405, "method-not-allowed"),
        "json": (400, "bad-input"),
        "utf-8": (400, "bad-input"),
        "base64": (400, "bad-input"),
        "field": (400, "bad-input"),
        "missing": (400, "bad-input"),
        "version": (400, "bad-input"),
        "key": (400, "bad-input"),
        "nobody": (401, "unauthenticated"),
        "unknown": (401, "unauthenticated"),
        "large": (413, "too-large"),
        "chunked": (413, "too-large"),
    }
    assert refused["method"].headers["Allow"] == "POST"
    assert refused["nobody"].headers["WWW-Authenticate"].startswith("Bearer")
    assert sound.status == 200
    assert len(keys.callers) == 1, "only the sound request reached the KMS"


def _chunked(service: RunningService, body: bytes) -> Answer:
    connection = connect(service)
    parts = (body[start : start + 2**16] for start in range(0, len(body), 2**16))
    headers = {"Authorization": f"Bearer {service.tokens['alice']}"}
    with contextlib.suppress(OSError):  # the service answers and closes before all is sent
        connection.request("POST", "/v1/keys/k/sign", parts, headers, encode_chunked=True)
    response = connection.getresponse()
    return Answer(response.status, response.headers, response.read())


def test_an_unforeseen_error_says_nothing_of_itself(caplog: pytest.LogCaptureFixture) -> None:
    error = ValueError("pin 4711 is wrong")
    with scripted(raising(error)) as (service, _), caplog.at_level(logging.DEBUG):
        answer = ask(service, "POST", "/v1/keys/k/sign", {"message": ""}, X_Request_Id="r-17")

    assert (answer.status, answer.code) == (500, "internal")
    assert answer.problem["request_id"] == "r-17"
    said = answer.body.decode() + str(answer.headers) + caplog.text
    assert "4711" not in said
    assert "Traceback" not in said
    assert "r-17" in caplog.text
    assert "ValueError" in caplog.text


def test_the_caller_is_who_the_token_says_with_the_request_id() -> None:
    body = {"message": ""}
    with scripted() as (service, keys):
        as_bob = f"bearer {service.tokens['bob']}"
        ask(service, "POST", "/v1/keys/k/sign", body, X_Request_Id="r-1", Authorization=as_bob)
        odd = ask(service, "POST", "/v1/keys/k/sign", body, X_Request_Id="r 1; DROP")

    assert keys.callers[0] == Caller("local", "bob", "r-1", is_remote=True)
    assert keys.callers[1].principal == "alice"
    assert keys.callers[1].request_id == odd.headers["X-Request-Id"]
    assert len(keys.callers[1].request_id) == 32


def test_one_connection_serves_many_requests() -> None:
    with scripted() as (service, _):
        connection = connect(service)
        ask(service, "POST", "/v1/keys/k/sign", {"message": ""}, connection)
        first = connection.sock
        for _ in range(20):
            ask(service, "POST", "/v1/keys/k/sign", {"message": ""}, connection)
        assert connection.sock is first
        assert first is not None


def test_a_full_line_is_refused_at_once_and_nobody_in_it_is_lost() -> None:
    entered, leave = threading.Semaphore(0), threading.Event()

    def wait() -> None:
        entered.release()
        leave.wait(30)

    outcomes: queue.SimpleQueue[object] = queue.SimpleQueue()

    def call(service: RunningService) -> None:
        try:
            outcomes.put(service.client().sign("k", b"m"))
        except TokenBusyError as error:
            outcomes.put(error)

    with scripted(wait, workers=1, waiting=1) as (service, _):
        threads = [threading.Thread(target=call, args=(service,)) for _ in range(3)]
        threads[0].start()
        assert entered.acquire(timeout=10)
        threads[1].start()
        threads[2].start()
        refused = outcomes.get(timeout=5)  # while the other two are still inside
        leave.set()
        served = [outcomes.get(timeout=10) for _ in range(2)]

    assert isinstance(refused, TokenBusyError)
    assert "too many requests" in str(refused)
    assert all(isinstance(outcome, Signed) for outcome in served)


def test_a_call_that_hangs_is_answered_in_time_and_its_thread_replaced() -> None:
    leave = threading.Event()
    hangs = iter([True, False, True])
    limits = {"workers": 1, "waiting": 0, "deadline_s": 0.3, "most_leaked": 2}
    with scripted(lambda: next(hangs, False) and leave.wait(30), **limits) as (service, _):
        first = ask(service, "POST", "/v1/keys/k/sign", {"message": ""})
        second = ask(service, "POST", "/v1/keys/k/sign", {"message": ""})
        ready = ask(service, "GET", "/readyz")
        third = ask(service, "POST", "/v1/keys/k/sign", {"message": ""})
        stuck = ask(service, "POST", "/v1/keys/k/sign", {"message": ""})
        alive = ask(service, "GET", "/healthz")
        leave.set()
        until = time.monotonic() + 10
        while _leaked(service) and time.monotonic() < until:
            pass
        again = ask(service, "POST", "/v1/keys/k/sign", {"message": ""})

    assert [a.status for a in (first, second, ready, third)] == [503, 200, 200, 503]
    assert "within 0.3 s" in first.problem["detail"]
    assert "hang in the token" in stuck.problem["detail"]
    assert (alive.status, json.loads(alive.body)["leaked_workers"]) == (200, 2)
    assert again.status == 200


def _leaked(service: RunningService) -> int:
    return int(json.loads(ask(service, "GET", "/healthz").body)["leaked_workers"])


@pytest.mark.parametrize("error", [KeyUnavailableError("device removed"), BadInputError("gone")])
def test_a_dead_provider_is_not_ready_but_alive(error: QuantumAIError) -> None:
    with scripted(check=raising(error)) as (service, _):
        ready = ask(service, "GET", "/readyz", Authorization="")
        alive = ask(service, "GET", "/healthz", Authorization="")

    assert (ready.status, alive.status) == (503, 200)
    assert str(error) in ready.problem["detail"]


def test_changes_go_out_under_an_idempotency_key() -> None:
    with scripted() as (service, keys):
        for key in ("mine", "", ""):
            with pytest.raises(ConflictError):
                service.client().rotate("k", idempotency_key=key)

    assert keys.keys[0] == "mine"
    assert len(set(keys.keys)) == 3
    assert all(keys.keys)


def test_after_a_broken_connection_only_what_is_safe_is_sent_again() -> None:
    with _breaking_server() as (url, requests):
        client = HttpKeyManagement(url, "t")
        for call in (
            lambda: client.rotate("k"),
            lambda: client.show("k"),
            lambda: client.sign("k", b"m"),
            lambda: client.unwrap("k", b"w"),
        ):
            with pytest.raises(TokenBusyError, match="does not answer"):
                call()

    lines = [request.partition(b"\r\n")[0].split()[1].decode() for request in requests]
    rotations = [request for request in requests if b"/rotate" in request]
    keys = {line for r in rotations for line in r.splitlines() if b"dempotency-Key" in line}
    assert lines == [
        "/v1/keys/k/rotate",
        "/v1/keys/k/rotate",
        "/v1/keys/k?version=0",
        "/v1/keys/k?version=0",
        "/v1/keys/k/sign",
        "/v1/keys/k/unwrap",
    ]
    assert len(keys) == 1, "both attempts are one call to the service"


@contextmanager
def _breaking_server() -> Iterator[tuple[str, list[bytes]]]:
    """A server that reads each request and closes without an answer."""
    requests: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    requests.append(connection.recv(65536))

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", requests
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(10)


def test_neither_token_nor_data_key_is_ever_shown(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    with caplog.at_level(logging.DEBUG), scripted(raising(KeyError("x"))) as (service, _):
        client, token = service.client(), service.tokens["alice"]
        assert client.unwrap("k", b"w") == SECRET
        with pytest.raises(QuantumAIError):
            client.sign("k", b"m")
        ask(service, "GET", f"/v1/keys?token={token}")

    shown = caplog.text + "".join(capfd.readouterr())
    shown += repr(client) + repr(service) + repr(wire.DataKey(SECRET)) + repr(wire.WrapKey(SECRET))
    for secret in (token, SECRET.decode()):
        assert secret not in shown


def test_the_tokens_file_knows_hashes_only_and_is_closed_to_others(tmp_path: Path) -> None:
    path = tmp_path / "tokens.toml"
    tokens = {name: add_principal(path, "acme", name) for name in ("alice", "bob")}

    known = read_principals(path)

    assert {n: known.caller(f"Bearer {t}", "r").principal for n, t in tokens.items()} == {
        "alice": "alice",
        "bob": "bob",
    }
    assert path.stat().st_mode & 0o777 == 0o600
    assert not any(token in path.read_text() for token in tokens.values())
    for header in ("", "Bearer", f"Basic {tokens['bob']}", f"Bearer {new_token()}"):
        with pytest.raises(DeniedError):
            known.caller(header, "r")
    path.chmod(0o640)
    with pytest.raises(BadInputError, match="open to others"):
        read_principals(path)


@pytest.mark.parametrize(
    "text",
    ["[[token]]\nsha256 = 'ab'\ntenant='t'\nprincipal='p'", "[token", "[[tokens]]\n", "\xff"],
)
def test_a_damaged_tokens_file_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "tokens.toml"
    path.touch(0o600)
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(BadInputError):
        read_principals(path)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org", ""])
def test_without_tls_only_loopback_is_listened_on(host: str) -> None:
    with pytest.raises(BadInputError, match="no TLS"):
        listen(host, 0)


def test_the_openapi_document_is_valid_and_complete() -> None:
    from openapi_spec_validator import validate

    with scripted() as (service, _):
        document = json.loads(ask(service, "GET", "/openapi.json").body)

    validate(document)
    offered = {(m.upper(), path) for path, item in document["paths"].items() for m in item}
    verbs = "rotate retire disable enable compromised destroy cancel-destroy sign sign-mu"
    verbs += " sign-statement verify wrap unwrap"
    assert offered == {
        *(("POST", f"/v1/keys/{{name}}/{verb}") for verb in verbs.split()),
        ("POST", "/v1/keys"),
        ("PUT", "/v1/keys/{name}/policy"),
        *(("GET", "/v1/keys/{name}" + end) for end in ("", "/policy", "/usage", "/public")),
        ("GET", "/v1/keys"),
        ("GET", "/healthz"),
        ("GET", "/readyz"),
    }
    sign = document["paths"]["/v1/keys/{name}/sign"]["post"]
    schema = sign["requestBody"]["content"]["application/json"]["schema"]["$ref"]
    assert document["components"]["schemas"][schema.rpartition("/")[2]]["required"] == ["message"]


def test_a_real_kms_gives_public_keys_in_both_forms(tmp_path: Path) -> None:
    from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    with running_service(soft_kms(tmp_path).of) as service:
        client = service.client()
        made = client.create("release", "ML-DSA-65", KeyPurpose.RAW)
        signature = client.sign("release", b"message").signature
        pem = ask(service, "GET", "/v1/keys/release/public?version=1")
        jwk = ask(service, "GET", "/v1/keys/release/public", Accept="application/jwk+json")
        missing = ask(service, "GET", "/v1/keys/none/public")

    public = load_pem_public_key(pem.body)
    assert isinstance(public, MLDSA65PublicKey)
    public.verify(signature, b"message")
    assert pem.headers["Content-Type"].startswith("application/x-pem-file")
    assert jwk.headers["Content-Type"] == "application/jwk+json"
    assert json.loads(jwk.body)["kid"] == made.key_id
    assert (missing.status, missing.code) == (404, "not-found")


@contextmanager
def _served(**bounds: Any) -> Iterator[tuple[str, int]]:
    """A bare application behind connections with these bounds."""
    from fastapi import FastAPI
    from uvicorn import Config, Server

    from quantumai.services.kms.slow_heads import connection_protocol

    app = FastAPI()
    app.add_api_route("/", lambda: "here")
    protocol = connection_protocol(**bounds)
    config = Config(app, http=protocol, ws="none", lifespan="off", log_level="error")
    server = Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        try:
            yield listener.getsockname()
        finally:
            server.should_exit = True
            thread.join(30)


def _ask(connection: socket.socket) -> bytes:
    connection.sendall(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n")
    answer = b""
    while not answer.endswith(b'"here"') and (part := connection.recv(65536)):
        answer += part
    return answer


def test_a_request_head_that_does_not_come_ends_its_connection() -> None:
    with _served(head_s=0.2) as address:
        for begun in (b"", b"GET / HTTP/1.1\r\nHost: he"):
            with socket.create_connection(address, timeout=30) as slow:
                slow.sendall(begun)
                assert slow.recv(1) == b""  # closed by the server, not by the time-out
        with socket.create_connection(address, timeout=30) as kept:
            assert b"here" in _ask(kept)
            assert b"here" in _ask(kept)  # a second request on the same connection
            kept.sendall(b"GET / HT")
            assert kept.recv(1) == b""


def test_one_connection_too_many_is_closed_at_once_and_the_others_go_on() -> None:
    with _served(head_s=60, most=2) as address, ExitStack() as stack:
        first, second = (
            stack.enter_context(socket.create_connection(address, timeout=30)) for _ in range(2)
        )
        assert b"here" in _ask(first)
        assert b"here" in _ask(second)
        with socket.create_connection(address, timeout=30) as third:
            try:
                answer = _ask(third)
            except ConnectionError:
                answer = b""
            assert answer == b""
        assert b"here" in _ask(first)
