"""The states that keys must be in by the audit log, worked out entry by entry.

Where an entry leaves two answers open (a rotation completed by a repair does not say whether the
former version went on), both are kept: a row has to be in one of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from quantumai.canonical import sha256_hex
from quantumai.keys.audit.entry import AuditEntry
from quantumai.keys.management.built_in import INTERNAL
from quantumai.keys.management.ending import LONGEST_WAIT_DAYS
from quantumai.keys.management.one_change import hashable
from quantumai.keys.management.states import KeyState
from quantumai.storage.database import Row

_APART = timedelta(minutes=5)  # between a row's own time and the end of the call
_S = KeyState
States = frozenset[KeyState]
_Version = tuple[str, str, int]


@dataclass
class AuditedKey:
    """What the log allows of one version. `before` are its states before destruction was set.

    `destroys` is the newest scheduling of its destruction, `voids` the newest compromise of it
    alone; None where its row may say anything of that. `was_void` tells of any compromise, and
    `ended` holds the calls that may have retired it.
    """

    states: States
    before: States = frozenset()
    may_be_retired: bool = False
    must_be_retired: bool = False
    destroys: AuditEntry | None = None
    voids: AuditEntry | None = None
    was_void: bool = False
    ended: list[AuditEntry] = field(default_factory=list)


@dataclass
class AuditedStates:
    """Every version that was ever active, by tenant, name and number."""

    rows: dict[_Version, Row]
    keys: dict[_Version, AuditedKey] = field(default_factory=dict)

    def follow(self, entries: Iterable[AuditEntry]) -> None:
        """Take in entries of calls that succeeded, in the log's order."""
        for entry in entries:
            if entry.version is None:
                continue
            at = (entry.tenant, entry.key, entry.version)
            if entry.operation == "create":
                self.keys[at] = AuditedKey(frozenset({_S.ACTIVE}))
            elif entry.operation in ("rotate", "emergency-rotate"):
                self._rotated(at, entry)
            elif entry.operation == "destroyed":
                gone = self.keys.setdefault(at, AuditedKey(frozenset()))
                gone.states = frozenset({_S.DESTROYED})
                gone.ended.append(entry)
            elif at in self.keys:
                _moved(self.keys[at], entry)

    def problems(self) -> Iterator[str]:
        """Rows that say something else."""
        for at, row in self.rows.items():
            known = self.keys.get(at)
            # Before it is ever active a version may be given up, which is no call of its own.
            states = known.states if known else frozenset({_S.PRE_ACTIVE, _S.DESTROYED})
            label = f"{row['name']}/{row['version']}"
            if row["state"] not in states:
                yield f"key {label} is {row['state']}, by the audit log {_either(states)}"
            elif known is not None:
                yield from _time_problems(label, known, row)
        yield from (f"key {at[1]}/{at[2]} has no row" for at in self.keys.keys() - self.rows.keys())

    def _rotated(self, at: _Version, entry: AuditEntry) -> None:
        tenant, name, number = at
        overlaps = self._overlaps(at, entry)
        for (of, other, version), key in self.keys.items():
            if (of, other) != (tenant, name) or version == number or overlaps is True:
                continue
            key.may_be_retired = True
            key.ended.append(entry)
            key.must_be_retired = key.must_be_retired or overlaps is False
            if _S.ACTIVE in key.states:
                stays = key.states if overlaps is None else key.states - {_S.ACTIVE}
                key.states = stays | {_S.VERIFY_ONLY}
        self.keys[at] = AuditedKey(frozenset({_S.ACTIVE}))

    def _overlaps(self, at: _Version, entry: AuditEntry) -> bool | None:
        """Whether former versions went on; None where the entry does not say."""
        if entry.operation == "emergency-rotate":
            return False
        provider = self.rows[at]["provider"] if at in self.rows else ""
        for overlap in (False, True):
            for named in ("", provider):
                call = {"name": at[1], "provider": named, "overlap": overlap}
                if sha256_hex(hashable(call)) == entry.payload_sha256:
                    return overlap
        return None


def _moved(key: AuditedKey, entry: AuditEntry) -> None:
    """One call about a version that was made before."""
    operation = entry.operation
    if operation == "retire":
        key.states = frozenset({_S.VERIFY_ONLY})
        key.may_be_retired = key.must_be_retired = True
        key.ended.append(entry)
    elif operation == "disable":
        key.states = frozenset({_S.DISABLED})
    elif operation == "enable":
        possible = {_S.ACTIVE} - ({_S.ACTIVE} if key.must_be_retired else set())
        key.states = frozenset(possible | ({_S.VERIFY_ONLY} if key.may_be_retired else set()))
    elif operation == "destroy":
        key.before, key.states = key.states, frozenset({_S.DESTROY_SCHEDULED})
        key.destroys = entry
    elif operation == "cancel-destroy":
        void = _S.COMPROMISED in key.before
        key.states = frozenset({_S.COMPROMISED if void else _S.DISABLED})
    elif operation in ("compromised", "emergency-void"):
        key.was_void = True
        key.voids = entry if operation == "compromised" else None
        # One whose day of destruction has come stays what it is.
        late = key.destroys is not None and _due(key.destroys) <= datetime.fromisoformat(entry.at)
        stays = {_S.DESTROYED} | ({_S.DESTROY_SCHEDULED} if late else set())
        key.states = frozenset(s if s in stays else _S.COMPROMISED for s in key.states)


def _time_problems(label: str, known: AuditedKey, row: Row) -> Iterator[str]:
    destroys, voids = known.destroys, known.voids
    yield from _retirement_problems(label, known, row)
    if row["compromised_from"] is not None and not known.was_void:
        yield f"key {label} is void from a leaf, and was never reported compromised"
    if row["state"] == _S.DESTROY_SCHEDULED and destroys is not None:
        told = row["destroy_at"]
        if not told or abs(datetime.fromisoformat(told) - _due(destroys)) > _APART:
            yield f"key {label} is not to be destroyed on the day that was asked for"
        if row["former_state"] not in known.before:
            yield f"key {label} was {_either(known.before)} before, not {row['former_state']}"
    if voids is not None and voids.principal != INTERNAL.principal:
        calls = (
            {"name": row["name"], "version": version, "from_index": row["compromised_from"]}
            for version in (0, row["version"])
        )
        if all(sha256_hex(hashable(call)) != voids.payload_sha256 for call in calls):
            yield f"key {label} is void from another leaf than was said"


def _retirement_problems(label: str, known: AuditedKey, row: Row) -> Iterator[str]:
    """What a key comes back as, once it is enabled again, depends on whether it was retired."""
    told = row["retired_at"]
    if told:
        at = datetime.fromisoformat(told)
        ends = (datetime.fromisoformat(entry.at) for entry in known.ended)
        if not any(abs(end - at) <= _APART for end in ends):
            yield f"key {label} was not retired when its row says"
        return
    # What was compromised by then is not retired as well.
    may_come_back = row["state"] in (_S.DISABLED, _S.DESTROY_SCHEDULED) and not known.was_void
    if row["state"] == _S.VERIFY_ONLY or (may_come_back and known.must_be_retired):
        yield f"key {label} was retired, and its row does not say so"


def _due(entry: AuditEntry) -> datetime:
    """The day of destruction that a call asked for; how long to wait stands in its hash alone."""
    for days in range(1, LONGEST_WAIT_DAYS + 1):
        for version in (0, entry.version):
            call = {"name": entry.key, "version": version, "waiting_days": days}
            if sha256_hex(hashable(call)) == entry.payload_sha256:
                return datetime.fromisoformat(entry.at) + timedelta(days=days)
    return datetime.max.replace(tzinfo=UTC)


def _either(states: States) -> str:
    return " or ".join(sorted(states)) or "unknown"
