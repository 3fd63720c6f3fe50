"""Ingesting the fleet, the rows that a job leaves, and a whole job on PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from quantumai.backends.calibration import CalibrationSnapshot
from quantumai.backends.catalogue import BackendEntry
from quantumai.crypto_mode import CryptoMode
from quantumai.errors import EvidenceError
from quantumai.jobs.evidence import Evidence
from quantumai.jobs.fleet import open_fleet
from quantumai.jobs.history import find_job
from quantumai.jobs.object_names import artefact_key, manifest_key, public_artefact_key
from quantumai.jobs.replay import replay_job
from quantumai.jobs.run_job import run_job
from quantumai.provenance.manifest.views import flat_view
from quantumai.provenance.statements.dsse import parse_envelope
from quantumai.scheduler.planner import FleetMember
from quantumai.services.wiring import Home, open_home
from quantumai.storage.schema import TABLES
from quantumai.storage.sql_database import open_database
from tests.servers import postgres_server
from tests.synthetic_devices import both_ways, device
from tests.unit.jobs.conftest import Finished
from tests.unit.jobs.finished_jobs import silent, small_job


@dataclass
class Vendor:
    """Synthetic devices, and how often each was read."""

    home: Home
    read: list[str] = field(default_factory=list)
    error: float = 0.01

    def snapshot(self, name: str) -> CalibrationSnapshot:
        self.read.append(name)
        return device(both_ways([(0, 1), (1, 2)]), num_qubits=3, error=self.error, backend_id=name)

    def open(self, *entries: BackendEntry) -> tuple[FleetMember, ...]:
        return open_fleet(entries, self.snapshot, self.home.database, self.home.objects)


@pytest.fixture
def vendor(tmp_path: Path) -> Iterator[Vendor]:
    with open_home(tmp_path / "home", {}) as home:
        yield Vendor(home)


def _entry(name: str) -> BackendEntry:
    return BackendEntry(name, "vendor", name, "region", 1e-4, 0.99, 3, tuple(CryptoMode))


def test_a_calibration_is_read_once(vendor: Vendor) -> None:
    first = vendor.open(_entry("a"), _entry("b"))
    assert vendor.open(_entry("b"), _entry("a")) == (first[1], first[0])
    assert vendor.read == ["a", "b"]
    assert len(vendor.home.database.select("calibration_snapshots")) == 2
    assert first[0].snapshot == vendor.snapshot("a")
    assert first[0].snapshot_sha256 == first[0].snapshot.sha256


@pytest.mark.parametrize(
    ("column", "changes"),
    [
        ("cost_per_shot", {"cost_per_shot": 3e-4}),
        ("availability", {"availability": 0.5}),
        ("region", {"region": "elsewhere"}),
        ("capabilities", {"crypto_modes": (CryptoMode.CLASSICAL,)}),
    ],
)
def test_a_changed_catalogue_entry_is_taken_up(
    vendor: Vendor, column: str, changes: dict[str, Any]
) -> None:
    vendor.open(_entry("a"), _entry("b"))
    before = vendor.home.database.get("backends", {"backend_id": "a"})
    changed = msgspec.structs.replace(_entry("a"), **changes)
    assert vendor.open(changed, _entry("b"))[0].entry == changed
    after = vendor.home.database.get("backends", {"backend_id": "a"})
    assert before is not None
    assert after is not None
    assert {name for name in after if after[name] != before[name]} == {column}
    assert vendor.read == ["a", "b", "a"]


@pytest.mark.parametrize("gone", [False, True])
def test_a_damaged_snapshot_is_one_line(vendor: Vendor, gone: bool) -> None:
    (member,) = vendor.open(_entry("a"))
    path = Path(vendor.home.objects.locate(public_artefact_key(member.snapshot_sha256)))
    if gone:
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(EvidenceError, match="missing or damaged") as caught:
        vendor.open(_entry("a"))
    assert len(str(caught.value).splitlines()) == 1
    assert str(path.parent) not in str(caught.value)


def _check_rows(home: Home, job_id: str) -> None:
    """All of the specification's columns are filled, and say what the evidence says."""
    database, objects = home.database, home.objects
    evidence = Evidence(home.desk(), job_id)
    (manifest,) = database.select("manifests", {"job_id": job_id})
    (result,) = database.select("em_results", {"job_id": job_id})
    (decision,) = database.select("scheduler_decisions", {"job_id": job_id})
    for table in (name for name in TABLES if not name.startswith("kms_")):
        empty = {"em_results": {"parquet_path"}, "jobs": {"failure_code", "failure_reason"}}
        for row in database.select(table):
            unfilled = {name for name, value in row.items() if value is None}
            assert unfilled == empty.get(table, set()), (table, unfilled)
    view = flat_view(parse_envelope(evidence.envelope))
    assert objects.get(manifest.pop("s3_path")) == evidence.envelope
    assert manifest_key("local", job_id) == f"manifests/local/{job_id}/manifest.json"
    assert {name: view[name] for name in manifest} == manifest
    sealed, assessment = evidence.json("decision"), evidence.json("assessment")
    assert decision["decision_manifest_path"] == artefact_key(
        "local", evidence.digests["signed-decision"]
    )
    assert objects.exists(decision["decision_manifest_path"])
    assert decision["score"] == sealed["chosen"]["factors"]["score"]
    assert decision["reasons"] == {k: sealed[k] for k in ("chosen", "candidates", "backends")}
    assert result["shots"] == 600
    assert result["mitigated_fidelity"] == assessment["mitigated_fidelity"]
    assert result["unmitigated_fidelity"] == assessment["unmitigated_fidelity"]
    assert 0 < result["cost_seconds"] < 60
    backends = {row["backend_id"]: row for row in database.select("backends")}
    snapshots = {row["id"]: row for row in database.select("calibration_snapshots")}
    assert len(backends) == len(snapshots) == len(evidence.fleet())
    chosen = backends[decision["chosen_backend"]]
    assert chosen["last_calibration_id"] == manifest["calibration_snapshot_id"]
    assert snapshots[chosen["last_calibration_id"]]["backend_id"] == decision["chosen_backend"]


def test_a_job_fills_the_specifications_tables(finished: Finished) -> None:
    _check_rows(finished.home, finished.job_id)


def test_a_whole_job_on_postgresql(tmp_path: Path) -> None:
    with postgres_server() as url, open_home(tmp_path / "home", {}) as opened:
        database = open_database(url)
        home = replace(opened, database=database, to_close=[database])
        with home:
            desk = home.desk()
            report = run_job(desk, small_job(), silent)
            assert report.verified
            assert replay_job(desk, report.job_id).bit_equal
            assert find_job(desk, report.job_id).state == "done"
            _check_rows(home, report.job_id)
        assert opened.database.select("jobs") == []
