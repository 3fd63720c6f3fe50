"""`qai em`: a small plan run, sealed, gone on with, reported; and what is refused."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from quantumai.harness.results import result_schema
from tests.e2e.qai_command import qai

pytestmark = pytest.mark.slow

PLAN = """
"schema_version": 1
"name": "tiny"
"seed": "1"
"shots": [400]
"tolerance": 0.05
"engine": "channel"
"backends": ["ibm.fake_nairobi", "ibm.fake_torino"]
"noises": {"friendly": {}, "unfriendly": {"idle_relaxation": true}}
"methods": [{"name": "none"}, {"name": "rem"}, {"name": "zne"}]
"circuits":
  - {"variant": "brickwork", "num_qubits": [4], "count": 6}
"""


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("plan") / "tiny.yaml"
    file.write_text(PLAN)
    return file


def test_a_run_is_sealed_by_backend_and_every_file_is_in_it(plan: Path, tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    home = tmp_path / "home"
    done = qai("em", "run", "--plan", plan, "--workers", 1, "--json", home=home)
    assert done.code == 0, done.err
    folder, jobs = Path(done.json["folder"]), done.json["jobs"]
    assert "24 of 24 cells" in done.err
    assert set(jobs) == {"ibm.fake_nairobi", "ibm.fake_torino"}
    sealed: set[str] = set()
    for backend, job in jobs.items():
        verified = qai("manifest", "verify", job, "--json", home=home)
        assert verified.code == 0, verified.out
        view = qai("manifest", "show", job, home=home).json
        assert (view["backend_id"], view["em_method"]) == (backend, "em-harness")
        names = set(view["subjects"])
        sealed |= {name.removeprefix("em/") for name in names if name.startswith("em/")}
        for file in folder.glob(f"results/*/backend_id={backend}/*.parquet"):
            table = pq.ParquetFile(file).read()
            assert table.schema == result_schema()
            assert set(table.column("job_id").to_pylist()) == {job}
    files = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
    assert files == sealed
    assert qai("verify-all", home=home).code == 0
    listed = qai("em", "list", "--json", home=home).json
    assert [run["plan"] for run in listed] == ["tiny"]
    # Going on with a finished run changes nothing and seals nothing again.
    again = qai("em", "run", "--resume", "tiny", "--workers", 1, "--json", home=home)
    assert again.json == done.json
    assert len(qai("jobs", "list", "--json", home=home).json) == 2


LEARNING = """
"schema_version": 1
"name": "learns"
"seed": "1"
"shots": [400]
"tolerance": 0.05
"engine": "channel"
"backends": ["ibm.fake_nairobi"]
"noises": {"friendly": {}}
"methods": [{"name": "rem"}]
"circuits":
  - {"variant": "brickwork", "num_qubits": [4], "count": 30, "split": "train"}
  - {"variant": "brickwork", "num_qubits": [4], "count": 2, "first_seed": 90, "unseen": "circuit"}
"learning": {"variants": ["rf"], "controls": false}
"""


def test_a_model_says_who_signed_it_and_whether_it_was_changed(plan: Path, tmp_path: Path) -> None:
    home, learning = tmp_path / "home", tmp_path / "learning.yaml"
    learning.write_text(LEARNING)
    done = qai("em", "run", "--plan", learning, "--workers", 1, "--json", home=home)
    assert done.code == 0, done.err
    model, pem = Path(done.json["folder"]) / "models" / "friendly-rf", tmp_path / "key.pem"
    verified = qai("em", "verify-model", model, "--json", home=home)
    assert (verified.code, verified.json["verified"]) == (0, True)
    assert qai("kms", "keys", "public", "model-ecdsa-p256", "--out", pem, home=home).code == 0
    # Who got the model and the key needs no home.
    given = qai("em", "verify-model", model, "--public-key", pem, home=tmp_path / "nowhere")
    assert given.code == 0
    assert "4 files have the signed SHA-256" in given.out
    assert not (tmp_path / "nowhere").exists()
    assert qai("em", "verify-model", model, home=tmp_path / "nowhere").code == 2

    uses = f'"methods": [{{"name": "ml-qem", "parameters": {{"model": "{model}"}}}}]'
    using = tmp_path / "using.yaml"
    using.write_text(PLAN.replace(next(x for x in PLAN.splitlines() if "methods" in x), uses))
    again = qai("em", "run", "--plan", using, "--workers", 1, home=home)
    assert (again.code, "warning: model" in again.err) == (0, False), again.err
    card = model / "card.json"
    card.write_bytes(card.read_bytes() + b"\n")  # JSON to its reader still, and another's word
    changed = qai("em", "verify-model", model, home=home)
    assert changed.code == 4
    assert "'card.json' was changed" in changed.out
    told = qai("em", "run", "--plan", using, "--workers", 1, home=home)
    assert told.code == 0
    assert "friendly-rf: artefacts: 'card.json' was changed" in told.err
    (model / "model.sig").unlink()
    unsigned = qai("em", "verify-model", model, home=home)
    assert unsigned.code == 8
    assert "it is not signed" in unsigned.out
    (model / "model.sig").write_text("{}")
    assert qai("em", "verify-model", model, home=home).code == 2


def test_a_report_is_one_page_without_links(plan: Path, tmp_path: Path) -> None:
    home, page = tmp_path / "home", tmp_path / "page.html"
    assert qai("em", "run", "--plan", plan, "--workers", 1, home=home).code == 0
    made = qai("em", "report", "tiny", "--out", page, "--json", home=home)
    assert made.code == 0, made.err
    assert made.json["counts"]["cells"] == 24
    assert made.json["counts"]["noises"] == ["friendly", "unfriendly"]
    text = page.read_text()
    assert "<svg" in text
    assert "href=" not in text
    assert "src=" not in text


def test_a_run_that_was_stopped_goes_on_in_another_process(plan: Path, tmp_path: Path) -> None:
    """A batch that is not there is run again; before that there is no report."""
    home = tmp_path / "home"
    done = qai("em", "run", "--plan", plan, "--workers", 1, "--json", home=home)
    folder = tmp_path / "copy"
    shutil.copytree(done.json["folder"], folder)
    next(folder.glob("results/*/*/*.parquet")).unlink()
    elsewhere = tmp_path / "elsewhere"  # a home that sealed nothing of it
    refused = qai("em", "report", folder, home=elsewhere)
    assert refused.code == 1
    assert "1 batches of run" in refused.err
    assert "qai em run --resume" in refused.err
    resumed = qai("em", "run", "--resume", folder, "--workers", 1, "--json", home=elsewhere)
    assert (resumed.code, resumed.json["failed_rows"]) == (0, 0), resumed.err
    assert qai("em", "report", folder, home=elsewhere).code == 0


@pytest.mark.parametrize(
    ("file", "told"),
    [
        ("results/*/*/*.parquet", "is not as it was sealed"),
        ("plan.yaml", "is not as it was sealed"),
        ("histograms/*.parquet", "is not as it was sealed"),
    ],
)
def test_a_changed_file_of_a_sealed_run_is_not_reported(
    file: str, told: str, plan: Path, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    done = qai("em", "run", "--plan", plan, "--workers", 1, "--json", home=home)
    target = next(Path(done.json["folder"]).glob(file))
    target.write_bytes(target.read_bytes().replace(b"4", b"5"))
    refused = qai("em", "report", "tiny", home=home)
    assert (refused.code, told in refused.err) == (4, True), refused.err
    assert not (Path(done.json["folder"]) / "report.html").exists()


@pytest.mark.parametrize(
    ("file", "told"),
    [
        ("plan.yaml", "is not as it was sealed"),
        ("cells.parquet", "is not as it was sealed"),
        ("calibrations/*.json", "is not as it was sealed"),
        ("run.json", "is damaged"),
    ],
)
def test_a_run_whose_beginning_was_changed_does_not_go_on(
    file: str, told: str, plan: Path, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    done = qai("em", "run", "--plan", plan, "--workers", 1, "--json", home=home)
    target = next(Path(done.json["folder"]).glob(file))
    target.write_bytes(target.read_bytes()[:-9])
    refused = qai("em", "run", "--resume", "tiny", "--workers", 1, home=home)
    assert (refused.code, told in refused.err) == (4, True), refused.err
    assert "Traceback" not in refused.err


def test_a_report_replaces_no_file_of_the_run(plan: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    done = qai("em", "run", "--plan", plan, "--workers", 1, "--json", home=home)
    record = Path(done.json["folder"]) / "run.json"
    before = record.read_bytes()
    refused = qai("em", "report", "tiny", "--out", record, home=home)
    assert (refused.code, "is a file of the run" in refused.err) == (2, True)
    assert record.read_bytes() == before
    among = record.parent / "results" / "new.parquet"
    refused = qai("em", "report", "tiny", "--out", among, home=home)
    assert (refused.code, among.exists()) == (2, False)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("em", "run"), "which plan?"),
        (("em", "run", "--plan", "nightly", "--resume", "x"), "which plan?"),
        (("em", "run", "--plan", "nothing"), "there is no plan"),
        (("em", "run", "--plan", "nightly", "--crypto-mode", "none"), "unknown crypto mode"),
        (("em", "run", "--resume", "nothing"), "no run of the harness"),
        (("em", "report", "nothing"), "no run of the harness"),
    ],
)
def test_bad_input_leaves_nothing(words: tuple[str, ...], message: str, tmp_path: Path) -> None:
    home = tmp_path / "home"
    refused = qai(*words, home=home)
    assert (refused.code, message in refused.err) == (2, True), refused.err
    assert not home.exists()


GROUP = '{"variant": "brickwork", "num_qubits": [4], "count": 6}'
LEARNS = '"circuits":\n'


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("brickwork", "brickwall", "circuits[0]: unknown circuit variant 'brickwall'"),
        ('"ibm.fake_torino"', '"ibm.fake_nowhere"', "unknown backend 'ibm.fake_nowhere'"),
        ('"ibm.fake_torino"', '"/../../escaped"', "backends '/../../escaped': 1 to 100 letters"),
        ('"name": "tiny"', f'"name": "{"a" * 300}"', "1 to 100 letters"),
        ('"friendly": {}', '"a/b": {}', "noises 'a/b': 1 to 100 letters"),
        ('"friendly": {}', '"friendly": {"readout_drift": 50}', "noises.friendly: extra noise"),
        ('{"name": "zne"}', '{"name": "magic"}', "unknown error-mitigation method 'magic'"),
        ('"engine": "channel"', '"engine": "abacus"', "unknown engine 'abacus'"),
        ("[4]", "[3]", "families have 4 to 12"),
        ("[4]", "[4, 4]", "circuits[0].num_qubits: 4 is given twice"),
        ("[4]", "[12]", "12 qubits do not fit on ibm.fake_nairobi, which has 7"),
        ('"count": 6', '"count": 6, "parameters": {"layers": ["x"]}', "Expected `int`"),
        ('"count": 6', '"count": 6, "first_seed": -1', "first_seed: from 0 to"),
        ("brickwork", "tfim", "circuits[0].count: 1, since the seed of tfim changes nothing"),
        (GROUP, f"{GROUP}\n  - {GROUP}", "has a circuit twice on ibm.fake_nairobi"),
        (LEARNS, f'"learning": {{"variants": ["foo"]}}\n{LEARNS}', "learning.variants: one or"),
        (LEARNS, f'"learning": {{"variants": ["rf"]}}\n{LEARNS}', "0 circuits to learn from"),
    ],
)
def test_a_bad_plan_is_told_by_its_place(old: str, new: str, told: str, tmp_path: Path) -> None:
    bad, home = tmp_path / "bad.yaml", tmp_path / "home"
    assert old in PLAN
    bad.write_text(PLAN.replace(old, new, 1))
    refused = qai("em", "run", "--plan", bad, "--workers", 1, home=home)
    assert (refused.code, told in refused.err) == (2, True), refused.err
    assert "Traceback" not in refused.err
    assert not list(home.glob("em-runs/*"))
    assert not (tmp_path / "escaped").exists()


AT_VENDORS = """
"schema_version": 1
"name": "vendors"
"seed": "1"
"shots": [2000]
"tolerance": 0.05
"engine": "channel"
"backends": ["ibm.fake_nairobi", "ibm.fake_guadalupe", "ibm.fake_lagos", "ibm.fake_torino"]
"vendors":
  - {"backend_id": "ibm.fake_nairobi", "vendor": "mock", "device": "nairobi"}
  - {"backend_id": "ibm.fake_guadalupe", "vendor": "braket", "device": "local"}
  - {"backend_id": "ibm.fake_lagos", "vendor": "ibm", "device": "fake_lagos"}
"noises": {"friendly": {}, "unfriendly": {"idle_relaxation": true}}
"methods":
  - {"name": "none"}
  - {"name": "rem", "parameters": {"confusion": "circuits"}}
  - {"name": "zne", "parameters": {"noise_factors": [1.0, 3.0]}}
"circuits":
  - {"variant": "clifford_t", "num_qubits": [4], "count": 2, "parameters": {"layers": [4]}}
"""


def test_a_plan_runs_at_vendors_beside_the_simulator(tmp_path: Path) -> None:
    """IBM's and Braket's own simulators and the mock, by their adapters; nothing leaves here."""
    file, home = tmp_path / "vendors.yaml", tmp_path / "home"
    file.write_text(AT_VENDORS)
    done = qai("em", "run", "--plan", file, "--workers", 1, "--json", home=home)
    assert done.code == 0, done.err
    assert "10 of 10 cells" in done.err  # the simulated backend under both noises
    rows = _rows(Path(done.json["folder"]))
    assert {row["failure"] for row in rows} == {None}
    told = {row["backend_id"]: row["engine"] for row in rows}
    assert told == {
        "ibm.fake_nairobi": "mock",
        "ibm.fake_guadalupe": "braket",
        "ibm.fake_lagos": "ibm",
        "ibm.fake_torino": "channel",
    }
    for row in rows:
        at_vendor = row["engine"] != "channel"
        assert (row["noise"] == "device") == at_vendor
        assert bool(row["vendor_job_ids"]) == at_vendor
        assert row["cell_cost_usd"] == (0.0 if at_vendor else None)
        assert row["calibrations_at_run"] == ([row["calibration_sha256"]] if at_vendor else None)
        # A raw value of a device that loses a few per cent, read in the right order of qubits.
        assert row["rmse_raw"] < 0.35 * max(row["signal"], 0.5)
        assert row["total_shots"] == {"none": 2000, "rem": 2500, "zne": 4000}[row["method"]]
    for job in done.json["jobs"].values():
        assert qai("manifest", "verify", job, home=home).code == 0
    made = qai("em", "report", "vendors", "--json", home=home)
    assert made.code == 0, made.err
    assert made.json["counts"]["noises"] == ["device", "friendly", "unfriendly"]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (('"vendor": "mock"', '"vendor": "acme"'), "acme"),
        (('{"backend_id": "ibm.fake_nairobi",', '{"backend_id": "other",'), "one is not among"),
        (('"friendly": {}', '"device": {}'), "'device' is that of the vendors'"),
        (('"device": "local"', '"device": "elsewhere"'), "no device of Amazon Braket"),
    ],
)
def test_vendors_that_cannot_be_are_told_and_leave_no_run(
    change: tuple[str, str], told: str, tmp_path: Path
) -> None:
    file, home = tmp_path / "vendors.yaml", tmp_path / "home"
    file.write_text(AT_VENDORS.replace(*change))
    refused = qai("em", "run", "--plan", file, home=home)
    assert refused.code == 2
    assert told in refused.err
    assert not list(home.glob("em-runs/*"))


def _rows(folder: Path) -> list[dict[str, Any]]:
    import pyarrow.parquet as pq

    files = sorted(folder.glob("results/*/*/*.parquet"))
    return [row for file in files for row in pq.ParquetFile(file).read().to_pylist()]
