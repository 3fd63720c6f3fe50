"""What every key provider must do: soft keys, PKCS#11 tokens, and AWS KMS (emulated).

The libraries that verify here are those of `tests.other_verifiers`, without the one that made the
signature.
"""

from __future__ import annotations

import hashlib
import importlib
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

import pytest

from quantumai.errors import BadInputError, ConflictError, NotFoundError
from quantumai.keys.encapsulation import encapsulate
from quantumai.keys.parameters import KEM_ALGORITHMS, PARAMETER_SETS, SIGNATURE_ALGORITHMS, Family
from quantumai.keys.providers.port import Ability, KeyProvider, ProviderKey
from quantumai.keys.signatures import verify_signature
from quantumai.keys.spki import raw_public_bytes
from tests.other_verifiers import Verifier, software_maker, verifiers

pytestmark = pytest.mark.filterwarnings("ignore::quantumai.keys.providers.soft.InsecureKeysWarning")

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
PROVIDERS = ["soft", "soft-passphrase"] + [
    pytest.param(kind, marks=pytest.mark.integration)
    for kind in ("kryoptic", "softhsm2", "aws-kms")
]
# Those that a small signature costs a second, in whatever makes it.
_SIGNERS = [
    pytest.param(name, marks=pytest.mark.slow) if re.fullmatch("SLH-DSA-.*s", name) else name
    for name in SIGNATURE_ALGORITHMS
]
MESSAGE, CONTEXT = b"the message", b"a context"
_names = count(1)


@dataclass(frozen=True)
class Bench:
    """One provider under test; `another` opens a second one on the same keys.

    `maker` names the library that makes the signatures of an algorithm.
    """

    keys: KeyProvider
    another: Callable[[], KeyProvider]
    maker: Callable[[str], str]

    def generate(self, algorithm: str) -> ProviderKey:
        """A new key under a new name."""
        return self.keys.generate(new_handle(), algorithm)

    def any_signer(self) -> str:
        """A quick algorithm that this provider signs with: SoftHSM2 has no ML-DSA."""
        return "ML-DSA-44" if "ML-DSA-44" in self.keys.abilities() else "ECDSA-P256"


def new_handle() -> str:
    return f"key-{next(_names)}/1"


def _listed(keys: KeyProvider) -> list[ProviderKey]:
    return list(keys.keys())


@pytest.fixture(scope="module", params=PROVIDERS)
def bench(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Bench]:
    folder = tmp_path_factory.mktemp("keys")
    kind: str = request.param
    opener = {"kryoptic": _tokens, "softhsm2": _tokens, "aws-kms": _aws_kms}.get(kind, _soft)
    with opener(kind, folder) as open_provider:
        maker = software_maker if opener is not _tokens else lambda _: kind
        yield Bench(open_provider(), open_provider, maker)


@contextmanager
def _soft(kind: str, folder: Path) -> Iterator[Callable[[], KeyProvider]]:
    from quantumai.keys.providers.soft import InsecureSoftKeys

    phrase = b"a phrase" if kind == "soft-passphrase" else None
    with pytest.MonkeyPatch.context() as patch:
        # The cheapest scrypt that is accepted: the suite is about keys, not about waiting.
        patch.setattr("quantumai.keys.providers.sealing_key._SCRYPT_LOG2_N", 14)
        yield lambda: InsecureSoftKeys(folder, lambda: NOW, phrase)


@contextmanager
def _tokens(kind: str, folder: Path) -> Iterator[Callable[[], KeyProvider]]:
    from tests.tokens import new_token, token_keys

    settings = new_token(kind, folder / "token")
    yield lambda: token_keys(settings, folder / "token")


@contextmanager
def _aws_kms(kind: str, folder: Path) -> Iterator[Callable[[], KeyProvider]]:
    from quantumai.keys.providers.aws_kms import AwsKmsKeys
    from tests.aws_emulation import running_aws_emulation

    with running_aws_emulation() as emulation:
        yield lambda: AwsKmsKeys(emulation.settings("contract"))


def test_it_says_what_it_can_do(bench: Bench) -> None:
    abilities = bench.keys.abilities()
    assert bench.keys.name in ("soft", "pkcs11", "aws-kms")
    assert len(bench.keys.validation) >= 4
    for name, able in abilities.items():
        entry = PARAMETER_SETS[name]
        assert (Ability.SIGN in able) == entry.signs
        assert (Ability.DECAPSULATE in able) == (not entry.signs)
        assert Ability.CONTEXT not in able or entry.takes_context
        assert Ability.EXTERNAL_MU not in able or entry.family is Family.ML_DSA
    bench.keys.check()


@pytest.mark.parametrize("name", _SIGNERS)
def test_signatures_verify_elsewhere(bench: Bench, name: str) -> None:
    """In two libraries for a token, in one for keys of a library that is one of the two.

    ML-DSA: `cryptography` and `pqcrypto`; SLH-DSA: `pqcrypto` and `slh-dsa`; all others:
    `cryptography` and plain arithmetic. So soft keys and the AWS emulation are left with `pqcrypto`
    alone for ML-DSA, with arithmetic alone for classical keys, and soft SLH-DSA with `slh-dsa`
    alone. kryoptic, SoftHSM2 and `cryptography` are three builds over OpenSSL's code: for these
    tokens the second library is the one that shares none. Our own verification comes on top, by
    `cryptography` and, of SLH-DSA, by `pqcrypto`.
    """
    if name not in bench.keys.abilities():
        _is_refused(bench, name)
        return
    key = bench.generate(name)
    contexts = [b"", CONTEXT] if Ability.CONTEXT in bench.keys.abilities()[name] else [b""]
    for context in contexts:
        signature = bench.keys.sign(key.handle, MESSAGE, context)
        for accepts in _opinions(bench, key, context):
            assert accepts(MESSAGE, signature)
            assert not accepts(b"the massage", signature)
        spki = key.public_key.spki_der
        assert verify_signature(name, spki, MESSAGE, signature, context)
        assert not verify_signature(name, spki, MESSAGE, signature[:-1], context)
        if context:
            assert not verify_signature(name, spki, MESSAGE, signature)


def _is_refused(bench: Bench, algorithm: str) -> None:
    handle = new_handle()
    with pytest.raises(BadInputError, match=algorithm):
        bench.keys.generate(handle, algorithm)
    with pytest.raises(NotFoundError):
        bench.keys.find(handle)


def _opinions(bench: Bench, key: ProviderKey, context: bytes) -> list[Verifier]:
    """Verification by each library that can and that did not make the signature."""
    algorithm = key.public_key.algorithm
    found = verifiers(algorithm, key.public_key.spki_der, context)
    others = [verify for name, verify in found.items() if name != bench.maker(algorithm)]
    assert len(others) == (2 if bench.keys.name == "pkcs11" else 1)
    return others


@pytest.mark.parametrize("name", ["ML-DSA-44", "ML-DSA-65", "ML-DSA-87"])
def test_an_external_mu_is_signed_like_its_message(bench: Bench, name: str) -> None:
    if name not in bench.keys.abilities():
        return
    key = bench.generate(name)
    # FIPS 204, algorithm 7, line 6, over the M' of algorithm 2.
    tr = hashlib.shake_256(raw_public_bytes(key.public_key.spki_der)).digest(64)
    prefix = bytes([0, len(CONTEXT)]) + CONTEXT
    mu = hashlib.shake_256(tr + prefix + MESSAGE).digest(64)
    if Ability.EXTERNAL_MU not in bench.keys.abilities()[name]:
        with pytest.raises(BadInputError):
            bench.keys.sign_mu(key.handle, mu)
        return
    signature = bench.keys.sign_mu(key.handle, mu)
    for accepts in _opinions(bench, key, CONTEXT):
        assert accepts(MESSAGE, signature)
        assert not accepts(mu, signature)
    for wrong in (b"", mu[:-1], mu + b"."):
        with pytest.raises(BadInputError, match="64 bytes"):
            bench.keys.sign_mu(key.handle, wrong)


@pytest.mark.parametrize("name", KEM_ALGORITHMS)
def test_it_decapsulates_what_libraries_encapsulate(bench: Bench, name: str) -> None:
    if name not in bench.keys.abilities():
        _is_refused(bench, name)
        return
    key = bench.generate(name)
    spki = key.public_key.spki_der
    importlib.import_module("pqcrypto.kem")
    kem = importlib.import_module("pqcrypto.kem." + name.lower().replace("-", "_"))
    ciphertext, secret = (bytes(half) for half in kem.encaps(raw_public_bytes(spki)))
    assert bench.keys.decapsulate(key.handle, ciphertext) == secret
    made = encapsulate(name, spki)  # by `cryptography`, except ML-KEM-512
    assert bench.keys.decapsulate(key.handle, made.ciphertext) == made.shared_secret
    # Implicit rejection (FIPS 203, section 6.3): another secret, the same one each time, no error.
    damaged = bytes([ciphertext[0] ^ 1]) + ciphertext[1:]
    rejected = bench.keys.decapsulate(key.handle, damaged)
    assert len(rejected) == 32
    assert rejected == bench.keys.decapsulate(key.handle, damaged) != secret
    for wrong in (b"", ciphertext[:-1], ciphertext + b"."):
        with pytest.raises(BadInputError, match="ciphertext"):
            bench.keys.decapsulate(key.handle, wrong)


@pytest.mark.parametrize(
    "name", ["ML-DSA-65", "Ed25519", "ECDSA-P256", "ECDSA-P384", "RSA-3072-PSS"]
)
def test_long_and_empty_messages_are_signed_or_refused(bench: Bench, name: str) -> None:
    if name not in bench.keys.abilities():
        return
    key = bench.generate(name)
    refused = []
    for size in (0, 4096, 4097, 3_000_000):
        message = b"x" * size
        try:
            signature = bench.keys.sign(key.handle, message)
        except BadInputError:
            refused.append(size)
            continue
        assert verify_signature(name, key.public_key.spki_der, message, signature)
    if bench.keys.name == "pkcs11":  # kryoptic takes 1 MiB in one piece
        assert refused in ([], [3_000_000])
    else:
        ed25519_in_aws = (bench.keys.name, name) == ("aws-kms", "Ed25519")
        assert refused == ([0, 4097, 3_000_000] if ed25519_in_aws else [])


def test_generation_is_idempotent_and_typed(bench: Bench) -> None:
    algorithm = bench.any_signer()
    key = bench.generate(algorithm)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", key.created_at)
    assert key.public_key.check().algorithm == algorithm
    assert bench.keys.generate(key.handle, algorithm) == key == bench.keys.find(key.handle)
    assert bench.another().generate(key.handle, algorithm) == key
    with pytest.raises(ConflictError, match=algorithm):
        bench.keys.generate(key.handle, "ECDSA-P384")
    with pytest.raises(BadInputError, match="unknown algorithm"):
        bench.keys.generate(new_handle(), "RSA")
    assert bench.generate(algorithm).public_key.key_id != key.public_key.key_id


@pytest.mark.parametrize("through", ["one provider", "two providers"])
def test_two_makers_at_once_get_one_key(bench: Bench, through: str) -> None:
    providers = [bench.keys, bench.keys if through == "one provider" else bench.another()]
    handle, algorithm = new_handle(), bench.any_signer()
    start = threading.Barrier(2)
    made: list[ProviderKey] = []

    def make(keys: KeyProvider) -> None:
        start.wait()
        made.append(keys.generate(handle, algorithm))

    threads = [threading.Thread(target=make, args=(keys,)) for keys in providers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == [bench.keys.find(handle)] * 2
    assert [key.handle for key in _listed(bench.keys)].count(handle) == 1


def test_keys_are_listed_by_name_and_version_with_gaps(bench: Bench) -> None:
    algorithm, name = bench.any_signer(), new_handle().split("/")[0]
    wanted = [bench.keys.generate(f"{name}/{n}", algorithm) for n in (1, 2, 10, 12345)]
    assert [key for key in _listed(bench.keys) if key.handle.startswith(f"{name}/")] == wanted
    bench.keys.destroy(f"{name}/2")
    listed = [key.handle for key in _listed(bench.another()) if key.handle.startswith(f"{name}/")]
    assert listed == [f"{name}/1", f"{name}/10", f"{name}/12345"]


def test_destruction_is_final_here_and_elsewhere(bench: Bench) -> None:
    algorithm = bench.any_signer()
    key, kept = bench.generate(algorithm), bench.generate(algorithm)
    elsewhere = bench.another()
    assert elsewhere.sign(key.handle, MESSAGE)  # it has seen the key, and may remember it
    bench.keys.destroy(key.handle)
    bench.keys.destroy(key.handle)
    for keys in (bench.keys, elsewhere, bench.another()):
        for use in (
            lambda keys=keys: keys.sign(key.handle, MESSAGE),
            lambda k=keys: k.find(key.handle),
        ):
            with pytest.raises(NotFoundError):
                use()
        assert key not in _listed(keys)
        assert keys.sign(kept.handle, MESSAGE)
    elsewhere.destroy(key.handle)
    made_anew = bench.keys.generate(key.handle, algorithm)
    assert made_anew.public_key.key_id != key.public_key.key_id
    signature = elsewhere.sign(key.handle, MESSAGE)
    assert verify_signature(algorithm, made_anew.public_key.spki_der, MESSAGE, signature)


def test_handles_that_are_none_and_keys_that_are_not_there(bench: Bench) -> None:
    keys = bench.keys
    calls: list[Callable[[str], object]] = [
        keys.find,
        lambda handle: keys.sign(handle, MESSAGE),
        lambda handle: keys.sign_mu(handle, bytes(64)),
        lambda handle: keys.decapsulate(handle, bytes(1088)),
    ]
    for call in calls:
        with pytest.raises(NotFoundError):
            call("nobody/1")
    keys.destroy("nobody/1")
    for bad in ("", "a", "a/", "a/0", "a/01", "A/1", "../a/1", "a/b/1", "a/1\n", "a" * 99 + "/1"):
        for call in (*calls, keys.destroy, lambda handle: keys.generate(handle, "ECDSA-P256")):
            with pytest.raises(BadInputError, match="not a key handle"):
                call(bad)


def test_what_a_key_is_not_for_is_bad_input(bench: Bench) -> None:
    keys, abilities = bench.keys, bench.keys.abilities()
    classical = bench.generate("ECDSA-P256").handle
    for call in (
        lambda: keys.sign(classical, MESSAGE, CONTEXT),
        lambda: keys.sign_mu(classical, bytes(64)),
        lambda: keys.decapsulate(classical, bytes(1088)),
    ):
        with pytest.raises(BadInputError):
            call()
    if Ability.CONTEXT in abilities.get("ML-DSA-44", ()):
        signer = bench.generate("ML-DSA-44").handle
        assert keys.sign(signer, MESSAGE, b"c" * 255)
        with pytest.raises(BadInputError, match="256 bytes"):
            keys.sign(signer, MESSAGE, b"c" * 256)
    if "ML-KEM-768" in abilities:
        wrapper = bench.generate("ML-KEM-768").handle
        for call in (lambda: keys.sign(wrapper, MESSAGE), lambda: keys.sign_mu(wrapper, bytes(64))):
            with pytest.raises(BadInputError):
                call()


def test_renewal_keeps_the_keys(bench: Bench) -> None:
    algorithm = bench.any_signer()
    key = bench.generate(algorithm)
    bench.keys.renew()
    bench.keys.check()
    assert bench.keys.find(key.handle) == key
    signature = bench.keys.sign(key.handle, MESSAGE)
    assert verify_signature(algorithm, key.public_key.spki_der, MESSAGE, signature)
