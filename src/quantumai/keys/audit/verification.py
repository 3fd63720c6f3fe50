"""Whether an audit log is the one that was written, and which entry is the first that is not.

The chain of entries says where something was changed, left out, put in or moved. A head from
elsewhere (a checkpoint that was remembered, or anchored in the run ledger) says of all entries up
to its size whether they are those that were there when it was made; so it also finds a log that was
cut off, put back, or rewritten with all its links, though then only between which heads.

The entry that is named is the one whose change alone explains what is seen. Entries before
`AuditReport.proven` are proved by a head and need no such reasoning.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from quantumai.errors import BadInputError
from quantumai.keys.audit.entry import NOTHING_BEFORE, AuditEntry, link_to
from quantumai.keys.audit.head import AuditHead
from quantumai.merkle import Frontier


class Fault(StrEnum):
    """What is wrong with a log."""

    CHANGED = "changed"
    MISSING = "missing"
    INSERTED = "inserted"
    REORDERED = "reordered"
    TRUNCATED = "truncated"  # shorter than a head: cut off, or an older copy put back
    REWRITTEN = "rewritten"  # consistent in itself, but not what a head says
    FORKED = "forked"  # two heads that no one log can have


@dataclass(frozen=True)
class BadEntries:
    """The first bad entry is among `first` to `last`, both included, mostly one and the same.

    An entry that is not there any more counts by the place where it should be.
    """

    fault: Fault
    first: int
    last: int
    detail: str


@dataclass(frozen=True)
class AuditReport:
    """What verification found; `bad` is None for a log that holds.

    `size` and `root` are of the log as it is stored, up to a missing entry. `compared` heads were
    looked at, and the first `proven` entries are as one of them says.
    """

    size: int
    root: bytes
    compared: int
    proven: int
    bad: BadEntries | None


def verify_log(entries: Iterable[tuple[int, str]], heads: Sequence[AuditHead]) -> AuditReport:
    """Check a log given as sequence numbers and texts, in order, against known heads.

    Needs memory for the heads only. Reads no further than the first missing entry.
    """
    walk = _Walk(heads)
    for sequence, text in entries:
        if not walk.take(sequence, text):
            break
    return walk.report(len(heads))


class _Walk:
    """One pass over the entries, the trees they make, and the first thing that is wrong."""

    def __init__(self, heads: Sequence[AuditHead]) -> None:
        self._roots: dict[int, set[bytes]] = defaultdict(set)
        for head in heads:
            self._roots[head.size].add(head.root)
        self._stored = Frontier()
        # Entry i as entry i + 1 remembers it. If a head fits this tree and not the stored one,
        # then exactly the entries that differ between the two were changed.
        self._claimed = Frontier()
        self._differs: int | None = None
        self._good: list[int] = []
        self._wrong: list[int] = []
        self._links = (NOTHING_BEFORE, NOTHING_BEFORE)  # what the last and the next entry carry
        self._bad: BadEntries | None = None
        self._break: int | None = None  # the first fault is that this one's link does not hold
        self._settled = False
        self._compare()

    def take(self, sequence: int, text: str) -> bool:
        """Look at the next row; False if it makes no sense to go on."""
        at = self._stored.size
        if sequence != at:
            self._settle(follows=None)
            fault, what = (
                (Fault.MISSING, f"entry {at} is missing, but entry {sequence} is there")
                if sequence > at
                else (Fault.INSERTED, f"there is an entry numbered {sequence}")
            )
            self._found(fault, at, what)
            return False
        entry, reason = _parsed(text)
        if entry is None:
            self._settle(follows=None)
            self._found(Fault.CHANGED, at, reason)
        else:
            self._settle(follows=entry.previous == self._links[1])
            self._look_at(at, entry, is_copy=link_to(text) == self._links[1])
        self._grow(text, entry)
        return True

    def report(self, compared: int) -> AuditReport:
        """What was found, once all entries were taken."""
        size = self._stored.size
        if size:
            self._claim(self._links[1])
        if self._break == size - 1 and size in self._wrong:
            # Had only the entry before been changed, the head would fit what this one remembers.
            self._settle(follows=False)
        self._settle(follows=None)
        bad = self._contradiction() or self._bad
        return AuditReport(size, self._stored.root(), compared, self._proven, bad)

    @property
    def _proven(self) -> int:
        return self._good[-1] if self._good else 0  # they come in rising order

    def _look_at(self, at: int, entry: AuditEntry, *, is_copy: bool) -> None:
        before, expected = self._links
        # It says of itself that it follows the entry before the last one.
        skips = at > 0 and entry.previous == before != expected
        if is_copy or self._proven >= at:
            skips = False  # then it is this entry that does not belong here
        if skips:
            self._found(Fault.INSERTED, at - 1, f"entry {at} follows the entry before this one")
        elif entry.sequence != at:
            detail = f"in its place is what was written as entry {entry.sequence}"
            self._found(Fault.REORDERED, at, detail)
        elif entry.previous != expected:
            if at == 0:
                self._found(Fault.CHANGED, 0, "it is first but follows another entry")
            elif self._bad is None and self._break is None:
                self._break = at

    def _settle(self, *, follows: bool | None) -> None:
        """Decide which side of a broken link is bad, given whether the next link holds."""
        at = self._break
        if at is None or self._settled:
            return
        self._settled = True
        proven = self._proven >= at
        detail = f"entry {at} does not follow entry {at - 1}"
        if proven or follows is False:
            self._bad = BadEntries(Fault.CHANGED, at, at, detail)
        elif follows:
            self._bad = BadEntries(Fault.CHANGED, at - 1, at - 1, detail)
        else:
            self._bad = BadEntries(Fault.CHANGED, at - 1, at, f"{detail}: one of them was changed")

    def _found(self, fault: Fault, at: int, detail: str) -> None:
        if self._bad is None:
            self._bad = BadEntries(fault, at, at, detail)

    def _grow(self, text: str, entry: AuditEntry | None) -> None:
        if self._stored.size:
            self._claim(entry.previous if entry and entry.previous else self._links[1])
        link = link_to(text)
        self._stored.add(bytes.fromhex(link))
        self._links = (self._links[1], link)
        self._compare()

    def _compare(self) -> None:
        size = self._stored.size
        for root in self._roots.get(size, ()):
            (self._good if root == self._stored.root() else self._wrong).append(size)

    def _claim(self, link: str) -> None:
        if self._differs is None and link != self._links[1]:
            self._differs = self._claimed.size
        self._claimed.add(bytes.fromhex(link))
        size, at = self._claimed.size, self._differs
        if at is None or size not in self._wrong or self._claimed.root() not in self._roots[size]:
            return
        self._settled = True
        if self._bad is None or (self._bad.first, self._bad.last) != (at, at):
            detail = f"the checkpoint of {size} entries holds with what entry {at + 1} says of it"
            self._bad = BadEntries(Fault.CHANGED, at, at, detail)

    def _contradiction(self) -> BadEntries | None:
        """What the smallest head that does not hold says, if that lies before all else."""
        size = self._stored.size
        wrong = min([*self._wrong, *(known for known in self._roots if known > size)], default=None)
        if wrong is None or (self._bad is not None and self._bad.first < wrong):
            return None
        first = max((good for good in self._good if good < wrong), default=0)
        if wrong > size:
            detail = (
                f"entry {size} is gone: a checkpoint counts {wrong} entries, so some were cut off "
                "or an older copy was put back"
            )
            return BadEntries(Fault.TRUNCATED, first, size, detail)
        if self._proven >= wrong:
            detail = f"checkpoints contradict each other about the first {wrong} entries"
            return BadEntries(Fault.FORKED, first, wrong - 1, detail)
        detail = f"the entries follow each other, but not as the checkpoint of {wrong} entries says"
        return BadEntries(Fault.REWRITTEN, first, wrong - 1, detail)


def _parsed(text: str) -> tuple[AuditEntry | None, str]:
    try:
        return AuditEntry.parse(text), ""
    except BadInputError as error:
        return None, str(error)
