"""A token is planted, everything fails, and nothing that comes out holds it."""

from __future__ import annotations

import copy
import json
import logging
import pickle
import threading
import traceback
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from quantumai.backends.credentials import Scrubber, Secret
from quantumai.backends.ibm.device import IbmDevice
from quantumai.backends.ibm_fake import read_snapshot
from quantumai.backends.vendor import VendorBatch
from quantumai.backends.vendor_entry import Prices, VendorEntry
from quantumai.errors import BadInputError, InsecureRefusedError, QuantumAIError, VendorError
from quantumai.execution.vendor_run import run_on_vendor
from quantumai.services.wiring import open_vendor
from tests.vendor_world import Clock, flips

pytestmark = pytest.mark.slow
TOKEN = "pLaNtEd-token/9f8e7d6c5b4a+xyz"
BATCH = VendorBatch((flips("01", (1, 0)),), 100)
REAL_IBM = VendorEntry(backend_id="ibm.torino", vendor="ibm", device="ibm_torino")
REAL_BRAKET = VendorEntry(
    backend_id="braket.some",
    vendor="braket",
    device="arn:aws:braket:us-west-1::device/qpu/rigetti/Some",
    results_bucket="amazon-braket-results",
)


def everything(error: BaseException | None) -> Iterator[str]:
    """Whatever a log, a crash report or a debugger would show of an exception and its chain."""
    if error is None:
        return
    yield from traceback.format_exception(error)
    yield from (str(error), repr(error), repr(error.args), repr(vars(error)))
    for frame, _ in traceback.walk_tb(error.__traceback__):
        if "/quantumai/" in frame.f_code.co_filename:
            for name, value in frame.f_locals.items():
                if name not in ("environment", "settings"):  # they are the environment itself
                    yield repr(value)
    yield from everything(error.__cause__)
    yield from everything(error.__context__)


def assert_hidden(found: Iterator[str] | list[str], *tokens: str) -> None:
    for text in found:
        for token in tokens:
            for form in (token, token.replace("/", "%2F").replace("+", "%2B")):
                assert form not in text


def failing(call: Callable[[], Any]) -> QuantumAIError:
    with pytest.raises(QuantumAIError) as caught:
        call()
    return caught.value


class Quoting:
    """A service that quotes the token in everything it raises, and chains it."""

    def __getattr__(self, name: str) -> Any:
        def call(*args: object, **named: object) -> None:
            try:
                raise ValueError(f"sent apikey={TOKEN}")
            except ValueError as error:
                raise RuntimeError(f"{name} failed:\n Bearer {TOKEN}", {"token": TOKEN}) from error

        return call

    def __repr__(self) -> str:
        return "Quoting()"


@pytest.mark.parametrize("name", ["calibration", "submit", "status", "result", "cancel"])
def test_what_a_vendor_quotes_is_taken_out(name: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    vendor = IbmDevice("ibm.x", "ibm_x", Quoting(), Prices(), Scrubber([Secret(TOKEN)]))
    from quantumai.backends.vendor import VendorJob

    job = VendorJob("k", ("id",), 1, was_known=None)
    arguments = {"calibration": (), "submit": (BATCH, "k")}.get(name, (job,))
    error = failing(lambda: getattr(vendor, name)(*arguments))
    assert isinstance(error, VendorError)
    assert "***" in str(error)
    assert error.__context__ is None
    assert error.__cause__ is None
    assert_hidden([*everything(error), repr(vendor), repr(vars(vendor)), caplog.text], TOKEN)


def test_through_a_patient_run(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    vendor = IbmDevice("ibm.x", "ibm_x", Quoting(), Prices(), Scrubber([Secret(TOKEN)]))
    clock = Clock()
    error = failing(
        lambda: run_on_vendor(vendor, BATCH, "k", sleep=clock.sleep, monotonic=clock.monotonic)
    )
    assert_hidden([*everything(error), caplog.text], TOKEN)


@pytest.mark.parametrize("by_file", [False, True])
def test_ibms_own_library_when_it_reaches_nobody(
    by_file: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    environment = {"QISKIT_IBM_TOKEN": TOKEN, "QISKIT_IBM_INSTANCE": "crn:v1:x:y:z"}
    if by_file:
        (tmp_path / "token").write_text(TOKEN + "\n")
        environment["QAI_IBM_TOKEN_FILE"] = str(tmp_path / "token")
        del environment["QISKIT_IBM_TOKEN"]
    for name in ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # nobody listens there
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    error = failing(lambda: open_vendor(REAL_IBM, environment))
    assert isinstance(error, VendorError)
    assert_hidden([*everything(error), caplog.text], TOKEN)


class Echo(BaseHTTPRequestHandler):
    """Refuses every call and quotes the headers that sign it."""

    def answer(self) -> None:
        names = ("X-Amz-Security-Token", "Authorization")
        text = " ".join(f"{name}: {self.headers[name]}" for name in names)
        body = json.dumps({"message": text}).encode()
        self.send_response(400)
        self.send_header("x-amzn-ErrorType", "ValidationException")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_PUT = answer  # noqa: N815

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@pytest.fixture
def echo() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Echo)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_awss_own_library_when_the_server_quotes_its_headers(
    echo: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1")
    secrets = {
        "AWS_ACCESS_KEY_ID": "AKIAPLANTED0PLANTED0",
        "AWS_SECRET_ACCESS_KEY": "seCret" + TOKEN,
        "AWS_SESSION_TOKEN": "seSsion" + TOKEN,
    }
    for name, value in secrets.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", echo)
    caplog.set_level(logging.DEBUG)  # at which botocore would write all headers
    vendor = open_vendor(REAL_BRAKET)
    error = failing(vendor.calibration)
    assert "***" in str(error)
    assert "X-Amz-Security-Token" in str(error)
    told = [*everything(error), repr(vendor), repr(vars(vendor)), caplog.text]
    assert_hidden(told, *secrets.values())


def test_without_credentials_it_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, "/nonexistent")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    assert "no AWS credentials" in str(failing(lambda: open_vendor(REAL_BRAKET)))
    assert "needs a token" in str(failing(lambda: open_vendor(REAL_IBM, {})))


def test_a_mock_is_not_for_production() -> None:
    entry = VendorEntry(backend_id="mock.lima", vendor="mock", device="lima")
    snapshot = read_snapshot("lima")
    assert open_vendor(entry, {}, snapshot).calibration() == snapshot
    with pytest.raises(InsecureRefusedError):
        open_vendor(entry, {"QAI_ENV": "production"}, snapshot)
    with pytest.raises(BadInputError):
        open_vendor(entry, {})


def test_what_is_no_credential(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("two words")
    wrong = [
        {"QISKIT_IBM_TOKEN": "word", "QAI_IBM_TOKEN_FILE": str(path)},
        {"QAI_IBM_TOKEN_FILE": str(path)},
        {"QISKIT_IBM_TOKEN": "two words"},
        {"QAI_IBM_TOKEN_FILE": str(tmp_path / "nothing")},
    ]
    for environment in wrong:
        with pytest.raises(BadInputError, match="the token of IBM Quantum") as caught:
            open_vendor(REAL_IBM, environment)
        assert_hidden(everything(caught.value), "two words")


def test_a_secret_shows_and_gives_nothing_but_by_its_name() -> None:
    secret = Secret(TOKEN)
    shown = [
        repr(secret),
        str(secret),
        f"{secret}",
        f"{secret!s:>40}",
        repr([secret]),
        repr(dir(secret)),
    ]
    assert_hidden(shown, TOKEN)
    for take in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError):
            take(secret)
    assert secret.reveal() == TOKEN
    assert_hidden([Scrubber([secret]).scrub(f"x{TOKEN}y" * 40)], TOKEN[:9])
