"""Signing and logging a counter-signature."""

from __future__ import annotations

from quantumai.provenance.manifest.counter_signature import (
    LEAF_TYPE,
    CounterEvidence,
    CounterSignature,
    build_counter_signature,
)
from quantumai.provenance.sealing.sealer import Sealer

FOLDER = "counter-signatures"


def counter_sign(sealer: Sealer, counter: CounterSignature) -> CounterEvidence:
    """Sign and log a counter-signature in its own crypto mode; its envelope and proof.

    What it says of the envelope is the caller's to have verified.
    """
    statement = build_counter_signature(counter)
    envelope, index = sealer.seal(LEAF_TYPE, statement, mode=counter.crypto_mode, folder=FOLDER)
    return CounterEvidence(envelope, sealer.proof(index, envelope))
