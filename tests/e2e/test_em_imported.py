"""A plan of circuits made elsewhere: copied when the run begins, sealed, never read again."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from quantumai.canonical import sha256_hex
from quantumai.circuits.families.imported import imported_circuits
from tests.e2e.qai_command import qai

pytestmark = pytest.mark.slow

PLAN = """
"schema_version": 1
"name": "elsewhere"
"seed": "1"
"shots": [4000]
"tolerance": 0.05
"engine": "channel"
"backends": ["ibm.fake_nairobi", "ibm.fake_torino"]
"noises": {"friendly": {}}
"methods": [{"name": "none"}, {"name": "rem+zne"}]
"circuits":
  - {"variant": "imported", "folder": "circuits"}
  - {"variant": "tfim", "num_qubits": [4], "count": 1}
"""
GOOD = 'OPENQASM 2.0;\ninclude "qelib1.inc";\nqreg q[4];\nh q;\n'


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    from mqt.bench import BenchmarkLevel, get_benchmark
    from qiskit import qasm2, qasm3

    (folder := tmp_path / "circuits").mkdir()
    for name, size in (("ghz", 4), ("graphstate", 6), ("wstate", 5)):
        qc = get_benchmark(name, BenchmarkLevel.INDEP, size)
        write = qasm3.dumps if name == "wstate" else qasm2.dumps
        (folder / f"{name}.qasm").write_text(write(qc))
    (folder / "notes.txt").write_text("no circuit")
    file = tmp_path / "plan.yaml"
    file.write_text(PLAN)
    return file


def _rows(folder: Path) -> list[dict[str, Any]]:
    import pyarrow.parquet as pq

    return [
        row
        for file in sorted(folder.glob("results/*/*/*.parquet"))
        for row in pq.ParquetFile(file).read().to_pylist()
    ]


def test_circuits_from_elsewhere_are_measured_and_sealed(plan: Path, tmp_path: Path) -> None:
    home, source = tmp_path / "home", plan.parent / "circuits"
    wanted = {made.circuit_id: made for made in imported_circuits(source)}
    done = qai("em", "run", "--plan", plan, "--workers", 1, "--json", home=home)
    assert done.code == 0, done.err
    folder = Path(done.json["folder"])
    texts = {sha256_hex(p.read_bytes()): p.read_bytes() for p in source.glob("*.qasm")}
    assert {p.stem: p.read_bytes() for p in folder.glob("circuits/*")} == texts
    for job in done.json["jobs"].values():
        subjects = qai("manifest", "show", job, home=home).json["subjects"]
        assert {f"em/circuits/{digest}.qasm" for digest in texts} <= set(subjects)
    rows = _rows(folder)
    measured = [row for row in rows if row["family"] == "imported"]
    assert len(measured) == 3 * 2 * 2
    assert {row["circuit_id"] for row in measured} == set(wanted)
    for row in measured:
        made = wanted[row["circuit_id"]]
        assert row["failure"] is None
        assert row["observables"] == list(made.observables)
        if made.parameters["file"] == "ghz.qasm":
            assert row["ideal"] == pytest.approx([0, 0, 0, 0, 1, 1, 1], abs=1e-9)
    report = qai("em", "report", "elsewhere", "--json", home=home)
    assert {block["family"] for block in report.json["blocks"]} >= {"imported", "trotter"}

    # What the folder becomes does not matter to a run that has begun, here in another home.
    shutil.rmtree(source)
    stopped = tmp_path / "elsewhere" / "em-runs" / folder.name
    shutil.copytree(folder, stopped)
    next(stopped.glob("results/*/backend_id=ibm.fake_torino/*.parquet")).unlink()
    other = tmp_path / "elsewhere"
    assert qai("em", "run", "--resume", "elsewhere", "--workers", 1, home=other).code == 0
    again = _rows(stopped)
    for row in (*rows, *again):
        del row["runtime_seconds"]
    assert again == rows


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("circuits", None, "cannot read"),
        ("a.qasm", None, "0 OpenQASM files"),
        ("a.qasm", GOOD + "walk q[0];\n", "a.qasm: not valid OpenQASM 2: line 5"),
        ("a.qasm", GOOD.replace("4", "30"), "a.qasm: it has 30 qubits"),
        ("a.qasm", GOOD.replace("h q", "reset q"), "a.qasm: "),
        ("a\n.qasm", GOOD, "no printable text"),
    ],
)
def test_a_bad_folder_is_one_line_and_leaves_nothing(
    plan: Path, tmp_path: Path, name: str, text: str | None, message: str
) -> None:
    source, home = plan.parent / "circuits", tmp_path / "home"
    shutil.rmtree(source)
    if name != "circuits":
        source.mkdir()
    if text is not None:
        (source / name).write_text(text)
    refused = qai("em", "run", "--plan", plan, home=home)
    assert (refused.code, message in refused.err) == (2, True), refused.err
    assert refused.err.startswith("error: ")
    assert refused.err.count("\n") <= 2  # the line, and its hint
    assert not home.exists()
