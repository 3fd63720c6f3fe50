"""Attesting files of the house: a model, a nightly snapshot, a release."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from quantumai.crypto_mode import CryptoMode
from quantumai.jobs.desk import Desk
from quantumai.jobs.sealing import sdk_version
from quantumai.provenance.manifest.attestation import Attestation, build_attestation


@dataclass(frozen=True)
class Attested:
    """A logged attestation: its envelope, its proof file and its leaf index."""

    envelope: bytes
    proof: bytes
    index: int


FOLDER = "attestations"
"""Where attestations (DSSE envelopes) lie in the object store, each under its SHA-256."""


def attest_files(desk: Desk, kind: str, files: Mapping[str, str], mode: CryptoMode) -> Attested:
    """Sign and log a statement about `files` (name -> SHA-256 hex), and store its envelope once.

    The leaf's type is `kind`. Raises `BadInputError` for an unknown kind.
    """
    attestation = Attestation(
        kind=kind, created_at=desk.now(), sdk_version=sdk_version(), crypto_mode=mode
    )
    statement = build_attestation(attestation, files)
    sealer = desk.open_sealer()
    envelope, index = sealer.seal(kind, statement, mode=mode, folder=FOLDER)
    return Attested(envelope, sealer.proof(index, envelope), index)
