"""Verifying a home's own ledger: everything that is stored, and how fresh its head is."""

from __future__ import annotations

import msgspec

from quantumai.errors import EvidenceError
from quantumai.provenance.ledger.checkpoint import TreeHead
from quantumai.provenance.ledger.run_ledger import Ledger
from quantumai.provenance.public_log.cosigned_checkpoints import CosignedCheckpoints
from quantumai.provenance.public_log.verification import LogFindings
from quantumai.provenance.sealing.sealer import Sealer
from quantumai.provenance.verification.freshness import (
    FRESHNESS,
    Remembered,
    check_freshness,
    verified_head,
)
from quantumai.provenance.verification.report import Check, Outcome, not_checked
from quantumai.provenance.verification.trust import TrustFile, WitnessTrust


def verify_home_ledger(
    sealer: Sealer, trust: TrustFile | None = None, remembered: bytes | None = None
) -> LogFindings:
    """Recheck all that the sealer's ledger stores.

    The quorum of the home's own witnesses is a wish; that of a `trust` file is a demand.
    """
    head, problems = None, []
    try:
        problems += sealer.verify_ledger()
        trusted = trust or sealer.export_trust(witnesses=sealer.witnesses)
        head = verified_head(sealer.ledger.checkpoint(), trusted, trusted.least_crypto_mode)
        freshness = _freshness(sealer.ledger, head, trusted, remembered)
        if trust is None and freshness.status is Outcome.NOT_CHECKED:
            alone = msgspec.structs.replace(trusted, witnesses=WitnessTrust())
            freshness = _freshness(sealer.ledger, head, alone, remembered)
    except EvidenceError as error:
        # A ledger that is too damaged to be opened is a finding, not a fault of ours.
        problems.append(str(error))
        freshness = not_checked(FRESHNESS, "the ledger does not hold")
    return LogFindings(head, tuple(problems), freshness)


def _freshness(ledger: Ledger, head: TreeHead, trust: TrustFile, remembered: bytes | None) -> Check:
    """By the newest checkpoint that a quorum cosigned; `ledger` is known to extend that."""
    cosigned = CosignedCheckpoints(ledger).newest_by_quorum(trust.witnesses)
    known = None if remembered is None else Remembered(remembered, ledger.consistency_proof)
    shown = cosigned or ledger.checkpoint()
    return check_freshness(head, shown, trust, trust.least_crypto_mode, known, is_newest=True)
