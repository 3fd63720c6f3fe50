"""Heads of the audit log: its size and Merkle root, without hashing everything again each time."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import msgspec

from quantumai.errors import LedgerError
from quantumai.keys.audit.entry import NOTHING_BEFORE, link_to
from quantumai.keys.audit.known_end import KnownEnd
from quantumai.keys.audit.rows import AuditRows
from quantumai.merkle import Frontier

_HINT = "`qai kms audit verify` says more; restore the newest backup of the database"


@dataclass(frozen=True)
class AuditHead:
    """The log's first `size` entries and their Merkle root (RFC 6962, SHA-256, 32 bytes)."""

    size: int
    root: bytes


class HeadReader:
    """Reads heads; each call hashes only the entries that are new since the last one.

    `known` is an end that the log has to have, and learns what is found.
    """

    def __init__(self, rows: AuditRows, known: KnownEnd) -> None:
        self._rows = rows
        self._known = known
        self._lock = threading.Lock()
        self._frontier = Frontier()
        self._link = NOTHING_BEFORE  # to the last entry that is in the frontier

    def head(self, least: AuditHead | None = None) -> AuditHead:
        """The head of the log as it is stored now.

        Raises `LedgerError` if entries that were known before are gone or changed, if new ones do
        not follow each other, or if the log does not extend `least` (looked at when its size is
        passed): such a log must not be vouched for.
        """
        with self._lock:
            known = self._known.end
            newest = self._rows.newest()
            size = newest[0] + 1 if newest else 0
            require_kept(self._rows, newest, *known)
            require_kept(self._rows, newest, self._frontier.size, self._link)
            if least is not None and size < least.size:
                raise LedgerError(
                    f"the audit log has {size} entries, but {least.size} were vouched for: "
                    "an older copy of the database was put back",
                    hint=_HINT,
                )
            for sequence in range(self._frontier.size, size):
                self._add(sequence, self._rows.at(sequence))
                if least is None or self._frontier.size != least.size:
                    continue
                if self._frontier.root() != least.root:
                    raise LedgerError(
                        f"the first {least.size} audit entries are not those vouched for",
                        hint=_HINT,
                    )
            self._known.learn((size, self._link))
            return AuditHead(size, self._frontier.root())

    def _add(self, sequence: int, text: str | None) -> None:
        if text is None:
            raise LedgerError(f"audit entry {sequence} is missing", hint=_HINT)
        try:
            previous = msgspec.json.decode(text, type=_Link).previous
        except (msgspec.DecodeError, UnicodeError):
            raise LedgerError(f"audit entry {sequence} is damaged", hint=_HINT) from None
        if previous != self._link:
            raise LedgerError(f"audit entry {sequence} does not follow the one before", hint=_HINT)
        self._link = link_to(text)
        self._frontier.add(bytes.fromhex(self._link))


class _Link(msgspec.Struct, frozen=True):
    """The one field that catching up looks at; verification reads the others."""

    previous: str


def require_kept(rows: AuditRows, newest: tuple[int, str] | None, known: int, link: str) -> None:
    """Raise `LedgerError` unless a log that ends in `newest` still has its first `known` entries.

    `link` is the leaf hash (hex) of the last known entry, whose chain holds all before it.
    """
    if known == 0:
        return
    if newest is None or newest[0] < known - 1:
        raise LedgerError(
            f"the audit log has {newest[0] + 1 if newest else 0} entries, but had {known}: "
            "entries were cut off or an older copy put back",
            hint=_HINT,
        )
    text = newest[1] if newest[0] == known - 1 else rows.at(known - 1)
    if link_to(text or "") != link:
        raise LedgerError(f"audit entry {known - 1} was changed since it was written", hint=_HINT)
