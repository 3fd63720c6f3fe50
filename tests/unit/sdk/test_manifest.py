"""Manifests read back: the same from a home, a folder and bytes, in every view."""

from __future__ import annotations

import shutil
from dataclasses import FrozenInstanceError
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

import quantumai
from quantumai.errors import ArtefactError, BadInputError, NotFoundError
from quantumai.jobs.evidence import export_evidence
from quantumai.provenance.manifest.views import ViewFormat, write_view
from quantumai.provenance.statements.dsse import parse_envelope
from quantumai.services.wiring import open_home

CIRCUIT = "OPENQASM 3.0;\nqubit[2] q;\nbit[2] c;\nc = measure q;\n"
GOLDEN = Path(__file__).parents[2] / "vectors" / "manifests" / "v1"


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, quantumai.Manifest]:
    """A folder of evidence with the trust file beside it, and the manifest as it was sealed."""
    home = tmp_path_factory.mktemp("read") / "home"
    with quantumai.record(backend="lab", home=home) as run:
        run.circuit(CIRCUIT)
        run.result({"00": 5})
    folder = home.parent / "evidence"
    with open_home(home, {}) as opened:
        export_evidence(opened.desk(), run.manifest.job_id, folder)
        trust = opened.open_sealer().export_trust()
    (folder / "trust.json").write_bytes(trust.export())
    return folder, run.manifest


def test_a_folder_verifies_with_the_trust_file_alone(
    sealed: tuple[Path, quantumai.Manifest],
) -> None:
    folder, original = sealed
    read = quantumai.read_manifest(folder / "manifest.json")
    assert read == original
    assert read.circuit() == CIRCUIT
    assert read.histograms()[0].counts == {"00": 5}
    assert read.verify(trust=folder / "trust.json").verified
    assert not read.verify().verified  # nobody is trusted by default
    with pytest.raises(FrozenInstanceError):
        read.data = b""  # type: ignore[misc]


@pytest.mark.parametrize("view", list(ViewFormat))
def test_every_view_reads_alike(sealed: tuple[Path, quantumai.Manifest], view: ViewFormat) -> None:
    folder, original = sealed
    data = write_view(parse_envelope(original.data), view)
    read = quantumai.read_manifest(data)
    assert (read.fields, read.subjects) == (original.fields, original.subjects)
    assert read.signatures == original.signatures
    artefacts = {path.name: path.read_bytes() for path in (folder / "artefacts").iterdir()}
    given = {"trust": (folder / "trust.json").read_bytes(), "proof": folder / "proof.json"}
    assert read.verify(**given, artefacts=artefacts).verified  # type: ignore[arg-type]
    assert read.verify(**given, artefacts=folder / "artefacts").verified  # type: ignore[arg-type]
    assert read.verify(**given).exit_code == 8  # type: ignore[arg-type]
    with pytest.raises(ArtefactError, match="missing or damaged"):
        read.circuit()


def test_a_changed_artefact_is_neither_read_nor_verified(
    sealed: tuple[Path, quantumai.Manifest], tmp_path: Path
) -> None:
    folder = shutil.copytree(sealed[0], tmp_path / "copy")
    read = quantumai.read_manifest(str(folder / "manifest.json"))
    (folder / "artefacts" / read.subjects["histograms"]).write_bytes(b"{}")
    with pytest.raises(ArtefactError, match="'histograms'"):
        read.histograms()
    assert read.verify(trust=folder / "trust.json").exit_code == 4


def test_a_golden_manifest_of_version_1_has_typed_results() -> None:
    read = quantumai.read_manifest(GOLDEN / "manifest.json")
    assert read.fields.schema_version == 1
    assert read.verify(trust=GOLDEN / "trust.json").verified
    result = read.result()
    assert result.shots_spent
    assert all(abs(h.shots) > 0 for h in read.histograms())
    assert all(v.observable and v.raw is not None for v in result.expectation_values)


def test_what_is_no_manifest_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no home"):
        quantumai.read_manifest(str(uuid4()), home=tmp_path / "none")
    with pytest.raises(BadInputError, match="cannot read the manifest"):
        quantumai.read_manifest(tmp_path / "absent.json")
    with pytest.raises(BadInputError):
        quantumai.read_manifest(b"{}")
    with pytest.raises(BadInputError, match="a int is no manifest"):
        quantumai.read_manifest(3)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"trust": 5}, "the trust file is no int"),
        ({"proof": 5}, "the proof is no int"),
        ({"artefacts": 5}, "the artefacts are no int"),
        ({"artefacts": {"ab": 5}}, "no bytes by SHA-256"),
        ({"allow_unchecked": "ledger"}, "a set of names of checks"),
        ({"allow_unchecked": {5}}, "a set of names of checks"),
        ({"allow_unchecked": ["x"]}, "unknown check 'x'"),
    ],
)
def test_what_is_no_evidence_is_told(
    sealed: tuple[Path, quantumai.Manifest], given: dict[str, Any], message: str
) -> None:
    with pytest.raises(BadInputError, match=message):
        sealed[1].verify(**given)


def test_an_artefact_that_is_no_subject_is_told_from_a_lost_one(
    sealed: tuple[Path, quantumai.Manifest],
) -> None:
    with pytest.raises(BadInputError, match="has no artefact 'model'"):
        sealed[1].artefact("model")
    with pytest.raises(BadInputError, match="has no artefact 5"):
        sealed[1].artefact(5)  # type: ignore[arg-type]
