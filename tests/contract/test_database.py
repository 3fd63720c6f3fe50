"""The behaviour every `Database` has, on SQLite and on a real PostgreSQL 15."""

from __future__ import annotations

import math
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from quantumai.errors import BadInputError, ConflictError, StorageError
from quantumai.jobs.em_result_rows import em_result_rows
from quantumai.storage.database import Database
from quantumai.storage.migration import ensure_schema, sqlite_url
from quantumai.storage.schema import HEAD, REVISIONS, TABLES, Kind
from quantumai.storage.sql_database import open_database
from tests.servers import postgres_server

pytestmark = pytest.mark.slow

JOB = "0190a8f0-0000-7000-8000-000000000001"
AT = "2025-07-21T12:00:00Z"

# The specification's DDL, column by column, as written there.
SPECIFICATION = {
    "backends": "backend_id TEXT, vendor TEXT, region TEXT, cost_per_shot NUMERIC,"
    " availability FLOAT, capabilities JSONB, last_calibration_id TEXT",
    "calibration_snapshots": "id TEXT, backend_id TEXT, created_at TIMESTAMP, gates JSONB,"
    " readout_errors JSONB, raw_metrics JSONB",
    "manifests": "job_id UUID, tenant TEXT, backend_id TEXT, pqc_suite TEXT, crypto_mode TEXT,"
    " calibration_snapshot_id TEXT, em_method TEXT, signature TEXT, s3_path TEXT,"
    " created_at TIMESTAMP",
    "em_results": "result_id UUID, job_id UUID, circuit_family TEXT, shots INTEGER,"
    " unmitigated_fidelity FLOAT, mitigated_fidelity FLOAT, em_method TEXT, cost_seconds FLOAT,"
    " created_at TIMESTAMP, parquet_path TEXT",
    "scheduler_decisions": "id UUID, job_id UUID, chosen_backend TEXT, score FLOAT,"
    " reasons JSONB, decision_manifest_path TEXT, created_at TIMESTAMP",
}
POSTGRES_TYPES = {
    "TEXT": "text",
    "UUID": "uuid",
    "TIMESTAMP": "timestamp without time zone",
    "INTEGER": "integer",
    "BIGINT": "bigint",
    "FLOAT": "double precision",
    "NUMERIC": "numeric",
    "JSONB": "jsonb",
    "JSON": "jsonb",
}


@pytest.fixture(scope="module")
def postgres() -> Iterator[Callable[[str | None], str]]:
    """Makes databases, copied from a migrated one (or empty for None); returns their URLs."""
    with postgres_server() as url:

        def create(template: str | None) -> str:
            name = f"t{uuid4().hex}"
            with psycopg.connect(url, autocommit=True) as admin:
                admin.execute(f"CREATE DATABASE {name} TEMPLATE {template or 'template0'}")
            return url.replace("/postgres?", f"/{name}?")

        with psycopg.connect(url, autocommit=True) as admin:
            admin.execute("CREATE DATABASE migrated TEMPLATE template0")
        ensure_schema(url.replace("/postgres?", "/migrated?"))
        yield create


@pytest.fixture(scope="module")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("migrated") / "db.sqlite"
    ensure_schema(sqlite_url(path))
    return path


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A migrated, empty database."""
    if request.param == "postgres":
        made: str = request.getfixturevalue("postgres")("migrated")
        return made
    path = tmp_path / "db.sqlite"
    shutil.copy(request.getfixturevalue("migrated_sqlite"), path)
    return sqlite_url(path)


@pytest.fixture(params=["sqlite", "postgres"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database without a schema."""
    if request.param == "postgres":
        made: str = request.getfixturevalue("postgres")(None)
        return made
    return sqlite_url(tmp_path / "100% new" / "db.sqlite")


@pytest.fixture
def connect(url: str) -> Iterator[Callable[[], Database]]:
    with ExitStack() as stack:

        def opened() -> Database:
            database = open_database(url)
            stack.callback(database.close)
            return database

        yield opened


@pytest.fixture
def database(connect: Callable[[], Database]) -> Database:
    return connect()


def job(job_id: str = JOB, **changes: Any) -> dict[str, Any]:
    row = {
        "job_id": job_id, "tenant": "org-a", "state": "submitted", "request": {"shots": 8000},
        "created_at": AT, "updated_at": AT,
    }  # fmt: skip
    return {**row, **changes}


def test_a_row_comes_back_with_plain_values(database: Database) -> None:
    database.insert("jobs", job(JOB.upper(), created_at="2025-07-21T14:00:00.25+02:00"))
    assert database.get("jobs", {"job_id": JOB}) == {
        **job(created_at="2025-07-21T12:00:00.250000Z"),
        "failure_code": None, "failure_reason": None,
        "manifest_index": None, "decision_index": None,
    }  # fmt: skip
    assert database.get("jobs", {"job_id": JOB.replace("1", "2")}) is None
    prices = {"backend_id": "b", "cost_per_shot": 0.1 + 0.2, "availability": 1}
    database.insert("backends", prices)
    row = database.get("backends", {"backend_id": "b"})
    assert row is not None
    assert (row["cost_per_shot"], row["availability"]) == (0.1 + 0.2, 1.0)
    assert isinstance(row["availability"], float)


def test_rows_of_a_run_come_back_to_the_last_bit(database: Database) -> None:
    values = {"family": "random", "shots": 400, "method": "rem+zne", "runtime_seconds": 0.1 + 0.2}
    fidelities: list[dict[str, object]] = [
        {"unmitigated_fidelity": 1 / 3, "mitigated_fidelity": math.nextafter(1, 0)},
        {"unmitigated_fidelity": None, "mitigated_fidelity": 5e-324},
    ]
    fidelities[0]["parameters"], fidelities[1]["parameters"] = "{}", '{"control":"light cone"}'
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist([values | each for each in fidelities]), sink)
    rows = em_result_rows(JOB, "a run", {"em/results/part-0.parquet": sink.getvalue().to_pybytes()})
    wanted = [row | {"created_at": AT} for row in rows]
    database.insert("manifests", {"job_id": JOB})
    with database.transaction():
        for row in wanted:
            database.insert("em_results", row)
    found = database.select("em_results", {"job_id": JOB}, order_by="parquet_path")
    assert found == wanted
    assert [row["em_method"] for row in found] == ["rem+zne", "rem+zne (light cone)"]
    assert [row["mitigated_fidelity"] for row in found] == [1 - 2**-53, 5e-324]
    with pytest.raises(ConflictError):  # the same place of the same job has the same id
        database.insert("em_results", wanted[0])


def test_insert_twice_conflicts_and_leaves_the_first(database: Database) -> None:
    database.insert("jobs", job())
    with pytest.raises(ConflictError):
        database.insert("jobs", job(tenant="org-b"))
    # Also inside a transaction, which can go on after it.
    with database.transaction():
        with pytest.raises(ConflictError):
            database.insert("jobs", job(tenant="org-b"))
        assert database.update("jobs", {"job_id": JOB}, {"state": "scheduled"}) == 1
    row = database.get("jobs", {"job_id": JOB})
    assert row is not None
    assert (row["tenant"], row["state"]) == ("org-a", "scheduled")


def test_upsert_adds_then_sets_only_the_given_columns(database: Database) -> None:
    database.upsert("backends", {"backend_id": "b", "vendor": "ibm", "cost_per_shot": 0.5})
    database.upsert("backends", {"backend_id": "b", "cost_per_shot": 0.25})
    database.upsert("backends", {"backend_id": "b"})
    row = database.get("backends", {"backend_id": "b"})
    assert row is not None
    assert (row["vendor"], row["cost_per_shot"]) == ("ibm", 0.25)


def test_select_filters_orders_and_limits_alike(database: Database) -> None:
    # Upper before lower case, "_" between them: code points, whatever the server's language.
    for name, region in [("b", "x"), ("B", None), ("_a", "x"), ("é", "y"), ("a", "x")]:
        database.insert("backends", {"backend_id": name, "region": region})

    def ids(**arguments: Any) -> list[str]:
        return [row["backend_id"] for row in database.select("backends", **arguments)]

    assert ids(order_by="backend_id") == ["B", "_a", "a", "b", "é"]
    assert ids(order_by="-backend_id", limit=2) == ["é", "b"]
    assert ids(order_by="region") == ["_a", "a", "b", "é", "B"]
    assert ids(order_by="-region") == ["é", "b", "a", "_a", "B"]
    assert ids(where={"region": "x"}, order_by="backend_id") == ["_a", "a", "b"]
    assert ids(where={"region": None}) == ["B"]
    assert ids(where={"region": "x' OR '1'='1"}) == []
    assert ids(limit=0) == []
    times = ["2025-01-01T00:00:00Z", "2025-01-01T00:00:00.5Z", "2025-01-01T00:00:01Z"]
    for index, at in enumerate(reversed(times)):
        database.insert("jobs", job(str(UUID(int=index)), created_at=at))
    found = [row["created_at"] for row in database.select("jobs", order_by="created_at")]
    assert found == [times[0], "2025-01-01T00:00:00.500000Z", times[2]]


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | TEXT
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(2.0**53, 0.0, "")
@example(None, 9.413574448464207e-293, "")
@given(JSON, st.floats(allow_nan=False, allow_infinity=False), TEXT)
def test_any_json_number_and_text_round_trips(
    database: Database, value: Any, number: float, text: str
) -> None:
    row = {"id": JOB, "reasons": value, "score": number, "chosen_backend": text}
    database.upsert("scheduler_decisions", row)
    found = database.get("scheduler_decisions", {"id": JOB})
    assert found is not None
    assert {name: found[name] for name in row} == row
    # What was read can be written again: canonical JSON takes no integer beyond 2^53.
    database.upsert("scheduler_decisions", found)
    row = {"backend_id": "b", "cost_per_shot": number}
    database.upsert("backends", row)
    found = database.get("backends", {"backend_id": "b"})
    assert found is not None
    assert found["cost_per_shot"] == number


@pytest.mark.parametrize(
    ("table", "change"),
    [
        ("jobs", {"job_id": "not-a-uuid"}),
        ("jobs", {"job_id": None}),
        ("jobs", {"state": "lost"}),
        ("jobs", {"state": None}),
        ("jobs", {"tenant": "a\0b"}),
        ("jobs", {"tenant": "\ud800"}),
        ("jobs", {"tenant": 5}),
        ("jobs", {"created_at": "yesterday"}),
        ("jobs", {"created_at": "2025-07-21T12:00:00"}),
        ("jobs", {"manifest_index": 2**63}),
        ("jobs", {"manifest_index": 1.0}),
        ("jobs", {"manifest_index": True}),
        ("jobs", {"request": {"a": float("nan")}}),
        ("jobs", {"request": {"a": "x\0"}}),
        ("jobs", {"request": {"a": 2**60}}),
        ("jobs", {"request": {1: "a"}}),
        ("jobs", {"request": {"a": {1, 2}}}),
        ("em_results", {"result_id": JOB, "shots": 10**12}),
        ("em_results", {"result_id": JOB, "job_id": JOB}),  # no such manifest
        ("em_results", {"result_id": JOB, "cost_seconds": float("inf")}),
        ("calibration_snapshots", {"id": "c", "backend_id": "nowhere"}),
        ("backends", {"vendor": "without a key"}),
    ],
)
def test_a_row_that_does_not_fit_is_refused(
    database: Database, table: str, change: dict[str, Any]
) -> None:
    row = job(**change) if table == "jobs" else change
    with pytest.raises(BadInputError) as caught:
        database.insert(table, row)
    assert "\n" not in str(caught.value)
    assert database.select(table) == []


@pytest.mark.parametrize(
    "call",
    [
        lambda d: d.select("jobs; DROP TABLE jobs"),
        lambda d: d.select("alembic_version"),
        lambda d: d.select("jobs", {"1=1 OR tenant": "x"}),
        lambda d: d.select("jobs", order_by="tenant; DROP TABLE jobs"),
        lambda d: d.select("jobs", order_by="--tenant"),
        lambda d: d.select("jobs", order_by="request"),
        lambda d: d.select("jobs", {"request": {}}),
        lambda d: d.select("jobs", limit="1; DROP TABLE jobs"),
        lambda d: d.select("jobs", limit=-1),
        lambda d: d.insert("jobs", {**job(), "tenant) --": "x"}),
        lambda d: d.upsert("jobs", {**job(), "tenant = '' --": "x"}),
        lambda d: d.update("jobs", {}, {"tenant = '' --": "x"}),
        lambda d: d.update("jobs", {}, {}),
        lambda d: d.get("jobs", {"tenant": "org-a"}),
        lambda d: d.get("jobs", {}),
    ],
)
def test_names_are_checked_and_never_reach_sql(
    database: Database, call: Callable[[Database], object]
) -> None:
    database.insert("jobs", job())
    with pytest.raises(BadInputError):
        call(database)
    assert [row["tenant"] for row in database.select("jobs")] == ["org-a"]


def test_compare_and_set_lets_exactly_one_of_many_win(connect: Callable[[], Database]) -> None:
    databases = [connect() for _ in range(4)]
    rounds = 25
    for index in range(rounds):
        databases[0].insert("jobs", job(str(UUID(int=index))))
    barrier = threading.Barrier(len(databases))
    won: list[int] = []

    def race(database: Database) -> None:
        for index in range(rounds):
            barrier.wait(timeout=30)
            where = {"job_id": str(UUID(int=index)), "state": "submitted"}
            won.append(database.update("jobs", where, {"state": "scheduled"}))

    threads = [threading.Thread(target=race, args=[database]) for database in databases]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert len(won) == rounds * len(databases)
    assert sorted(set(won)) == [0, 1]
    assert sum(won) == rounds


def test_two_inserts_of_one_key_let_one_win(connect: Callable[[], Database]) -> None:
    barrier = threading.Barrier(2)
    conflicts: list[str] = []

    def race(database: Database, tenant: str) -> None:
        barrier.wait(timeout=30)
        try:
            database.insert("jobs", job(tenant=tenant))
        except ConflictError:
            conflicts.append(tenant)

    threads = [threading.Thread(target=race, args=[connect(), t]) for t in ("one", "two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    (row,) = connect().select("jobs")
    assert {row["tenant"], *conflicts} == {"one", "two"}


def test_a_transaction_is_all_or_nothing(connect: Callable[[], Database]) -> None:
    database, other = connect(), connect()

    def fail_half_way() -> None:
        with database.transaction():
            database.insert("jobs", job())
            assert other.select("jobs") == []
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_half_way()
    assert database.select("jobs") == []
    with database.transaction():
        database.insert("jobs", job())
        with database.transaction():
            database.insert("backends", {"backend_id": "b"})
        assert other.select("backends") == []
    assert (len(other.select("jobs")), len(other.select("backends"))) == (1, 1)


def test_after_a_failed_statement_nothing_of_the_transaction_stays(database: Database) -> None:

    def hide_a_failure(*later: str) -> None:
        with database.transaction():
            database.insert("backends", {"backend_id": "b"})
            with pytest.raises(BadInputError):
                database.insert("jobs", job(state="lost"))
            for backend_id in later:
                with pytest.raises(StorageError):
                    database.insert("backends", {"backend_id": backend_id})

    with pytest.raises(StorageError):
        hide_a_failure()
    with pytest.raises(StorageError):
        hide_a_failure("c")
    assert database.select("backends") == []
    # And the connection still works.
    database.insert("backends", {"backend_id": "b"})


def test_transactions_do_not_lose_updates(connect: Callable[[], Database]) -> None:
    """Read, add one, write: in turn on SQLite, by retry on PostgreSQL; never lost."""
    connect().insert("jobs", job(manifest_index=0))
    barrier = threading.Barrier(2)

    def add(database: Database) -> None:
        barrier.wait(timeout=30)
        done = 0
        while done < 10:
            try:
                with database.transaction():
                    row = database.get("jobs", {"job_id": JOB})
                    assert row is not None
                    values = {"manifest_index": row["manifest_index"] + 1}
                    database.update("jobs", {"job_id": JOB}, values)
                done += 1
            except StorageError:
                continue

    threads = [threading.Thread(target=add, args=[connect()]) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    row = connect().get("jobs", {"job_id": JOB})
    assert row is not None
    assert row["manifest_index"] == 20


def test_threads_may_share_a_connection(database: Database) -> None:
    def write(start: int) -> None:
        for index in range(start, start + 10):
            with database.transaction():
                database.insert("jobs", job(str(UUID(int=index))))

    threads = [threading.Thread(target=write, args=[start]) for start in (0, 10, 20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert len(database.select("jobs")) == 30


def test_a_closed_database_says_so(connect: Callable[[], Database]) -> None:
    database = connect()
    database.close()
    with pytest.raises(StorageError, match="closed"):
        database.select("jobs")


def test_ensure_schema_creates_then_does_nothing(empty_url: str) -> None:
    ensure_schema(empty_url)
    with ExitStack() as stack:
        database = open_database(empty_url)
        stack.callback(database.close)
        database.insert("jobs", job())
        ensure_schema(empty_url)
        assert len(database.select("jobs")) == 1


def test_at_head_needs_no_sqlalchemy(url: str) -> None:
    script = (
        "import sys; from quantumai.storage.sql_database import open_database;"
        "open_database(sys.argv[1]).close();"
        "sys.exit(any(m in sys.modules for m in ('sqlalchemy', 'alembic')))"
    )
    done = subprocess.run([sys.executable, "-c", script, url], check=False)
    assert done.returncode == 0


@pytest.mark.slow
def test_processes_may_migrate_at_once(empty_url: str) -> None:
    script = (
        "import sys, alembic.command; from quantumai.storage.sql_database import open_database;"
        "sys.stdin.readline(); open_database(sys.argv[1]).select('jobs')"
    )
    processes = [
        subprocess.Popen([sys.executable, "-c", script, empty_url], stdin=subprocess.PIPE)
        for _ in range(3)
    ]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write(b"go\n")
        process.stdin.flush()
    assert [process.wait(timeout=60) for process in processes] == [0, 0, 0]
    for process in processes:
        assert process.stdin is not None
        process.stdin.close()


def test_an_interrupted_migration_leaves_nothing(
    empty_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from alembic import op

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(op, "create_index", killed)  # called after the tables are there
        with pytest.raises(KeyboardInterrupt):
            ensure_schema(empty_url)
    assert _tables(empty_url) == set()
    ensure_schema(empty_url)
    assert _tables(empty_url) == {*TABLES, "alembic_version"}


def test_a_newer_schema_is_refused(url: str) -> None:
    with _raw(url) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.commit()
    with pytest.raises(StorageError, match="9999"):
        open_database(url)


def test_the_migrated_schema_is_the_described_one(url: str) -> None:
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    for name, table in TABLES.items():
        types = _column_types(url, name)
        assert list(types) == list(table.columns)
        if url.startswith("postgresql"):
            kinds = {k: POSTGRES_TYPES[kind.name] for k, kind in table.columns.items()}
            assert types == kinds
        else:
            numeric = {Kind.INTEGER, Kind.BIGINT, Kind.FLOAT, Kind.NUMERIC, Kind.TIMESTAMP}
            for column, kind in table.columns.items():
                assert (types[column] == "TEXT") == (kind not in numeric), (name, column)
    import quantumai.storage.migration as migration

    config = Config()
    config.set_main_option("script_location", str(Path(migration.__file__).parent / "migrations"))
    scripts = ScriptDirectory.from_config(config)
    assert tuple(reversed([s.revision for s in scripts.walk_revisions()])) == REVISIONS
    assert scripts.get_current_head() == HEAD


def test_the_specifications_tables_stand_as_written(url: str) -> None:
    for table, ddl in SPECIFICATION.items():
        wanted = dict(column.split() for column in ddl.split(","))
        types = _column_types(url, table)
        assert list(types) == list(wanted)
        for column, kind in wanted.items():
            if url.startswith("postgresql"):
                assert types[column] == POSTGRES_TYPES[kind]
            else:
                assert types[column] == {"UUID": "TEXT", "JSONB": "TEXT"}.get(kind, kind)


@pytest.mark.parametrize("damage", ["whole", "tables"])
def test_a_damaged_file_is_told_in_one_line(
    tmp_path: Path, migrated_sqlite: Path, damage: str
) -> None:
    path = tmp_path / "db.sqlite"
    data = bytearray(migrated_sqlite.read_bytes())
    first = 0 if damage == "whole" else 4096
    data[first:] = b"\xa5" * (len(data) - first)
    path.write_bytes(data)
    with pytest.raises(StorageError) as caught:
        open_database(sqlite_url(path)).insert("jobs", job())
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)
    assert "restore" in caught.value.hint


def test_a_full_disk_and_a_lock_are_told(
    tmp_path: Path, migrated_sqlite: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("quantumai.storage.dialects.LOCK_TIMEOUT_S", 0.05)
    path = tmp_path / "db.sqlite"
    shutil.copy(migrated_sqlite, path)
    database = open_database(sqlite_url(path))
    with sqlite3.connect(path, isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StorageError, match="locked"):
            database.insert("jobs", job())
        other.execute("ROLLBACK")
    database._connection.execute("PRAGMA max_page_count = 1")

    def fill() -> None:
        with database.transaction():
            for index in range(1000):
                database.insert("jobs", job(str(UUID(int=index)), request={"text": "x" * 1000}))

    with pytest.raises(StorageError, match="full"):
        fill()
    assert database.select("jobs") == []
    database.close()


def test_a_lost_connection_is_made_anew(postgres: Callable[[str | None], str]) -> None:
    url = postgres("migrated")
    database = open_database(url)
    database.insert("jobs", job())
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    with pytest.raises(StorageError) as caught:
        database.select("jobs")
    assert "\n" not in str(caught.value)
    assert len(database.select("jobs")) == 1
    database.close()


@pytest.mark.parametrize(
    ("url", "error"),
    [
        ("mysql://localhost/x", BadInputError),
        ("sqlite:////dev/null/db.sqlite", StorageError),
        ("postgresql://nobody@/none?host=/nowhere", StorageError),
        ("postgresql://localhost:notaport/none", StorageError),
    ],
)
def test_a_database_that_cannot_be_reached_is_told(url: str, error: type[Exception]) -> None:
    with pytest.raises(error) as caught:
        open_database(url)
    assert "\n" not in str(caught.value)


def _raw(url: str) -> Any:
    """A plain connection, beside everything that is under test."""
    if url.startswith("sqlite:///"):
        return sqlite3.connect(url.removeprefix("sqlite:///"))
    return psycopg.connect(url)


def _tables(url: str) -> set[str]:
    sql = "SELECT name FROM sqlite_master WHERE type = 'table'"
    if url.startswith("postgresql"):
        sql = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
    with _raw(url) as connection:
        return {row[0] for row in connection.execute(sql).fetchall()}


def _column_types(url: str, table: str) -> dict[str, str]:
    """Column names in order with the type that the database itself states."""
    with _raw(url) as connection:
        if url.startswith("sqlite"):
            rows = connection.execute(f"PRAGMA table_info({table})").fetchall()
            return {row[1]: row[2] for row in rows}
        rows = connection.execute(
            "SELECT column_name, data_type FROM information_schema.columns"
            f" WHERE table_name = '{table}' ORDER BY ordinal_position"
        ).fetchall()
        return dict(rows)
