"""Appending: many threads' leaves in one commit, each leaf once, by one writer at a time.

A commit is made by the thread that leads a group (`storage.group_commit`), under the writer's
lease. Whether a request still may be appended is asked after the newest commit was read and
before the next one is created, so it holds for the very place where the leaves come to lie.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime

from quantumai.errors import (
    BadInputError,
    ConflictError,
    LedgerError,
    QuantumAIError,
    StorageError,
)
from quantumai.provenance.ledger.caches import Edge, LedgerCaches
from quantumai.provenance.ledger.checkpoint import CheckpointSigner, TreeHead, signed_checkpoint
from quantumai.provenance.ledger.commits import SCHEMA, Commit, Leaf, commit_digest
from quantumai.provenance.ledger.leaf_places import LeafPlaces
from quantumai.provenance.ledger.signed_commits import SignedCommits
from quantumai.provenance.ledger.tiles import TileTree
from quantumai.storage.group_commit import GroupCommit
from quantumai.storage.writer_lease import WriterLease

_MOST_ATTEMPTS = 10_000
_PATIENCE_S = 120.0


@dataclass(frozen=True)
class WriterLimits:
    """How appends are grouped, and how far the caches may be behind.

    `max_delay_s`: how long a commit waits for others where there were others before.
    `most_leaves`: in one commit, unless a single append has more. `publish_after_s` and
    `publish_after_leaves`: the caches are written at the latest then while the log is busy.
    """

    max_delay_s: float = 0.01
    most_leaves: int = 1024
    publish_after_s: float = 1.0
    publish_after_leaves: int = 1 << 14


@dataclass(frozen=True)
class _Request:
    leaves: tuple[Leaf, ...]
    at_size: int | None
    guard: Callable[[], bool] | None

    def refusal(self, size: int) -> Exception | None:
        """Why this cannot be appended to a ledger of `size` leaves, or None."""
        if self.at_size is not None and self.at_size != size:
            return ConflictError("the ledger has grown in the meantime")
        try:
            if self.guard is not None and not self.guard():
                return ConflictError("what the append depends on has changed")
        except Exception as error:  # its neighbours in the commit must not suffer from it
            return error
        return None


class LedgerWriter:
    """The appending side of one log; threads share it. `clock` returns aware UTC times."""

    def __init__(
        self,
        commits: SignedCommits,
        caches: LedgerCaches,
        origin: str,
        signer: CheckpointSigner,
        clock: Callable[[], datetime],
        lease: WriterLease | None,
        limits: WriterLimits,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._commits = commits
        self._caches = caches
        self._origin = origin
        self._signer = signer
        self._clock = clock
        self._lease = lease
        self._limits = limits
        self._monotonic = monotonic
        self._places = LeafPlaces(caches)
        self._group: GroupCommit[_Request, list[int]] = GroupCommit(
            self._write,
            _PATIENCE_S,
            refuse=_own_error,
            most_at_once=limits.most_leaves,
            weigh=lambda request: len(request.leaves),
            max_delay_s=limits.max_delay_s,
        )
        self._count = threading.Lock()
        self._inside = 0
        self._published_at = monotonic()

    def append(
        self,
        leaves: Sequence[Leaf],
        at_size: int | None,
        guard: Callable[[], bool] | None,
    ) -> list[int]:
        """See `Ledger.append`."""
        if not leaves:
            raise BadInputError("nothing to append to the ledger")
        request = _Request(tuple(leaf.check() for leaf in leaves), at_size, guard)
        with self._count:
            self._inside += 1
        try:
            indices = self._group.submit(request)
        except QuantumAIError:
            self._leave()
            raise
        except BaseException:
            self._count_out()
            raise
        self._leave()
        return indices

    def close(self) -> None:
        """Write the caches as far as possible, and give the lease back."""
        with suppress(StorageError, LedgerError):
            self._caches.publish()
        if self._lease is not None:
            self._lease.close()

    def _count_out(self) -> bool:
        """Whether nobody is left who appends."""
        with self._count:
            self._inside -= 1
            return self._inside == 0

    def _leave(self) -> None:
        """Publish the caches if this is the last one to leave, or if it is time to."""
        idle = self._count_out()
        if not idle and not self._is_overdue():
            return
        self._published_at = self._monotonic()
        # The commits stand; caches that cannot be written now are completed later.
        with suppress(StorageError, LedgerError):
            self._caches.publish(wait=idle)

    def _is_overdue(self) -> bool:
        unpublished = self._caches.unpublished
        waited_s = self._monotonic() - self._published_at
        return unpublished > 0 and (
            waited_s > self._limits.publish_after_s
            or unpublished > self._limits.publish_after_leaves
        )

    def _write(self, requests: Sequence[_Request]) -> list[list[int] | Exception]:
        """One commit for all requests: the indices of each, or why it alone was refused."""
        with self._leading() as epoch:
            for _ in range(_MOST_ATTEMPTS):
                answers = self._attempted(requests, epoch)
                if answers is not None:
                    return answers
        raise StorageError("the ledger is too busy to append to", hint="try again")

    @contextmanager
    def _leading(self) -> Iterator[int | None]:
        if self._lease is None:
            yield None
            return
        newest = self._commits.newest()
        with self._lease.writing(newest.epoch if newest else 0) as epoch:
            yield epoch

    def _attempted(
        self, requests: Sequence[_Request], epoch: int | None
    ) -> list[list[int] | Exception] | None:
        """Answers to all requests, durable; None if another writer was quicker."""
        edge = self._newest()
        written = edge.commit.epoch if edge else 0
        if epoch is not None and written > epoch:
            raise StorageError("another writer has taken the ledger over", hint="try again")
        tree = edge.tree if edge else self._caches.empty_tree()
        answers, added = self._placed(requests, tree, edge)
        if not added:
            return answers
        grown = self._caches.extended(tree, [leaf.entry for leaf in added])
        commit = self._signed(edge, grown, added, written if epoch is None else epoch)
        if self._lease is not None and epoch is not None:
            self._lease.require(epoch)
        if not self._commits.create(commit):
            return None
        self._caches.advance(commit, grown)
        return answers

    def _newest(self) -> Edge | None:
        newest = self._commits.newest()
        return self._caches.at(newest) if newest else None

    def _placed(
        self, requests: Sequence[_Request], tree: TileTree, edge: Edge | None
    ) -> tuple[list[list[int] | Exception], list[Leaf]]:
        """The answers if the returned leaves are appended now: those that are not there yet."""
        answers: list[list[int] | Exception] = []
        new: dict[Leaf, int] = {}
        for request in requests:
            refusal = request.refusal(tree.size + len(new))
            if refusal is not None:
                answers.append(refusal)
                continue
            indices = []
            for leaf in request.leaves:
                index = new.get(leaf)
                if index is None and edge is not None:
                    index = self._places.of(leaf, edge)
                if index is None:
                    index = new[leaf] = tree.size + len(new)
                indices.append(index)
            answers.append(indices)
        return answers, list(new)

    def _signed(
        self, edge: Edge | None, tree: TileTree, leaves: Sequence[Leaf], epoch: int
    ) -> Commit:
        newest = edge.commit if edge else None
        head = TreeHead(self._origin, tree.size, tree.root())
        signatures = self._signer.sign(head, int(self._clock().timestamp()))
        return Commit(
            schema=SCHEMA,
            number=newest.number + 1 if newest else 1,
            previous=commit_digest(newest),
            first=tree.size - len(leaves),
            size=tree.size,
            entries=tuple(leaves),
            checkpoint=signed_checkpoint(head, signatures).decode(),
            epoch=epoch,
        )


def _own_error(error: BaseException) -> QuantumAIError:
    """A copy for each caller: one exception object cannot be raised by many threads."""
    if isinstance(error, TimeoutError):
        return StorageError("the ledger's writer does not come to an end", hint="try again")
    if not isinstance(error, QuantumAIError):
        reason = str(error) or type(error).__name__
        return StorageError(f"the ledger cannot be appended to: {reason}", hint="try again")
    own = type(error).__new__(type(error), *error.args)
    own.args = error.args
    own.__dict__.update(error.__dict__)
    return own
