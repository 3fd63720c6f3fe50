"""What a key service does by itself: destroy what is due, tell the ledger, anchor the audit log.

Each step is tried whatever became of the others. A failure is logged and the next round tries
again: the service goes on, and what is due stays due.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from quantumai.errors import BadInputError, QuantumAIError
from quantumai.keys.audit.entry import AuditEntry, Outcome
from quantumai.keys.management.built_in import INTERNAL, LEDGER_CLASSICAL, LEDGER_PQC
from quantumai.services.kms.handlers import log_internal

if TYPE_CHECKING:
    from quantumai.services.wiring import Home

_LOG = logging.getLogger("quantumai.kms")
EVERY_S = 60.0

_T = TypeVar("_T")


def upkeep_once(home: Home, anchored: int) -> int:
    """One round; `anchored` and the answer are the size of the audit log that was anchored last."""
    _tried("destroy what is due", lambda: home.open_kms().destroy_due())
    _tried("tell the ledger of the keys", lambda: home.open_sealer().ensure_ready())
    size = _tried("anchor the audit log", lambda: _anchor(home, anchored))
    return anchored if size is None else size


@contextmanager
def running_upkeep(home: Home, every_s: float = EVERY_S) -> Iterator[None]:
    """Rounds of upkeep in a thread, the first at once, until the block ends."""
    over = threading.Event()

    def work() -> None:
        anchored = 0
        while not over.is_set():
            anchored = upkeep_once(home, anchored)
            over.wait(every_s)

    thread = threading.Thread(target=work, name="kms-upkeep", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(every_s)


def _tried(what: str, step: Callable[[], _T]) -> _T | None:
    try:
        return step()
    except QuantumAIError as error:
        _LOG.warning("upkeep failed to %s, and tries again: %s", what, error.code)
    except Exception as error:
        log_internal(error, "upkeep")
    return None


def _anchor(home: Home, anchored: int) -> int:
    """Anchor the audit log, unless all that is new are the entries of anchoring itself."""
    sealer, log = home.open_sealer(), home.open_kms().parts.audit
    head = sealer.keys.audit_head()
    if all(_is_of_anchoring(text) for _, text in log.entries(anchored, head.size - 1)):
        return anchored
    sealer.audit_anchor.anchor(sealer.audit_anchor.signed(head))
    return head.size


def _is_of_anchoring(text: str) -> bool:
    """Whether an entry is of a signature on a new head of the run ledger."""
    try:
        entry = AuditEntry.parse(text)
    except BadInputError:
        return False
    ours = (entry.tenant, entry.principal) == (INTERNAL.tenant, INTERNAL.principal)
    used = entry.operation == "sign" and entry.key in (LEDGER_CLASSICAL, LEDGER_PQC)
    return ours and used and entry.outcome is Outcome.OK
