"""What keys in a token promise beside the contract: nothing secret comes out, nothing hangs on."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pkcs11
import pytest
from pkcs11 import Attribute, KeyType, Mechanism, MechanismFlag, ObjectClass

from quantumai.errors import InsecureRefusedError, KeyUnavailableError
from quantumai.keys import pkcs11_keys
from quantumai.keys.algorithms import verify_signature
from quantumai.keys.providers.pkcs11 import Pkcs11Keys
from quantumai.keys.providers.pkcs11_token import Pkcs11Token
from quantumai.keys.providers.token_settings import TokenSettings, read_settings, write_settings
from tests.tokens import PIN, TOKENS, environment_of, new_token, token_keys

pytestmark = pytest.mark.integration

SECRET = (Attribute.VALUE, Attribute.SEED, Attribute.PRIVATE_EXPONENT)
READABLE = {
    Attribute.PRIVATE: True,
    Attribute.SENSITIVE: False,
    Attribute.EXTRACTABLE: True,
    Attribute.COPYABLE: True,
    Attribute.MODIFIABLE: True,
}


@pytest.fixture(params=TOKENS)
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> TokenSettings:
    return new_token(request.param, tmp_path / "token")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "token"


@pytest.fixture
def keys(settings: TokenSettings, folder: Path) -> Pkcs11Keys:
    return token_keys(settings, folder)


@pytest.fixture
def token(settings: TokenSettings, folder: Path) -> Pkcs11Token:
    """A second way into the same token, for tests that do what the provider does not."""
    return Pkcs11Token(settings, folder)


def _private(session: pkcs11.Session, label: str) -> Any:
    wanted = {Attribute.CLASS: ObjectClass.PRIVATE_KEY, Attribute.LABEL: label}
    (found,) = list(session.get_objects(wanted))
    return found


def _p256(session: pkcs11.Session, **options: Any) -> tuple[Any, Any]:
    curve = {Attribute.EC_PARAMS: bytes.fromhex("06082a8648ce3d030107")}
    domain = session.create_domain_parameters(KeyType.EC, curve, local=True)
    return domain.generate_keypair(mechanism=Mechanism.EC_KEY_PAIR_GEN, **options)


def test_secret_parts_cannot_be_read_copied_or_opened(keys: Pkcs11Keys, token: Pkcs11Token) -> None:
    for algorithm in keys.supported:
        keys.create(algorithm.lower(), algorithm)
        with token.session() as session:
            private = _private(session, f"{algorithm.lower()}/1")
            for attribute in SECRET:
                with pytest.raises((pkcs11.AttributeSensitive, pkcs11.AttributeTypeInvalid)):
                    _ = private[attribute]
            for change in ({Attribute.EXTRACTABLE: True}, {Attribute.SENSITIVE: False}, {}):
                with pytest.raises(pkcs11.PKCS11Error):
                    private.copy(change | {Attribute.LABEL: "copy"})
            for attribute, value in ((Attribute.EXTRACTABLE, True), (Attribute.SENSITIVE, False)):
                with pytest.raises(pkcs11.PKCS11Error):
                    private[attribute] = value
    with token.session() as session:
        assert not list(session.get_objects({Attribute.LABEL: "copy"}))


def test_wrapping_is_refused_where_an_extractable_key_can_be_wrapped(
    keys: Pkcs11Keys, token: Pkcs11Token
) -> None:
    """The control shows that the refusal is the key's and not for want of a mechanism."""
    record = keys.create("ours", "ECDSA-P256")
    offered = token.information()[3]
    kinds = (Mechanism.AES_KEY_WRAP_KWP, Mechanism.AES_KEY_WRAP_PAD)
    mechanism = next(kind for kind in kinds if kind in offered)
    with token.session() as session:
        wrapping = session.generate_key(
            KeyType.AES, 256, capabilities=MechanismFlag.WRAP | MechanismFlag.UNWRAP
        )
        _, control = _p256(session, private_template=READABLE)
        assert wrapping.wrap_key(control, mechanism=mechanism)
        with pytest.raises(pkcs11.PKCS11Error) as caught:
            wrapping.wrap_key(_private(session, "ours/1"), mechanism=mechanism)
        # python-pkcs11 has no name for CKR_KEY_FUNCTION_NOT_PERMITTED, 0x68.
        known = (pkcs11.KeyUnextractable, pkcs11.KeyNotWrappable)
        assert isinstance(caught.value, known) or str(caught.value).endswith("code 0x68")
    assert keys.sign(record.key_id, b"m")


def test_the_probe_notices_a_readable_key(settings: TokenSettings, token: Pkcs11Token) -> None:
    with token.session() as session:
        _, private = _p256(session, private_template=READABLE)
        assert private[Attribute.VALUE]
        with pytest.raises(InsecureRefusedError, match="VALUE can be read"):
            pkcs11_keys.probe_unreadable(private)
        with pytest.raises(InsecureRefusedError, match="not sealed: SENSITIVE"):
            pkcs11_keys.require_sealed(private, stored=False)


@pytest.mark.parametrize("check", ["require_sealed", "probe_unreadable"])
def test_a_token_that_leaks_is_not_served(
    keys: Pkcs11Keys, token: Pkcs11Token, monkeypatch: pytest.MonkeyPatch, check: str
) -> None:
    """Each of the two checks alone refuses it, at the first call and with nothing left behind."""
    monkeypatch.setattr(pkcs11_keys, "_private_template", lambda: READABLE)
    other = {"require_sealed", "probe_unreadable"} - {check}
    monkeypatch.setattr(pkcs11_keys, other.pop(), lambda *_, **__: None)
    for call in (keys.list, keys.status, lambda: keys.create("a", "Ed25519")):
        with pytest.raises(InsecureRefusedError):
            call()
    with token.session() as session:
        assert not list(session.get_objects({Attribute.CLASS: ObjectClass.PRIVATE_KEY}))


def test_a_planted_readable_key_does_not_sign(keys: Pkcs11Keys, token: Pkcs11Token) -> None:
    with token.session() as session:
        identity = b"2026-01-01T00:00:00Z/0123456789abcdef"
        _p256(session, label="a/1", id=identity, store=True, private_template=READABLE)
    with pytest.raises(InsecureRefusedError):
        keys.sign(keys.current("a").key_id, b"m")


def test_a_wrong_signature_is_not_released(
    keys: Pkcs11Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = keys.create("a", "Ed25519")
    with monkeypatch.context() as patch:
        patch.setattr("quantumai.keys.providers.pkcs11.sign_with", lambda *_: bytes(64))
        with pytest.raises(KeyUnavailableError, match="does not verify"):
            keys.sign(record.key_id, b"m")
    assert keys.sign(record.key_id, b"m")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_after_an_error_the_next_call_works(keys: Pkcs11Keys) -> None:
    record = keys.create("a", "Ed25519")
    keys._token.read(lambda session: session).close()
    with pytest.raises(KeyUnavailableError, match="the token answers SessionHandleInvalid"):
        keys.list()
    assert keys.sign(record.key_id, b"m")
    keys._token.close()
    assert keys.sign(record.key_id, b"m")


def test_a_key_destroyed_elsewhere_is_gone_at_once(keys: Pkcs11Keys, token: Pkcs11Token) -> None:
    record = keys.create("a", "Ed25519")
    assert keys.sign(record.key_id, b"m")
    with token.session() as session:
        _private(session, "a/1").destroy()
    with pytest.raises(KeyUnavailableError, match="no longer in the token"):
        keys.sign(record.key_id, b"m")


@pytest.mark.parametrize("lost", [0, 1], ids=["public", "private"])
def test_half_a_pair_is_not_a_key(keys: Pkcs11Keys, token: Pkcs11Token, lost: int) -> None:
    """What a crash in the middle of a generation may leave; the next call makes a whole one."""
    with token.session() as session:
        identity = b"2026-01-01T00:00:00Z/0123456789abcdef"
        _p256(session, label="a/1", id=identity, store=True)[lost].destroy()
    assert keys.list() == ()
    record = keys.create("a", "Ed25519")
    assert verify_signature(
        "Ed25519", record.public_key.spki_der, b"m", keys.sign(record.key_id, b"m")
    )


def test_threads_share_the_one_login(keys: Pkcs11Keys) -> None:
    record = keys.create("a", "Ed25519")
    made: list[bytes] = []

    def sign(number: int) -> None:
        made.extend(keys.sign(record.key_id, b"%d-%d" % (number, n)) for n in range(10))

    threads = [threading.Thread(target=sign, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(made)) == 40


_PROCESS = """
import sys
from pathlib import Path
from quantumai.keys.providers.token_settings import read_settings
from tests.tokens import token_keys
folder = Path(sys.argv[1])
keys = token_keys(read_settings(folder), folder)
algorithm = keys.supported[0]
made = [keys.create(f"k{n}", algorithm).key_id for n in range(8)]
made += [str(keys.rotate(f"k{n}").version >= 2) for n in range(8)]
print(*made)
"""


def test_two_processes_agree_on_one_key(settings: TokenSettings, folder: Path) -> None:
    write_settings(folder, settings)
    command = [sys.executable, "-c", _PROCESS, str(folder)]
    both = [
        subprocess.Popen(command, stdout=subprocess.PIPE, env=environment_of(settings))
        for _ in range(2)
    ]
    first, second = (process.communicate(timeout=60)[0].split() for process in both)
    assert len(first) == 16
    assert first == second
    keys = token_keys(settings, folder)
    assert sorted({record.alias for record in keys.list()}) == [f"k{n}" for n in range(8)]
    for n in range(8):
        assert keys.sign(keys.current(f"k{n}").key_id, b"m")


_FORK = """
import os, sys
from pathlib import Path
from quantumai.errors import KeyUnavailableError
from quantumai.keys.providers.token_settings import read_settings
from tests.tokens import token_keys
folder = Path(sys.argv[1])
keys = token_keys(read_settings(folder), folder)
record = keys.create("a", "Ed25519")
child = os.fork()
if child == 0:
    try:
        keys.sign(record.key_id, b"m")
    except KeyUnavailableError as error:
        print(error, flush=True)
        os._exit(0)
    os._exit(1)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), len(keys.sign(record.key_id, b"m")))
"""


def test_a_forked_child_is_refused(settings: TokenSettings, folder: Path) -> None:
    write_settings(folder, settings)
    command = [sys.executable, "-c", _FORK, str(folder)]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=60, env=environment_of(settings)
    )
    assert "before this process was forked\n0 64\n" in done.stdout, done.stderr


def test_the_pin_comes_from_a_private_file_or_a_descriptor(
    settings: TokenSettings, folder: Path
) -> None:
    write_settings(folder, settings)
    assert read_settings(folder) == settings
    record = token_keys(settings, folder).create("a", "Ed25519")
    pin = folder / "pin"

    def reopened(source: str) -> Pkcs11Keys:
        Pkcs11Token(settings, folder).close()
        renewed = TokenSettings(
            settings.library, settings.label, source, settings.environment | {"QAI_T": source}
        )
        return token_keys(renewed, folder)

    pin.chmod(0o640)
    with pytest.raises(KeyUnavailableError, match="open to other users"):
        reopened("file:pin").sign(record.key_id, b"m")
    pin.chmod(0o600)
    pin.write_text("wrong-pin")
    with pytest.raises(KeyUnavailableError, match="refuses the PIN") as caught:
        reopened("file:./pin").sign(record.key_id, b"m")
    assert "wrong-pin" not in str(caught.value)
    assert caught.value.__suppress_context__
    reader, writer = os.pipe()
    os.write(writer, PIN.encode())
    os.close(writer)
    keys = reopened(f"fd:{reader}")
    assert keys.sign(record.key_id, b"m")
    assert PIN not in repr(keys) + repr(keys._token._pin) + str(os.environ)
