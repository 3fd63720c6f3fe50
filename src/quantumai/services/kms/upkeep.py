"""What a key service does by itself: destroy what is due, tell the ledger, anchor the audit log.

A failure is logged and the next round tries again: the service goes on, and what is due stays due.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from quantumai.errors import QuantumAIError

if TYPE_CHECKING:
    from quantumai.services.wiring import Home

_LOG = logging.getLogger("quantumai.kms")
EVERY_S = 60.0


def upkeep_once(home: Home, anchored: int) -> int:
    """One round; `anchored` and the answer are sizes of the audit log.

    Nothing is anchored while all that is new are the entries of the last anchoring itself.
    """
    home.open_kms().destroy_due()
    sealer = home.open_sealer()
    sealer.ensure_ready()
    if sealer.keys.audit_head().size <= anchored:
        return anchored
    sealer.ledger.append([sealer.audit_leaf()])
    return sealer.keys.audit_head().size


@contextmanager
def running_upkeep(home: Home, every_s: float = EVERY_S) -> Iterator[None]:
    """Rounds of upkeep in a thread, the first at once, until the block ends."""
    over = threading.Event()

    def work() -> None:
        anchored = 0
        while not over.is_set():
            try:
                anchored = upkeep_once(home, anchored)
            except QuantumAIError as error:
                _LOG.warning("upkeep failed, and is tried again: %s", error.code)
            over.wait(every_s)

    thread = threading.Thread(target=work, name="kms-upkeep", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(every_s)
