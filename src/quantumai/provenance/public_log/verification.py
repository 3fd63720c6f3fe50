"""Verifying a public log as an auditor: trust file, remembered checkpoint, static files.

Everything runs in full where it can, so that the findings are complete.
"""

from __future__ import annotations

from dataclasses import dataclass

from quantumai.errors import EvidenceError
from quantumai.provenance.ledger.checkpoint import TreeHead
from quantumai.provenance.public_log.static_files import PublicLog
from quantumai.provenance.public_log.tree_check import CheckEntry, Statements, check_tree
from quantumai.provenance.verification.freshness import (
    FRESHNESS,
    Remembered,
    check_freshness,
    verified_head,
)
from quantumai.provenance.verification.report import Check, ExitCode, Outcome, not_checked
from quantumai.provenance.verification.trust import TrustFile


@dataclass(frozen=True)
class LogFindings:
    """What was found in a log: its head, what is wrong, and how fresh it is.

    `head` is None for a log too damaged to have one.
    """

    head: TreeHead | None
    problems: tuple[str, ...]
    freshness: Check

    @property
    def exit_code(self) -> ExitCode:
        """0 only if nothing is wrong and the freshness that was asked for is shown."""
        if self.problems or self.freshness.status is Outcome.FAILED:
            return ExitCode.LEDGER
        return self.freshness.exit_code


@dataclass(frozen=True)
class PublicFindings(LogFindings):
    """What was found in static files, and how many public statements they hold."""

    statements: Statements


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
        known = None if remembered is None else Remembered(remembered, log.consistency_proof)
        freshness = check_freshness(log.head, log.checkpoint, trust, mode, known, is_newest=True)
    return PublicFindings(log.head, (*problems, *found), freshness, statements)
