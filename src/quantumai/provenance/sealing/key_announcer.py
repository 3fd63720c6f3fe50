"""Telling the ledger of keys, however busy it is: events, rotations, and the audit log's head.

What is due depends on the ledger's key events and rotations alone, so other leaves that come
meanwhile do not matter. Each event is signed once. It is stored when its place in the ledger is
known and nothing came in between, so that the store does not fill with envelopes of no leaf.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from quantumai.canonical import sha256_hex
from quantumai.errors import ConflictError
from quantumai.provenance.key_history import key_events
from quantumai.provenance.key_history.key_announcements import ROTATION_LEAF
from quantumai.provenance.key_history.key_events import KeyEvent
from quantumai.provenance.key_history.key_rotations import ROTATIONS
from quantumai.provenance.ledger.commits import Leaf
from quantumai.provenance.ledger.run_ledger import Ledger
from quantumai.provenance.sealing import audit_anchor
from quantumai.storage.objects import ObjectStore


@dataclass(frozen=True)
class Missing:
    """What a ledger does not know yet: events to be signed, envelopes of rotations."""

    events: Sequence[KeyEvent]
    rotations: Sequence[bytes] = ()


@dataclass(frozen=True)
class _Evidence:
    folder: str
    leaf: Leaf
    envelope: bytes

    @classmethod
    def of(cls, folder: str, leaf_type: str, envelope: bytes) -> _Evidence:
        return cls(folder, Leaf(leaf_type, 1, sha256_hex(envelope)), envelope)


class KeyAnnouncer:
    """Appends what is due; threads may share it and wait for each other.

    `sign` makes the envelope of an event. `is_current(envelope)` says whether the keys that made it
    may still sign: what a void authority signed must not be logged after it was voided.
    """

    def __init__(
        self,
        ledger: Ledger,
        objects: ObjectStore,
        sign: Callable[[KeyEvent], bytes],
        is_current: Callable[[bytes], bool],
    ) -> None:
        self._ledger = ledger
        self._objects = objects
        self._sign = sign
        self._is_current = is_current
        # A guard does not see its neighbours in the same commit, so two threads of one process
        # would both log an event. Other processes are what the guard is for.
        self._one_at_a_time = threading.Lock()

    def announce(
        self, missing: Callable[[int], Missing], audit_head: Callable[[], bytes] | None = None
    ) -> None:
        """Log all that `missing(size)` finds, until it finds nothing more.

        With `audit_head` (signed, an envelope) the head of the audit log is in the same commit. An
        event that is found again has to be equal to the one before.
        """
        signed: dict[KeyEvent, bytes] = {}
        head: bytes | None = None
        with self._one_at_a_time:
            while (due := missing(size := self._ledger.size())).events or due.rotations:
                evidence = self._events(due.events, signed)
                evidence += [_Evidence.of(ROTATIONS, ROTATION_LEAF, r) for r in due.rotations]
                if audit_head is not None:
                    # After the events, so that it covers the entries that their signatures made.
                    head = head or audit_head()
                    evidence.append(_Evidence.of(audit_anchor.FOLDER, audit_anchor.LEAF_TYPE, head))
                with suppress(ConflictError):  # somebody else told the ledger of keys
                    self._ledger.append(
                        [one.leaf for one in evidence],
                        guard=partial(self._stored_if_due, size, evidence),
                    )

    def _events(self, due: Sequence[KeyEvent], signed: dict[KeyEvent, bytes]) -> list[_Evidence]:
        for event in due:
            if event not in signed or not self._is_current(signed[event]):
                signed[event] = self._sign(event)
        return [_Evidence.of(key_events.FOLDER, key_events.LEAF_TYPE, signed[e]) for e in due]

    def _stored_if_due(self, size: int, evidence: Sequence[_Evidence]) -> bool:
        """Whether the ledger learnt nothing of keys since `size`; then all of it is stored.

        Runs in the thread that writes the commit. To read the ledger there is safe: the writer
        holds no lock that a reader takes.
        """
        for kind in (key_events.LEAF_TYPE, ROTATION_LEAF):
            if self._ledger.leaves(kind, size):
                return False
        for one in evidence:
            self._objects.put_once(f"{one.folder}/{one.leaf.sha256}", one.envelope)
        return True
