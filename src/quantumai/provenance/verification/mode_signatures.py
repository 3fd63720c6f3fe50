"""What a crypto mode means for signatures: which keys sign, and what a verifier demands.

Demands are by class of algorithm and never a count: two classical signatures are no hybrid.
"""

from __future__ import annotations

from collections.abc import Iterable

from quantumai.crypto_mode import CryptoMode
from quantumai.keys.algorithms import AlgorithmClass, algorithm_class
from quantumai.keys.management.built_in import BUILT_IN, STATEMENT, STATEMENT_CLASSICAL

_BOTH = (STATEMENT, STATEMENT_CLASSICAL)
# The post-quantum key first: the first signature is the one that people are shown.
_KEYS: dict[CryptoMode, tuple[str, ...]] = {
    CryptoMode.CLASSICAL: (STATEMENT_CLASSICAL,),
    CryptoMode.HYBRID: _BOTH,
    CryptoMode.PQC_PREFERRED: _BOTH,
    CryptoMode.PQC_REQUIRED: (STATEMENT,),
}


def signing_keys(mode: CryptoMode) -> tuple[str, ...]:
    """Names of the built-in keys that sign in a mode, in the order of their signatures."""
    return _KEYS[mode]


def signature_suite(mode: CryptoMode) -> str:
    """The `pqc_suite` of what is signed in a mode: names of algorithms joined by ":"."""
    return ":".join(BUILT_IN[name].algorithm for name in _KEYS[mode])


def unmet_demand(mode: CryptoMode, algorithms: Iterable[str]) -> str:
    """What signatures by `algorithms` lack for a mode; empty if they suffice.

    `algorithms` are those whose signatures hold. Classical never counts for post-quantum.
    """
    classes = {algorithm_class(name) for name in algorithms}
    if not classes:
        return "a signature"
    if mode is not CryptoMode.CLASSICAL and AlgorithmClass.POST_QUANTUM not in classes:
        return "a post-quantum signature"
    if mode is CryptoMode.HYBRID and AlgorithmClass.CLASSICAL not in classes:
        return "a classical signature beside the post-quantum one"
    return ""
