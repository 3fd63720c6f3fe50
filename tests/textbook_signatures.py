"""Verification of classical signatures in plain arithmetic, as the standards write it.

Slow and for tests only: an opinion that shares no code with any library. Each function says whether
the signature holds; a wrong one may also end in False by a failed division.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature


@dataclass(frozen=True)
class Curve:
    """y^2 = x^3 - 3x + b over the integers modulo p, with generator g of order n (SP 800-186)."""

    p: int
    b: int
    n: int
    g: tuple[int, int]
    hash_name: str


P256 = Curve(
    2**256 - 2**224 + 2**192 + 2**96 - 1,
    0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B,
    0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
    (
        0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
        0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
    ),
    "sha256",
)
P384 = Curve(
    2**384 - 2**128 - 2**96 + 2**32 - 1,
    0xB3312FA7E23EE7E4988E056BE3F82D19181D9C6EFE8141120314088F5013875AC656398D8A2ED19D2A85C8EDD3EC2AEF,
    0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973,
    (
        0xAA87CA22BE8B05378EB1C71EF320AD746E1D3B628BA79B9859F741E082542A385502F25DBF55296C3A545E3872760AB7,
        0x3617DE4A96262C6F5D9E98BF9292DC29F8F41DBD289A147CE9DA3113B5F0B8C00A60B1CE1D7E819D7A431D7C90EA0E5F,
    ),
    "sha384",
)


def ecdsa_verifies(curve: Curve, point: bytes, message: bytes, signature: bytes) -> bool:
    """FIPS 186-5, section 6.4.2; `point` is uncompressed, `signature` DER."""
    half = len(point) // 2
    x, y = int.from_bytes(point[1 : 1 + half], "big"), int.from_bytes(point[1 + half :], "big")
    assert (y * y - x**3 + 3 * x - curve.b) % curve.p == 0
    r, s = decode_dss_signature(signature)
    if not (0 < r < curve.n and 0 < s < curve.n):
        return False
    e = int.from_bytes(hashlib.new(curve.hash_name, message).digest(), "big")
    w = pow(s, -1, curve.n)
    u, v = e * w % curve.n, r * w % curve.n
    total = _add(curve, _times(curve, u, curve.g), _times(curve, v, (x, y)))
    return total is not None and total[0] % curve.n == r


def _add(curve: Curve, left: tuple[int, int] | None, right: tuple[int, int] | None) -> Any:
    if left is None or right is None:
        return left or right
    (x1, y1), (x2, y2) = left, right
    if x1 == x2 and (y1 + y2) % curve.p == 0:
        return None
    if left == right:
        slope = (3 * x1 * x1 - 3) * pow(2 * y1, -1, curve.p)
    else:
        slope = (y2 - y1) * pow(x2 - x1, -1, curve.p)
    x = (slope * slope - x1 - x2) % curve.p
    return x, (slope * (x1 - x) - y1) % curve.p


def _times(curve: Curve, factor: int, point: tuple[int, int]) -> Any:
    total, power = None, point
    while factor:
        if factor & 1:
            total = _add(curve, total, power)
        power = _add(curve, power, power)
        factor >>= 1
    return total


_Q = 2**255 - 19
_ORDER = 2**252 + 27742317777372353535851937790883648493
_D = -121665 * pow(121666, -1, _Q) % _Q


def ed25519_verifies(public: bytes, message: bytes, signature: bytes) -> bool:
    """RFC 8032, section 5.1.7, without the cofactor."""
    s = int.from_bytes(signature[32:], "little")
    if s >= _ORDER:
        return False
    base_y = 4 * pow(5, -1, _Q) % _Q
    base = _decompress(base_y.to_bytes(32, "little"))
    digest = hashlib.sha512(signature[:32] + public + message).digest()
    k = int.from_bytes(digest, "little") % _ORDER
    right = _edwards_add(_decompress(signature[:32]), _edwards_times(k, _decompress(public)))
    return _edwards_times(s, base) == right


def _decompress(data: bytes) -> tuple[int, int]:
    number = int.from_bytes(data, "little")
    y, sign = number & (2**255 - 1), number >> 255
    square = (y * y - 1) * pow(_D * y * y + 1, -1, _Q) % _Q
    x = pow(square, (_Q + 3) // 8, _Q)
    if (x * x - square) % _Q:
        x = x * pow(2, (_Q - 1) // 4, _Q) % _Q
    assert (x * x - square) % _Q == 0
    return (x if x & 1 == sign else _Q - x), y


def _edwards_add(left: tuple[int, int], right: tuple[int, int]) -> tuple[int, int]:
    (x1, y1), (x2, y2) = left, right
    product = _D * x1 * x2 * y1 * y2
    x = (x1 * y2 + x2 * y1) * pow(1 + product, -1, _Q) % _Q
    return x, (y1 * y2 + x1 * x2) * pow(1 - product, -1, _Q) % _Q


def _edwards_times(factor: int, point: tuple[int, int]) -> tuple[int, int]:
    total = (0, 1)
    while factor:
        if factor & 1:
            total = _edwards_add(total, point)
        point = _edwards_add(point, point)
        factor >>= 1
    return total


def rsa_pss_verifies(n: int, e: int, message: bytes, signature: bytes) -> bool:
    """RFC 8017, sections 8.1.2 and 9.1.2: SHA-256, MGF1 with SHA-256, 32 bytes of salt."""
    size = (n.bit_length() + 7) // 8
    encoded = pow(int.from_bytes(signature, "big"), e, n).to_bytes(size, "big")
    masked, digest, trailer = encoded[:-33], encoded[-33:-1], encoded[-1]
    counters = range(-(-len(masked) // 32))
    mask = b"".join(hashlib.sha256(digest + c.to_bytes(4, "big")).digest() for c in counters)
    block = bytearray(a ^ b for a, b in zip(masked, mask, strict=False))
    block[0] &= 0x7F
    zeros, one, salt = block[:-33], block[-33], bytes(block[-32:])
    hashed = hashlib.sha256(message).digest()
    expected = hashlib.sha256(bytes(8) + hashed + salt).digest()
    return trailer == 0xBC and not any(zeros) and one == 1 and digest == expected
