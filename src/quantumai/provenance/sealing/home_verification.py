"""Verifying a home's own ledger: everything that is stored, and how fresh its head is."""

from __future__ import annotations

from dataclasses import dataclass

from quantumai.crypto_mode import CryptoMode
from quantumai.errors import BadInputError, EvidenceError
from quantumai.provenance.ledger.checkpoint import TreeHead, stated_head
from quantumai.provenance.ledger.consistency import require_growth
from quantumai.provenance.ledger.cosignatures import voices, voices_in_words
from quantumai.provenance.public_log.cosigned_checkpoints import CosignedCheckpoints
from quantumai.provenance.public_log.verification import freshness_unasked
from quantumai.provenance.sealing.sealer import Sealer
from quantumai.provenance.verification.freshness import FRESHNESS, verified_head
from quantumai.provenance.verification.report import (
    Check,
    ExitCode,
    Outcome,
    failed,
    not_checked,
    passed,
)
from quantumai.provenance.verification.trust import TrustFile, WitnessTrust


@dataclass(frozen=True)
class HomeFindings:
    """What was found: the newest head (None: too damaged to have one), problems, freshness."""

    head: TreeHead | None
    problems: tuple[str, ...]
    freshness: Check

    @property
    def exit_code(self) -> ExitCode:
        """0 only if nothing is wrong and the freshness that was asked for is shown."""
        if self.problems or self.freshness.status is Outcome.FAILED:
            return ExitCode.LEDGER
        return self.freshness.exit_code


def verify_home_ledger(
    sealer: Sealer,
    witnesses: WitnessTrust,
    trust: TrustFile | None = None,
    remembered: bytes | None = None,
) -> HomeFindings:
    """Recheck all that the sealer's ledger stores.

    `witnesses` are the home's own, whose quorum is a wish; that of a `trust` file is a demand.
    """
    trusted = trust or sealer.export_trust(CryptoMode.PQC_REQUIRED, witnesses=witnesses)
    checking = _Checking(sealer, trusted, remembered, demands_quorum=trust is not None)
    head, problems = None, []
    try:
        problems += sealer.verify_ledger()
        problems += CosignedCheckpoints(sealer.ledger).problems(witnesses.keys())
        head = verified_head(sealer.ledger.checkpoint(), trusted, trusted.least_crypto_mode)
        freshness = checking.freshness(head)
    except EvidenceError as error:
        # A ledger that is too damaged to be opened is a finding, not a fault of ours.
        problems.append(str(error))
        freshness = not_checked(FRESHNESS, "the ledger does not hold")
    return HomeFindings(head, tuple(problems), freshness)


@dataclass(frozen=True)
class _Checking:
    sealer: Sealer
    trust: TrustFile
    remembered: bytes | None
    demands_quorum: bool

    def freshness(self, head: TreeHead) -> Check:
        seen = []
        mode = self.trust.least_crypto_mode
        if self.remembered is not None:
            try:
                known = verified_head(self.remembered, self.trust, mode)
                require_growth(self.sealer.ledger.consistency_proof, known, head)
            except (BadInputError, EvidenceError) as error:
                return failed(FRESHNESS, str(error), ExitCode.LEDGER)
            seen.append(f"consistent with the remembered checkpoint of {known.size} leaves")
        if self.trust.witnesses.quorum:
            witnessed = self._witnessed(mode)
            if not witnessed and (self.demands_quorum or not seen):
                lacking = not_checked(FRESHNESS, "no checkpoint was cosigned by the quorum")
                return lacking if self.demands_quorum else _unasked(lacking)
            seen += witnessed
        return passed(FRESHNESS, "; ".join(seen)) if seen else freshness_unasked()

    def _witnessed(self, mode: CryptoMode) -> list[str]:
        kept = CosignedCheckpoints(self.sealer.ledger)
        witnesses, only = self.trust.witnesses, mode is not CryptoMode.CLASSICAL
        cosigned = kept.newest_by_quorum(witnesses)
        if cosigned is None:
            return []
        heard = voices(cosigned, witnesses.keys(), post_quantum_only=only)
        if len(heard) < witnesses.quorum:
            return []
        return [f"{stated_head(cosigned).size} leaves cosigned by {voices_in_words(heard)}"]


def _unasked(check: Check) -> Check:
    return Check(check.name, check.status, check.detail, ExitCode.OK)
