"""Private keys in software: made, kept as bytes, and used, by algorithm name.

Only the soft provider and tests hold such keys. Python cannot wipe memory, so whoever reads this
process has them; their repr says nothing. `secret` is the shortest form that brings a key back:
the 32-byte seed of ML-DSA (FIPS 204, section 6.1) and Ed25519 (RFC 8032), the 64-byte seed d || z
of ML-KEM (FIPS 203, section 7.1; for ML-KEM-512 the expanded key, see `encapsulation`), the whole
SLH-DSA key (FIPS 205, section 9.1), the big-endian scalar of ECDSA, and PKCS #8 for RSA.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

from quantumai.errors import BadInputError
from quantumai.keys.encapsulation import SEED_BYTES, decapsulate, spki_of_seed
from quantumai.keys.parameters import (
    ECDSA_P256,
    ML_KEM_512,
    RSA_3072_PSS,
    Family,
    ParameterSet,
    parameter_set,
)
from quantumai.keys.spki import spki_of_raw

if TYPE_CHECKING:
    from collections.abc import Callable


class SoftwareKey:
    """One private key; what its family cannot do raises `BadInputError`."""

    def __init__(self, entry: ParameterSet, secret: bytes) -> None:
        self._entry = entry
        self._secret = secret

    def __repr__(self) -> str:
        return f"<{self._entry.name} private key>"

    @property
    def algorithm(self) -> str:
        """Name of the algorithm."""
        return self._entry.name

    @property
    def secret(self) -> bytes:
        """What `restore` brings the key back from; see the module."""
        return self._secret

    @property
    def spki_der(self) -> bytes:
        """DER SubjectPublicKeyInfo of the public half."""
        raise NotImplementedError

    def sign(self, message: bytes, context: bytes = b"") -> bytes:
        """A signature over `message`; ECDSA in DER. `context` is for ML-DSA and SLH-DSA."""
        raise BadInputError(f"{self.algorithm} keys make no signatures")

    def sign_mu(self, mu: bytes) -> bytes:
        """An ML-DSA signature over a 64-byte external mu."""
        raise BadInputError(f"{self.algorithm} has no external mu")

    def decapsulate(self, ciphertext: bytes) -> bytes:
        """The 32-byte shared secret of an ML-KEM ciphertext."""
        raise BadInputError(f"{self.algorithm} keys do not decapsulate")


def generate(algorithm: str) -> SoftwareKey:
    """Make a private key from the operating system's randomness.

    Raises `BadInputError` for an unknown algorithm.
    """
    entry = parameter_set(algorithm)
    return _KINDS[entry.family](entry, _fresh_secret(entry))


def restore(algorithm: str, secret: bytes) -> SoftwareKey:
    """The private key whose `secret` this is.

    Raises `BadInputError` or `ValueError` for bytes that are no such key.
    """
    entry = parameter_set(algorithm)
    return _KINDS[entry.family](entry, secret)


def _fresh_secret(entry: ParameterSet) -> bytes:
    if entry.family in (Family.ML_DSA, Family.ED25519):
        return secrets.token_bytes(32)
    if entry.family is Family.SLH_DSA:
        return bytes(_pqcrypto("sign", entry).keygen()[1])
    if entry.name == ML_KEM_512:
        return bytes(_pqcrypto("kem", entry).keygen()[1])
    if entry.family is Family.ML_KEM:
        return secrets.token_bytes(SEED_BYTES)
    return _fresh_rsa() if entry.name == RSA_3072_PSS else _fresh_scalar(entry)


def _fresh_scalar(entry: ParameterSet) -> bytes:
    from cryptography.hazmat.primitives.asymmetric import ec

    curve = _curve(entry)
    scalar = ec.generate_private_key(curve).private_numbers().private_value
    return scalar.to_bytes(curve.key_size // 8, "big")


def _fresh_rsa() -> bytes:
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    key = rsa.generate_private_key(public_exponent=65537, key_size=3072)
    return key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


class _OpenedKey(SoftwareKey):
    """A key that `cryptography` uses."""

    def __init__(self, entry: ParameterSet, secret: bytes) -> None:
        super().__init__(entry, secret)
        self._key: Any = self._open(secret)

    def _open(self, secret: bytes) -> Any:
        raise NotImplementedError

    @property
    def spki_der(self) -> bytes:
        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

        public = self._key.public_key()
        return bytes(public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))


class _MlDsaKey(_OpenedKey):
    def _open(self, secret: bytes) -> Any:
        from cryptography.hazmat.primitives.asymmetric import mldsa

        kind = getattr(mldsa, self.algorithm.replace("-", "") + "PrivateKey")
        return kind.from_seed_bytes(secret)

    def sign(self, message: bytes, context: bytes = b"") -> bytes:
        return bytes(self._key.sign(message, context))

    def sign_mu(self, mu: bytes) -> bytes:
        return bytes(self._key.sign_mu(mu))


class _Ed25519Key(_OpenedKey):
    def _open(self, secret: bytes) -> Any:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        return Ed25519PrivateKey.from_private_bytes(secret)

    def sign(self, message: bytes, context: bytes = b"") -> bytes:
        return bytes(self._key.sign(message))


class _EcdsaKey(_OpenedKey):
    def _open(self, secret: bytes) -> Any:
        from cryptography.hazmat.primitives.asymmetric import ec

        return ec.derive_private_key(int.from_bytes(secret, "big"), _curve(self._entry))

    def sign(self, message: bytes, context: bytes = b"") -> bytes:
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric.ec import ECDSA

        digest = hashes.SHA256() if self.algorithm == ECDSA_P256 else hashes.SHA384()
        return bytes(self._key.sign(message, ECDSA(digest)))


class _RsaKey(_OpenedKey):
    def _open(self, secret: bytes) -> Any:
        from cryptography.hazmat.primitives.serialization import load_der_private_key

        return load_der_private_key(secret, password=None)

    def sign(self, message: bytes, context: bytes = b"") -> bytes:
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import padding

        pss = padding.PSS(padding.MGF1(hashes.SHA256()), salt_length=32)
        return bytes(self._key.sign(message, pss, hashes.SHA256()))


class _SlhDsaKey(SoftwareKey):
    @property
    def spki_der(self) -> bytes:
        # SK.seed, SK.prf, then the public key PK.seed, PK.root: four strings of one length.
        return spki_of_raw(self.algorithm, self._secret[len(self._secret) // 2 :])

    def sign(self, message: bytes, context: bytes = b"") -> bytes:
        return bytes(_pqcrypto("sign", self._entry).sign(self._secret, message, context))


class _MlKemKey(SoftwareKey):
    @property
    def spki_der(self) -> bytes:
        if len(self._secret) == SEED_BYTES:
            return spki_of_seed(self.algorithm, self._secret)
        # Expanded: a vector, then the public key, that vector's length plus 32 bytes long.
        public_bytes = self._entry.public_key_bytes or 0
        public = self._secret[public_bytes - 32 : 2 * public_bytes - 32]
        return spki_of_raw(self.algorithm, public)

    def decapsulate(self, ciphertext: bytes) -> bytes:
        return decapsulate(self.algorithm, self._secret, ciphertext)


_KINDS: dict[Family, Callable[[ParameterSet, bytes], SoftwareKey]] = {
    Family.ML_DSA: _MlDsaKey,
    Family.SLH_DSA: _SlhDsaKey,
    Family.ML_KEM: _MlKemKey,
    Family.ED25519: _Ed25519Key,
    Family.ECDSA: _EcdsaKey,
    Family.RSA_PSS: _RsaKey,
}


def _curve(entry: ParameterSet) -> Any:
    from cryptography.hazmat.primitives.asymmetric import ec

    return ec.SECP256R1() if entry.name == ECDSA_P256 else ec.SECP384R1()


def _pqcrypto(kind: str, entry: ParameterSet) -> Any:
    import pqcrypto.kem
    import pqcrypto.sign

    return getattr(getattr(pqcrypto, kind), entry.name.lower().replace("-", "_"))
