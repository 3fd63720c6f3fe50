"""Recheck a whole public log from its static files, believing nothing but a trust file.

Every entry bundle is hashed up, and every tile at every level and the signed root are compared with
what comes out. Bundles are read one by one, so that memory does not grow with the log but by one
hash for each 256 leaves.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from quantumai import merkle
from quantumai.canonical import sha256_hex
from quantumai.errors import BadInputError, LedgerError, NotFoundError
from quantumai.provenance.ledger.checkpoint import TreeHead
from quantumai.provenance.ledger.commits import LEAF_TYPES, Leaf
from quantumai.provenance.ledger.tiles import WIDTH, Tile, decode_bundle, tile_width
from quantumai.provenance.public_log.static_files import PublicLog
from quantumai.provenance.statements.dsse import parse_envelope

# Statements that are public, with the folder of each: they tell which keys counted when.
PUBLIC_STATEMENTS = {
    "key-event": "key-events",
    "key-rotation": "key-rotations",
    "ledger-anchor": "ledger-anchors",
}
_MOST_PROBLEMS = 20
# Exactly the canonical JSON of a leaf; parsing it as JSON would take ten times as long.
_LEAF = re.compile(rb'\{"sha256":"[0-9a-f]{64}","type":"([a-z-]+)","version":([1-9][0-9]{0,3})\}')
CheckEntry = Callable[[bytes], None]


@dataclass(frozen=True)
class Statements:
    """How many public statements there are in the log, and how many of them the files hold."""

    logged: int
    found: int


def check_tree(
    log: PublicLog, head: TreeHead, check_entry: CheckEntry | None = None
) -> tuple[list[str], Statements]:
    """What is wrong with the files of a log whose `head` was verified, the first bad thing first.

    `check_entry` raises `LedgerError` for an entry that may not be in the log; by default entries
    are leaves of our ledger.
    """
    checking = _Checking(log, head, check_entry or check_leaf)
    problems: list[str] = []
    for problem in checking.problems():
        if len(problems) == _MOST_PROBLEMS:
            problems.append("and more")
            break
        problems.append(problem)
    return problems, Statements(checking.logged, checking.found)


def check_leaf(entry: bytes) -> None:
    """Raise `LedgerError` unless an entry is a leaf of a known type, in its canonical form."""
    match = _LEAF.fullmatch(entry)
    if match is None or int(match[2]) > LEAF_TYPES.get(match[1].decode(), 0):
        Leaf.parse(entry)


class _Checking:
    def __init__(self, log: PublicLog, head: TreeHead, check_entry: CheckEntry) -> None:
        self._log = log
        self._head = head
        self._check_entry = check_entry
        # Of each level, the hashes of its unfinished tile; and how many tiles are behind it.
        self._open: list[list[bytes]] = []
        self._done: list[int] = []
        self._roots: list[bytes] = []  # of bundles: above them the tree has the same shape
        self.logged = self.found = 0

    def problems(self) -> Iterator[str]:
        for index in range(-(-self._head.size // WIDTH)):
            try:
                entries = self._bundle(index)
            except (BadInputError, LedgerError) as error:
                # Without these entries nothing above them can be computed.
                yield str(error)
                return
            yield from self._entry_problems(entries, index * WIDTH)
            hashes = [merkle.leaf_hash(entry) for entry in entries]
            self._roots.append(merkle.root_hash(hashes))
            yield from self._add(0, hashes, self._roots[-1])
        for level, hashes in enumerate(self._open):
            if hashes:
                yield from self._compare(level, hashes)
        if merkle.root_hash(self._roots) != self._head.root:
            yield "the log's entries do not make the signed root"

    def _bundle(self, index: int) -> list[bytes]:
        address = Tile(-1, index, tile_width(-1, index, self._head.size))
        entries = decode_bundle(self._log.tile(address))
        if len(entries) != address.width:
            raise LedgerError(f"the log's {address.path} has a wrong number of entries")
        return entries

    def _entry_problems(self, entries: list[bytes], first: int) -> Iterator[str]:
        for index, entry in enumerate(entries, start=first):
            try:
                self._check_entry(entry)
            except LedgerError as error:
                yield f"leaf {index}: {error}"
                continue
            match = _LEAF.fullmatch(entry)
            folder = PUBLIC_STATEMENTS.get(match[1].decode()) if match else None
            if folder:
                yield from self._statement_problem(index, folder, entry[11:75].decode())

    def _statement_problem(self, index: int, folder: str, digest: str) -> Iterator[str]:
        self.logged += 1
        name = f"{folder}/{digest}"
        try:
            data = self._log.files.read(name)
        except NotFoundError:
            return
        self.found += 1
        try:
            parse_envelope(data)
        except BadInputError as error:
            yield f"{name}: {error}"
            return
        if sha256_hex(data) != digest:
            yield f"{name} is not what leaf {index} says"

    def _add(self, level: int, hashes: list[bytes], root: bytes) -> Iterator[str]:
        """Add hashes of at most a tile's width to a level, and what that fills to those above."""
        while len(self._open) <= level:
            self._open.append([])
            self._done.append(0)
        gathered = self._open[level]
        gathered += hashes
        if len(gathered) < WIDTH:
            return
        yield from self._compare(level, gathered)
        self._open[level] = []
        self._done[level] += 1
        above = root if level == 0 else merkle.root_hash(gathered)
        yield from self._add(level + 1, [above], b"")

    def _compare(self, level: int, hashes: list[bytes]) -> Iterator[str]:
        address = Tile(level, self._done[level], len(hashes))
        try:
            stored = self._log.tile(address)
        except (BadInputError, LedgerError) as error:
            yield str(error)
            return
        if stored != b"".join(hashes):
            yield f"the log's {address.path} contradicts its entries"
