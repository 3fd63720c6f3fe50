"""Envelopes that are stored under the SHA-256 of their bytes, as the ledger's leaves name them."""

from __future__ import annotations

from quantumai.canonical import sha256_hex
from quantumai.errors import LedgerError, NotFoundError
from quantumai.provenance.statements.dsse import Envelope, parse_envelope
from quantumai.storage.objects import ObjectStore


def stored_envelope(objects: ObjectStore, folder: str, digest: str) -> Envelope:
    """The envelope that a leaf names. Raises `LedgerError`, and `BadInputError` if it is none."""
    try:
        data = objects.get(f"{folder}/{digest}")
    except NotFoundError:
        raise LedgerError("it is in the ledger but missing") from None
    if sha256_hex(data) != digest:
        raise LedgerError("it was changed")
    return parse_envelope(data)
