"""The audit log under threads, processes, kills and a failing database."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from quantumai.canonical import sha256_hex
from quantumai.errors import BadInputError, LedgerError, StorageError
from quantumai.keys.audit.entry import AuditEntry, AuditRecord, Outcome
from quantumai.keys.audit.head import AuditHead
from quantumai.keys.audit.log import AuditLog
from quantumai.keys.audit.verification import Fault, verify_log
from quantumai.merkle import leaf_hash, root_hash
from quantumai.storage.migration import ensure_schema, sqlite_url
from quantumai.storage.sql_database import SqlDatabase, open_database
from tests.servers import postgres_server

pytestmark = pytest.mark.slow


def clock() -> datetime:
    return datetime.now(UTC)


def record(request_id: str, key: str = "k") -> AuditRecord:
    return AuditRecord(
        tenant="local",
        principal="alice",
        operation="sign",
        outcome=Outcome.OK,
        payload_sha256=sha256_hex(request_id.encode()),
        key=key,
        request_id=request_id,
    )


@pytest.fixture(scope="module")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("migrated") / "db.sqlite"
    ensure_schema(sqlite_url(path))
    return path


@pytest.fixture
def path(tmp_path: Path, migrated: Path) -> Path:
    return Path(shutil.copy(migrated, tmp_path / "db.sqlite"))


@pytest.fixture
def database(path: Path) -> Iterator[SqlDatabase]:
    database = open_database(sqlite_url(path))
    yield database
    database.close()


def stored(path: Path) -> list[tuple[int, str]]:
    """The rows as another program reads them."""
    with sqlite3.connect(path) as connection:
        return connection.execute("SELECT sequence, entry FROM kms_audit ORDER BY 1").fetchall()


def plain_head(rows: Sequence[tuple[int, str]]) -> AuditHead:
    return AuditHead(len(rows), root_hash([leaf_hash(text.encode()) for _, text in rows]))


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline


def test_what_is_committed_survives_a_power_cut(database: SqlDatabase) -> None:
    # Not to be tested by a kill, which leaves the system's caches: FULL syncs at each commit.
    connection = database._connection
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert connection.execute("PRAGMA synchronous").fetchone() == (2,)


def test_threads_share_transactions_and_lose_nothing(path: Path, database: SqlDatabase) -> None:
    batches: list[int] = []
    inside = threading.Event()
    held = threading.Event()

    def on_commit(entries: Sequence[AuditEntry]) -> None:
        batches.append(len(entries))
        inside.set()
        assert held.wait(60)

    log = AuditLog(database, clock, on_commit)
    with ThreadPoolExecutor(33) as pool:
        first = pool.submit(log.append, record("first"))
        assert inside.wait(60)
        rest = [pool.submit(log.append, record(f"{n}a"), record(f"{n}b")) for n in range(32)]
        until(lambda: len(log._commits._queue) == 32)  # while the first one writes, all wait
        held.set()
        entries = [*first.result(), *(entry for future in rest for entry in future.result())]
    assert batches == [1, 64]
    rows = stored(path)
    assert [number for number, _ in rows] == list(range(65))
    # Everybody got the entry that stands there, and the two of one call are neighbours.
    assert {entry.sequence: entry.text for entry in entries} == dict(rows)
    for future in rest:
        a, b = future.result()
        assert (a.request_id[:-1], a.sequence + 1) == (b.request_id[:-1], b.sequence)
    assert log.head() == plain_head(rows)
    assert log.verify([log.head()]).bad is None


_APPEND = """
import sys
from pathlib import Path
from tests.unit.keys.test_audit_log import append_for_ever
append_for_ever(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
"""


def append_for_ever(path: Path, name: str, most: int) -> None:
    """In a process of its own: four threads append, and each says what is acknowledged."""
    log = AuditLog(open_database(sqlite_url(path)), clock)

    def work(thread: int) -> None:
        for number in range(most):
            (entry,) = log.append(record(f"{name}-{thread}-{number}"))
            # One system call, so that lines of threads do not mix.
            os.write(sys.stdout.fileno(), f"{entry.sequence} {entry.request_id}\n".encode())

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))


def start(path: Path, name: str, most: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", _APPEND, str(path), name, str(most)]
    folder = Path(__file__).parents[3]
    return subprocess.Popen(command, stdout=subprocess.PIPE, cwd=folder)


def acknowledged(output: bytes) -> dict[int, str]:
    # The last line may be cut off by the kill.
    lines = [line.split() for line in output.decode().splitlines(keepends=True) if "\n" in line]
    return {int(sequence): request_id for sequence, request_id in lines}


@pytest.mark.slow
def test_processes_append_at_once_and_one_is_killed(path: Path, database: SqlDatabase) -> None:
    doomed, other = start(path, "doomed", 100_000), start(path, "other", 60)
    assert doomed.stdout is not None
    seen = b"".join(doomed.stdout.readline() for _ in range(50))
    doomed.send_signal(signal.SIGKILL)
    seen += doomed.stdout.read()
    assert doomed.wait() == -signal.SIGKILL
    output, _ = other.communicate()
    assert other.returncode == 0
    rows = stored(path)
    assert verify_log(rows, []).bad is None
    kept = {number: json.loads(text)["request_id"] for number, text in rows}
    promised = acknowledged(seen) | acknowledged(output)
    assert len(promised) >= 50 + 240
    assert promised.items() <= kept.items()
    # What was not acknowledged may be there, but nothing is there twice.
    assert len(set(kept.values())) == len(kept)
    log = AuditLog(database, clock)
    assert log.head() == plain_head(rows)
    assert log.append(record("after"))[0].sequence == len(rows)


def test_a_callers_transaction_takes_its_entry_with_it(path: Path, database: SqlDatabase) -> None:
    counted: list[int] = []
    log = AuditLog(database, clock, lambda entries: counted.append(len(entries)))
    backend = {"backend_id": "b"}
    with database.transaction():
        database.insert("backends", backend)
        log.append_within(record("one"))
        log.append_within(record("two"), record("three"))
    assert database.get("backends", backend) is not None
    with suppress(ZeroDivisionError), database.transaction():
        database.insert("backends", {"backend_id": "c"})
        log.append_within(record("four"))
        raise ZeroDivisionError
    assert database.get("backends", {"backend_id": "c"}) is None
    log.append(record("five"))
    assert counted == [1, 2, 1, 1]
    names = [json.loads(text)["request_id"] for _, text in stored(path)]
    assert names == ["one", "two", "three", "five"]
    assert log.verify([log.head()]).bad is None


def test_appends_and_callers_transactions_do_not_lock_each_other_out(
    path: Path, database: SqlDatabase
) -> None:
    log = AuditLog(database, clock)

    def work(number: int) -> None:
        if number % 2:
            log.append(record(str(number)))
            return
        with database.transaction():
            database.insert("backends", {"backend_id": str(number)})
            log.append_within(record(str(number)))

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(work, range(200)))
    rows = stored(path)
    assert {json.loads(text)["request_id"] for _, text in rows} == {str(n) for n in range(200)}
    assert log.verify([plain_head(rows)]).bad is None


class Failing:
    """A database whose transactions fail as told: "before", "in" or "after" their commit."""

    def __init__(self, inner: SqlDatabase) -> None:
        self._inner = inner
        self.failures: list[str] = []
        self.attempts = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        self.attempts += 1
        failure = self.failures.pop(0) if self.failures else ""
        if failure == "before":
            raise StorageError("injected", hint="a hint")
        with self._inner.transaction():
            yield
            if failure == "in":
                raise StorageError("injected")
        if failure == "after":
            raise StorageError("injected")


@pytest.mark.parametrize("failure", ["before", "in", "after"])
def test_a_conflict_is_tried_again_and_written_once(
    path: Path, database: SqlDatabase, failure: str
) -> None:
    failing = Failing(database)
    log = AuditLog(failing, clock)
    log.append(record("zero"))
    failing.failures = [failure] * 3
    (entry,) = log.append(record("one"))
    assert [number for number, _ in stored(path)] == [0, 1]
    assert stored(path)[1] == (1, entry.text)


def test_a_call_that_cannot_be_audited_is_refused(path: Path, database: SqlDatabase) -> None:
    failing = Failing(database)
    moments = iter(range(0, 1000, 3))
    log = AuditLog(failing, clock, monotonic=lambda: next(moments))
    failing.failures = ["in"] * 1000
    with pytest.raises(StorageError, match=r"^the call cannot be audited: injected$"):
        log.append(record("one"))
    assert failing.attempts == 4  # 10 seconds of trying
    failing.failures = []
    with pytest.raises(BadInputError):
        log.append(record("x" * 300))
    database.close()
    with pytest.raises(StorageError, match="the database is closed"):
        log.append(record("two"))
    assert stored(path) == []


def test_a_full_disk_refuses_everybody_and_recovers(path: Path, database: SqlDatabase) -> None:
    log = AuditLog(database, clock)
    log.append(record("before"))
    pages = database._connection.execute("PRAGMA page_count").fetchone()[0]
    database._connection.execute(f"PRAGMA max_page_count = {pages}")
    with ThreadPoolExecutor(8) as pool:
        calls = [pool.submit(log.append, record(f"{n}{'x' * 200}")) for n in range(64)]
    refused = [call.exception() for call in calls if call.exception()]
    assert refused
    assert all(isinstance(each, StorageError) and "full" in str(each) for each in refused)
    kept = sorted(call.result()[0].text for call in calls if not call.exception())
    assert sorted(text for _, text in stored(path)[1:]) == kept
    database._connection.execute("PRAGMA max_page_count = 1000000")
    log.append(record("after"))
    assert log.verify([log.head()]).bad is None


def test_what_counts_uses_can_refuse(path: Path, database: SqlDatabase) -> None:
    def on_commit(entries: Sequence[AuditEntry]) -> None:
        if any(entry.key == "broken" for entry in entries):
            raise BadInputError("no such key")

    log = AuditLog(database, clock, on_commit)
    with pytest.raises(StorageError, match="cannot be audited: no such key"):
        log.append(record("one", key="broken"))
    log.append(record("two"))
    assert [json.loads(text)["request_id"] for _, text in stored(path)] == ["two"]


def open_log(path: Path, connections: int) -> tuple[AuditLog, SqlDatabase]:
    """A log as tests have it, or as a home has it; and the database of the callers."""
    database = open_database(sqlite_url(path))
    apart = AuditLog(open_database(sqlite_url(path)), clock) if connections == 2 else None
    return AuditLog(database, clock, apart=apart), database


def within(log: AuditLog, database: SqlDatabase, *request_ids: str) -> None:
    with database.transaction():
        for request_id in request_ids:
            log.append_within(record(request_id))


def cut_off(path: Path, size: int) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("DELETE FROM kms_audit WHERE sequence >= ?", [size])


def assert_stopped(log: AuditLog, database: SqlDatabase, path: Path, size: int, had: int) -> None:
    """Whoever writes or vouches is refused, in whatever way."""
    lacking = f"has {size} entries, but had {had}"
    with pytest.raises(LedgerError, match=lacking):
        within(log, database, "next")
    with pytest.raises(LedgerError, match=lacking):
        log.append(record("next"))
    with pytest.raises(LedgerError, match=lacking):
        log.head()
    assert len(stored(path)) == size


CONFIGURATIONS = pytest.mark.parametrize("connections", [1, 2])


@CONFIGURATIONS
@pytest.mark.parametrize("size", [0, 1, 4])
@pytest.mark.parametrize("way", ["append", "committed", "two threads", "head"])
def test_a_roll_back_under_a_running_process_stops_it(
    path: Path, way: str, size: int, connections: int
) -> None:
    log, database = open_log(path, connections)
    for number in range(5):
        if way == "append":
            log.append(record(str(number)))
        elif way == "two threads":
            with ThreadPoolExecutor(1) as pool:
                pool.submit(within, log, database, str(number)).result()
        else:
            within(log, database, str(number))
        if way == "committed":
            log.committed()
    if way == "two threads":
        within(log, database, "5")  # which finds what is there before
        cut_off(path, 5)
    elif way == "head":
        log.head()
    assert len(stored(path)) == 5
    cut_off(path, size)
    assert_stopped(log, database, path, size, had=5)


@CONFIGURATIONS
def test_a_change_in_what_others_wrote_stops_it(path: Path, connections: int) -> None:
    log, database = open_log(path, connections)
    AuditLog(open_database(sqlite_url(path)), clock).append(record("of another process"))
    within(log, database, "one")
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE kms_audit SET entry = replace(entry, 'alice', 'bob')")
    for call in (lambda: within(log, database, "two"), lambda: log.append(record("two")), log.head):
        with pytest.raises(LedgerError, match="entry 0 was changed"):
            call()


@CONFIGURATIONS
def test_what_a_caller_took_back_is_not_missed(path: Path, connections: int) -> None:
    log, database = open_log(path, connections)
    log.append(record("zero"))
    for end in ("here", "in another thread"):
        with suppress(ZeroDivisionError), database.transaction():
            for number in range(3):
                log.append_within(record(str(number)))
            raise ZeroDivisionError
        with ThreadPoolExecutor(1) as pool:
            if end == "here":
                within(log, database, end)
            else:
                pool.submit(within, log, database, end).result()
        log.append(record("after"))
    names = [json.loads(text)["request_id"] for _, text in stored(path)]
    assert names == ["zero", "here", "after", "in another thread", "after"]
    assert log.verify([log.head()]).bad is None


def test_nobody_vouches_for_a_log_that_is_visibly_broken(path: Path) -> None:
    log = AuditLog(open_database(sqlite_url(path)), clock)
    for number in range(5):
        log.append(record(str(number)))
    good = log.head()
    rows = dict(stored(path))

    def put(sequence: int, text: object) -> None:
        with sqlite3.connect(path) as connection:
            connection.execute("DELETE FROM kms_audit WHERE sequence = ?", [sequence])
            if text is not None:
                connection.execute("INSERT INTO kms_audit VALUES (?, ?)", [sequence, text])

    for at, text, found in (
        (2, rows[2].replace("alice", "mallory"), "entry 3 does not follow"),
        (2, None, "entry 2 is missing"),
        (2, "no entry", "entry 2 is damaged"),
        (2, b"\x00", "entry 2 is damaged"),
    ):
        put(at, text)
        fresh = AuditLog(open_database(sqlite_url(path)), clock)
        with pytest.raises(LedgerError, match=found):
            fresh.head()
        bad = fresh.verify([good]).bad
        assert bad is not None
        assert (bad.first, bad.last) == (2, 2)
        put(2, rows[2])
    put(4, rows[4].replace("alice", "mallory"))
    with pytest.raises(LedgerError, match="entry 4 was changed"):
        log.append(record("next"))
    with pytest.raises(LedgerError, match="entry 4 was changed"):
        log.head()
    put(4, rows[4])
    assert log.verify([log.head(), good]).bad is None


@pytest.mark.parametrize(
    ("sequence", "found"), [(-1, Fault.INSERTED), (2**60, Fault.MISSING), ("x", None), (0.5, None)]
)
def test_rows_that_do_not_belong_are_found(
    path: Path, database: SqlDatabase, sequence: object, found: Fault | None
) -> None:
    log = AuditLog(database, clock)
    log.append(record("zero"))
    with sqlite3.connect(path) as connection:
        connection.execute("INSERT INTO kms_audit VALUES (?, '{}')", [sequence])
    if found is None:
        with pytest.raises(LedgerError, match="has a row numbered"):
            log.verify([])
    else:
        bad = log.verify([]).bad
        assert bad is not None
        assert bad.fault is found


@pytest.mark.parametrize("others", [[], ["DELETE FROM kms_audit WHERE sequence = 3"]])
@pytest.mark.parametrize("at", [0, 1, 4])
def test_an_entry_that_cannot_be_read_is_named(
    path: Path, database: SqlDatabase, at: int, others: list[str]
) -> None:
    log = AuditLog(database, clock)
    for number in range(5):
        log.append(record(str(number)))
    damage = f"UPDATE kms_audit SET entry = CAST(x'ff' AS TEXT) WHERE sequence = {at}"
    with sqlite3.connect(path) as connection:
        for sql in [damage, *others]:
            connection.execute(sql)
    fresh = AuditLog(open_database(sqlite_url(path)), clock)
    if others and at == 4:
        with pytest.raises(LedgerError, match="entry 3 is missing, the last is unreadable"):
            fresh.verify([])
    else:
        bad = fresh.verify([]).bad
        assert bad is not None
        assert (bad.fault, bad.first, bad.last) == (Fault.CHANGED, at, at)
    with pytest.raises(LedgerError, match=f"entry {at} is damaged|last entry .* cannot be read"):
        fresh.head()
    database.close()
    with pytest.raises(StorageError, match="closed"):
        log.verify([])


def test_a_row_before_the_first_that_cannot_be_read_is_found(
    path: Path, database: SqlDatabase
) -> None:
    log = AuditLog(database, clock)
    log.append(record("zero"))
    with sqlite3.connect(path) as connection:
        connection.execute("INSERT INTO kms_audit VALUES (-1, CAST(x'ff' AS TEXT))")
    with pytest.raises(LedgerError, match="a row before entry 0"):
        log.verify([])


class Interleavings(RuleBasedStateMachine):
    """Two logs on two connections of one database: any order of what can be done to them."""

    template: Path
    folder: Path
    connected: bool  # as in a home, where both are one process's

    @initialize()
    def open(self) -> None:
        self.path = Path(shutil.copy(self.template, self.folder / f"{uuid4()}.sqlite"))
        self.databases = [open_database(sqlite_url(self.path)) for _ in range(2)]
        self.logs = [AuditLog(database, clock) for database in self.databases]
        if self.connected:
            self.logs[0] = AuditLog(self.databases[0], clock, apart=self.logs[1])
        self.expected: list[str] = []
        self.heads: list[AuditHead] = []

    @rule(who=st.integers(0, 1), count=st.integers(0, 5))
    def append(self, who: int, count: int) -> None:
        ids = [f"request-{len(self.expected) + n}" for n in range(count)]
        entries = self.logs[who].append(*map(record, ids))
        assert [entry.request_id for entry in entries] == ids
        self.expected += ids

    @rule(who=st.integers(0, 1), gives_up=st.booleans())
    def within(self, who: int, gives_up: bool) -> None:
        request_id = f"within-{len(self.expected)}"
        try:
            with self.databases[who].transaction():
                self.logs[who].append_within(record(request_id))
                if gives_up:
                    raise ZeroDivisionError
        except ZeroDivisionError:
            return
        self.expected.append(request_id)

    @rule(threads=st.integers(2, 6))
    def at_once(self, threads: int) -> None:
        ids = [f"at-once-{len(self.expected)}-{n}" for n in range(threads)]
        with ThreadPoolExecutor(threads) as pool:
            futures = [
                pool.submit(self.logs[n % 2].append, record(each)) for n, each in enumerate(ids)
            ]
            entries = sorted((future.result()[0] for future in futures), key=lambda e: e.sequence)
        self.expected += [entry.request_id for entry in entries]

    @rule(who=st.integers(0, 1))
    def remember(self, who: int) -> None:
        self.heads.append(self.logs[who].head())

    @invariant()
    def holds(self) -> None:
        rows = stored(self.path)
        assert [json.loads(text)["request_id"] for _, text in rows] == self.expected
        for log in self.logs:
            report = log.verify(self.heads)
            assert (report.bad, report.size) == (None, len(rows))
        assert all(head == plain_head(rows[: head.size]) for head in self.heads)

    def teardown(self) -> None:
        for database in self.databases:
            database.close()


@pytest.mark.slow
@CONFIGURATIONS
def test_any_interleaving_verifies(tmp_path: Path, migrated: Path, connections: int) -> None:
    Interleavings.template, Interleavings.folder = migrated, tmp_path
    Interleavings.connected = connections == 2
    from hypothesis.stateful import run_state_machine_as_test

    run_state_machine_as_test(
        Interleavings, settings=settings(max_examples=30, stateful_step_count=12, deadline=None)
    )


@pytest.mark.integration
@pytest.mark.slow
def test_connections_to_postgres_append_at_once() -> None:
    with postgres_server() as server:
        with psycopg.connect(server, autocommit=True) as admin:
            admin.execute("CREATE DATABASE audit")
        url = server.replace("/postgres?", "/audit?")
        databases = [open_database(url) for _ in range(3)]
        logs = [AuditLog(database, clock) for database in databases]
        with ThreadPoolExecutor(12) as pool:
            append: Callable[[int], Any] = lambda n: logs[n % 3].append(record(str(n)))  # noqa: E731
            entries = [entry for (entry,) in pool.map(append, range(240))]
        assert sorted(entry.sequence for entry in entries) == list(range(240))
        heads = [log.head() for log in logs]
        assert len(set(heads)) == 1
        assert logs[0].verify(heads).bad is None
        # A transaction that began before others wrote sees less, and that is no roll-back.
        callers = AuditLog(databases[0], clock, apart=logs[1])
        with suppress(ZeroDivisionError), databases[0].transaction():
            assert callers.size() == 240
            callers.append(record("meanwhile"))
            with pytest.raises(StorageError, match="could not serialize"):
                callers.append_within(record("too late"))
            raise ZeroDivisionError
        within(callers, databases[0], "again")
        assert callers.verify([callers.head()]).size == 242
        for database in databases:
            database.close()
