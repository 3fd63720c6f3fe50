"""How often ML-DSA-65 starts over for a message: FIPS 204 in NumPy, counting the rounds.

Signing draws until a candidate is short enough, so its time is a multiple of one round's: 5.1 on
average, twenty now and then. Deterministic signatures of a fixed key take a fixed number of rounds
for each message. `message_set` finds messages whose counts, under the key of the all-zero seed,
lie as the geometric distribution has them: the idea of C2SP's CCTV collection (ML-DSA, benchmark),
whose own messages, made for the same key, can be counted and used as well. That the counts are
right shows in the signatures: they are, byte for byte, those of the token.

Neither quick nor constant-time: for benchmarks only.
"""

from __future__ import annotations

import hashlib
import itertools
import math
from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Polys = NDArray[np.int64]
MEAN_ROUNDS = 5.1  # FIPS 204, table 1
SEED = bytes(32)
SET_SIZE = 100

_Q, _D, _K, _L, _TAU, _ETA, _OMEGA = 8380417, 13, 6, 5, 49, 4, 55
_GAMMA1, _GAMMA2, _CHALLENGE_BYTES = 2**19, (_Q - 1) // 32, 48
_BETA = _TAU * _ETA
_POWERS = np.array(
    [
        [pow(1753, (2 * int(f"{i:08b}"[::-1], 2) + 1) * j, _Q) for j in range(256)]
        for i in range(256)
    ]
)
_INVERSE = np.array([[pow(int(x), -1, _Q) * pow(256, -1, _Q) % _Q for x in r] for r in _POWERS]).T


class Counted(NamedTuple):
    """A message, its deterministic signature, and the rounds that it took."""

    message: bytes
    signature: bytes
    rounds: int


class CountingSigner:
    """The key of a 32-byte seed."""

    def __init__(self, seed: bytes = SEED) -> None:
        expanded = _shake(256, seed + bytes([_K, _L]), 128)
        rho, secret, self._key = expanded[:32], expanded[32:96], expanded[96:]
        self._matrix = np.array(
            [[_uniform(rho + bytes([s, r])) for s in range(_L)] for r in range(_K)]
        )
        short = np.array([_bounded(secret + n.to_bytes(2, "little")) for n in range(_L + _K)])
        self._s1, self._s2 = _ntt(short[:_L]), _ntt(short[_L:])
        t = (_back(self._times_matrix(self._s1)) + short[_L:]) % _Q
        t0 = _centred(t, 2**_D)
        self._t0 = _ntt(t0)
        public = rho + b"".join(_packed(row, 10) for row in (t - t0) >> _D)
        self.public_key = public
        self._hashed_key = _shake(256, public, 64)

    def sign(self, message: bytes) -> tuple[bytes, int]:
        """The deterministic signature with an empty context, and the rounds that it took."""
        mu = _shake(256, self._hashed_key + bytes(2) + message, 64)
        mask_seed = _shake(256, self._key + bytes(32) + mu, 64)
        rounds = 0
        while True:
            found = self._candidate(mu, mask_seed, rounds)
            rounds += 1
            if found is not None:
                return found, rounds

    def _candidate(self, mu: bytes, mask_seed: bytes, number: int) -> bytes | None:
        y = np.array(
            [_mask(mask_seed + (number * _L + r).to_bytes(2, "little")) for r in range(_L)]
        )
        w = _back(self._times_matrix(_ntt(y)))
        high = _decomposed(w)[0]
        challenge = _shake(256, mu + b"".join(_packed(row, 4) for row in high), _CHALLENGE_BYTES)
        c = _ntt(_in_ball(challenge)[None])
        z = y + _centred(_back(c * self._s1), _Q)
        rest = (w - _back(c * self._s2)) % _Q
        if _norm(z) >= _GAMMA1 - _BETA or _norm(_decomposed(rest)[1]) >= _GAMMA2 - _BETA:
            return None
        ct0 = _centred(_back(c * self._t0), _Q)
        hints = _decomposed((rest + ct0) % _Q)[0] != _decomposed(rest)[0]
        if _norm(ct0) >= _GAMMA2 or hints.sum() > _OMEGA:
            return None
        return challenge + b"".join(_packed(_GAMMA1 - row, 20) for row in z) + _hint_bytes(hints)

    def _times_matrix(self, vector: Polys) -> Polys:
        return np.asarray((self._matrix * vector % _Q).sum(axis=1) % _Q)


def wanted_counts(size: int = SET_SIZE) -> list[int]:
    """Rounds at `size` evenly spaced quantiles of the geometric distribution, their mean 5.1."""
    miss = math.log(1 - 1 / MEAN_ROUNDS)
    counts = [math.ceil(math.log(1 - (i + 0.5) / size) / miss) for i in range(size)]
    # The quantiles cut the tail off; what is missing goes to the largest.
    counts[-1] += round(MEAN_ROUNDS * size) - sum(counts)
    return counts


def message_set(size: int = SET_SIZE) -> list[Counted]:
    """The first of the messages 0, 1, 2, ... whose counts together are `wanted_counts(size)`."""
    missing, found = Counter(wanted_counts(size)), []
    signer = CountingSigner()
    texts = (b"message %d" % number for number in itertools.count())
    while missing.total():
        for counted in count(itertools.islice(texts, 10), signer):
            if missing[counted.rounds] > 0:
                missing[counted.rounds] -= 1
                found.append(counted)
    return found


def count(messages: Iterable[bytes], signer: CountingSigner | None = None) -> list[Counted]:
    """Sign messages, counting."""
    used = signer or CountingSigner()
    return [Counted(message, *used.sign(message)) for message in messages]


def _shake(bits: int, data: bytes, length: int) -> bytes:
    return (hashlib.shake_128 if bits == 128 else hashlib.shake_256)(data).digest(length)


def _ntt(polys: Polys) -> Polys:
    return np.asarray(polys % _Q @ _POWERS.T % _Q)


def _back(polys: Polys) -> Polys:
    return np.asarray(polys % _Q @ _INVERSE.T % _Q)


def _centred(values: Polys, modulus: int) -> Polys:
    """Residues in (-modulus/2, modulus/2]."""
    reduced = values % modulus
    return np.where(reduced > modulus // 2, reduced - modulus, reduced)


def _norm(values: Polys) -> int:
    return int(np.abs(values).max())


def _decomposed(values: Polys) -> tuple[Polys, Polys]:
    """High and low parts (algorithm 36)."""
    low = _centred(values, 2 * _GAMMA2)
    top = values - low == _Q - 1
    return np.where(top, 0, (values - low) // (2 * _GAMMA2)), np.where(top, low - 1, low)


def _uniform(seed: bytes) -> Polys:
    """Algorithm 30."""
    octets = np.frombuffer(_shake(128, seed, 3 * 400), np.uint8).astype(np.int64).reshape(-1, 3)
    values: Polys = octets @ np.array([1, 2**8, 2**16]) & 0x7FFFFF
    return values[values < _Q][:256]


def _bounded(seed: bytes) -> Polys:
    """Algorithm 31 with eta 4."""
    octets = np.frombuffer(_shake(256, seed, 400), np.uint8).astype(np.int64)
    halves = np.stack([octets & 15, octets >> 4], axis=1).ravel()
    return np.asarray(_ETA - halves[halves < 9][:256])


def _mask(seed: bytes) -> Polys:
    """One polynomial of algorithm 34: 256 numbers of 20 bits."""
    bits = np.unpackbits(np.frombuffer(_shake(256, seed, 640), np.uint8), bitorder="little")
    return np.asarray(_GAMMA1 - bits.reshape(256, 20).astype(np.int64) @ (1 << np.arange(20)))


def _in_ball(seed: bytes) -> Polys:
    """Algorithm 29."""
    stream = _shake(256, seed, 1024)
    signs, place = int.from_bytes(stream[:8], "little"), 8
    poly = np.zeros(256, np.int64)
    for i in range(256 - _TAU, 256):
        while stream[place] > i:
            place += 1
        j = stream[place]
        poly[i], poly[j] = poly[j], 1 - 2 * (signs & 1)
        signs, place = signs >> 1, place + 1
    return poly


def _packed(values: Polys, width: int) -> bytes:
    bits = values[:, None] >> np.arange(width) & 1
    return np.packbits(bits.astype(np.uint8).ravel(), bitorder="little").tobytes()


def _hint_bytes(hints: NDArray[np.bool_]) -> bytes:
    """Algorithm 20."""
    places = [np.flatnonzero(row).tolist() for row in hints]
    flat = [place for row in places for place in row]
    ends = np.cumsum([len(row) for row in places]).tolist()
    return bytes(flat + [0] * (_OMEGA - len(flat)) + ends)
