"""Private keys in software: what is kept brings the same key back."""

from __future__ import annotations

import pytest

from quantumai.errors import BadInputError
from quantumai.keys.encapsulation import encapsulate
from quantumai.keys.parameters import PARAMETER_SETS
from quantumai.keys.signatures import verify_signature
from quantumai.keys.software_keys import generate, restore
from quantumai.keys.spki import algorithm_of_spki

# Bytes of what is kept: FIPS 203 to 205, RFC 8032; the curve's size for a scalar.
_SECRET_BYTES = {
    **dict.fromkeys(("ML-DSA-44", "ML-DSA-65", "ML-DSA-87", "Ed25519", "ECDSA-P256"), 32),
    **dict.fromkeys(("ML-KEM-768", "ML-KEM-1024"), 64),
    "ML-KEM-512": 1632,
    "ECDSA-P384": 48,
    **{f"SLH-DSA-{h}-{n}f": n // 2 for h in ("SHA2", "SHAKE") for n in (128, 192, 256)},
}
# The small (`s`) sets of SLH-DSA differ in nothing that stands in this module, and take a second.
_NAMES = [name for name in PARAMETER_SETS if not name.endswith("s")]


@pytest.mark.parametrize("name", _NAMES)
def test_a_restored_key_is_the_same_key(name: str) -> None:
    made = generate(name)
    if name in _SECRET_BYTES:
        assert len(made.secret) == _SECRET_BYTES[name]
    restored = restore(name, made.secret)
    assert restored.spki_der == made.spki_der
    assert algorithm_of_spki(made.spki_der) == restored.algorithm == name
    if PARAMETER_SETS[name].signs:
        assert verify_signature(name, made.spki_der, b"m", restored.sign(b"m"))
        with pytest.raises(BadInputError):
            made.decapsulate(bytes(768))
    else:
        wrapped = encapsulate(name, made.spki_der)
        assert restored.decapsulate(wrapped.ciphertext) == wrapped.shared_secret
        with pytest.raises(BadInputError):
            made.sign(b"m")
    if not name.startswith("ML-DSA"):
        with pytest.raises(BadInputError):
            made.sign_mu(bytes(64))
    assert generate(name).secret != made.secret


def test_unknown_algorithms() -> None:
    for call in (lambda: generate("RSA"), lambda: restore("SPHINCS+", b"")):
        with pytest.raises(BadInputError, match="unknown algorithm"):
            call()
