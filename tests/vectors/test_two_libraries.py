"""What one library makes, another one accepts: signatures and encapsulations both ways."""

from __future__ import annotations

import importlib
import warnings
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import slhdsa

from quantumai.keys.encapsulation import decapsulate, encapsulate, spki_of_seed
from quantumai.keys.parameters import PARAMETER_SETS, Family
from quantumai.keys.providers.soft import InsecureSoftKeys
from quantumai.keys.signatures import verify_signature
from quantumai.keys.spki import raw_public_bytes, spki_of_raw

pytestmark = pytest.mark.slow

SLH_DSA = [n for n, entry in PARAMETER_SETS.items() if entry.family is Family.SLH_DSA]
MESSAGE, CONTEXT = b"the message", b"a context"


def _pqcrypto(kind: str, algorithm: str) -> Any:
    importlib.import_module(f"pqcrypto.{kind}")
    return importlib.import_module(f"pqcrypto.{kind}." + algorithm.lower().replace("-", "_"))


def _slhdsa(algorithm: str) -> Any:
    return getattr(slhdsa, algorithm.removeprefix("SLH-DSA-").lower().replace("-", "_"))


@pytest.mark.parametrize("algorithm", ["ML-DSA-44", "ML-DSA-65", "ML-DSA-87"])
def test_ml_dsa_both_ways(algorithm: str, tmp_path: Path) -> None:
    other = _pqcrypto("sign", algorithm)
    with warnings.catch_warnings(action="ignore"):
        keys = InsecureSoftKeys(tmp_path, lambda: datetime(2026, 1, 2, tzinfo=UTC))
    public = raw_public_bytes(keys.generate("a-key/1", algorithm).public_key.spki_der)
    signature = keys.sign("a-key/1", MESSAGE)
    other.verify(public, MESSAGE, signature)
    with pytest.raises(Exception, match=r"(?i)signature"):
        other.verify(public, MESSAGE + b".", signature)

    public, private = other.keygen()
    signature = bytes(other.sign(private, MESSAGE, CONTEXT))
    spki = spki_of_raw(algorithm, bytes(public))
    assert verify_signature(algorithm, spki, MESSAGE, signature, CONTEXT)
    assert not verify_signature(algorithm, spki, MESSAGE, signature)
    assert not verify_signature(algorithm, spki, MESSAGE, signature, CONTEXT + b".")


@pytest.mark.parametrize("algorithm", SLH_DSA)
def test_slh_dsa_by_pqcrypto_holds_in_slh_dsa_and_in_ours(algorithm: str) -> None:
    other = _pqcrypto("sign", algorithm)
    public, private = (bytes(half) for half in other.keygen())
    signature = bytes(other.sign(private, MESSAGE, CONTEXT))
    second = slhdsa.PublicKey.from_digest(public, _slhdsa(algorithm))
    assert second.verify_pure(MESSAGE, signature, CONTEXT)
    assert not second.verify_pure(MESSAGE, signature)

    spki = spki_of_raw(algorithm, public)
    assert verify_signature(algorithm, spki, MESSAGE, signature, CONTEXT)
    assert not verify_signature(algorithm, spki, MESSAGE, signature)
    assert not verify_signature(algorithm, spki, MESSAGE + b".", signature, CONTEXT)
    flipped = signature[:-1] + bytes([signature[-1] ^ 1])
    assert not verify_signature(algorithm, spki, MESSAGE, flipped, CONTEXT)


# Signing in pure Python takes a minute with the small (`s`) sets: the fast ones, of each size and
# hash, show the same encoding.
@pytest.mark.slow
@pytest.mark.parametrize("algorithm", [n for n in SLH_DSA if n.endswith("f")])
def test_slh_dsa_by_slh_dsa_holds_in_ours(algorithm: str) -> None:
    pair = slhdsa.KeyPair.gen(_slhdsa(algorithm))
    signature = pair.sec.sign_pure(MESSAGE, randomize=True, ctx=CONTEXT)
    spki = spki_of_raw(algorithm, pair.pub.digest())
    assert verify_signature(algorithm, spki, MESSAGE, signature, CONTEXT)
    assert not verify_signature(algorithm, spki, MESSAGE, signature)
    # The initial draft signed the message without 0x00, length and context: not FIPS 205.
    assert not verify_signature(algorithm, spki, MESSAGE, pair.sec.sign(MESSAGE))


@pytest.mark.parametrize("algorithm", ["ML-KEM-512", "ML-KEM-768", "ML-KEM-1024"])
def test_ml_kem_both_ways(algorithm: str) -> None:
    other = _pqcrypto("kem", algorithm)
    if algorithm != "ML-KEM-512":  # made by pqcrypto itself on our side, so nothing to compare
        seed = bytes(range(64))
        spki = spki_of_seed(algorithm, seed)
        ciphertext, secret = other.encaps(raw_public_bytes(spki))
        assert decapsulate(algorithm, seed, bytes(ciphertext)) == bytes(secret)

    public, private = (bytes(half) for half in other.keygen())
    made = encapsulate(algorithm, spki_of_raw(algorithm, public))
    assert bytes(other.decaps(private, made.ciphertext)) == made.shared_secret
    assert decapsulate(algorithm, private, made.ciphertext) == made.shared_secret
    assert made.shared_secret.hex() not in repr(made)
    assert str(made.shared_secret) not in repr(made)
