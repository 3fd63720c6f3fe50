"""The register: which keys there are, in the database. The only reader and writer of its rows.

A change of state is a compare-and-set on the former state, and the database itself refuses a pair
of states that is no transition. So two processes cannot both move a key.
"""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from quantumai.errors import ConflictError, NotFoundError, StorageError
from quantumai.keys.algorithms import PublicKey
from quantumai.keys.audit.entry import AuditEntry, Outcome
from quantumai.keys.management.records import KeyPolicy, KeyPurpose, KeyVersion, Usage
from quantumai.keys.management.states import KeyState, require_transition
from quantumai.storage.database import Database, Row

HOME_TENANT = "local"
_USES = frozenset({"sign", "wrap", "unwrap"})
_TIMES = ("created_at", "activated_at", "retired_at", "destroy_at")


class KeyRegister:
    """Rows of `kms_names` and `kms_keys` as records."""

    def __init__(
        self, database: Database, new_suffix: Callable[[], str] = lambda: secrets.token_hex(4)
    ) -> None:
        self._database = database
        self._new_suffix = new_suffix

    def set_name(
        self,
        tenant: str,
        name: str,
        algorithm: str,
        purpose: KeyPurpose,
        policy: KeyPolicy,
        now: str,
    ) -> None:
        """Note what a name stands for; the caller has seen that it stands for nothing."""
        self._database.upsert(
            "kms_names",
            {
                "name_ref": f"{tenant}/{name}",
                "tenant": tenant,
                "name": name,
                "algorithm": algorithm,
                "purpose": str(purpose),
                "policy": msgspec.to_builtins(policy),
                "created_at": now,
            },
        )

    def add_version(
        self,
        tenant: str,
        name: str,
        version: int,
        algorithm: str,
        purpose: KeyPurpose,
        provider: str,
        now: str,
        request: Mapping[str, Any] | None = None,
    ) -> None:
        """Note that a key pair is about to be made: pre-active, without a public key.

        `request` says what the call asked for that has it made, in case another completes it.
        """
        self._database.insert(
            "kms_keys",
            {
                "version_ref": f"{tenant}/{name}/{version}",
                "tenant": tenant,
                "name": name,
                "version": version,
                "algorithm": algorithm,
                "purpose": str(purpose),
                "provider": provider,
                # Never used before: a token may be shared, and a restored database knows less
                # than its token. No key that is there already may become this one.
                "handle": f"{name}-{self._new_suffix()}/{version}",
                "state": str(KeyState.PRE_ACTIVE),
                "created_at": now,
                "request": request,
                "uses": 0,
            },
        )

    def versions(self, tenant: str, name: str) -> tuple[KeyVersion, ...]:
        """Every version of a key, oldest first; empty if there is none of that name."""
        rows = self._database.select("kms_keys", {"tenant": tenant, "name": name}, "version")
        return tuple(map(_record, rows))

    def all(self, tenant: str | None = None) -> tuple[KeyVersion, ...]:
        """Every version of every key of a tenant (None: of all), by name and version."""
        rows = self._database.select("kms_keys", {} if tenant is None else {"tenant": tenant})
        return tuple(sorted(map(_record, rows), key=lambda v: (v.tenant, v.name, v.version)))

    def version(self, tenant: str, name: str, version: int) -> KeyVersion:
        """One version; 0 is the newest active one, else the newest. Raises `NotFoundError`."""
        if version:
            row = self._database.get("kms_keys", {"version_ref": f"{tenant}/{name}/{version}"})
            if row is None:
                raise _unknown(f"{name}/{version}")
            return _record(row)
        where = {"tenant": tenant, "name": name}
        active = where | {"state": str(KeyState.ACTIVE)}
        for wanted in (active, where):
            for row in self._database.select("kms_keys", wanted, "-version", limit=1):
                return _record(row)
        raise _unknown(name)

    def policy(self, tenant: str, name: str) -> KeyPolicy:
        """The policy of a key. Raises `NotFoundError`."""
        row = self._database.get("kms_names", {"name_ref": f"{tenant}/{name}"})
        if row is None:
            raise _unknown(name)
        return msgspec.convert(row["policy"], KeyPolicy)

    def set_policy(self, tenant: str, name: str, policy: KeyPolicy) -> None:
        """Replace the policy of a key. Raises `NotFoundError`."""
        where = {"name_ref": f"{tenant}/{name}"}
        values = {"policy": msgspec.to_builtins(policy)}
        if self._database.update("kms_names", where, values) != 1:
            raise _unknown(name)

    def move(self, key: KeyVersion, wanted: KeyState, **values: Any) -> KeyVersion:
        """Change the state, and other columns with it.

        Raises `DeniedError` if the table of states does not allow it, and `ConflictError` if
        somebody else changed the state meanwhile.
        """
        require_transition(key.state, wanted, key.label)
        where = {"version_ref": _ref(key), "state": str(key.state)}
        changes = {"state": str(wanted), "former_state": str(key.state), **values}
        if self._database.update("kms_keys", where, changes) != 1:
            raise ConflictError(
                f"key {key.label} changed in the meantime", hint="look at it, then try again"
            )
        return self.version(key.tenant, key.name, key.version)

    def set(self, key: KeyVersion, **values: Any) -> KeyVersion:
        """Change columns that are no state."""
        self._database.update("kms_keys", {"version_ref": _ref(key)}, values)
        return self.version(key.tenant, key.name, key.version)

    def row(self, tenant: str, name: str, version: int) -> Row:
        """The row itself, with its state, uses and announcement. Raises `NotFoundError`."""
        ref = f"{tenant}/{name}/{version}"
        row = self._database.get("kms_keys", {"version_ref": ref})
        if row is None:
            raise _unknown(f"{name}/{version}")
        return row

    def count_uses(self, entries: Sequence[AuditEntry]) -> None:
        """Count what was used well; runs in the transaction that writes these audit entries."""
        uses = Counter(
            (entry.tenant, entry.key, entry.version)
            for entry in entries
            if entry.operation in _USES and entry.outcome is Outcome.OK
        )
        for (tenant, name, version), number in uses.items():
            if version is not None:
                self.add_uses(tenant, name, version, number, f"{entries[-1].at[:19]}Z")

    def add_uses(self, tenant: str, name: str, version: int, number: int, at: str) -> None:
        """Add to the uses of a version, in the caller's transaction."""
        where = {"version_ref": f"{tenant}/{name}/{version}"}
        row = self._database.get("kms_keys", where)
        if row is not None:
            values = {"uses": row["uses"] + number, "last_used_at": at}
            self._database.update("kms_keys", where, values)

    def usage(self, tenant: str, name: str) -> tuple[Usage, ...]:
        """Uses of each version. Raises `NotFoundError`."""
        rows = self._database.select("kms_keys", {"tenant": tenant, "name": name}, "version")
        if not rows:
            raise _unknown(name)
        return tuple(
            Usage(name, row["version"], row["uses"], row["last_used_at"] or "") for row in rows
        )


def _ref(key: KeyVersion) -> str:
    return f"{key.tenant}/{key.name}/{key.version}"


def _record(row: Row) -> KeyVersion:
    public = None
    if row["spki"] is not None:
        public = PublicKey(row["key_id"], row["algorithm"], row["spki"])
    try:
        return KeyVersion(
            tenant=row["tenant"],
            name=row["name"],
            version=row["version"],
            algorithm=row["algorithm"],
            purpose=KeyPurpose(row["purpose"]),
            state=KeyState(row["state"]),
            provider=row["provider"],
            handle=row["handle"],
            compromised_from=row["compromised_from"],
            public_key=public,
            **{name: row[name] or "" for name in _TIMES},
        )
    except ValueError as error:
        raise StorageError(f"the row of key {row['name']} is damaged: {error}") from None


def _unknown(what: str) -> NotFoundError:
    return NotFoundError(f"no key {what[:80]!r}", hint="`qai kms keys list` shows them")
