"""1,000 random one-byte changes over a finished demo home: each is found, or concerns nothing.

The trust file is kept outside. A change that `verify-all` does not find has to lie in bytes of the
database file from which no table, row or schema is read: SQL itself reads the same before and
after, apart from the columns below.
"""

from __future__ import annotations

import random
import shutil
import sqlite3
import warnings
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest

import quantumai
from quantumai.provenance.verification.trust import TrustFile
from quantumai.services.existing_home import open_existing_home
from quantumai.services.verify_all import verify_home

pytestmark = pytest.mark.slow

CHANGES = 1000
DATABASE = "quantumai.db"
# What nothing vouches for, to the last digit: when a row was touched, how long a run took, ids
# that only name rows. Written out here, so that the code cannot widen it. `activated_at` is
# compared with the audit log to some minutes; what a key has signed is counted there.
IGNORED = {
    "jobs": {"updated_at"},
    "em_results": {"result_id", "cost_seconds"},
    "scheduler_decisions": {"id"},
    "kms_keys": {"created_at", "activated_at", "last_used_at"},
    "kms_names": {"created_at"},
}


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, TrustFile]:
    """A home after `make demo`'s job, and the trust file that was handed out then."""
    folder = tmp_path_factory.mktemp("demo") / "home"
    with warnings.catch_warnings(action="ignore"):
        quantumai.run(
            Path("examples/tfim_6q.qasm"), ["ZIIIII", "ZZIIII"], shots=8000, seed="1", home=folder
        )
        with open_existing_home(folder) as home:
            trust = home.open_sealer().export_trust()
    return folder, trust


def _read_by_sql(database: Path) -> object:
    """The schema and all rows, apart from what nothing vouches for."""
    with closing(sqlite3.connect(database)) as connection:
        connection.row_factory = sqlite3.Row
        schema = [tuple(row) for row in connection.execute("SELECT * FROM sqlite_master")]
        tables = [row[1] for row in schema if row[0] == "table"]
        rows = {
            table: [
                {
                    name: value
                    for name, value in dict(row).items()
                    if name not in IGNORED.get(table, set())
                }
                for row in connection.execute(f'SELECT * FROM "{table}"')
            ]
            for table in tables
        }
    # Pages are numbered in the schema; where a table lies says nothing.
    return [row[:3] + row[4:] for row in schema], rows


def _concerns_nothing(path: Path, before: object) -> bool:
    try:
        return path.name == DATABASE and _read_by_sql(path) == before
    except sqlite3.Error:
        return False


def test_each_change_is_found_or_concerns_nothing(
    demo: tuple[Path, TrustFile], tmp_path: Path
) -> None:
    whole, trust = demo
    home = tmp_path / "home"
    shutil.copytree(whole, home)
    assert not any(part.problems for part in verify_home(home, trust))
    before = _read_by_sql(home / DATABASE)
    files = sorted(path for path in home.rglob("*") if path.is_file() and path.stat().st_size)
    sizes = [path.stat().st_size for path in files]
    draw = random.Random(20261126)
    outcomes: Counter[str] = Counter()
    missed = []
    for path in draw.choices(files, sizes, k=CHANGES):
        original = path.read_bytes()
        at, change = draw.randrange(len(original)), draw.randrange(1, 256)
        path.write_bytes(original[:at] + bytes([original[at] ^ change]) + original[at + 1 :])
        with warnings.catch_warnings(action="ignore"):
            found = [part.name for part in verify_home(home, trust) if part.problems]
        if found:
            outcomes[f"found by {found[0]}"] += 1
        elif _concerns_nothing(path, before):
            outcomes["concerns nothing"] += 1
        else:
            missed.append((path.relative_to(home).as_posix(), at, original[at], change))
        for left in home.glob(f"{DATABASE}-*"):
            if not left.name.endswith("migration-lock"):
                left.unlink()
        path.write_bytes(original)
    print(dict(outcomes))
    assert missed == []
    assert sum(outcomes.values()) == CHANGES
    assert not any(part.problems for part in verify_home(home, trust))
