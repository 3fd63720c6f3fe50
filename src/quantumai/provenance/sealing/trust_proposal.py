"""The trust file that a home proposes: its own keys, as its ledger has them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from quantumai.crypto_mode import CryptoMode
from quantumai.keys.algorithms import AlgorithmClass, PublicKey, algorithm_class
from quantumai.keys.management.built_in import AUTHORITY, STATEMENT, STATEMENT_CLASSICAL
from quantumai.keys.management.internal_keys import InternalKeys
from quantumai.keys.management.key_use import public_half
from quantumai.keys.management.records import KeyVersion
from quantumai.keys.management.states import KeyState
from quantumai.provenance.key_history.key_events import KeyEventKind, LoggedEvent, key_status
from quantumai.provenance.key_history.key_rotations import ROOT
from quantumai.provenance.ledger.run_ledger import Ledger
from quantumai.provenance.verification.trust import (
    LedgerTrust,
    StatementKey,
    TrustFile,
    WitnessTrust,
)

_SIGNERS = (STATEMENT, STATEMENT_CLASSICAL)


def propose_trust(
    keys: InternalKeys,
    ledger: Ledger,
    events: Iterable[LoggedEvent],
    least_crypto_mode: CryptoMode,
    *,
    witnesses: WitnessTrust,
    tenants: Mapping[str, CryptoMode],
) -> TrustFile:
    """Trust file with the keys of a home; `events` are the key events of its whole ledger.

    Where pqc-required is the least mode no classical key is named: it could never count.
    """
    logged, size = list(events), ledger.size()
    versions = keys.every_version()
    post_quantum_only = least_crypto_mode is CryptoMode.PQC_REQUIRED
    trusted = [
        window
        for key in versions
        if key.name in _SIGNERS and key.key_id
        if not (post_quantum_only and _is_classical(key))
        if (window := _window(key, size, logged)) is not None
    ]
    vkeys = tuple(key.text for key in ledger.signer.verifier_keys())
    return TrustFile(
        ledger=LedgerTrust(ledger.origin, vkeys),
        authority_keys=tuple(
            key.public_key
            for key in versions
            # What a void authority signed has to be signed again by the one that follows.
            if key.name == AUTHORITY
            and key.public_key
            and key.state is not KeyState.COMPROMISED
            and key.compromised_from is None
        ),
        statement_keys=tuple(trusted),
        least_crypto_mode=least_crypto_mode,
        schema_version=2,
        witnesses=witnesses,
        root=_root(logged),
        tenants=dict(tenants),
    ).check()


def _window(key: KeyVersion, size: int, logged: list[LoggedEvent]) -> StatementKey | None:
    status = key_status(key.key_id, size, b"", logged)
    if status.active_from_index is None:
        return None
    ends = status.ends_at_index
    if ends is not None:  # a compromise dated back further leaves an empty window
        ends = max(ends, status.active_from_index)
    return StatementKey(
        key_id=key.key_id,
        algorithm=key.algorithm,
        spki=public_half(key).spki,
        valid_from_index=status.active_from_index,
        valid_until_index=ends,
    )


def _root(logged: list[LoggedEvent]) -> PublicKey | None:
    for entry in logged:
        event = entry.event
        if event.alias == ROOT and event.event is KeyEventKind.ACTIVATION:
            return PublicKey(event.key_id, event.algorithm, event.spki)
    return None


def _is_classical(key: KeyVersion) -> bool:
    return algorithm_class(key.algorithm) is AlgorithmClass.CLASSICAL
