"""What the register says of keys and the ledger does not know yet: events and rotations.

The register changes first. A process that dies before the ledger knows leaves that to the next one,
and until then nothing that a new key signs is appended: its activation comes first.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator
from typing import Any

from quantumai.canonical import sha256_hex
from quantumai.keys.dsse_encoding import IN_TOTO_PAYLOAD_TYPE
from quantumai.keys.management.built_in import AUTHORITY
from quantumai.keys.management.internal_keys import InternalKeys
from quantumai.keys.management.records import KeyPurpose, KeyVersion
from quantumai.keys.management.states import KeyState
from quantumai.provenance.key_history.key_events import KeyEvent, KeyEventKind, LoggedEvent
from quantumai.provenance.statements.dsse import Envelope, Signature

ROTATION_LEAF = "key-rotation"
# As many as a proof file takes; whoever believes an older one needs a new trust file.
_MOST_ROTATIONS = 16
_ANNOUNCED = (KeyPurpose.STATEMENT, KeyPurpose.CHECKPOINT, KeyPurpose.AUDIT)


def missing_events(
    keys: InternalKeys, logged: Iterable[LoggedEvent], created_at: str
) -> list[KeyEvent]:
    """The events of the home's keys that are not among those logged."""
    known = {_identity(entry.event) for entry in logged}
    due = [
        KeyEvent.of(kind, key, created_at, keys.validation(key))
        for key in keys.every_version()
        if key.purpose in _ANNOUNCED and key.key_id
        for kind in _kinds(key)
    ]
    return [event for event in due if _identity(event) not in known]


def missing_rotations(keys: InternalKeys, logged: Iterable[str]) -> list[bytes]:
    """Envelopes of rotation announcements that are not in the ledger.

    `logged` are the SHA-256 (hex) of the announcements that are.
    """
    known = set(logged)
    announced = [keys.announcement(key) for key in keys.every_version() if key.version > 1]
    made = [_envelope(announcement).data for announcement in announced if announcement is not None]
    return [envelope for envelope in made if sha256_hex(envelope) not in known]


def authority_rotations(keys: InternalKeys) -> tuple[Envelope, ...]:
    """The newest announcements of the authority's rotations, for who believes a former one."""
    announced = [
        keys.announcement(key)
        for key in keys.every_version()
        if key.name == AUTHORITY and key.version > 1
    ]
    made = [_envelope(announcement) for announcement in announced if announcement is not None]
    return tuple(made[-_MOST_ROTATIONS:])


def _kinds(key: KeyVersion) -> Iterator[KeyEventKind]:
    if key.activated_at:
        yield KeyEventKind.ACTIVATION
        if key.retired_at:
            yield KeyEventKind.RETIREMENT
        if key.state is KeyState.COMPROMISED or key.compromised_from is not None:
            yield KeyEventKind.COMPROMISE


def _identity(event: KeyEvent) -> tuple[str, str, int | None]:
    return event.event, event.key_id, event.from_index


def _envelope(announcement: dict[str, Any]) -> Envelope:
    signatures = tuple(
        Signature(key_id, base64.b64decode(signature))
        for key_id, signature in announcement["signatures"]
    )
    return Envelope(IN_TOTO_PAYLOAD_TYPE, base64.b64decode(announcement["payload"]), signatures)
