"""Files that an auditor may add to a verification: a remembered checkpoint, a counter-signature."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from quantumai.bounded_reading import read_bounded
from quantumai.errors import BadInputError

if TYPE_CHECKING:
    from quantumai.provenance.manifest.counter_signature import CounterEvidence
    from quantumai.provenance.verification.freshness import Remembered

_MOST_BYTES = 8 << 20


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
    checkpoint = read_bounded(file, _MOST_BYTES, "the remembered checkpoint")
    if ledger is None:
        return Remembered(checkpoint)
    return Remembered(checkpoint, PublicLog(FolderFiles(ledger)).consistency_proof)


def counter_evidence(file: Path | None) -> CounterEvidence | None:
    """A counter-signature in `file`; its proof lies beside it, with the ending .proof."""
    from quantumai.provenance.manifest.counter_signature import CounterEvidence

    if file is None:
        return None
    return CounterEvidence(
        read_bounded(file, _MOST_BYTES, "the counter-signature"),
        read_bounded(file.with_suffix(".proof"), _MOST_BYTES, "the counter-signature's proof"),
    )
