"""Signing statements with the home's built-in keys; nothing here knows of the ledger."""

from __future__ import annotations

from collections.abc import Sequence

from quantumai.keys.algorithms import PublicKey
from quantumai.keys.dsse_encoding import IN_TOTO_PAYLOAD_TYPE
from quantumai.keys.management.built_in import BUILT_IN
from quantumai.keys.management.internal_keys import InternalKeys
from quantumai.keys.management.records import Signed
from quantumai.keys.management.states import KeyState
from quantumai.provenance.statements.dsse import Envelope, envelope_of, parse_envelope
from quantumai.provenance.statements.statement import AUDIT_CHECKPOINT, predicate_type_of


class StatementSigner:
    """Makes envelopes by the names of built-in keys, which are made on first use if need be."""

    def __init__(self, keys: InternalKeys) -> None:
        self._keys = keys

    def sign(self, names: Sequence[str], statement: bytes) -> Envelope:
        """`statement` signed by the current keys of these names, in their order."""
        kind = predicate_type_of(statement)
        made: list[Signed] = []
        for name in names:
            if BUILT_IN[name].on_demand:
                self._keys.ensure(name)
            made += self._keys.sign_statement(name, IN_TOTO_PAYLOAD_TYPE, kind, statement)
        return envelope_of(statement, made)

    def sign_audit_head(self, statement: bytes) -> bytes:
        """Envelope (canonical JSON) of a checkpoint of the audit log, by the audit key."""
        made = self._keys.sign_audit_head(AUDIT_CHECKPOINT, statement)
        return envelope_of(statement, [made]).data

    def are_active(self, envelope: bytes) -> bool:
        """Whether all keys that signed an envelope may still sign."""
        active = {k.key_id for k in self._keys.every_version() if k.state is KeyState.ACTIVE}
        return active.issuperset(s.key_id for s in parse_envelope(envelope).signatures)

    def public_keys(self, name: str) -> tuple[PublicKey, ...]:
        """The public keys of all versions that a built-in key has had."""
        versions = self._keys.every_version()
        return tuple(v.public_key for v in versions if v.name == name and v.public_key)
