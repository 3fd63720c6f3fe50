"""The pool of sessions of a token: threads and slots, errors, a token that hangs, forks, PINs."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pkcs11
import pytest

from quantumai.errors import KeyUnavailableError, TokenBusyError
from quantumai.keys.providers import pkcs11 as pkcs11_provider
from quantumai.keys.providers import pkcs11_library, pkcs11_probe
from quantumai.keys.providers.pkcs11 import Pkcs11Keys
from quantumai.keys.providers.pkcs11_library import library_in_use
from quantumai.keys.providers.pkcs11_token import Pkcs11Token, TokenStalledError
from quantumai.keys.providers.token_settings import TokenSettings, read_settings, write_settings
from quantumai.keys.signatures import verify_signature
from tests.tokens import PIN, TOKENS, environment_of, new_token, token_keys

pytestmark = pytest.mark.integration


@pytest.fixture(params=TOKENS)
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> TokenSettings:
    return new_token(request.param, tmp_path / "token", slots=2)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "token"


@pytest.fixture
def keys(settings: TokenSettings, folder: Path) -> Pkcs11Keys:
    return token_keys(settings, folder)


def test_the_slots_and_sessions_are_those_of_the_settings(
    settings: TokenSettings, keys: Pkcs11Keys
) -> None:
    """Two of kryoptic's slots show the one token; SoftHSM2 has both sessions in its one slot."""
    kryoptic = "KRYOPTIC_CONF" in settings.environment
    status = keys.status()
    assert (status.slots, status.sessions) == (2 if kryoptic else 1, 2)
    used = set()
    for _ in range(2):
        with keys._token.session() as session:
            used.add(session.token.slot.slot_id)
    assert len(used) == status.slots
    assert set(status.capabilities.values()) == (
        {"sign, context", "sign", "decapsulate"} if kryoptic else {"sign", "no"}
    )


def test_many_threads_sign_while_keys_come_and_go(keys: Pkcs11Keys) -> None:
    """More threads than sessions. They keep the sessions busy until the maker is done, so a maker
    that they could keep out would never be."""
    signers = ("Ed25519", "ECDSA-P256", "ML-DSA-44")
    made = {name: keys.generate(f"{name.lower()}/1", name) for name in signers[:2]}
    if "ML-DSA-44" in keys.abilities():
        made["ML-DSA-44"] = keys.generate("ml-dsa-44/1", "ML-DSA-44")
    finished, begun = threading.Event(), threading.Barrier(5)

    def sign(number: int) -> int:
        name = sorted(made)[number % len(made)]
        key, count = made[name], 0
        begun.wait(timeout=30)
        while not finished.is_set() or count < 5:
            message = b"%d-%d" % (number, count)
            signature = keys.sign(key.handle, message)
            assert verify_signature(name, key.public_key.spki_der, message, signature)
            count += 1
        return count

    def make() -> int:
        begun.wait(timeout=30)
        try:
            for number in range(1, 9):
                keys.generate(f"short-lived/{number}", "Ed25519")
                keys.destroy(f"short-lived/{number}")
        finally:
            finished.set()
        return len(keys.keys())

    with ThreadPoolExecutor(5) as pool:
        signing = [pool.submit(sign, number) for number in range(4)]
        assert pool.submit(make).result(timeout=60) == len(made)
        assert min(each.result(timeout=60) for each in signing) >= 5


def test_one_thread_probes_the_token_and_it_does_so_once(
    keys: Pkcs11Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second probe at the same time would meet the first one at the barrier."""
    probe, probed, meeting = pkcs11_probe.probe_token, [], threading.Barrier(2)

    def counted(*arguments: Any) -> None:
        probed.append(1)
        with suppress(threading.BrokenBarrierError):
            meeting.wait(timeout=0.5)
        probe(*arguments)

    monkeypatch.setattr(pkcs11_probe, "probe_token", counted)
    start = threading.Barrier(6)

    def use() -> int:
        start.wait(timeout=30)
        return len(keys.abilities())

    with ThreadPoolExecutor(6) as pool:
        found = [pool.submit(use) for _ in range(6)]
        assert len({each.result(timeout=60) for each in found}) == 1
    keys.generate("a/1", "Ed25519")
    keys.renew()  # as after a signature that did not verify
    assert keys.sign("a/1", b"m")
    assert probed == [1]


def test_a_probe_that_hangs_keeps_nobody_waiting(
    settings: TokenSettings, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    keys = _clocked(settings, folder, lambda: now[0])
    monkeypatch.setattr(keys._probe, "_wait_s", 0.02)
    with keys._probe._lock:
        for _ in range(2):
            with pytest.raises(TokenStalledError, match="probe has not ended"):
                keys.find("a/1")
        with pytest.raises(TokenBusyError, match="3 times in a row"):
            keys.find("a/1")
    now[0] += 6.0
    assert keys.generate("a/1", "Ed25519")


@pytest.mark.parametrize("end", ["close", "log out"])
def test_a_session_that_ended_is_noticed_before_it_is_used(keys: Pkcs11Keys, end: str) -> None:
    """A session that was logged out answers without an error that there is no private key."""
    keys.generate("a/1", "Ed25519")
    keys.sign("a/1", b"m")
    if end == "close":
        for _ in range(2):
            with keys._token.borrowed() as pooled:
                pooled.now().close()
    else:
        with library_in_use(keys._token.settings) as library:
            for session in library._logins.values():
                session.close()  # python-pkcs11 logs out whoever logged in
    assert keys.sign("a/1", b"m")
    (found,) = keys.keys()
    assert found.handle == "a/1"
    keys.check()


def _clocked(
    settings: TokenSettings, folder: Path, clock: Callable[[], float], wait_s: float = 5.0
) -> Pkcs11Keys:
    return Pkcs11Keys(
        Pkcs11Token(settings, folder, wait_s), lambda: datetime.now(UTC), folder / "lock", clock
    )


def test_device_errors_open_the_breaker(
    settings: TokenSettings, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    keys = _clocked(settings, folder, lambda: now[0])
    keys.generate("a/1", "Ed25519")
    calls = []

    def broken(*_: object) -> bytes:
        calls.append(1)
        raise pkcs11.DeviceError

    with monkeypatch.context() as patch:
        patch.setattr(pkcs11_provider, "sign_with", broken)
        for _ in range(2):
            with pytest.raises(KeyUnavailableError, match="the token answers DeviceError"):
                keys.sign("a/1", b"m")
        for _ in range(3):
            with pytest.raises(TokenBusyError, match=r"3 times in a row.*DeviceError") as caught:
                keys.sign("a/1", b"m")
            assert caught.value.retry_after_s == 5.0
        # Each failed call tried twice, in two sessions; while the breaker is open none does.
        assert len(calls) == 6
        now[0] += 5.0
        with pytest.raises(TokenBusyError):
            keys.sign("a/1", b"m")
        with pytest.raises(TokenBusyError):
            keys.check()
    now[0] += 5.0
    assert keys.sign("a/1", b"m")
    keys.check()


def test_a_token_that_hangs_keeps_nobody_waiting(settings: TokenSettings, folder: Path) -> None:
    now = [100.0]
    keys = _clocked(settings, folder, lambda: now[0], wait_s=0.02)
    keys.generate("a/1", "Ed25519")
    with keys._token.borrowed(), keys._token.borrowed():
        for _ in range(2):
            with pytest.raises(TokenStalledError, match="not answered"):
                keys.sign("a/1", b"m")
        for _ in range(2):
            with pytest.raises(TokenBusyError, match="3 times in a row"):
                keys.sign("a/1", b"m")
    with pytest.raises(TokenBusyError):
        keys.sign("a/1", b"m")
    now[0] += 6.0
    assert keys.sign("a/1", b"m")


def test_a_busy_token_is_no_dead_one(settings: TokenSettings, folder: Path) -> None:
    """Sessions that come back now and then are a queue: the breaker stays closed."""
    keys = _clocked(settings, folder, lambda: 0.0, wait_s=0.02)
    keys.generate("a/1", "Ed25519")
    token = keys._token
    take = token._free.get

    def comes_back(timeout: float) -> Any:
        token._returned += 1
        return take(timeout=timeout)

    with token.borrowed(), token.borrowed():
        token._free = type("Queue", (), {"get": staticmethod(comes_back), "put": token._free.put})()
        for _ in range(5):
            with pytest.raises(TokenBusyError, match="no session of the token became free"):
                keys.sign("a/1", b"m")
    assert keys.sign("a/1", b"m")


def test_a_library_in_use_is_not_started_anew_for_another_home(
    settings: TokenSettings, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pkcs11_library, "_WAIT_S", 0.02)
    keys = token_keys(settings, folder)
    keys.generate("a/1", "Ed25519")
    environment = settings.environment | {"QAI_T": "another"}
    other = token_keys(
        TokenSettings(settings.library, settings.label, settings.pin, environment), folder
    )
    with keys._token.session() as session:
        with pytest.raises(TokenBusyError, match="in use for another home"):
            other.find("a/1")
        assert session.generate_random(64)
    for each in (other, keys, other, keys):
        assert each.sign("a/1", b"m")


_FORK = """
import os, sys
from pathlib import Path
from quantumai.errors import KeyUnavailableError
from quantumai.keys.providers.token_settings import read_settings
from tests.tokens import token_keys
folder = Path(sys.argv[1])
keys = token_keys(read_settings(folder), folder)
keys.generate("a/1", "Ed25519")
child = os.fork()
if child == 0:
    try:
        keys.sign("a/1", b"m")
    except KeyUnavailableError as error:
        print(error, flush=True)
        os._exit(0)
    os._exit(1)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), len(keys.sign("a/1", b"m")))
"""


def test_a_forked_child_is_refused(settings: TokenSettings, folder: Path) -> None:
    write_settings(folder, settings)
    assert read_settings(folder) == settings
    command = [sys.executable, "-c", _FORK, str(folder)]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=60, env=environment_of(settings)
    )
    assert "before this process was forked\n0 64\n" in done.stdout, done.stderr


class Reopened:
    """The token as another process would open it: with a PIN source and a login of its own."""

    def __init__(self, settings: TokenSettings, folder: Path) -> None:
        self._settings, self._folder, self._count = settings, folder, 0

    def __call__(self, source: str) -> Pkcs11Keys:
        self._count += 1
        environment = self._settings.environment | {"QAI_T": str(self._count)}
        settings = TokenSettings(self._settings.library, self._settings.label, source, environment)
        return token_keys(settings, self._folder)


@pytest.fixture
def reopened(settings: TokenSettings, folder: Path) -> Reopened:
    token_keys(settings, folder).generate("a/1", "Ed25519")
    return Reopened(settings, folder)


def test_the_pin_comes_from_a_private_file(reopened: Reopened, folder: Path) -> None:
    pin = folder / "pin"
    pin.chmod(0o640)
    with pytest.raises(KeyUnavailableError, match="open to other users"):
        reopened("file:pin").sign("a/1", b"m")
    pin.chmod(0o600)
    assert reopened("file:./pin").sign("a/1", b"m")
    pin.unlink()
    with pytest.raises(KeyUnavailableError, match="cannot read the token's PIN file"):
        reopened("file:pin").sign("a/1", b"m")


def test_the_pin_comes_from_a_descriptor_or_a_command(reopened: Reopened, folder: Path) -> None:
    reader, writer = os.pipe()
    os.write(writer, PIN.encode())
    os.close(writer)
    shown = ""
    for source in (f"fd:{reader}", "command:cat pin", f"command:head -c 100 '{folder / 'pin'}'"):
        keys = reopened(source)
        assert keys.sign("a/1", b"m")
        shown += repr(keys) + repr(keys._token._pin)
    assert PIN not in shown + str(os.environ)


def test_a_wrong_pin_is_not_tried_again(reopened: Reopened, folder: Path) -> None:
    """A token that is asked with a wrong PIN too often locks itself: kryoptic takes ten tries."""
    (folder / "pin").write_text("wrong-pin-0815")
    keys = reopened("file:pin")
    for _ in range(25):
        with pytest.raises(KeyUnavailableError, match="refuses the PIN") as caught:
            keys.sign("a/1", b"m")
    assert "wrong-pin" not in str(caught.value) + caught.value.hint
    assert caught.value.__context__ is None
    (folder / "pin").write_text(PIN)
    assert keys.sign("a/1", b"m")
