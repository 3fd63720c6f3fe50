"""SubjectPublicKeyInfo: the one encoding, against other libraries; every other one is refused."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
import slhdsa
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa, mlkem, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from quantumai.errors import BadInputError
from quantumai.keys import spki
from quantumai.keys.algorithms import PublicKey
from quantumai.keys.parameters import PARAMETER_SETS, Family

SLH_DSA = [n for n, entry in PARAMETER_SETS.items() if entry.family is Family.SLH_DSA]
MADE = {
    "ML-DSA-44": mldsa.MLDSA44PrivateKey.generate(),
    "ML-DSA-65": mldsa.MLDSA65PrivateKey.generate(),
    "ML-DSA-87": mldsa.MLDSA87PrivateKey.generate(),
    "ML-KEM-768": mlkem.MLKEM768PrivateKey.generate(),
    "ML-KEM-1024": mlkem.MLKEM1024PrivateKey.generate(),
    "Ed25519": ed25519.Ed25519PrivateKey.generate(),
    "ECDSA-P256": ec.generate_private_key(ec.SECP256R1()),
    "ECDSA-P384": ec.generate_private_key(ec.SECP384R1()),
    "RSA-3072-PSS": rsa.generate_private_key(65537, 3072),
}
DER = {
    name: key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    for name, key in MADE.items()
}


def _der(tag: int, body: bytes) -> bytes:
    size = len(body)
    if size < 0x80:
        return bytes([tag, size]) + body
    if size < 0x100:
        return bytes([tag, 0x81, size]) + body
    return bytes([tag, 0x82]) + size.to_bytes(2, "big") + body


def _refused(der: bytes) -> None:
    with pytest.raises(BadInputError):
        spki.parse_spki(der)


@pytest.mark.parametrize("name", MADE)
def test_what_cryptography_writes_is_read_and_written_the_same(name: str) -> None:
    entry, raw = spki.parse_spki(DER[name])
    assert entry.name == name
    if name != "RSA-3072-PSS":
        assert spki.spki_of_raw(name, raw) == DER[name]
    if hasattr(MADE[name].public_key(), "public_bytes_raw"):
        public: Any = MADE[name].public_key()
        assert raw == public.public_bytes_raw()
    assert PublicKey.of(name, DER[name]).check().algorithm == name


@pytest.mark.parametrize("name", SLH_DSA)
def test_slh_dsa_keys_are_those_of_another_library(name: str, tmp_path: Path) -> None:
    parameters = getattr(slhdsa, name.removeprefix("SLH-DSA-").lower().replace("-", "_"))
    raw = bytes(range(PARAMETER_SETS[name].public_key_bytes or 0))
    slhdsa.PublicKey.from_digest(raw, parameters).to_pkcs(str(tmp_path / "key.pem"))
    pem = (tmp_path / "key.pem").read_bytes()
    assert spki.spki_of_pem(pem) == spki.spki_of_raw(name, raw)
    assert spki.parse_spki(spki.spki_of_pem(pem)) == (PARAMETER_SETS[name], raw)
    assert spki.pem_of_spki(spki.spki_of_raw(name, raw)).encode() == pem


@pytest.mark.parametrize("name", MADE)
def test_other_encodings_of_the_same_key_are_refused(name: str) -> None:
    der = DER[name]
    _refused(der + b"\x00")
    _refused(der[:-1])
    _refused(b"\x30\x80" + der[4:] + b"\x00\x00")  # BER: indefinite length
    if name not in ("RSA-3072-PSS", "ECDSA-P256", "ECDSA-P384"):
        identifier = der[2:] if der[1] < 0x80 else der[4:]
        oid = identifier[2 : 2 + identifier[1]]
        bits = identifier[2 + identifier[1] :]
        assert _der(0x30, _der(0x30, oid) + bits) == der
        _refused(_der(0x30, _der(0x30, oid + b"\x05\x00") + bits))  # parameters: NULL
        raw = spki.raw_public_bytes(der)
        _refused(_der(0x30, _der(0x30, oid) + _der(0x03, b"\x01" + raw)))  # unused bits
        _refused(_der(0x30, _der(0x30, oid) + _der(0x03, b"\x00" + raw + b"\x00")))
        _refused(_der(0x30, _der(0x30, oid) + _der(0x03, b"\x00" + raw[:-1])))


@given(st.sampled_from(sorted(DER)), st.integers(0, 22), st.integers(1, 255))
def test_no_byte_of_the_header_can_change(name: str, place: int, flip: int) -> None:
    der = bytearray(DER[name])
    header = len(der) - (PARAMETER_SETS[name].public_key_bytes or 0)
    place %= min(header, 24)
    der[place] ^= flip
    try:
        read = spki.algorithm_of_spki(bytes(der))
    except BadInputError:
        return
    # SLH-DSA, ML-DSA and ML-KEM sets differ in size, so one header never turns into another's.
    raise AssertionError(f"{name} was read as {read}")


def test_points_off_the_curve_compressed_points_and_small_rsa_keys_are_refused() -> None:
    der = bytearray(DER["ECDSA-P256"])
    der[-1] ^= 1
    _refused(bytes(der))
    compressed = (
        MADE["ECDSA-P256"]
        .public_key()
        .public_bytes(  # type: ignore[attr-defined]
            Encoding.X962, PublicFormat.CompressedPoint
        )
    )
    _refused(_der(0x30, DER["ECDSA-P256"][2:23] + _der(0x03, b"\x00" + compressed)))
    small = rsa.generate_private_key(65537, 2048).public_key()
    _refused(small.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))


@pytest.mark.parametrize("size", ["512", "768", "1024"])
def test_ml_kem_coefficients_must_be_below_q(size: str) -> None:
    name = f"ML-KEM-{size}"
    raw = bytes(PARAMETER_SETS[name].public_key_bytes or 0)
    assert spki.algorithm_of_spki(spki.spki_of_raw(name, raw)) == name
    # 3328 = 0xd00 is the largest coefficient, 3329 = 0xd01 the first that is too large.
    for bad in (b"\x01\x0d\x00", b"\x00\x10\xd0"):
        good = bytes([bad[0] & 0xFE, bad[1] & 0x0F, bad[2]])
        assert spki.spki_of_raw(name, good + raw[3:])
        with pytest.raises(BadInputError):
            spki.spki_of_raw(name, bad + raw[3:])


def test_pem_must_be_one_public_key() -> None:
    pem = spki.pem_of_spki(DER["Ed25519"]).encode()
    assert spki.spki_of_pem(b"some text\n" + pem.replace(b"\n", b"\r\n")) == DER["Ed25519"]
    body = base64.b64encode(DER["Ed25519"])
    for bad in (
        b"",
        pem + pem,
        pem.replace(b"PUBLIC", b"PRIVATE"),
        pem.replace(b"PUBLIC KEY", b"CERTIFICATE"),
        pem.replace(body, b"!" + body),
        pem.replace(body, body[:-1]),
    ):
        with pytest.raises(BadInputError):
            spki.spki_of_pem(bad)
