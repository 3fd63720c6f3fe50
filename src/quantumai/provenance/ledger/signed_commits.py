"""The newest commit of one log, believed only after its checkpoint's signatures were checked."""

from __future__ import annotations

from quantumai.errors import LedgerError
from quantumai.provenance.ledger.checkpoint import CheckpointSigner, verify_checkpoint
from quantumai.provenance.ledger.commits import Commit, CommitLog


class SignedCommits:
    """The commits of the log `origin`, which `signer` signs; threads may share it."""

    def __init__(self, commits: CommitLog, origin: str, signer: CheckpointSigner) -> None:
        self._commits = commits
        self._origin = origin
        self._signer = signer
        self._checked: Commit | None = None

    def newest(self) -> Commit | None:
        """The newest commit, signed by all of the log's keys, or None for an empty log.

        Raises `LedgerError` if it is not so signed.
        """
        newest = self._commits.newest()
        if newest is not None and newest is not self._checked:
            keys = self._signer.verifier_keys()
            head, by = verify_checkpoint(newest.checkpoint.encode(), keys)
            if head.origin != self._origin or len(by) != len(keys):
                raise LedgerError(
                    f"ledger commit {newest.number} is not signed by this ledger's keys",
                    hint="restore objects/ledger and the keys folder from the same backup",
                )
            self._checked = newest
        return newest

    def create(self, commit: Commit) -> bool:
        """Write `commit`, which the log's own keys just signed, if its number is free."""
        created = self._commits.create(commit)
        if created:
            self._checked = commit
        return created
