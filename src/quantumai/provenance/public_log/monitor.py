"""The monitor: remembers the last checkpoint of a public log and alarms when the log misbehaves.

The state file is that checkpoint, a signed note like any other. It is written whole and durably,
only after everything held, and never moves backwards, whoever else uses it at the same time.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from quantumai import merkle
from quantumai.bounded_reading import read_bounded, shown_path
from quantumai.crypto_mode import CryptoMode
from quantumai.errors import (
    BadInputError,
    EvidenceError,
    LedgerError,
    QuantumAIError,
)
from quantumai.provenance.ledger.checkpoint import TreeHead, stated_head
from quantumai.provenance.ledger.consistency import require_growth
from quantumai.provenance.ledger.cosignatures import voices
from quantumai.provenance.ledger.tiles import WIDTH, Tile, decode_bundle, tile_width
from quantumai.provenance.public_log.static_files import PublicLog, StaticFiles
from quantumai.provenance.public_log.tree_check import CheckEntry, check_leaf
from quantumai.provenance.verification.freshness import verified_head
from quantumai.provenance.verification.trust import TrustFile
from quantumai.storage.durable_files import replace_file
from quantumai.storage.folder_lock import locked_folder
from quantumai.storage.unwritable import cannot_write

_LONGEST_STATE = 1 << 20


class AlarmKind(StrEnum):
    """What a log was caught at."""

    WRONG_ORIGIN = "wrong-origin"
    BAD_SIGNATURE = "bad-signature"
    ROLL_BACK = "roll-back"
    SPLIT_VIEW = "split-view"
    BAD_ENTRIES = "bad-entries"
    NO_QUORUM = "no-quorum"


class AlarmError(LedgerError):
    """The log misbehaved; the state was left as it was."""

    def __init__(self, kind: AlarmKind, message: str) -> None:
        super().__init__(f"{kind}: {message}", hint="keep the state file and both checkpoints")
        self.kind = kind


@dataclass(frozen=True)
class Observation:
    """A look that found nothing wrong: the head now, the size remembered before (None: nothing).

    `witnesses` are those that cosigned, with the time that each states.
    """

    head: TreeHead
    former_size: int | None
    witnesses: dict[str, int]


class Monitor:
    """Watches one log under a trust file, with its memory in the file `state`."""

    def __init__(self, trust: TrustFile, state: Path, check_entry: CheckEntry = check_leaf) -> None:
        self._trust = trust
        self._mode: CryptoMode = trust.least_crypto_mode
        self._state = state
        self._check_entry = check_entry

    def look(self, files: StaticFiles) -> Observation:
        """Check the log's checkpoint and what is new since the last look; then remember it.

        Raises `AlarmError` when the log misbehaves, `StorageError` when it cannot be read now or
        the disk is full, and `BadInputError` for a state file that is none or cannot be.
        """
        former = self.remembered()
        try:
            log = PublicLog(files)
        except EvidenceError as error:
            raise AlarmError(AlarmKind.BAD_SIGNATURE, str(error)) from None
        head = self._verified(log)
        if former is not None:
            self._require_growth(log, former, head)
        self._check_new_entries(log, head, former.size if former else 0)
        heard = self._heard(log)
        self._remember(log.checkpoint, head)
        return Observation(head, former.size if former else None, heard)

    def remembered(self) -> TreeHead | None:
        """The head in the state file, None if there is no such file yet."""
        try:
            # Resolved first: a loop of links is nothing at all to `exists`.
            folder = self._state.resolve().parent
            if not self._state.exists():
                if not folder.is_dir():
                    raise NotADirectoryError(0, f"there is no directory {shown_path(folder)}")
                return None
        except (OSError, ValueError, RuntimeError) as error:
            raise self._unusable(error) from None
        data = read_bounded(self._state, _LONGEST_STATE, "the state file")
        try:
            return verified_head(data, self._trust, self._mode)
        except EvidenceError as error:
            # What it says was checked when it was written, so somebody changed file or trust file.
            raise BadInputError(
                f"the state file {shown_path(self._state)} is no checkpoint of this log: {error}",
                hint="restore it, or use another file",
            ) from None

    def _verified(self, log: PublicLog) -> TreeHead:
        if log.head.origin != self._trust.ledger.origin:
            message = f"{log.head.origin[:80]!r} instead of {self._trust.ledger.origin[:80]!r}"
            raise AlarmError(AlarmKind.WRONG_ORIGIN, message)
        try:
            return verified_head(log.checkpoint, self._trust, self._mode)
        except EvidenceError as error:
            raise AlarmError(AlarmKind.BAD_SIGNATURE, str(error)) from None

    def _require_growth(self, log: PublicLog, former: TreeHead, head: TreeHead) -> None:
        kind = AlarmKind.ROLL_BACK if head.size < former.size else AlarmKind.SPLIT_VIEW
        try:
            require_growth(log.consistency_proof, former, head)
        except EvidenceError as error:
            raise AlarmError(kind, _without(str(error), kind)) from None

    def _check_new_entries(self, log: PublicLog, head: TreeHead, since: int) -> None:
        """Hash the new entries up to the signed root, so that none of them can be hidden."""
        first = since // WIDTH
        try:
            roots = []
            for number in range(0, first, WIDTH):  # of the bundles that were seen before
                tile = Tile(1, number // WIDTH, tile_width(1, number // WIDTH, head.size))
                data = log.tile(tile)
                roots += [data[i : i + 32] for i in range(0, len(data), 32)]
            del roots[first:]
            for number in range(first, -(-head.size // WIDTH)):
                width = tile_width(-1, number, head.size)
                entries = decode_bundle(log.tile(Tile(-1, number, width)))
                for entry in entries:
                    self._check_entry(entry)
                roots.append(merkle.root_hash([merkle.leaf_hash(entry) for entry in entries]))
        except EvidenceError as error:
            raise AlarmError(AlarmKind.BAD_ENTRIES, str(error)) from None
        if merkle.root_hash(roots) != head.root:
            raise AlarmError(AlarmKind.BAD_ENTRIES, "the entries do not make the signed root")

    def _heard(self, log: PublicLog) -> dict[str, int]:
        witnesses = self._trust.witnesses
        only = self._mode is not CryptoMode.CLASSICAL
        try:
            heard = voices(log.checkpoint, witnesses.keys(), post_quantum_only=only)
        except EvidenceError as error:
            raise AlarmError(AlarmKind.BAD_SIGNATURE, f"of a witness: {error}") from None
        if len(heard) < witnesses.quorum:
            message = f"{len(heard)} of the {witnesses.quorum} witnesses asked for cosigned"
            raise AlarmError(AlarmKind.NO_QUORUM, message)
        return heard

    def _remember(self, checkpoint: bytes, head: TreeHead) -> None:
        try:
            with locked_folder(self._state.resolve().parent):
                known = self.remembered()
                if known is None or known.size <= head.size:
                    replace_file(self._state.resolve(), checkpoint)
        except OSError as error:
            raise self._unusable(error) from error

    def _unusable(self, error: Exception) -> QuantumAIError:
        return cannot_write(self._state, error, "the state file", hint="give another --state")


def remembered_checkpoint(path: Path) -> bytes:
    """The checkpoint that somebody kept in a file. Raises `BadInputError` if it is none."""
    data = read_bounded(path, _LONGEST_STATE, "the remembered checkpoint")
    try:
        stated_head(data)
    except EvidenceError as error:
        raise BadInputError(
            f"{shown_path(path)} is no checkpoint: {error}",
            hint="keep the file `checkpoint` of an export, or a state file of `qai ledger watch`",
        ) from None
    return data


def _without(message: str, kind: AlarmKind) -> str:
    return message.removeprefix(f"{str(kind).replace('-', ' ')}: ").removeprefix(f"{kind}: ")
