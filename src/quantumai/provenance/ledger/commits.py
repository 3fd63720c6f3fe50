"""The ledger's last word: create-only commit objects, numbered from 1.

A commit holds the new entries, the new size and the signed checkpoint. Whoever creates number n
has appended; everything else in the log (tiles, `checkpoint`) is derived from commits.
"""

from __future__ import annotations

from json.encoder import encode_basestring
from typing import TypeVar

import msgspec

from quantumai.canonical import sha256_hex
from quantumai.errors import BadInputError, LedgerError, NotFoundError
from quantumai.provenance.ledger.checkpoint import TreeHead, stated_head
from quantumai.storage.objects import ObjectStore

PREFIX = "ledger/commits/"
# Checkpoints with witnesses' cosignatures, which come after the commits.
COSIGNED_PREFIX = "ledger/cosigned/"
# Commits of schema 1 have no epoch. Both hold for ever; new ones are of schema 2.
SCHEMA = 2
_LARGEST = 2**53  # the greatest integers that canonical JSON writes
_T = TypeVar("_T")
# One registry of what may be a leaf: type -> newest version.
LEAF_TYPES = {
    "run-manifest": 1,
    "scheduler-decision": 1,
    "key-event": 1,
    "key-rotation": 1,
    "audit-checkpoint": 1,
    "counter-signature": 1,
    "ledger-anchor": 1,
    "model": 1,
    "nightly-snapshot": 1,
    "release": 1,
}


class Leaf(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A ledger entry: type and version from `LEAF_TYPES`, SHA-256 (hex) of the signed envelope.

    The digest is of the envelope with its signature, not of the payload alone, so that a leaf
    proves when the signature existed. It tells nothing about the tenant.
    """

    type: str
    version: int
    sha256: str

    @property
    def entry(self) -> bytes:
        """The entry's bytes: canonical JSON."""
        digest, kind = encode_basestring(self.sha256), encode_basestring(self.type)
        return f'{{"sha256":{digest},"type":{kind},"version":{self.version}}}'.encode()

    def check(self) -> Leaf:
        """Return self if type, version and digest are well formed, else raise `BadInputError`."""
        newest = LEAF_TYPES.get(self.type)
        if newest is None or not 1 <= self.version <= newest:
            raise BadInputError(f"unknown ledger leaf type {self.type!r} version {self.version}")
        if len(self.sha256) != 64 or set(self.sha256) - set("0123456789abcdef"):
            raise BadInputError("a ledger leaf needs a SHA-256 in lower-case hex")
        return self

    @classmethod
    def parse(cls, entry: bytes) -> Leaf:
        """Read an entry strictly. Raises `LedgerError`."""
        leaf = _decoded(entry, cls, "a ledger entry")
        if leaf.entry != entry:
            raise LedgerError("a ledger entry is damaged: not in canonical form (RFC 8785)")
        return leaf


class Commit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One append: entries [first, size) and the checkpoint at `size`.

    `previous` is the SHA-256 of the commit before, empty for the first. `epoch` is that of the
    writer's lease: it never falls from commit to commit (0: written without a lease so far).
    """

    schema: int
    number: int
    previous: str
    first: int
    size: int
    entries: tuple[Leaf, ...]
    checkpoint: str
    epoch: int = 0

    @property
    def data(self) -> bytes:
        """The commit's bytes: canonical JSON."""
        entries = b",".join(leaf.entry for leaf in self.entries)
        epoch = f'"epoch":{self.epoch},' if self.schema > 1 else ""
        before = f'{{"checkpoint":{encode_basestring(self.checkpoint)},"entries":['
        after = (
            f'],{epoch}"first":{self.first},"number":{self.number},'
            f'"previous":{encode_basestring(self.previous)},'
            f'"schema":{self.schema},"size":{self.size}}}'
        )
        return before.encode() + entries + after.encode()

    @property
    def head(self) -> TreeHead:
        """The head that the checkpoint states; its signatures are not checked here."""
        return stated_head(self.checkpoint.encode())

    @classmethod
    def parse(cls, number: int, data: bytes) -> Commit:
        """Read commit `number` strictly. Raises `LedgerError`."""
        what = f"ledger commit {number}"
        commit = _decoded(data, cls, what)
        # Encoding it again refuses repeated keys and all other spellings of the same commit.
        if commit.data != data:
            raise LedgerError(f"{what} is damaged: not in canonical form (RFC 8785)")
        if (
            commit.schema not in (1, SCHEMA)
            or commit.number != number
            or commit.size != commit.first + len(commit.entries)
            or not commit.entries
            or commit.head.size != commit.size
            or not 0 <= commit.epoch < _LARGEST
        ):
            raise LedgerError(f"{what} contradicts itself")
        return commit


def _decoded(data: bytes, kind: type[_T], what: str) -> _T:
    try:
        found = msgspec.json.decode(data, type=kind)
        for leaf in (found,) if isinstance(found, Leaf) else getattr(found, "entries", ()):
            leaf.check()
    except (BadInputError, msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise LedgerError(f"{what} is damaged: {error}") from None
    return found


def cosigned_key(size: int) -> str:
    """Name of the object that holds the cosigned checkpoint of `size` leaves."""
    return f"{COSIGNED_PREFIX}{size:020d}"


def commit_key(number: int) -> str:
    """Object name of commit `number`."""
    return f"{PREFIX}{number:020d}"


class CommitLog:
    """The commits of one object store."""

    def __init__(self, objects: ObjectStore) -> None:
        self._objects = objects
        self._known = 0
        self._newest: Commit | None = None

    def newest(self) -> Commit | None:
        """The last commit, or None for an empty log; each call looks again."""
        number = self._newest_number()
        if number == 0:
            return None
        newest = self._newest
        if newest is None or newest.number != number:
            self._newest = newest = self.read(number)
        return newest

    def require_size(self, least: int) -> None:
        """Raise `LedgerError` if there are fewer leaves than the `least` known to exist."""
        newest = self.newest()
        size = newest.size if newest else 0
        if size < least:
            raise LedgerError(
                f"the ledger has {size} leaves, but leaf {least - 1} was handed out: "
                "objects/ledger was lost or an older copy put back",
                hint="restore the newest backup of objects/ledger before going on",
            )

    def read(self, number: int) -> Commit:
        """Commit `number`. Raises `LedgerError` when it is missing or damaged."""
        try:
            data = self._objects.get(commit_key(number))
        except NotFoundError:
            raise LedgerError(f"ledger commit {number} is missing") from None
        return Commit.parse(number, data)

    def create(self, commit: Commit) -> bool:
        """Write `commit` if its number is free; True if this call did."""
        created = self._objects.create(commit_key(commit.number), commit.data)
        if created:
            self._newest, self._known = commit, commit.number
        return created

    def _newest_number(self) -> int:
        # Commits never vanish, so what was once seen is a floor. Gallop, then bisect.
        low, step = self._known, 1
        while self._exists(low + step):
            low, step = low + step, step * 2
        high = low + step
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self._exists(middle) else (low, middle)
        self._known = max(low, self._known)  # another thread may have seen more
        return self._known

    def _exists(self, number: int) -> bool:
        return self._objects.exists(commit_key(number))


def commit_digest(commit: Commit | None) -> str:
    """SHA-256 that the next commit carries as `previous`."""
    return sha256_hex(commit.data) if commit else ""
