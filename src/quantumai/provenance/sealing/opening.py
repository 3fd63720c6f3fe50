"""Opening the sealer of a home: to seal, or only to look, and then nothing is made or appended."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from quantumai.errors import LedgerError
from quantumai.keys.management.built_in import LEDGER_CLASSICAL, LEDGER_PQC
from quantumai.keys.management.internal_keys import InternalKeys
from quantumai.provenance.ledger.commits import CommitLog
from quantumai.provenance.ledger.run_ledger import Ledger
from quantumai.provenance.sealing.checkpoint_signer import KmsCheckpointSigner, ledger_origin
from quantumai.provenance.sealing.sealer import Sealer
from quantumai.provenance.verification.trust import WitnessTrust
from quantumai.storage.objects import ObjectStore
from quantumai.storage.writer_lease import WriterLease


def open_sealer(
    keys: InternalKeys,
    objects: ObjectStore,
    clock: Callable[[], datetime],
    *,
    least_size: int = 0,
    lease: WriterLease | None = None,
    witnesses: WitnessTrust | None = None,
) -> Sealer:
    """A ready sealer over the KMS and a store, with the home's own ledger.

    `least_size` is the number of leaves that are known to exist from elsewhere. Raises
    `LedgerError`, before anything is made or appended, if the ledger has fewer. The ledger is
    written under `lease`, if there is one; `witnesses` as in `Sealer`.
    """
    CommitLog(objects).require_size(least_size)  # before the ledger's keys are made
    origin = ledger_origin(keys)
    ledger = Ledger(objects, origin, KmsCheckpointSigner(keys, origin), clock, lease)
    sealer = Sealer(keys, ledger, objects, clock, witnesses)
    sealer.ensure_ready(least_size)
    return sealer


def look_at_sealer(
    keys: InternalKeys,
    objects: ObjectStore,
    clock: Callable[[], datetime],
    *,
    least_size: int = 0,
    witnesses: WitnessTrust | None = None,
) -> Sealer | None:
    """The sealer as the home left it, to be read only; None for a home that never sealed.

    Raises `LedgerError` if the ledger has fewer leaves than `least_size` or than its caches know,
    or if the keys that signed it are not in the register any more.
    """
    commits = CommitLog(objects)
    commits.require_size(least_size)
    if commits.newest() is None:
        return None
    made = {key.name for key in keys.every_version() if key.public_key}
    if not made.issuperset((LEDGER_CLASSICAL, LEDGER_PQC)):
        raise LedgerError(
            "the run ledger has leaves, but its keys are not in the database",
            hint="restore the newest backup of the database",
        )
    origin = ledger_origin(keys)
    ledger = Ledger(objects, origin, KmsCheckpointSigner(keys, origin), clock)
    ledger.require_size()
    return Sealer(keys, ledger, objects, clock, witnesses)
