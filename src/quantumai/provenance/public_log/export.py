"""The ledger as static files that any C2SP tlog-tiles client reads.

Everything is built from the commits and checked against signed roots before it is written; the
checkpoint comes last, so that whoever reads meanwhile sees a whole log. Exporting again into the
same folder adds what is new: tiles are only ever created, and the checkpoint only moves forward.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from quantumai.bounded_reading import shown_path
from quantumai.canonical import sha256_hex
from quantumai.errors import BadInputError, LedgerError, NotFoundError
from quantumai.provenance.ledger.checkpoint import TreeHead, with_signatures
from quantumai.provenance.ledger.commits import Commit, CommitLog
from quantumai.provenance.ledger.note import Note
from quantumai.provenance.ledger.run_ledger import Ledger
from quantumai.provenance.ledger.tiles import WIDTH, TileTree, tiles_of
from quantumai.provenance.public_log.cosigned_checkpoints import require_own
from quantumai.provenance.public_log.static_files import CHECKPOINT, FolderFiles, PublicLog
from quantumai.provenance.public_log.tree_check import PUBLIC_STATEMENTS
from quantumai.storage.durable_files import (
    TEMPORARY_PREFIX,
    create_file,
    make_folder,
    replace_file,
)
from quantumai.storage.folder_lock import locked_folder
from quantumai.storage.objects import ObjectStore
from quantumai.storage.unwritable import cannot_write

_AT_ONCE = 16 * WIDTH
_OURS = {"tile", *PUBLIC_STATEMENTS.values()}


@dataclass(frozen=True)
class Exported:
    """Head that the folder is at now, its size before, statements written now and those missing."""

    head: TreeHead
    since: int
    statements: int
    missing: tuple[str, ...]


def export_ledger(
    ledger: Ledger, objects: ObjectStore, checkpoint_after: Callable[[int], bytes], folder: Path
) -> Exported:
    """Bring `folder` to a checkpoint of the ledger, with cosignatures or without.

    `checkpoint_after(size)` chooses it, given the size that the folder has already. Raises
    `BadInputError` for a folder that holds something else or cannot be, `LedgerError` for one whose
    log contradicts this ledger or is longer, and `StorageError` where the disk fails.
    """
    try:
        make_folder(folder)
        with locked_folder(folder):
            since = _former_size(ledger, folder)
            checkpoint = checkpoint_after(since)
            head = require_own(ledger, checkpoint)
            if since > head.size:
                raise LedgerError(
                    f"{shown_path(folder)} holds {since} leaves, but only {head.size} are here",
                    hint="if the ledger was rolled back, restore it before going on",
                )
            _write_tiles(ledger, folder, since, head)
            written, missing = _write_statements(ledger, objects, folder, head.size)
            # Cosignatures that are there already stay, if they are of the same head.
            replace_file(folder / CHECKPOINT, _with_former(folder, checkpoint, since, head))
    except OSError as error:
        raise cannot_write(folder, error) from error
    return Exported(head, since, written, missing)


def _former_size(ledger: Ledger, folder: Path) -> int:
    """Size of the log that is in the folder: 0 for none; it must be this ledger's."""
    if not (folder / CHECKPOINT).exists():
        others = {p.name for p in folder.iterdir() if not p.name.startswith(TEMPORARY_PREFIX)}
        if unknown := others - _OURS:
            raise BadInputError(
                f"{shown_path(folder)} holds something else: {shown_path(min(unknown))}",
                hint="export into a new folder, or into one that was exported to",
            )
        return 0
    former = PublicLog(FolderFiles(folder))
    if former.head.origin != ledger.origin:
        raise BadInputError(
            f"{shown_path(folder)} holds another log: {former.head.origin[:80]!r}",
            hint="export into a new folder",
        )
    if former.head.size > ledger.size():
        return former.head.size
    require_own(ledger, former.checkpoint)
    return former.head.size


def _with_former(folder: Path, checkpoint: bytes, since: int, head: TreeHead) -> bytes:
    if since != head.size or not since:
        return checkpoint
    former = (folder / CHECKPOINT).read_bytes()
    return with_signatures(former, Note.parse(checkpoint).signatures)


def _write_tiles(ledger: Ledger, folder: Path, since: int, head: TreeHead) -> None:
    """Tiles from size `since` on; those that are unfinished only at the end."""
    tree = TileTree(since, PublicLog(FolderFiles(folder)).tile if since else _no_tile)
    for entries, signed in _batches(ledger, since, head):
        grown = tree.extended(entries)
        if (grown.size, grown.root()) != (signed.size, signed.root):
            raise LedgerError(
                f"what {shown_path(folder)} holds does not make the ledger's signed root",
                hint="`qai ledger verify`, also with --from; then export into a new folder",
            )
        for tile in tiles_of(grown.size, tree.size):
            if tile.width == WIDTH:
                _create(folder / tile.path, grown.tile_bytes(tile))
        tree = grown
    for tile in tiles_of(head.size, since):
        if tile.width < WIDTH:
            _create(folder / tile.path, tree.tile_bytes(tile))


def _batches(ledger: Ledger, since: int, head: TreeHead) -> Iterator[tuple[list[bytes], TreeHead]]:
    """Entries of whole commits after size `since`, with the signed head after each batch."""
    commits = CommitLog(ledger.objects)
    size, entries = since, []
    number = _number_after(commits, since)
    while size < head.size:
        commit = commits.read(number)
        if commit.first != size:
            raise LedgerError(f"ledger commit {number} does not follow the one before it")
        entries += [leaf.entry for leaf in commit.entries]
        size, number = commit.size, number + 1
        if len(entries) >= _AT_ONCE or size >= head.size:
            yield entries, require_own(ledger, commit.checkpoint.encode())
            entries = []


def _number_after(commits: CommitLog, size: int) -> int:
    """Number of the commit that starts at `size`, or after the last one."""
    newest = commits.newest()
    low, high = 1, newest.number + 1 if newest else 1
    while low < high:
        middle = (low + high) // 2
        commit: Commit = commits.read(middle)
        low, high = (low, middle) if commit.first >= size else (middle + 1, high)
    return low


def _write_statements(
    ledger: Ledger, objects: ObjectStore, folder: Path, size: int
) -> tuple[int, tuple[str, ...]]:
    written, missing = 0, []
    for kind, place in PUBLIC_STATEMENTS.items():
        for index, leaf in ledger.leaves(kind):
            name = f"{place}/{leaf.sha256}"
            if index >= size or (folder / name).exists():
                continue
            try:
                data = objects.get(name)
            except NotFoundError:
                missing.append(name)
                continue
            if sha256_hex(data) != leaf.sha256:
                raise LedgerError(f"{name} is not what leaf {index} of the ledger says")
            _create(folder / name, data)
            written += 1
    return written, tuple(missing)


def _create(path: Path, data: bytes) -> None:
    make_folder(path.parent)
    if not create_file(path, data) and path.read_bytes() != data:
        raise LedgerError(
            f"{shown_path(path)} is there with other content",
            hint="`qai ledger verify --from` says what is wrong; export into a new folder",
        )


def _no_tile(tile: object) -> bytes:
    raise AssertionError(f"{tile} is held in memory")
