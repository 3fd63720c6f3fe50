"""The table of states: code, database and behaviour are held against it and against each other."""

from __future__ import annotations

import importlib
import sqlite3
from itertools import product
from pathlib import Path
from typing import Any

import psycopg
import pytest

from quantumai.errors import DeniedError
from quantumai.keys.management.states import (
    ALLOWED_USES,
    TRANSITIONS,
    KeyState,
    KeyUse,
    require_transition,
    require_use,
)
from quantumai.storage.migration import ensure_schema
from quantumai.storage.schema import HEAD
from tests.key_management import new_database
from tests.servers import postgres_server

PAIRS = list(product([None, *KeyState], KeyState))
# One row; its states are what a test sets.
ROW = {
    "version_ref": "local/k/1",
    "tenant": "local",
    "name": "k",
    "version": 1,
    "algorithm": "Ed25519",
    "purpose": "raw",
    "provider": "soft",
    "handle": "k/1",
    "state": "pre-active",
    "spki": "AA==",
    "created_at": "2026-01-01",
    "uses": 0,
}


def is_allowed(former: KeyState | None, state: KeyState) -> bool:
    if former is None:
        return state is KeyState.PRE_ACTIVE
    return state in TRANSITIONS[former]


def test_the_table_is_the_one_that_was_agreed() -> None:
    """Written out here a second time, from the issue and SP 800-57."""
    agreed = {
        "pre-active": "active destroyed",
        "active": "verify-only disabled compromised destroy-scheduled",
        "verify-only": "disabled compromised destroy-scheduled",
        "disabled": "active verify-only compromised destroy-scheduled",
        "compromised": "destroy-scheduled",
        "destroy-scheduled": "disabled compromised destroyed",
        "destroyed": "",
    }
    assert {str(f): {str(t) for t in after} for f, after in TRANSITIONS.items()} == {
        former: set(after.split()) for former, after in agreed.items()
    }
    uses = {"active": "sign verify wrap unwrap", "verify-only": "verify unwrap"}
    assert {str(s): {str(u) for u in allowed} for s, allowed in ALLOWED_USES.items()} == {
        state: set(uses.get(state, "").split()) for state in agreed
    }


def test_the_code_refuses_what_is_not_in_the_table() -> None:
    for former, state in product(KeyState, KeyState):
        if state in TRANSITIONS[former]:
            require_transition(former, state, "k/1")
        else:
            with pytest.raises(DeniedError, match=f"is {former} and cannot become {state}"):
                require_transition(former, state, "k/1")
    for state, use in product(KeyState, KeyUse):
        if use in ALLOWED_USES[state]:
            require_use(state, use, "k/1")
        else:
            with pytest.raises(DeniedError, match=f"is {state}: it does not {use}"):
                require_use(state, use, "k/1")


def test_the_newest_migration_has_the_same_table() -> None:
    folder = "quantumai.storage.migrations.versions"
    modules = [
        importlib.import_module(f"{folder}.{path.stem}")
        for path in sorted(Path(importlib.import_module(folder).__path__[0]).glob("0*.py"))
    ]
    assert modules[-1].revision == HEAD
    newest = [module for module in modules if hasattr(module, "_TRANSITIONS")][-1]
    assert len(newest._TRANSITIONS) == len(set(newest._TRANSITIONS))
    assert set(newest._TRANSITIONS) == {
        f"{f}>{t}" for f, after in TRANSITIONS.items() for t in after
    }
    assert set(newest._STATES) == {str(state) for state in KeyState}


def refused(connection: Any, errors: type[Exception], mark: str) -> set[tuple[Any, KeyState]]:
    """The pairs of states that the database does not take in a new row."""
    found = set()
    for former, state in PAIRS:
        try:
            _insert(connection, mark, former, state)
        except errors:
            found.add((former, state))
        connection.execute("DELETE FROM kms_keys")
    _insert(connection, mark, None, KeyState.PRE_ACTIVE)
    for unknown in ("", "Active", "lost"):
        with pytest.raises(errors):
            connection.execute(f"UPDATE kms_keys SET state = {mark}", [unknown])
    with pytest.raises(errors):
        connection.execute(
            "UPDATE kms_keys SET former_state='pre-active', state='active', spki=NULL"
        )
    connection.execute("DELETE FROM kms_keys")
    return found


def _insert(connection: Any, mark: str, former: KeyState | None, state: KeyState) -> None:
    row = ROW | {"former_state": None if former is None else str(former), "state": str(state)}
    names, marks = ", ".join(row), ", ".join([mark] * len(row))
    connection.execute(f"INSERT INTO kms_keys ({names}) VALUES ({marks})", list(row.values()))


def false_moves_taken(
    connection: Any, errors: type[Exception], mark: str
) -> list[tuple[KeyState, KeyState, KeyState]]:
    """Moves of a row in a state that claim another former state, and were taken all the same."""
    taken = []
    for present, former, state in product(KeyState, KeyState, KeyState):
        before = next(f for f in (None, *KeyState) if is_allowed(f, present))
        _insert(connection, mark, before, present)
        try:
            connection.execute(
                f"UPDATE kms_keys SET former_state = {mark}, state = {mark}",
                [str(former), str(state)],
            )
        except errors:
            assert not (present is former and is_allowed(former, state))
        else:
            if former is not present and state is not present:
                taken.append((present, former, state))
        connection.execute("DELETE FROM kms_keys")
    return taken


EXPECTED = {(former, state) for former, state in PAIRS if not is_allowed(former, state)}


def test_sqlite_refuses_every_other_pair(tmp_path: Path) -> None:
    new_database(tmp_path / "kms.db").close()
    with sqlite3.connect(tmp_path / "kms.db", isolation_level=None) as connection:
        assert refused(connection, sqlite3.IntegrityError, "?") == EXPECTED
        assert false_moves_taken(connection, sqlite3.IntegrityError, "?") == []


@pytest.mark.integration
def test_postgresql_refuses_every_other_pair() -> None:
    with postgres_server() as url:
        ensure_schema(url)
        with psycopg.connect(url, autocommit=True) as connection:
            assert refused(connection, psycopg.errors.IntegrityError, "%s") == EXPECTED
            assert false_moves_taken(connection, psycopg.errors.IntegrityError, "%s") == []
