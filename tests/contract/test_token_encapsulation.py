"""ML-KEM in a token: published vectors with imported keys, and both ways between it and libraries.

The token is kryoptic; SoftHSM2 has no ML-KEM. `pqcrypto` and `cryptography` are the libraries.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pkcs11
import pytest
from pkcs11 import Attribute, KeyType, ObjectClass

from quantumai.keys.encapsulation import encapsulate
from quantumai.keys.providers.pkcs11 import Pkcs11Keys
from quantumai.keys.providers.pkcs11_token import Pkcs11Token, TokenAnswerError
from quantumai.keys.providers.pkcs11_use import decapsulate_with
from quantumai.keys.providers.token_settings import TokenSettings
from quantumai.keys.spki import raw_public_bytes
from tests.tokens import new_token, token_keys
from tests.vectors.published import acvp, known_answers, wycheproof
from tests.vectors.token_counts import TokenCount

pytestmark = pytest.mark.integration

SETS = {"ML-KEM-512": 1, "ML-KEM-768": 2, "ML-KEM-1024": 3}
READABLE = {Attribute.SENSITIVE: False, Attribute.EXTRACTABLE: True}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("token") / "token"


@pytest.fixture(scope="module")
def settings(folder: Path) -> TokenSettings:
    return new_token("kryoptic", folder)


@pytest.fixture(scope="module")
def keys(settings: TokenSettings, folder: Path) -> Pkcs11Keys:
    return token_keys(settings, folder)


@pytest.fixture(scope="module")
def token(settings: TokenSettings, folder: Path) -> Pkcs11Token:
    return Pkcs11Token(settings, folder)


@pytest.fixture
def counted(request: pytest.FixtureRequest) -> TokenCount:
    return TokenCount(request)


WYCHEPROOF = {
    "ML-KEM-512": "46 invalid/refused, 163 valid/same",
    "ML-KEM-768": "46 invalid/refused, 164 valid/same",
    "ML-KEM-1024": "46 invalid/refused, 165 valid/same",
}


@pytest.mark.parametrize("name", SETS)
def test_wycheproof_decapsulation(token: Pkcs11Token, counted: TokenCount, name: str) -> None:
    """From seeds and from expanded keys; a wrong ciphertext of the right length gives the secret
    of implicit rejection, one of a wrong length and a damaged key are refused."""
    size = name.removeprefix("ML-KEM-")
    for _, test in wycheproof(f"mlkem_{size}_test"):
        counted.add(
            test["result"], _decapsulates(token, name, {Attribute.SEED: test["seed"]}, test)
        )
    for _, test in wycheproof(f"mlkem_{size}_semi_expanded_decaps_test"):
        counted.add(test["result"], _decapsulates(token, name, {Attribute.VALUE: test["dk"]}, test))
    counted.close(f"Wycheproof {name} decapsulation", WYCHEPROOF[name])


def test_acvp_decapsulation(token: Pkcs11Token, counted: TokenCount) -> None:
    """Encapsulations run backwards, by the keys published beside them. Keys that NIST damaged must
    be refused. Left out: checks of public keys, which are not imported."""
    for group, test in acvp("ML-KEM-encapDecap-FIPS203"):
        name, function = group["parameterSet"], group["function"]
        if function == "encapsulationKeyCheck":
            counted.leave_out("public keys")
            continue
        key = {Attribute.VALUE: test["dk"]}
        if function == "decapsulationKeyCheck":
            published = "valid" if test["testPassed"] else "invalid"
            made = _decapsulates(token, name, key, {"c": "00" * _ciphertext_bytes(name), "K": ""})
            counted.add(f"{published} key", "refused" if made == "refused" else "taken")
        else:
            counted.add("valid", _decapsulates(token, name, key, test | {"K": test["k"]}))
    counted.close(
        "ACVP ML-KEM encapDecap",
        "15 invalid key/refused, 15 valid key/taken, 105 valid/same; left out: 30 public keys",
    )


@pytest.mark.parametrize("name", SETS)
def test_nist_known_answers(token: Pkcs11Token, counted: TokenCount, name: str) -> None:
    """Each record by its seed and by its expanded key, with the outcome of implicit rejection."""
    path = f"asymmetric/MLKEM/kat_{name.replace('-', '', 1).replace('-', '_')}.rsp"
    for record in known_answers(path):
        seed = (record["d"] + record["z"]).hex()
        for key in ({Attribute.SEED: seed}, {Attribute.VALUE: record["sk"].hex()}):
            for ciphertext, secret in (("ct", "ss"), ("ct_n", "ss_n")):
                test = {"c": record[ciphertext].hex(), "K": record[secret].hex()}
                counted.add("valid", _decapsulates(token, name, key, test))
    counted.close(f"NIST KAT {name}", "4000 valid/same")


@pytest.mark.parametrize("name", SETS)
def test_what_a_library_encapsulates_the_token_decapsulates(keys: Pkcs11Keys, name: str) -> None:
    key = keys.generate(f"a-{name.lower()}/1", name)
    public = key.public_key.spki_der
    made = encapsulate(name, public)
    assert keys.decapsulate(key.handle, made.ciphertext) == made.shared_secret
    ciphertext, secret = _pqcrypto(name).encaps(raw_public_bytes(public))
    assert keys.decapsulate(key.handle, bytes(ciphertext)) == bytes(secret)
    # Implicit rejection: another secret, and the same one again.
    wrong = bytes([made.ciphertext[0] ^ 1]) + made.ciphertext[1:]
    rejected = keys.decapsulate(key.handle, wrong)
    assert rejected not in (made.shared_secret, bytes(32))
    assert rejected == keys.decapsulate(key.handle, wrong)


@pytest.mark.parametrize("name", SETS)
def test_what_the_token_encapsulates_a_library_decapsulates(token: Pkcs11Token, name: str) -> None:
    library = _pqcrypto(name)
    public, private = (bytes(half) for half in library.keygen())
    with token.session() as session:
        imported: Any = session.create_object(
            {
                Attribute.CLASS: ObjectClass.PUBLIC_KEY,
                Attribute.KEY_TYPE: KeyType.ML_KEM,
                Attribute.PARAMETER_SET: SETS[name],
                Attribute.VALUE: public,
                Attribute.ENCAPSULATE: True,
                Attribute.TOKEN: False,
            }
        )
        ciphertext, secret = imported.encapsulate_key(
            KeyType.GENERIC_SECRET, 256, mechanism=pkcs11.Mechanism.ML_KEM, template=READABLE
        )
        assert bytes(library.decaps(private, ciphertext)) == secret[Attribute.VALUE]
        secret.destroy()


def test_the_shared_secret_leaves_no_object_behind(keys: Pkcs11Keys) -> None:
    """The object that holds it is readable, so it must be gone when the call returns."""
    key = keys.generate("b/1", "ML-KEM-768")
    made = encapsulate("ML-KEM-768", key.public_key.spki_der)
    with keys._token.session() as session:
        secrets = {Attribute.CLASS: ObjectClass.SECRET_KEY}
        assert list(session.get_objects(secrets)) == []
        wanted = {Attribute.CLASS: ObjectClass.PRIVATE_KEY, Attribute.LABEL: "b/1"}
        (private,) = session.get_objects(wanted)
        assert decapsulate_with(private, made.ciphertext) == made.shared_secret
        assert list(session.get_objects(secrets)) == []


def _decapsulates(token: Pkcs11Token, name: str, key: dict[Any, str], test: dict[str, str]) -> str:
    """ "same" if an imported key gives the published secret, "other", or "refused"."""
    try:
        with token.session() as session, _imported(session, name, key) as private:
            secret = decapsulate_with(private, bytes.fromhex(test["c"]))
    except TokenAnswerError:
        return "refused"
    return "same" if secret.hex() == test["K"].lower() else "other"


@contextmanager
def _imported(session: pkcs11.Session, name: str, key: dict[Any, str]) -> Iterator[Any]:
    private: Any = session.create_object(
        {
            Attribute.CLASS: ObjectClass.PRIVATE_KEY,
            Attribute.KEY_TYPE: KeyType.ML_KEM,
            Attribute.PARAMETER_SET: SETS[name],
            Attribute.TOKEN: False,
            Attribute.DECAPSULATE: True,
            **{attribute: bytes.fromhex(value) for attribute, value in key.items()},
        }
    )
    try:
        yield private
    finally:
        private.destroy()


def _ciphertext_bytes(name: str) -> int:
    return {"ML-KEM-512": 768, "ML-KEM-768": 1088, "ML-KEM-1024": 1568}[name]


def _pqcrypto(name: str) -> Any:
    return importlib.import_module("pqcrypto.kem." + name.lower().replace("-", "_"))
