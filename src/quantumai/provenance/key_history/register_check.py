"""Whether the KMS's register and the ledger's key events say the same."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from quantumai.keys.management.internal_keys import InternalKeys
from quantumai.keys.management.records import KeyVersion
from quantumai.provenance.key_history.key_announcements import missing_events
from quantumai.provenance.key_history.key_events import KeyEvent, KeyEventKind, LoggedEvent
from quantumai.provenance.key_history.key_rotations import ROOT


def register_problems(keys: InternalKeys, events: Iterable[LoggedEvent]) -> Iterator[str]:
    """Where they differ: an event that was never logged, a key that is told otherwise, or is gone.

    A process that died between the two leaves events to log; the next one that seals logs them.
    """
    entries = list(events)
    known = {key.key_id: key for key in keys.every_version() if key.key_id}
    for event in missing_events(keys, entries, ""):
        yield f"the {event.event} of key {event.alias}/{event.key_version} is not in the ledger"
    for event in (entry.event for entry in entries):
        key = known.get(event.key_id)
        if event.alias == ROOT:
            continue
        if key is None:
            yield f"key {event.alias}/{event.key_version} is in the ledger and not in the register"
        elif event.event is KeyEventKind.ACTIVATION and not _fits(event, key):
            yield f"key {key.label} is told otherwise by the ledger"


def _fits(event: KeyEvent, key: KeyVersion) -> bool:
    public = key.public_key
    return public is not None and (
        event.alias,
        event.key_version,
        event.algorithm,
        event.spki,
        event.provider,
    ) == (key.name, key.version, public.algorithm, public.spki, key.provider)
