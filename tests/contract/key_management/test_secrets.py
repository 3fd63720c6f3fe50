"""Seeds, PINs, shared and data keys are in no log, error, answer, entry or file."""

from __future__ import annotations

import base64
import logging
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import urllib3

from quantumai.errors import KeyUnavailableError, QuantumAIError
from quantumai.keys.management import key_use
from quantumai.keys.management.records import KeyPurpose
from quantumai.keys.providers import soft
from quantumai.storage.schema import TABLES
from tests.kms_world import World

DATA_KEY = bytes.fromhex("d1a7a5ecde7ba5e64c0ffee0123456789abcdef0d15ea5ed0ddba11cafef00d5")
ASSOCIATED = b"bound to it"
SIGNING = ("ML-DSA-44", "ML-DSA-87", "SLH-DSA-SHA2-128f", "Ed25519", "ECDSA-P256")


def forms(secret: bytes) -> list[bytes]:
    """The ways in which bytes may show: as they are, as repr, in hex, in base64 however aligned."""
    shifted = [base64.b64encode(bytes(n) + secret)[4:-4] for n in range(3)]
    return [
        secret,
        secret.hex().encode(),
        secret.hex().upper().encode(),
        repr(secret)[2:-1].encode(),
        *shifted,
    ]


class Shown:
    """Everything that anybody could see of a run."""

    def __init__(self) -> None:
        self.texts: list[bytes] = []

    def add(self, *what: object) -> None:
        for each in what:
            self.texts.append(each if isinstance(each, bytes) else str(each).encode())

    def tried(self, call: Callable[[], Any]) -> None:
        """Make a call and note what it gave or how it failed."""
        try:
            self.add(repr(call()))
        except QuantumAIError as error:
            self.add(
                repr(error), error.hint, vars(error), "".join(traceback.format_exception(error))
            )

    def leaks(self, secrets: dict[str, bytes]) -> set[str]:
        return {
            name
            for name, secret in secrets.items()
            for form in forms(secret)
            if any(form in text for text in self.texts)
        }


@pytest.fixture
def secrets(monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """The secrets that arise, by what they are; what is decapsulated was encapsulated before."""
    known: dict[str, bytes] = {"data key": DATA_KEY}
    made, encapsulate = soft.generate, key_use.encapsulate

    def generate(algorithm: str) -> Any:
        private = made(algorithm)
        known[f"seed {len(known)} of {algorithm}"] = private.secret
        return private

    def encapsulated(*arguments: Any) -> Any:
        result = encapsulate(*arguments)
        known[f"shared secret {len(known)}"] = result.shared_secret
        return result

    monkeypatch.setattr(soft, "generate", generate)
    monkeypatch.setattr(key_use, "encapsulate", encapsulated)
    return known


@pytest.mark.filterwarnings("ignore")
def test_no_secret_is_ever_shown(
    world: World,
    secrets: dict[str, bytes],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    shown, answers = Shown(), Shown()
    request = urllib3.PoolManager.request

    def noted(pool: Any, method: str, url: str, **named: Any) -> Any:
        response = request(pool, method, url, **named)
        # Unwrapping has to give the data key; everything else goes with what is shown.
        (answers if url.endswith("/unwrap") else shown).add(response.data, response.headers)
        return response

    monkeypatch.setattr(urllib3.PoolManager, "request", noted)
    with caplog.at_level(logging.DEBUG):
        use_everything(world, shown)
    shown.add(caplog.text, *capfd.readouterr())
    shown.add(repr(world.kms), repr(world.kms.parts), repr(world.provider), repr(world.alice))
    shown.add(*(entry.text for entry in world.entries()))

    stored = Shown()
    folders = [tmp_path, *tmp_path_factory.getbasetemp().glob("provider*")]
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    stored.add(*(path.read_bytes() for path in files))
    database = world.kms.parts.database
    stored.add(*(database.select(table) for table in TABLES if table.startswith("kms_")))
    assert any(world.name("statement").encode() in text for text in stored.texts)

    if world.provider.name == "soft":
        assert {name.rpartition(" ")[2] for name in secrets} >= {*SIGNING, "ML-KEM-768"}
    if world.makes("ML-KEM-768"):
        assert any(name.startswith("shared secret") for name in secrets)
    assert shown.leaks(secrets) == set()
    assert stored.leaks(secrets) == set()
    seeds = {name: secret for name, secret in secrets.items() if name != "data key"}
    assert answers.leaks(seeds) == set()
    pin = pin_of(world)
    assert shown.leaks(pin) == answers.leaks(pin) == set()


def use_everything(world: World, shown: Shown) -> None:
    """Make, use and end keys of each family, in ways that go well and in ways that do not."""
    for algorithm in SIGNING:
        if not world.makes(algorithm):
            continue
        name = world.name(algorithm.lower())
        shown.tried(lambda a=algorithm, n=name: world.alice.create(n, a, KeyPurpose.RAW))
        shown.tried(lambda n=name: world.alice.sign(n, b"m"))
        shown.tried(lambda n=name: world.alice.rotate(n))
        shown.tried(lambda n=name: world.alice.verify(n, b"m", b"s"))
    if world.makes("ML-KEM-768"):
        name = world.make("wrap")
        wrapped = world.alice.wrap(name, DATA_KEY, ASSOCIATED)
        assert world.alice.unwrap(name, wrapped, ASSOCIATED) == DATA_KEY
        shown.add(wrapped)
        shown.tried(lambda: world.alice.unwrap(name, wrapped, b"other"))
        changed = wrapped[:-1] + bytes([wrapped[-1] ^ 1])
        shown.tried(lambda: world.alice.unwrap(name, changed, ASSOCIATED))
        shown.tried(lambda: world.alice.wrap(name, DATA_KEY * 3, ASSOCIATED))
        shown.tried(lambda: world.bob.wrap("none", DATA_KEY))
    name = world.make("statement")
    for fault in (KeyUnavailableError("device error"), ValueError("unforeseen")):
        world.provider.sign = _raise(fault)
        shown.tried(lambda: _ours(lambda: world.alice.sign(name, b"m")))
    vars(world.provider).pop("sign")
    shown.add(world.alice.list(), world.alice.usage(name), world.alice.policy(name))
    shown.add(world.kms.parts.register.all())


def pin_of(world: World) -> dict[str, bytes]:
    """The PIN of a token; in its own file and nowhere else."""
    if world.provider.name != "pkcs11":
        return {}
    from tests.tokens import PIN

    return {"PIN": PIN.encode()}


def _raise(error: Exception) -> Callable[..., Any]:
    def fail(*arguments: object) -> None:
        raise error

    return fail


def _ours(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except ValueError as error:
        raise QuantumAIError(f"in process: {error}") from None
