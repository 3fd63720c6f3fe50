"""Files that an auditor hands to a verification: trust, a remembered checkpoint, and others."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from quantumai.bounded_reading import read_bounded
from quantumai.errors import BadInputError

if TYPE_CHECKING:
    from quantumai.provenance.manifest.counter_signature import CounterEvidence
    from quantumai.provenance.verification.freshness import Remembered
    from quantumai.provenance.verification.trust import TrustFile

_MOST_BYTES = 8 << 20


def read_evidence(path: Path, what: str) -> bytes:
    """A file of evidence; `what` names it in errors ("the proof"). Raises `BadInputError`."""
    return read_bounded(path, _MOST_BYTES, what)


def trust_file(path: Path) -> TrustFile:
    """The trust file at `path`. Raises `BadInputError`."""
    from quantumai.provenance.verification.trust import TrustFile

    return TrustFile.parse(read_evidence(path, "the trust file"))


def is_there(path: Path) -> bool:
    """Whether something is at `path`; no for a path that cannot be, such as one too long."""
    return _answered(path.exists)


def is_folder(path: Path) -> bool:
    """Whether a folder is at `path`; no for a path that cannot be."""
    return _answered(path.is_dir)


def remembered_checkpoint(file: Path | None, ledger: Path | None) -> Remembered | None:
    """The checkpoint in `file`, with proofs of consistency out of the exported `ledger` folder."""
    from quantumai.provenance.public_log.static_files import FolderFiles, PublicLog
    from quantumai.provenance.verification.freshness import Remembered

    if file is None:
        if ledger is not None:
            raise BadInputError(
                "--ledger goes with --remembered", hint="name the checkpoint that you kept"
            )
        return None
    checkpoint = read_evidence(file, "the remembered checkpoint")
    if ledger is None:
        return Remembered(checkpoint)
    return Remembered(checkpoint, PublicLog(FolderFiles(ledger)).consistency_proof)


def counter_evidence(file: Path | None) -> CounterEvidence | None:
    """A counter-signature in `file`; its proof lies beside it, with the ending .proof."""
    from quantumai.provenance.manifest.counter_signature import CounterEvidence

    if file is None:
        return None
    return CounterEvidence(
        read_evidence(file, "the counter-signature"),
        read_evidence(file.with_suffix(".proof"), "the counter-signature's proof"),
    )


def _answered(ask: Callable[[], bool]) -> bool:
    try:
        return ask()
    except (OSError, ValueError):
        return False
