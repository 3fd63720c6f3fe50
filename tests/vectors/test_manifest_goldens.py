"""Evidence of every version verifies for ever, in every view.

When the manifest's schema version is raised, run `.venv/bin/python scripts/golden` once and add
the pins that it prints.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

import pytest

from quantumai.provenance.manifest.run_manifest import SCHEMA_VERSION, parse_run_manifest
from quantumai.provenance.manifest.view_verification import verify_view
from quantumai.provenance.manifest.views import ViewFormat, read_view, write_view
from quantumai.provenance.verification.report import Outcome
from quantumai.provenance.verification.sealed_statement import CHECK_NAMES
from quantumai.provenance.verification.trust import TrustFile
from tests.vectors.manifest_goldens import Golden, goldens


@dataclass(frozen=True)
class Pinned:
    """What may never change about a golden: its trust file's fingerprint, and all its bytes."""

    trust_fingerprint: str
    contents: str


PINS = {
    "v1": Pinned(
        trust_fingerprint="sha256:b41c296fa88aec4abe06e7b70813892179b38533d8c54be0fff697ac859f6b8d",
        contents="98f02946ce7c43052b8a58af6b73af21b10dc485cf15db315ac6db80148303b2",
    ),
    "v2": Pinned(
        trust_fingerprint="sha256:22b228a51a19ba20895a0d56c0b23ef61dfbc8ea01ff652a03d0258f0513f68d",
        contents="f8d0a058bbb7ea53444c0a1b43827d16ee9b66963ac027aea2d4bc663a56a5bf",
    ),
}
GOLDENS = goldens()


@pytest.fixture(params=GOLDENS)
def golden(request: pytest.FixtureRequest) -> Golden:
    return GOLDENS[request.param]


def test_every_version_has_its_golden() -> None:
    assert list(GOLDENS) == [f"v{version}" for version in range(1, SCHEMA_VERSION + 1)]
    for name, golden in GOLDENS.items():
        payload = read_view(golden.read("manifest.json")).payload
        assert f"v{parse_run_manifest(payload)[1].schema_version}" == name


def test_a_golden_is_never_touched(golden: Golden) -> None:
    trust = TrustFile.parse(golden.read("trust.json"))
    assert Pinned(trust.fingerprint(), golden.contents()) == PINS[golden.folder.name]


@pytest.mark.parametrize("view", tuple(ViewFormat))
def test_a_golden_verifies(golden: Golden, view: ViewFormat) -> None:
    envelope = read_view(golden.read("manifest.json"))
    assert envelope.data == golden.read("manifest.json")
    report = verify_view(
        write_view(envelope, view),
        golden.artefact,
        golden.read("proof.json"),
        TrustFile.parse(golden.read("trust.json")),
    )
    assert report.exit_code == 0, report.as_json()
    assert tuple(check.name for check in report.checks) == CHECK_NAMES
    # Nobody remembered a checkpoint for it, and no witness was asked.
    unchecked = {check.name for check in report.checks if check.status is not Outcome.OK}
    assert unchecked <= {"freshness"}
    assert set(report.unchecked) == unchecked


def test_no_artefact_is_missing_and_none_is_there_for_nothing(golden: Golden) -> None:
    statement, _ = parse_run_manifest(read_view(golden.read("manifest.json")).payload)
    there = {path.name for path in (golden.folder / "artefacts").iterdir()}
    assert there == set(statement.digests.values())
    subjects = {"circuit", "transpiled-circuit", "decision", "histograms", "result"}
    assert subjects <= set(statement.digests)


def test_the_trust_file_is_read_as_it_was_written(golden: Golden) -> None:
    data = golden.read("trust.json")
    assert json.loads(TrustFile.parse(data).export()) == json.loads(data)
