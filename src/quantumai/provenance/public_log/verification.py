"""Verifying a public log as an auditor: trust file, remembered checkpoint, static files.

Everything runs in full where it can, so that the findings are complete.
"""

from __future__ import annotations

from dataclasses import dataclass

from quantumai.crypto_mode import CryptoMode
from quantumai.errors import BadInputError, EvidenceError
from quantumai.provenance.ledger.checkpoint import TreeHead
from quantumai.provenance.ledger.consistency import require_growth
from quantumai.provenance.ledger.cosignatures import voices, voices_in_words
from quantumai.provenance.public_log.static_files import PublicLog
from quantumai.provenance.public_log.tree_check import CheckEntry, Statements, check_tree
from quantumai.provenance.verification.freshness import FRESHNESS, verified_head
from quantumai.provenance.verification.report import (
    Check,
    ExitCode,
    Outcome,
    failed,
    not_checked,
    passed,
)
from quantumai.provenance.verification.trust import TrustFile


@dataclass(frozen=True)
class PublicFindings:
    """What was found in a log: the head that it states, what is wrong, and how fresh it is."""

    head: TreeHead
    problems: tuple[str, ...]
    freshness: Check
    statements: Statements

    @property
    def exit_code(self) -> ExitCode:
        """0 only if nothing is wrong and the freshness that was asked for is shown."""
        if self.problems or self.freshness.status is Outcome.FAILED:
            return ExitCode.LEDGER
        asked = self.freshness.exit_code is ExitCode.NOT_CHECKED
        return ExitCode.NOT_CHECKED if asked else ExitCode.OK


def verify_public_log(
    log: PublicLog,
    trust: TrustFile,
    remembered: bytes | None = None,
    check_entry: CheckEntry | None = None,
) -> PublicFindings:
    """Verify all of a log under a trust file, in its least crypto mode.

    In all modes but classical only ML-DSA-44 signatures count, of the log and of witnesses. With a
    `remembered` checkpoint the log must have grown from it. See `check_tree` for `check_entry`.
    """
    mode = trust.least_crypto_mode
    problems = []
    if log.head.origin != trust.ledger.origin:
        problems.append(
            f"wrong origin: {log.head.origin[:80]!r} instead of {trust.ledger.origin[:80]!r}"
        )
    else:
        try:
            verified_head(log.checkpoint, trust, mode)
        except EvidenceError as error:
            problems.append(str(error))
    found, statements = check_tree(log, log.head, check_entry)
    if problems:
        freshness = not_checked(FRESHNESS, "the checkpoint does not hold")
    else:
        freshness = log_freshness(log, trust, mode, remembered)
    return PublicFindings(log.head, (*problems, *found), freshness, statements)


def log_freshness(
    log: PublicLog, trust: TrustFile, mode: CryptoMode, remembered: bytes | None
) -> Check:
    """Whether the log at its verified head is the one that is remembered or witnessed.

    Unlike the tree of a single proof, a log may not be smaller than what is remembered of it.
    """
    seen = []
    try:
        if remembered is not None:
            known = verified_head(remembered, trust, mode)
            require_growth(log.consistency_proof, known, log.head)
            seen.append(f"consistent with the remembered checkpoint of {known.size} leaves")
        if quorum := trust.witnesses.quorum:
            only = mode is not CryptoMode.CLASSICAL
            heard = voices(log.checkpoint, trust.witnesses.keys(), post_quantum_only=only)
            if len(heard) < quorum:
                lacking = f"{len(heard)} of the {quorum} witnesses that are asked for cosigned"
                return not_checked(FRESHNESS, "; ".join([*seen, lacking]))
            seen.append(f"cosigned by {voices_in_words(heard)}")
    except (BadInputError, EvidenceError) as error:
        return failed(FRESHNESS, str(error), ExitCode.LEDGER)
    return passed(FRESHNESS, "; ".join(seen)) if seen else freshness_unasked()


def freshness_unasked() -> Check:
    """Nothing was asked for that freshness could be checked against; that alone is no failure."""
    nobody = "no witness quorum and no remembered checkpoint"
    return Check(FRESHNESS, Outcome.NOT_CHECKED, nobody, ExitCode.OK)
