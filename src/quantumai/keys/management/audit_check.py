"""Whether the database's rows say what the audit log says was done.

The log is a Merkle tree whose heads are anchored elsewhere; the rows are what the KMS goes by. An
entry holds the SHA-256 of a call's canonical arguments, so what a row says can be hashed again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from quantumai.canonical import sha256_hex
from quantumai.keys.audit.entry import AuditEntry, Outcome
from quantumai.keys.management.audited_states import AuditedStates
from quantumai.keys.management.built_in import BUILT_IN, INTERNAL
from quantumai.keys.management.joint_calls import enrolment, removal
from quantumai.keys.management.one_change import hashable
from quantumai.keys.management.parts import KmsParts
from quantumai.keys.management.records import KeyPurpose
from quantumai.keys.management.register import HOME_TENANT
from quantumai.storage.database import Row

_USES = frozenset({"sign", "wrap", "unwrap"})
_MAKING = frozenset({"create", "rotate", "emergency-rotate"})
# The row is written when the provider has made the key, the entry at the end of the call.
_APART = timedelta(minutes=5)


def audit_problems(parts: KmsParts) -> Iterator[str]:
    """Where uses, states, times, policies and approvers differ from what was audited."""
    size = parts.audit.size()
    texts = parts.audit.entries(0, size - 1) if size else iter(())
    done = [entry for _, text in texts if (entry := AuditEntry.parse(text)).outcome is Outcome.OK]
    keys = parts.database.select("kms_keys")
    yield from _key_problems(keys, done)
    states = AuditedStates({(row["tenant"], row["name"], row["version"]): row for row in keys})
    states.follow(done)
    yield from states.problems()
    yield from _policy_problems(parts.database.select("kms_names"), done)
    yield from _approver_problems(parts.database.select("kms_approvers"), done)


def _key_problems(rows: list[Row], done: list[AuditEntry]) -> Iterator[str]:
    used = Counter((e.tenant, e.key, e.version) for e in done if e.operation in _USES)
    made = {
        (e.tenant, e.key_id): datetime.fromisoformat(e.at)
        for e in done
        if e.operation in _MAKING and e.key_id
    }
    for row in rows:
        label, of = f"{row['name']}/{row['version']}", (row["tenant"], row["name"], row["version"])
        # Heads of the audit log itself are counted and not logged.
        if row["purpose"] != KeyPurpose.AUDIT and row["uses"] != used[of]:
            yield f"key {label} counts {row['uses']} uses, the audit log {used[of]}"
        at = made.get((row["tenant"], row["key_id"]))
        told = datetime.fromisoformat(row["activated_at"]) if row["activated_at"] else at
        if at is not None and told is not None and abs(told - at) > _APART:
            yield f"key {label} was not activated when its row says"


def _policy_problems(rows: list[Row], done: list[AuditEntry]) -> Iterator[str]:
    """A policy is that of the newest call that set it; those of built-in keys are fixed.

    Of a key whose making was interrupted, and completed by `qai kms doctor --repair`, the call that
    set the policy may not be in the log.
    """
    for row in rows:
        tenant, name = row["tenant"], row["name"]
        if tenant == HOME_TENANT and name in BUILT_IN:
            continue
        setting = [
            entry
            for entry in done
            if (entry.tenant, entry.key) == (tenant, name)
            and entry.operation in ("create", "set-policy")
        ]
        repaired = any(entry.principal == INTERNAL.principal for entry in setting)
        if repaired and len(setting) == 1:
            continue
        if not setting or setting[-1].payload_sha256 not in _settings(row):
            yield f"the policy of key {name} is not the one that was set"


def _settings(row: Row) -> set[str]:
    """SHA-256 of the calls that would have set this row's policy."""
    made: dict[str, Any] = {name: row[name] for name in ("name", "algorithm", "purpose", "policy")}
    changed: dict[str, Any] = {"name": row["name"]} | row["policy"]
    return {sha256_hex(hashable(made)), sha256_hex(hashable(changed))}


def _approver_problems(rows: list[Row], done: list[AuditEntry]) -> Iterator[str]:
    """Each approver was enrolled, and whoever was and was not removed again is still there."""
    audited = Counter(
        (entry.tenant, entry.operation, entry.payload_sha256)
        for entry in done
        if entry.operation in ("enroll-approver", "remove-approver")
    )
    for row in rows:
        calls = [enrolment(row["principal"], row["key_id"])]
        if row["removed_at"]:
            calls.append(removal(row["principal"], row["key_id"]))
        for call in calls:
            digest = sha256_hex(hashable({"principal": call.target} | call.arguments))
            if audited[row["tenant"], call.operation, digest] == 0:
                yield f"approver {row['principal']}: no {call.operation} was audited"
            audited[row["tenant"], call.operation, digest] -= 1
    if any(count > 0 for count in audited.values()):
        yield "an approver was enrolled or removed, and has no row that says so"
