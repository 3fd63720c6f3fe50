"""Imported circuits in a plan: what is refused, and that workers need the run's copy alone."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from quantumai.backends.channel_simulator import ChannelSimulator
from quantumai.backends.ibm_fake import read_snapshot
from quantumai.errors import ArtefactError, BadInputError
from quantumai.harness.batch import run_batch
from quantumai.harness.cells import expand
from quantumai.harness.estimation import Bench
from quantumai.harness.imported_groups import read_imported, sources_of
from quantumai.harness.plan import parse_plan
from quantumai.harness.run_folder import RunFolder
from quantumai.mitigation.entry_points import make_method

pytestmark = pytest.mark.slow

GROUP = b'{"variant": "imported", "folder": "here"}'
PLAN = (
    b"""
"schema_version": 1
"name": "imports"
"seed": "1"
"shots": [500]
"tolerance": 0.05
"engine": "channel"
"backends": ["ibm.fake_lima"]
"noises": {"friendly": {}}
"methods": [{"name": "none"}]
"circuits": [%s]
"""
    % GROUP
)
TEXT = 'OPENQASM 2.0;\ninclude "qelib1.inc";\nqreg q[4];\nx q[%d];\n'
LIMA = read_snapshot("lima")
CALIBRATIONS = {"ibm.fake_lima": LIMA.sha256}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "here").mkdir()
    for number in range(3):
        (tmp_path / "here" / f"{number}.qasm").write_text(TEXT % number)
    return tmp_path


def test_a_batch_needs_the_texts_that_come_with_the_bench(folder: Path) -> None:
    plan = parse_plan(PLAN, "the plan")
    imported = read_imported(plan, folder)
    cells = expand(plan, CALIBRATIONS, imported).to_batches()[0]
    sources = sources_of(imported)

    def bench(texts: dict[str, str]) -> Bench:
        return Bench({LIMA.sha256: LIMA}, lambda _: ChannelSimulator(), make_method, sources=texts)

    rows = run_batch(cells, bench=bench(sources)).to_pylist()
    # X on one qubit of four, computed by hand.
    for number, row in enumerate(rows):
        singles = [-1.0 if q == number else 1.0 for q in range(4)]
        pairs = [a * b for a, b in pairwise(singles)]
        assert row["ideal"] == pytest.approx(singles + pairs)
        assert row["family"] == row["variant"] == "imported"
    lost = run_batch(cells, bench=bench({})).to_pylist()
    assert [row["failure"].startswith("no imported circuit") for row in lost] == [True] * 3
    assert [row["cell_id"] for row in lost] == [row["cell_id"] for row in rows]


def test_a_cell_is_named_by_content(folder: Path) -> None:
    plan = parse_plan(PLAN, "the plan")
    before = expand(plan, CALIBRATIONS, read_imported(plan, folder))["cell_id"].to_pylist()
    (folder / "here" / "1.qasm").write_text(TEXT % 3)
    after = expand(plan, CALIBRATIONS, read_imported(plan, folder))["cell_id"].to_pylist()
    assert [one == other for one, other in zip(before, after, strict=True)] == [True, False, True]


def test_a_damaged_copy_is_not_believed(folder: Path) -> None:
    plan = parse_plan(PLAN, "the plan")
    sources = sources_of(read_imported(plan, folder))
    run = RunFolder(folder / "run")
    for digest, text in sources.items():
        run.write(f"circuits/{digest}.qasm", text.encode())
    assert run.sources() == sources
    next((folder / "run" / "circuits").iterdir()).write_text(TEXT % 3)
    with pytest.raises(ArtefactError, match="is damaged"):
        run.sources()


def test_imported_circuits_count_towards_the_limit(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("quantumai.harness.imported_groups.MAX_CELLS", 2)
    with pytest.raises(BadInputError, match="3 cells with imported circuits, more than 2"):
        read_imported(parse_plan(PLAN, "the plan"), folder)


@pytest.mark.parametrize(
    ("group", "message"),
    [
        (b'{"variant": "imported"}', "folder: none is given"),
        (b'{"variant": "imported", "folder": "here", "count": 2}', "count: the files decide"),
        (b'{"variant": "imported", "folder": "here", "num_qubits": [4]}', "num_qubits: the files"),
        (b'{"variant": "imported", "folder": 7}', "Expected `str`"),
        (b'{"variant": "tfim", "num_qubits": [4], "count": 1, "folder": "here"}', "folder: for"),
        (b'{"variant": "tfim", "num_qubits": [4]}', "count: from 1 to"),
        (b'{"variant": "tfim", "count": 1}', "num_qubits: none is given"),
    ],
)
def test_bad_groups(group: bytes, message: str) -> None:
    with pytest.raises(BadInputError, match=message):
        parse_plan(PLAN.replace(GROUP, group), "the plan")


def test_a_path_with_a_nul_is_told(folder: Path) -> None:
    plan = parse_plan(PLAN.replace(b'"here"', b'"he\\u0000re"'), "the plan")
    with pytest.raises(BadInputError, match="cannot read"):
        read_imported(plan, folder)
