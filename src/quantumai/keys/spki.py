"""SubjectPublicKeyInfo in strict DER: which algorithm a public key is for, and its bare bytes.

A key of fixed size has exactly one encoding: a header that depends on the parameter set alone,
then the key. So reading means comparing with that header, and no DER parser can be fooled. The
AlgorithmIdentifier has no parameters (RFC 9881, RFC 9909, RFC 9935, RFC 8410), or the named curve
with an uncompressed point (RFC 5480). RSA keys go through `cryptography` and must be what it would
write itself: rsaEncryption with NULL (RFC 3279), 3072 bits.
"""

from __future__ import annotations

import base64
import binascii
import re
from functools import cache

from quantumai.errors import BadInputError
from quantumai.keys.parameters import (
    PARAMETER_SETS,
    RSA_3072_PSS,
    Family,
    ParameterSet,
    parameter_set,
)

_PEM = re.compile(rb"-----BEGIN ([A-Z0-9 ]{1,40})-----(.*?)-----END \1-----", re.DOTALL)
_SEQUENCE, _BIT_STRING, _OID = 0x30, 0x03, 0x06
_ML_KEM_Q = 3329
_CAN_BE_MALFORMED = (Family.ECDSA, Family.ML_KEM)


def parse_spki(spki_der: bytes) -> tuple[ParameterSet, bytes]:
    """Parameter set and bare public key (for RSA: the PKCS #1 RSAPublicKey) of an SPKI.

    Raises `BadInputError` for other algorithms, other encodings, an EC point that is off its
    curve, and an ML-KEM key whose coefficients are out of range (FIPS 203, section 7.2).
    """
    for entry in PARAMETER_SETS.values():
        header = _header(entry) if entry.public_key_bytes else b""
        if header and spki_der.startswith(header):
            raw = spki_der[len(header) :]
            if len(raw) == entry.public_key_bytes and _is_well_formed(entry, spki_der):
                return entry, raw
            raise BadInputError(f"not an {entry.name} public key")
    return PARAMETER_SETS[RSA_3072_PSS], _rsa_public_key(spki_der)


def spki_of_raw(algorithm: str, public: bytes) -> bytes:
    """DER SubjectPublicKeyInfo of a bare public key. Raises `BadInputError` if it is malformed."""
    entry = parameter_set(algorithm)
    if entry.public_key_bytes is None:
        raise BadInputError(f"{algorithm} keys have no bare form", hint="give the SPKI")
    spki_der = _header(entry) + public
    if len(public) != entry.public_key_bytes or not _is_well_formed(entry, spki_der):
        raise BadInputError(f"not an {algorithm} public key")
    return spki_der


def raw_public_bytes(spki_der: bytes) -> bytes:
    """The bare public key inside an SPKI (32 bytes for Ed25519, 1312 for ML-DSA-44)."""
    return parse_spki(spki_der)[1]


def algorithm_of_spki(spki_der: bytes) -> str:
    """Name of the algorithm that an SPKI is for. Raises `BadInputError` for any other."""
    return parse_spki(spki_der)[0].name


def require_algorithm(algorithm: str, spki_der: bytes) -> bytes:
    """The bare public key of an SPKI that is for `algorithm`, else `BadInputError`."""
    found, raw = parse_spki(spki_der)
    if found.name != algorithm:
        raise BadInputError(
            f"the key is no {algorithm} key", hint=f"it is for {found.name}: say so, or swap it"
        )
    return raw


def spki_of_pem(pem: bytes) -> bytes:
    """The DER of the one PUBLIC KEY block in a PEM text (RFC 7468); `BadInputError` otherwise."""
    blocks = _PEM.findall(pem)
    if any(b"PRIVATE KEY" in label for label, _ in blocks):
        raise BadInputError(
            "the file holds a private key", hint="verification needs the public half only"
        )
    if len(blocks) != 1 or blocks[0][0] != b"PUBLIC KEY":
        found = ", ".join(label.decode() for label, _ in blocks) or "none"
        raise BadInputError(
            f"need one PEM block PUBLIC KEY, found: {found}",
            hint="give a SubjectPublicKeyInfo in PEM, as `openssl pkey -pubout` writes it",
        )
    try:
        return base64.b64decode(b"".join(blocks[0][1].split()), validate=True)
    except (binascii.Error, ValueError):
        raise BadInputError("the PEM block PUBLIC KEY is not base64") from None


def pem_of_spki(spki_der: bytes) -> str:
    """PEM text of an SPKI, 64 characters a line (RFC 7468)."""
    text = base64.b64encode(spki_der).decode()
    lines = [text[i : i + 64] for i in range(0, len(text), 64)]
    return "\n".join(["-----BEGIN PUBLIC KEY-----", *lines, "-----END PUBLIC KEY-----", ""])


@cache
def _header(entry: ParameterSet) -> bytes:
    """All bytes of the SPKI before the bare key."""
    assert entry.public_key_bytes is not None
    identifier = _oid(entry.oid) + (_oid(entry.curve_oid) if entry.curve_oid else b"")
    algorithm = _tagged(_SEQUENCE, len(identifier)) + identifier
    # One octet before the key says that no bits of a BIT STRING's last octet are unused.
    bits = _tagged(_BIT_STRING, entry.public_key_bytes + 1) + b"\x00"
    return (
        _tagged(_SEQUENCE, len(algorithm) + len(bits) + entry.public_key_bytes) + algorithm + bits
    )


def _tagged(tag: int, length: int) -> bytes:
    """Tag and shortest length octets (X.690, section 10.1)."""
    if length < 0x80:
        return bytes([tag, length])
    octets = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(octets)]) + octets


def _oid(dotted: str) -> bytes:
    first, second, *rest = map(int, dotted.split("."))
    body = bytearray()
    for arc in (40 * first + second, *rest):
        digits = [arc & 0x7F]
        while arc := arc >> 7:
            digits.append(0x80 | (arc & 0x7F))
        body += bytes(reversed(digits))
    return _tagged(_OID, len(body)) + bytes(body)


def _is_well_formed(entry: ParameterSet, spki_der: bytes) -> bool:
    """Every string of the right length is a key in the other families; in these it may not be."""
    if entry.family not in _CAN_BE_MALFORMED:
        return True
    raw = spki_der[len(_header(entry)) :]
    if entry.family is Family.ML_KEM:
        return ml_kem_key_in_range(raw)
    return raw[0] == 0x04 and _load(spki_der) is not None


def ml_kem_key_in_range(raw: bytes) -> bool:
    """The modulus check of an encapsulation key: all coefficients are below q = 3329.

    Two of 12 bits stand in three bytes; the last 32 bytes are a seed (FIPS 203, section 7.2).
    """
    vector = raw[:-32]
    return all(
        (low | (middle & 0x0F) << 8) < _ML_KEM_Q and (middle >> 4 | high << 4) < _ML_KEM_Q
        for low, middle, high in zip(vector[::3], vector[1::3], vector[2::3], strict=True)
    )


def _rsa_public_key(spki_der: bytes) -> bytes:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    key = _load(spki_der)
    if key is None:
        raise BadInputError("public key cannot be read, or its algorithm is not supported")
    if not isinstance(key, RSAPublicKey):
        raise BadInputError("public key is of an algorithm that is not supported")
    if key.key_size != 3072:
        raise BadInputError(f"RSA keys have 3072 bits here, this one has {key.key_size}")
    if key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo) != spki_der:
        raise BadInputError(
            "RSA public key is not in strict DER with algorithm rsaEncryption",
            hint="write it again: openssl pkey -pubin -pubout",
        )
    return bytes(key.public_bytes(Encoding.DER, PublicFormat.PKCS1))


def _load(spki_der: bytes) -> object | None:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    try:
        return load_der_public_key(spki_der)
    except (ValueError, UnsupportedAlgorithm):
        return None
