"""Keys are used: each for its one purpose, and what they make holds in libraries of others."""

from __future__ import annotations

import hashlib
import hmac
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from quantumai.errors import BadInputError, DeniedError, KeyUnavailableError
from quantumai.keys.providers.port import Ability
from tests.kms_world import World
from tests.other_verifiers import library_verifies, raw_of_pem

MESSAGE = b"the message"
IN_TOTO = "application/vnd.in-toto+json"
PREDICATE = "https://example.org/predicate/v1"
DATA_KEY = bytes(range(32))


def statement(
    predicate_type: str = PREDICATE, kind: str = "https://in-toto.io/Statement/v1"
) -> bytes:
    fields = f'"_type":"{kind}","predicate":{{"n":1}},"predicateType":"{predicate_type}"'
    return f'{{{fields},"subject":[]}}'.encode()


def pae(payload_type: str, payload: bytes) -> bytes:
    """DSSE v1: "DSSEv1" SP LEN(type) SP type SP LEN(body) SP body, lengths in ASCII decimal."""
    kind = payload_type.encode()
    sizes = [str(len(part)).encode("ascii") for part in (kind, payload)]
    return b"DSSEv1" + b" " + sizes[0] + b" " + kind + b" " + sizes[1] + b" " + payload


def wrap_key(world: World) -> str:
    """A new key that wraps; "" where the provider has no ML-KEM, as SoftHSM2, and says so."""
    if world.makes("ML-KEM-768"):
        return world.make("wrap")
    with pytest.raises(BadInputError, match="makes no ML-KEM-768"):
        world.make("wrap")
    return ""


def test_messages_are_signed_and_counted(world: World) -> None:
    name = world.make()
    key = world.alice.show(name)
    for message in (b"m", MESSAGE, b"\x00" * 5000):
        signed = world.alice.sign(name, message)
        assert (signed.name, signed.version, signed.key_id) == (name, 1, key.key_id)
        assert signed.algorithm == key.algorithm
        assert library_verifies(key.algorithm, world.pem(key), message, signed.signature)
        assert world.bob.verify(name, message, signed.signature)
        for wrong in (signed.signature[:-1], signed.signature[::-1], b"", signed.signature + b"x"):
            assert not world.alice.verify(name, message, wrong)
        assert not world.alice.verify(name, message + b"!", signed.signature)
    used = world.alice.usage(name)
    assert [(u.name, u.version, u.uses, u.last_used_at) for u in used] == [
        (name, 1, 3, "2026-03-04T05:06:07Z")
    ]


def test_a_context_binds_or_is_refused(world: World) -> None:
    name = world.make()
    key, context = world.alice.show(name), b"a context"
    able = world.provider.abilities()[key.algorithm]
    if Ability.CONTEXT not in able:
        with pytest.raises(BadInputError, match="context"):
            world.alice.sign(name, MESSAGE, context)
        return
    signature = world.alice.sign(name, MESSAGE, context).signature
    pem = world.pem(key)
    assert library_verifies(key.algorithm, pem, MESSAGE, signature, context)
    assert not library_verifies(key.algorithm, pem, MESSAGE, signature)
    assert world.alice.verify(name, MESSAGE, signature, context=context)
    assert not world.alice.verify(name, MESSAGE, signature)
    assert not world.alice.verify(name, MESSAGE, signature, context=b"another")
    with pytest.raises(BadInputError, match="context"):
        world.alice.sign(name, MESSAGE, b"c" * 256)


def test_an_external_mu_is_signed_as_its_message(world: World) -> None:
    name = world.make()
    key = world.alice.show(name)
    if Ability.EXTERNAL_MU not in world.provider.abilities()[key.algorithm]:
        with pytest.raises(BadInputError, match="external mu"):
            world.alice.sign_mu(name, bytes(64))
        return
    # FIPS 204, algorithms 2 and 7: mu = H(H(pk, 64) || 0 || |ctx| || ctx || M, 64).
    context, pem = b"ctx", world.pem(key)
    tr = hashlib.shake_256(raw_of_pem(pem)).digest(64)
    mu = hashlib.shake_256(tr + bytes([0, len(context)]) + context + MESSAGE).digest(64)

    signature = world.alice.sign_mu(name, mu).signature

    assert library_verifies(key.algorithm, pem, MESSAGE, signature, context)
    for size in (0, 63, 65):
        with pytest.raises(BadInputError, match="64 bytes"):
            world.alice.sign_mu(name, bytes(size))


def test_a_statement_is_signed_under_its_encoding(world: World) -> None:
    name = world.make("statement")
    key, payload = world.alice.show(name), statement()

    (signed,) = world.alice.sign_statement(name, IN_TOTO, PREDICATE, payload)

    encoded = pae(IN_TOTO, payload)
    assert (signed.name, signed.version, signed.key_id) == (name, 1, key.key_id)
    assert library_verifies(key.algorithm, world.pem(key), encoded, signed.signature)
    assert not library_verifies(key.algorithm, world.pem(key), payload, signed.signature)
    assert world.alice.verify(name, encoded, signed.signature)


@pytest.mark.parametrize(
    ("payload_type", "predicate_type", "payload"),
    [
        (IN_TOTO, PREDICATE, b""),
        (IN_TOTO, PREDICATE, b"bytes"),
        (IN_TOTO, PREDICATE, b"[]"),
        (IN_TOTO, PREDICATE, statement().replace(b":", b": ")),
        (IN_TOTO, PREDICATE, statement() + b"\n"),
        (IN_TOTO, PREDICATE, statement(kind="https://in-toto.io/Statement/v0.1")),
        (IN_TOTO, PREDICATE, statement("https://example.org/another/v1")),
        (IN_TOTO, "", statement()),
        ("text/plain", PREDICATE, statement()),
        ("", PREDICATE, statement()),
    ],
    ids=lambda _: "",
)
def test_only_canonical_statements_are_signed(
    world: World, payload_type: str, predicate_type: str, payload: bytes
) -> None:
    name = world.make("statement")
    with pytest.raises(BadInputError):
        world.alice.sign_statement(name, payload_type, predicate_type, payload)
    assert [u.uses for u in world.alice.usage(name)] == [0]


def test_a_key_has_one_purpose_for_life(world: World) -> None:
    """Each purpose tries each use; even what one could pass off as the other is refused."""
    payload = statement()
    uses: dict[str, Any] = {
        "sign": lambda name: world.alice.sign(name, pae(IN_TOTO, payload)),
        "sign_mu": lambda name: world.alice.sign_mu(name, bytes(64)),
        "sign_statement": lambda name: world.alice.sign_statement(
            name, IN_TOTO, PREDICATE, payload
        ),
        "wrap": lambda name: world.alice.wrap(name, DATA_KEY),
        # Names version 1, and is long enough for the smallest ML-KEM.
        "unwrap": lambda name: world.alice.unwrap(name, b"QAIW1\0\0\0\1" + bytes(2000)),
    }
    allowed = {
        "raw": {"sign", "sign_mu"},
        "statement": {"sign_statement"},
        "wrap": {"wrap", "unwrap"},
    }
    if not world.makes("ML-KEM-768"):
        del allowed["wrap"]
    for purpose, may in allowed.items():
        name = world.make(purpose)
        for use in uses.keys() - may:
            with pytest.raises(DeniedError, match=f"is for {purpose}, not for"):
                uses[use](name)
        assert [u.uses for u in world.alice.usage(name)] == [0]


def test_a_data_key_comes_back_and_nothing_else_does(world: World) -> None:
    bound = b"bound to this"
    if not (name := wrap_key(world)):
        return
    for data_key in (DATA_KEY, bytes(16), bytes(64)):
        wrapped = world.alice.wrap(name, data_key, bound)
        assert data_key not in wrapped
        assert world.bob.unwrap(name, wrapped, bound) == data_key
    wrapped = world.alice.wrap(name, DATA_KEY, bound)
    assert wrapped != world.alice.wrap(name, DATA_KEY, bound)
    for other in (b"", b"bound to that", bound + b"\0"):
        with pytest.raises(BadInputError, match="associated data"):
            world.alice.unwrap(name, wrapped, other)
    for size in (0, 15, 65):
        with pytest.raises(BadInputError, match="16 to 64 bytes"):
            world.alice.wrap(name, bytes(size))


def test_a_wrapped_key_that_was_changed_anywhere_does_not_open(world: World) -> None:
    if not (name := wrap_key(world)):
        return
    wrapped = world.alice.wrap(name, DATA_KEY, b"bound")
    # Magic, version, ML-KEM-768 ciphertext of 1088 bytes, AES ciphertext, tag: ends of each.
    assert len(wrapped) == 5 + 4 + 1088 + 32 + 16
    for place in (0, 4, 5, 8, 9, 600, 1096, 1097, 1128, 1129, 1144):
        changed = bytearray(wrapped)
        changed[place] ^= 1
        with pytest.raises(BadInputError):  # an unknown version is `NotFoundError`, which is one
            world.alice.unwrap(name, bytes(changed), b"bound")
    for cut in (b"", wrapped[:5], wrapped[:-1], wrapped + b"\0", wrapped[:1097], wrapped * 2):
        with pytest.raises(BadInputError):
            world.alice.unwrap(name, cut, b"bound")
    assert world.alice.unwrap(name, wrapped, b"bound") == DATA_KEY


def test_rotation_leaves_old_wrapped_keys_open(world: World) -> None:
    if not (name := wrap_key(world)):
        return
    old = world.alice.wrap(name, DATA_KEY)
    world.alice.rotate(name)
    new = world.alice.wrap(name, DATA_KEY)
    assert (old[5:9], new[5:9]) == (b"\0\0\0\1", b"\0\0\0\2")
    for wrapped in (old, new):
        assert world.alice.unwrap(name, wrapped) == DATA_KEY
    # A header that names the other version leads to a key that does not open it.
    with pytest.raises(BadInputError):
        world.alice.unwrap(name, old[:5] + new[5:9] + old[9:])
    assert [(u.version, u.uses) for u in world.alice.usage(name)] == [(1, 2), (2, 2)]
    world.alice.disable(name, 1)
    with pytest.raises(DeniedError, match="disabled"):
        world.alice.unwrap(name, old)


def test_the_wrapped_form_is_what_its_description_says(world: World) -> None:
    """HKDF by hand (RFC 5869), from the shared secret that the provider itself gives."""
    if not (name := wrap_key(world)):
        return
    wrapped = world.alice.wrap(name, DATA_KEY, b"bound")
    header, sealed = wrapped[:1097], wrapped[1097:]
    secret = world.provider.decapsulate(world.handle(name), header[9:])

    pseudo_random = hmac.digest(bytes(32), secret, "sha256")
    info = b"quantumai data key v1" + header
    first = hmac.digest(pseudo_random, info + b"\1", "sha256")
    second = hmac.digest(pseudo_random, first + info + b"\2", "sha256")
    opened = AESGCM(first).decrypt(second[:12], sealed, header + b"bound")

    assert opened == DATA_KEY


def test_a_wrong_signature_never_leaves(world: World) -> None:
    raw, signs_statements = world.make(), world.make("statement")
    provider, renewed = world.provider, []
    right = {"sign": provider.sign, "sign_mu": provider.sign_mu}
    provider.renew = lambda: renewed.append(1)
    calls: list[Any] = [
        lambda: world.alice.sign(raw, MESSAGE),
        lambda: world.alice.sign_statement(signs_statements, IN_TOTO, PREDICATE, statement()),
    ]
    if Ability.EXTERNAL_MU in provider.abilities()[world.signer]:
        calls.append(lambda: world.alice.sign_mu(raw, bytes(64)))

    def flipped(signature: bytes) -> bytes:
        return signature[:-1] + bytes([signature[-1] ^ 1])

    for spoil in (flipped, lambda s: s[:-1], lambda s: b"", lambda s: bytes(len(s))):
        for name, sign in right.items():
            setattr(provider, name, lambda *a, _sign=sign, _spoil=spoil: _spoil(_sign(*a)))
        for call in calls:
            renewed.clear()
            with pytest.raises(KeyUnavailableError, match="does not verify"):
                call()
            assert renewed == [1]
    assert [u.uses for u in world.alice.usage(raw)] == [0]
    vars(provider).pop("sign")
    assert world.alice.verify(raw, MESSAGE, world.alice.sign(raw, MESSAGE).signature)


def test_another_key_under_the_same_name_is_not_taken_for_ours(world: World) -> None:
    """What verifies is the public key that was noted at creation, not what a token shows now."""
    name, other = world.make(), world.make(text="other")
    sign = world.provider.sign
    others = world.handle(other)
    world.provider.sign = lambda handle, *rest: sign(others, *rest)
    world.provider.renew = lambda: None
    with pytest.raises(KeyUnavailableError, match="does not verify"):
        world.alice.sign(name, MESSAGE)


def test_what_is_forbidden_while_the_token_works_stays_in(world: World) -> None:
    name, sign = world.make(), world.provider.sign

    def slowly(*arguments: Any) -> bytes:
        made: bytes = sign(*arguments)
        world.bob.disable(name)
        return made

    world.provider.sign = slowly
    with pytest.raises(DeniedError, match="disabled"):
        world.alice.sign(name, MESSAGE)
    assert [u.uses for u in world.alice.usage(name)] == [0]
    assert [str(e.outcome) for e in world.entries() if e.operation == "sign"] == ["denied"]


def test_a_token_that_fails_is_heard(world: World) -> None:
    name = world.make()

    def fail(*arguments: object) -> bytes:
        raise KeyUnavailableError("device error")

    world.provider.sign = fail
    with pytest.raises(KeyUnavailableError, match="device error"):
        world.alice.sign(name, MESSAGE)
    assert world.entries()[-1].outcome == "failed"


def test_a_message_that_is_too_long_is_refused(world: World) -> None:
    name = world.make()
    with pytest.raises(BadInputError):
        world.alice.sign(name, bytes((8 << 20) + 1))
