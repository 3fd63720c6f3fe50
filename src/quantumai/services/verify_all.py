"""Verifying a whole home: ledger, keys, audit log, objects, jobs and the rows about them.

Nothing is made, signed or appended on the way; caches of the ledger that were damaged are told, and
mended as by any reader. With a trust file that was kept elsewhere the home has to be the one that
it speaks of; without, a home can only agree with itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain
from pathlib import Path

from quantumai.backends.catalogue import load_catalogue
from quantumai.errors import NotFoundError, QuantumAIError
from quantumai.jobs.desk import Desk
from quantumai.jobs.leaf_accounts import leaf_accounts
from quantumai.jobs.leaf_check import leaf_problems, logged_digests
from quantumai.jobs.manifest_check import is_erased, manifest_problems
from quantumai.jobs.object_check import object_problems, unlogged
from quantumai.jobs.row_check import backend_problems, job_row_problems
from quantumai.jobs.states import JobState
from quantumai.jobs.unfinished_check import is_unsigned, stray_problems
from quantumai.keys.audit.verification import verify_log
from quantumai.keys.management.audit_check import audit_problems
from quantumai.keys.management.built_in import AUTHORITY
from quantumai.keys.management.self_check import key_problems
from quantumai.provenance.key_history.key_events import LoggedEvent
from quantumai.provenance.key_history.key_rotations import ROOT
from quantumai.provenance.key_history.register_check import register_problems
from quantumai.provenance.sealing.data_key_check import data_key_problems
from quantumai.provenance.sealing.home_verification import verify_home_ledger
from quantumai.provenance.sealing.sealer import Sealer
from quantumai.provenance.verification.report import ExitCode, Outcome
from quantumai.provenance.verification.trust import TrustFile
from quantumai.services.existing_home import DATABASE, open_existing_home
from quantumai.services.home_access import require_access
from quantumai.services.home_root import root_public_key
from quantumai.services.wiring import Home, catalogue_path, home_root
from quantumai.storage.sqlite_check import sqlite_problems


class _Looked:
    """The home that is looked at, and what is opened of it once for all parts."""

    def __init__(self, home: Home, trust: TrustFile | None, remembered: bytes | None) -> None:
        self.home, self.trust, self.remembered = home, trust, remembered

    @cached_property
    def sealer(self) -> Sealer:
        """A sealer that only looks, the same for all: it remembers the damage that it met."""
        found = self.home.look_at_sealer()
        if found is None:
            raise NotFoundError("nothing was sealed in this home yet", hint="run a job first")
        return found

    @cached_property
    def desk(self) -> Desk:
        """The ports for jobs, of which none makes, signs or marks anything."""
        sealer = self.sealer
        return replace(self.home.desk(recovers=False), open_sealer=lambda: sealer)


@dataclass(frozen=True)
class PartReport:
    """One part of the home: its name, how much was looked at, and what is wrong."""

    name: str
    looked_at: str
    problems: tuple[str, ...]


def verify_home(
    root: Path | None = None, trust: TrustFile | None = None, remembered: bytes | None = None
) -> tuple[PartReport, ...]:
    """All parts in order; the home holds if none has a problem.

    With a `remembered` checkpoint the ledger must have grown from it; where the trust file asks for
    a quorum of witnesses, they must have cosigned it. Damage never raises: it is what is looked
    for. Raises `NotFoundError` where there is no home, `StorageError` for one that may not be
    read, whose database cannot be written, or whose bucket does not answer.
    """
    folder = home_root() if root is None else root
    require_access(folder)
    try:
        home = open_existing_home(root)
    except NotFoundError:
        raise
    except QuantumAIError as error:
        return (PartReport("home", "it cannot be opened", (str(error),)),)
    with home:
        home.objects.exists("ledger/checkpoint")  # a bucket that is away is no damage
        looked = _Looked(home, trust, remembered)
        return tuple(_guarded(name, part, looked) for name, part in _PARTS)


_Part = Callable[[_Looked], tuple[str, Iterator[str]]]


def _guarded(name: str, part: _Part, looked: _Looked) -> PartReport:
    problems: list[str] = []
    looked_at = ""
    try:
        looked_at, found = part(looked)
        problems += found
    except (QuantumAIError, ValueError, KeyError, TypeError) as error:
        # Damaged rows can break any reader of theirs; that is a finding like others.
        problems.append(str(error) or type(error).__name__)
    return PartReport(name, looked_at, tuple(problems))


def _database(looked: _Looked) -> tuple[str, Iterator[str]]:
    return "the file and its schema", sqlite_problems(looked.home.root / DATABASE)


def _trust(looked: _Looked) -> tuple[str, Iterator[str]]:
    trust = looked.trust
    if trust is None:
        return "no trust file was given: the home can only agree with itself", iter(())
    return f"trust file {trust.fingerprint()}", _differences(looked.sealer, trust)


def _differences(sealer: Sealer, trust: TrustFile) -> Iterator[str]:
    own = sealer.export_trust(trust.least_crypto_mode)
    if own.ledger != trust.ledger:
        yield "the ledger is not the one that the trust file names"
    # A void one too: it was the home's own when the trust file was made.
    authorities = {v.public_key for v in sealer.keys.every_version() if v.name == AUTHORITY}
    if not set(trust.authority_keys) <= authorities:
        yield "an authority of the trust file is not that of this home"
    if trust.root is not None and own.root != trust.root:
        yield "the root of the trust file is not that of this home"
    known = {key.key_id: key for key in own.statement_keys}
    for key in trust.statement_keys:
        found, name = known.get(key.key_id), f"statement key {key.key_id[:16]}"
        if found is None or found.public_key != key.public_key:
            yield f"{name} of the trust file is not one of this home"
        elif found.valid_from_index != key.valid_from_index:
            yield f"{name} counts from another leaf than the trust file says"


def _ledger(looked: _Looked) -> tuple[str, Iterator[str]]:
    sealer = looked.sealer
    found = verify_home_ledger(sealer, looked.trust, looked.remembered)
    problems = list(found.problems)
    if found.exit_code is not ExitCode.OK and found.freshness.status is not Outcome.OK:
        problems.append(f"freshness: {found.freshness.detail}")
    fresh = {Outcome.OK: "ok", Outcome.FAILED: "FAILED"}.get(found.freshness.status, "not checked")
    return f"{sealer.ledger.size()} leaves; freshness: {fresh}", iter(problems)


def _keys(looked: _Looked) -> tuple[str, Iterator[str]]:
    parts = looked.home.open_kms().parts
    found = chain(key_problems(parts), audit_problems(parts))
    return f"{len(parts.register.all())} keys", found


def _register(looked: _Looked) -> tuple[str, Iterator[str]]:
    sealer = looked.sealer
    events = sealer.key_events()
    found = chain(register_problems(sealer.keys, events), _root_problems(looked, events))
    return f"{len(events)} key events", found


def _root_problems(looked: _Looked, events: list[LoggedEvent]) -> Iterator[str]:
    """The root that the home notes, and the one that its ledger tells of."""
    told = [entry.event.key_id for entry in events if entry.event.alias == ROOT]
    try:
        noted = [root_public_key(looked.home.root).key_id]
    except NotFoundError:
        noted = []
    if noted != told:
        yield "the root that this home notes is not the one in its ledger"


def _audit(looked: _Looked) -> tuple[str, Iterator[str]]:
    log = looked.home.open_kms().parts.audit
    heads = [anchored.checkpoint.head for anchored in looked.sealer.audit_anchor.anchored()]
    report = verify_log(log.entries(0, log.size() - 1), heads)
    bad = report.bad
    found = [] if bad is None else [f"entries {bad.first} to {bad.last} {bad.fault}: {bad.detail}"]
    return f"{report.size} entries, {report.compared} anchored heads", iter(found)


def _objects(looked: _Looked) -> tuple[str, Iterator[str]]:
    objects, ledger = looked.home.objects, looked.sealer.ledger
    jobs = {row["job_id"] for row in looked.home.database.select("jobs")}
    stray = unlogged(objects, logged_digests(ledger))
    told = f"; {stray} envelopes are in no leaf, and nothing reads them" if stray else ""
    found = chain(
        object_problems(objects, jobs, encrypts=looked.home.encrypts),
        data_key_problems(objects, looked.home.open_kms().parts),
    )
    return f"every object beside the ledger{told}", found


def _leaves(looked: _Looked) -> tuple[str, Iterator[str]]:
    ledger, accounts = looked.sealer.ledger, leaf_accounts(looked.desk)
    erased = len(accounts.erased)
    told = f"; {erased} belong to jobs that were erased" if erased else ""
    found = leaf_problems(ledger, looked.home.objects, accounts)
    return f"{ledger.size()} leaves and what they name{told}", found


def _jobs(looked: _Looked) -> tuple[str, Iterator[str]]:
    rows = looked.home.database.select("jobs")
    done = [row for row in rows if row["state"] == JobState.DONE]
    erased = sum(is_erased(looked.desk, row["job_id"]) for row in done)
    told = f", {erased} of them erased" if erased else ""
    unsigned = sum(map(is_unsigned, rows))
    if unsigned:
        told += f"; not checked: {unsigned} that failed before anything of them was signed"
    return f"{len(rows)} jobs, {len(done)} with a manifest{told}", _job_problems(looked)


def _job_problems(looked: _Looked) -> Iterator[str]:
    desk = looked.desk
    for row in looked.home.database.select("jobs"):
        yield from job_row_problems(desk, row)
        if row["state"] == JobState.DONE:
            yield from manifest_problems(desk, row["job_id"], looked.trust)
    yield from stray_problems(looked.home.database)


def _backends(looked: _Looked) -> tuple[str, Iterator[str]]:
    catalogue = {
        entry.backend_id: entry for entry in load_catalogue(catalogue_path(looked.home.root))
    }
    rows = looked.home.database.select("backends")
    return f"{len(rows)} backends", backend_problems(looked.desk, catalogue)


_PARTS: tuple[tuple[str, _Part], ...] = (
    ("database", _database),
    ("ledger", _ledger),
    ("trust", _trust),
    ("keys", _keys),
    ("register", _register),
    ("audit", _audit),
    ("objects", _objects),
    ("leaves", _leaves),
    ("jobs", _jobs),
    ("backends", _backends),
)
