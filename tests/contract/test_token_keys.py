"""What keys in a token promise beside the contract: nothing secret comes out, gone means gone."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pkcs11
import pytest
from pkcs11 import Attribute, KeyType, Mechanism, MechanismFlag, ObjectClass

from quantumai.errors import BadInputError, InsecureRefusedError, KeyUnavailableError, NotFoundError
from quantumai.keys.providers import pkcs11 as pkcs11_provider
from quantumai.keys.providers import pkcs11_keys
from quantumai.keys.providers.pkcs11 import Pkcs11Keys
from quantumai.keys.providers.pkcs11_numbers import KINDS
from quantumai.keys.providers.pkcs11_token import Pkcs11Token
from quantumai.keys.providers.token_settings import TokenSettings, write_settings
from quantumai.keys.signatures import verify_signature
from tests.tokens import TOKENS, environment_of, new_token, token_keys

pytestmark = pytest.mark.integration

# One algorithm for each kind of key object, in the order in which they are made here.
KIND_OF_EACH = {
    "ML-DSA-44": 0x4A,
    "SLH-DSA-SHA2-128f": 0x4B,
    "ML-KEM-512": 0x49,
    "Ed25519": 0x40,
    "ECDSA-P256": 0x03,
    "RSA-3072-PSS": 0x00,
}
SECRET = (
    *(Attribute.VALUE, Attribute.SEED, Attribute.PRIVATE_EXPONENT, Attribute.PRIME_1),
    *(Attribute.PRIME_2, Attribute.EXPONENT_1, Attribute.EXPONENT_2, Attribute.COEFFICIENT),
)
READABLE = {
    Attribute.PRIVATE: True,
    Attribute.SENSITIVE: False,
    Attribute.EXTRACTABLE: True,
    Attribute.COPYABLE: True,
    Attribute.MODIFIABLE: True,
}
P256 = {Attribute.EC_PARAMS: bytes.fromhex("06082a8648ce3d030107")}
OBJECT_ID = b"2026-01-01T00:00:00Z/0123456789abcdef"


@pytest.fixture(params=TOKENS)
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> TokenSettings:
    return new_token(request.param, tmp_path / "token", slots=2)


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


def _kinds(keys: Pkcs11Keys) -> list[str]:
    return [name for name in KIND_OF_EACH if name in keys.abilities()]


def _private(session: pkcs11.Session, handle: str) -> Any:
    wanted = {Attribute.CLASS: ObjectClass.PRIVATE_KEY, Attribute.LABEL: handle}
    (found,) = session.get_objects(wanted)
    return found


def _p256(session: pkcs11.Session, **options: Any) -> tuple[Any, Any]:
    return session.generate_keypair(
        KeyType.EC, mechanism=Mechanism.EC_KEY_PAIR_GEN, public_template=P256, **options
    )


def test_secret_parts_cannot_be_read_copied_or_opened(keys: Pkcs11Keys, token: Pkcs11Token) -> None:
    made = _kinds(keys)
    assert len(made) >= 3
    for name in made:
        handle = f"{name.lower()}/1"
        keys.generate(handle, name)
        with token.session() as session:
            private = _private(session, handle)
            assert private[Attribute.KEY_TYPE] == KIND_OF_EACH[name]
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


def test_no_kind_of_key_can_be_wrapped(keys: Pkcs11Keys, token: Pkcs11Token) -> None:
    """Each next to a readable key of its kind, the control.

    Where the control can be wrapped, the refusal is the key's own. Where it cannot, the refusal
    proves nothing of a policy, only that nothing comes out this way: kryoptic answers "function
    not supported" for ML-DSA, SLH-DSA and ML-KEM, SoftHSM2 "not wrappable" for Ed25519.
    """
    proven = set()
    mechanisms = token.information().mechanisms
    kinds = (Mechanism.AES_KEY_WRAP_KWP, Mechanism.AES_KEY_WRAP_PAD)
    mechanism = next(kind for kind in kinds if kind in mechanisms)
    for name in _kinds(keys):
        handle = f"{name.lower()}/1"
        keys.generate(handle, name)
        with token.session() as session:
            capabilities = MechanismFlag.WRAP | MechanismFlag.UNWRAP
            wrapping = session.generate_key(KeyType.AES, 256, capabilities=capabilities)
            with pytest.raises(pkcs11.PKCS11Error) as caught:
                wrapping.wrap_key(_private(session, handle), mechanism=mechanism)
            try:
                assert wrapping.wrap_key(_control(session, name), mechanism=mechanism)
            except (pkcs11.FunctionNotSupported, pkcs11.KeyNotWrappable):
                continue
            # python-pkcs11 has no name for CKR_KEY_FUNCTION_NOT_PERMITTED, 0x68.
            known = (pkcs11.KeyUnextractable, pkcs11.KeyNotWrappable)
            assert isinstance(caught.value, known) or str(caught.value).endswith("code 0x68")
            proven.add(name)
    assert {"ECDSA-P256", "RSA-3072-PSS"} <= proven


def _control(session: pkcs11.Session, name: str) -> Any:
    """The private half of a readable pair of the same kind."""
    kind = next(each for each in KINDS.values() if each.key_type == KIND_OF_EACH[name])
    edwards = {Attribute.EC_PARAMS: bytes.fromhex("06032b6570")}
    template: dict[str, dict[Any, Any]] = {"Ed25519": edwards, "ECDSA-P256": P256}
    signing = MechanismFlag.SIGN | MechanismFlag.VERIFY
    _, private = session.generate_keypair(
        kind.type_member,
        2048 if name.startswith("RSA") else None,
        mechanism=kind.generate_mechanism,
        capabilities=MechanismFlag(0) if name.startswith("ML-KEM") else signing,
        public_template=template.get(
            name, {} if name.startswith("RSA") else {Attribute.PARAMETER_SET: 1}
        ),
        private_template=READABLE,
    )
    assert private[Attribute.EXTRACTABLE]
    return private


def test_a_message_that_the_token_cannot_take_is_bad_input(keys: Pkcs11Keys) -> None:
    """kryoptic calls it a device error; callers must not be able to open the breaker by it."""
    for name in ("ML-DSA-44", "SLH-DSA-SHA2-128f", "Ed25519", "ECDSA-P256"):
        if name not in keys.abilities():
            continue
        key = keys.generate(f"{name.lower()}/1", name)
        for size in (2**20, 2**20 + 1):
            message = b"x" * size
            if size > 2**20 and name != "ECDSA-P256":
                for _ in range(4):
                    with pytest.raises(BadInputError, match=f"this one has {size}"):
                        keys.sign(key.handle, message)
            else:
                signature = keys.sign(key.handle, message)
                assert verify_signature(name, key.public_key.spki_der, message, signature)


def test_post_quantum_signatures_are_hedged(keys: Pkcs11Keys) -> None:
    """Fresh randomness goes into each (FIPS 204, section 3.4; FIPS 205, section 9.2)."""
    for name in ("ML-DSA-44", "SLH-DSA-SHA2-128f"):
        if name in keys.abilities():
            keys.generate(f"{name.lower()}/1", name)
            for context in (b"", b"a context"):
                made = {keys.sign(f"{name.lower()}/1", b"m", context) for _ in range(3)}
                assert len(made) == 3


def test_the_probe_notices_a_readable_key(token: Pkcs11Token) -> None:
    with token.session() as session:
        _, private = _p256(session, private_template=READABLE)
        assert private[Attribute.VALUE]
        with pytest.raises(InsecureRefusedError, match="VALUE can be read"):
            pkcs11_keys.probe_unreadable(private)
        with pytest.raises(InsecureRefusedError, match="not sealed: SENSITIVE"):
            pkcs11_keys.require_sealed(private, stored=False)


CHECKS = ("require_sealed", "probe_unreadable", "_require_no_readable_copy")


@pytest.mark.parametrize("check", CHECKS)
def test_a_token_that_leaks_is_not_served(
    keys: Pkcs11Keys, token: Pkcs11Token, monkeypatch: pytest.MonkeyPatch, check: str
) -> None:
    """Each of the checks alone refuses it, at the first call and with nothing left behind."""
    monkeypatch.setattr(pkcs11_keys, "_private_template", lambda: READABLE)
    for other in CHECKS:
        if other != check:
            monkeypatch.setattr(pkcs11_keys, other, lambda *_, **__: None)
    if check == CHECKS[2] and "KRYOPTIC_CONF" in token.settings.environment:
        # It makes no copy with these changes, even of a readable key.
        assert keys.abilities()
        return
    calls: list[Callable[[], object]] = [
        keys.abilities,
        keys.keys,
        keys.status,
        lambda: keys.generate("a/1", "Ed25519"),
        lambda: keys.find("a/1"),
        lambda: keys.sign("a/1", b"m"),
        lambda: keys.decapsulate("a/1", bytes(768)),
    ]
    for call in calls:
        with pytest.raises(InsecureRefusedError):
            call()
    with token.session() as session:
        left = [*session.get_objects({Attribute.CLASS: ObjectClass.PRIVATE_KEY})]
        # The probe of copying leaves the copy that the token made, until its session ends.
        assert left == [] or check == "_require_no_readable_copy"


def test_a_planted_readable_key_does_not_sign(keys: Pkcs11Keys, token: Pkcs11Token) -> None:
    with token.session() as session:
        _p256(session, label="a/1", id=OBJECT_ID, store=True, private_template=READABLE)
    assert keys.find("a/1").created_at == "2026-01-01T00:00:00Z"
    with pytest.raises(InsecureRefusedError):
        keys.sign("a/1", b"m")


def test_objects_of_others_are_left_alone(keys: Pkcs11Keys, token: Pkcs11Token) -> None:
    with token.session() as session:
        _p256(session, label="a/1", id=b"somebody else's", store=True)
        _p256(session, label="nobody's handle", id=OBJECT_ID, store=True)
    assert keys.keys() == ()
    keys.destroy("a/1")
    with pytest.raises(NotFoundError):
        keys.sign("a/1", b"m")
    with token.session() as session:
        assert len(list(session.get_objects({Attribute.LABEL: "a/1"}))) == 2


@pytest.mark.parametrize("lost", [0, 1], ids=["public", "private"])
def test_half_a_pair_is_not_a_key(keys: Pkcs11Keys, token: Pkcs11Token, lost: int) -> None:
    """What a crash in the middle of a generation may leave; the next call makes a whole one."""
    with token.session() as session:
        _p256(session, label="a/1", id=OBJECT_ID, store=True)[lost].destroy()
    assert keys.keys() == ()
    assert keys.status().halves == 1
    key = keys.generate("a/1", "Ed25519")
    assert verify_signature("Ed25519", key.public_key.spki_der, b"m", keys.sign("a/1", b"m"))
    keys.destroy("a/1")
    assert (keys.keys(), keys.status().halves) == ((), 0)


def test_a_key_that_is_there_twice_is_not_used(keys: Pkcs11Keys, token: Pkcs11Token) -> None:
    keys.generate("a/1", "Ed25519")
    with token.session() as session:
        _p256(session, label="a/1", id=OBJECT_ID, store=True)
    for call in (keys.find, lambda handle: keys.generate(handle, "Ed25519")):
        with pytest.raises(KeyUnavailableError, match="twice"):
            call("a/1")


def test_destruction_is_looked_at_in_every_slot(
    settings: TokenSettings, keys: Pkcs11Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A token that only says that it destroyed a key is found out."""
    keys.generate("a/1", "Ed25519")
    looked_into = []
    truth = pkcs11_provider.objects_of

    class Kept:
        def destroy(self) -> None:
            pass

    def objects_of(session: Any, handle: str) -> list[Any]:
        looked_into.append(session.token.slot.slot_id)
        return [Kept() for _ in truth(session, handle)]

    monkeypatch.setattr(pkcs11_provider, "objects_of", objects_of)
    with pytest.raises(KeyUnavailableError, match="still in the token"):
        keys.destroy("a/1")
    slots = set(looked_into[1:])
    assert len(slots) == (2 if "KRYOPTIC_CONF" in settings.environment else 1)
    assert keys.sign("a/1", b"m")


_DESTROY = """
import sys
from pathlib import Path
from quantumai.keys.providers.token_settings import read_settings
from tests.tokens import token_keys
folder = Path(sys.argv[1])
keys = token_keys(read_settings(folder), folder)
for handle in ("a/1", "b/1"):
    keys.destroy(handle)
"""


def test_a_key_destroyed_in_another_process_does_not_sign_again(
    settings: TokenSettings, folder: Path, keys: Pkcs11Keys
) -> None:
    """Every session of this process has used the key, and so holds a handle of the token's."""
    write_settings(folder, settings)
    for handle in ("a/1", "b/1", "c/1"):
        keys.generate(handle, "Ed25519")
        _in_every_session(keys, lambda handle=handle: keys.sign(handle, b"m"))
    command = [sys.executable, "-c", _DESTROY, str(folder)]
    subprocess.run(command, check=True, timeout=60, env=environment_of(settings))

    def refused(handle: str) -> None:
        # Oftener than the circuit breaker takes failures: an answer that a key is gone is none.
        for _ in range(4):
            with pytest.raises(NotFoundError):
                keys.sign(handle, b"m")

    refused("a/1")
    _in_every_session(keys, lambda: refused("b/1"))
    with pytest.raises(NotFoundError):
        keys.find("a/1")
    (left,) = keys.keys()
    assert left.handle == "c/1"
    assert keys.sign("c/1", b"m")


def test_a_new_key_under_an_old_handle_is_another_key(
    settings: TokenSettings, folder: Path, keys: Pkcs11Keys
) -> None:
    """What one process remembers of a handle must not outlive the key."""
    first = keys.generate("a/1", "Ed25519")
    _in_every_session(keys, lambda: keys.sign("a/1", b"m"))
    other = token_keys(settings, folder)
    other.destroy("a/1")
    second = other.generate("a/1", "ECDSA-P256")

    def signs_with_the_second() -> None:
        signature = keys.sign("a/1", b"m")
        assert verify_signature("ECDSA-P256", second.public_key.spki_der, b"m", signature)

    _in_every_session(keys, signs_with_the_second)
    assert keys.find("a/1") == second != first


def _in_every_session(keys: Pkcs11Keys, action: Callable[[], object]) -> None:
    """Do something once with each session of the pool, while the others are taken."""
    numbers = range(keys._token.settings.slots)
    for number in numbers:
        taken = {}
        for _ in numbers:
            borrowed = keys._token.borrowed()
            taken[borrowed.__enter__().number] = borrowed
        taken.pop(number).__exit__(None, None, None)
        try:
            action()
        finally:
            for borrowed in taken.values():
                borrowed.__exit__(None, None, None)


def test_a_maker_that_was_overtaken_takes_the_key_of_the_other(
    settings: TokenSettings, folder: Path, keys: Pkcs11Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody makes the key between our looking for it and our having the lock."""
    other = token_keys(settings, folder)
    truth, made = keys._lock.exclusive, []

    @contextmanager
    def overtaken() -> Iterator[None]:
        made.append(other.generate("a/1", "Ed25519"))
        with truth():
            yield

    monkeypatch.setattr(keys._lock, "exclusive", overtaken)
    assert [keys.generate("a/1", "Ed25519")] == made == list(keys.keys())


_PROCESS = """
import sys
from pathlib import Path
from quantumai.keys.providers.token_settings import read_settings
from tests.tokens import token_keys
folder = Path(sys.argv[1])
keys = token_keys(read_settings(folder), folder)
print(*[keys.generate(f"k/{n}", sys.argv[2]).public_key.key_id for n in range(1, 9)])
"""


def test_two_processes_agree_on_one_key(
    settings: TokenSettings, folder: Path, keys: Pkcs11Keys
) -> None:
    write_settings(folder, settings)
    command = [sys.executable, "-c", _PROCESS, str(folder), _kinds(keys)[0]]
    both = [
        subprocess.Popen(command, stdout=subprocess.PIPE, env=environment_of(settings))
        for _ in range(2)
    ]
    first, second = (process.communicate(timeout=60)[0].split() for process in both)
    assert len(set(first)) == 8
    assert first == second
    found = keys.keys()
    assert [key.public_key.key_id.encode() for key in found] == first
    assert [key.handle for key in found] == [f"k/{n}" for n in range(1, 9)]
