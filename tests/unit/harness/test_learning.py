"""ML-QEM from training cells to served values, against scikit-learn and plain arithmetic."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from quantumai.backends.extra_noise import true_noise
from quantumai.backends.noise import device_noise
from quantumai.errors import ArtefactError, BadInputError
from quantumai.execution.run import calibrated_confusion, run_method
from quantumai.harness.cells import read_cells
from quantumai.harness.estimation import method_seed, place
from quantumai.harness.ml_qem.controls import control_values
from quantumai.harness.ml_qem.decay import decayed, fitted_decay
from quantumai.harness.ml_qem.learned_files import unlearned
from quantumai.harness.ml_qem.learning import learn
from quantumai.harness.ml_qem.learning_rows import LearningRows, learning_rows
from quantumai.harness.ml_qem.training import TrainedModel, train
from quantumai.harness.plan import LEARNED_FROM, parse_plan
from quantumai.harness.report_tables import summarise
from quantumai.harness.results import CONTROLS, content_sha256
from quantumai.harness.run import carry_out
from quantumai.harness.run_folder import RunFolder
from quantumai.mitigation.entry_points import make_method
from quantumai.mitigation.ml_qem.features import FEATURES, NOISY_FEATURES
from quantumai.mitigation.ml_qem.novelty import PER_CIRCUIT, PER_OBSERVABLE, run_descriptors
from quantumai.mitigation.ml_qem.onnx_model import open_model
from tests.unit.harness import test_run

pytestmark = pytest.mark.slow

PLAN = b"""
"schema_version": 1
"name": "small"
"seed": "2"
"shots": [20000]
"tolerance": 0.05
"engine": "channel"
"backends": ["ibm.fake_nairobi", "ibm.fake_torino"]
"noises": {"friendly": {}}
"methods":
  - {"name": "none"}
  - {"name": "rem"}
  - {"name": "zne"}
  - {"name": "rem+zne"}
"learning": {"variants": ["rf", "xgb", "mlp"]}
"circuits":
  - {"variant": "vqe", "num_qubits": [4], "count": 60, "split": "train"}
  - {"variant": "tfim", "num_qubits": [4], "count": 1, "split": "train",
     "parameters": {"steps": [2, 3, 4, 5, 6], "field": [0.6, 1.1, 1.5]}}
  - {"variant": "vqe", "num_qubits": [4], "count": 12, "first_seed": 100}
  - {"variant": "brickwork", "num_qubits": [5], "count": 4, "parameters": {"layers": [4]}}
"""


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run whose models have been trained."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(test_run, "PLAN", PLAN)
        run = test_run._begin(tmp_path_factory.mktemp("learned") / "run")
    opener = partial(test_run.open_small_bench, test_run._snapshots())
    carry_out(run, opener, workers=2, progress=lambda _: None)
    learn(run, parse_plan(PLAN, "the plan"))
    return run


def _rows(run: RunFolder, split: str) -> LearningRows:
    results = run.table("results/**/part-*.parquet")
    return learning_rows(results, run.table("features/*.parquet"), "friendly", split)


def _learned(run: RunFolder) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = run.table("results/**/learned-friendly.parquet").to_pylist()
    return rows


def _of(rows: list[dict[str, Any]], **wanted: str) -> list[dict[str, Any]]:
    found = []
    for row in rows:
        told = json.loads(row["parameters"])
        if all(told.get(name) == value for name, value in wanted.items()):
            found.append(row)
    return found


def test_the_exported_model_says_what_the_trained_one_says(finished: RunFolder) -> None:
    training, test = _rows(finished, "train"), _rows(finished, "test")
    features = test.features.astype(np.float32)
    for variant in ("rf", "xgb", "mlp"):
        trained = train(training, variant, fitted_decay(training))
        served = open_model(finished.path / f"models/friendly-{variant}")
        residual, error = served.model.residuals(test.features)
        np.testing.assert_allclose(residual, trained.residual.predict(features), atol=2e-5)
        # Thresholds of trees are float32 there: a few rows take another branch.
        np.testing.assert_allclose(error, trained.error.predict(features), rtol=0.1, atol=2e-5)
        assert served.card.training_sha256 == training.sha256
        assert served.card.training_circuits == 75
        assert served.card.families == ("trotter", "variational")


def test_folds_are_whole_circuits_and_nothing_is_predicted_by_itself(finished: RunFolder) -> None:
    """A target that is only a name of the circuit cannot be learned from other circuits."""
    rows = _rows(finished, "train")
    noise = np.random.default_rng(1).normal(size=int(rows.circuit.max()) + 1)
    plain = decayed(rows, fitted_decay(rows))
    nameless = replace(rows, ideal=plain + noise[rows.circuit])
    model: TrainedModel = train(nameless, "rf", fitted_decay(nameless))
    error = nameless.ideal - decayed(rows, model.decay) - model.out_of_fold
    assert np.mean(error**2) > 0.8 * noise[rows.circuit].var()


def test_the_vectorised_rows_are_what_a_user_would_get(finished: RunFolder) -> None:
    """A job with this model, seed and circuit gives the row's values."""
    cells = [c for c in read_cells(finished.table("cells.parquet")) if c.split == "test"]
    by_cell = {row["cell_id"]: row for row in _of(_learned(finished), variant="rf", control=None)}  # type: ignore[arg-type]
    method = make_method("ml-qem", {"model": str(finished.path / "models/friendly-rf")})
    snapshots = test_run._snapshots()
    for cell in (cells[0], cells[-1]):
        snapshot = snapshots[cell.calibration_sha256]
        placed = place(cell, snapshot)
        qubits = placed.transpiled.physical_qubits
        outcome = run_method(
            placed.transpiled,
            placed.circuit.observables,
            method,
            cell.shots,
            noise=true_noise(snapshot, qubits, cell.noise_terms, cell.device_seed),
            confusion=calibrated_confusion(snapshot, qubits),
            simulator=test_run.ChannelSimulator(),
            seed=method_seed(cell.seed, LEARNED_FROM),
            calibrated=device_noise(snapshot, qubits),
        )
        row = by_cell[cell.cell_id]
        np.testing.assert_allclose(outcome.mitigated.values, row["mitigated"], atol=1e-6)
        np.testing.assert_allclose(outcome.mitigated.std_errs, row["mitigated_std_errs"], atol=1e-6)
        assert list(outcome.mitigated.fallbacks) == row["fallbacks"]
        assert outcome.spent.total_shots == row["total_shots"]


def test_what_is_unlike_the_training_runs_is_left_to_physics(finished: RunFolder) -> None:
    """Random circuits of five qubits were never seen; new VQE angles were."""
    rows = _of(_learned(finished), variant="rf", control=None)  # type: ignore[arg-type]
    strange = [row for row in rows if row["variant"] == "brickwork"]
    known = [row for row in rows if row["variant"] == "vqe"]
    assert len(strange) == 8
    assert all(set(row["fallbacks"]) == {"rescaled rem"} for row in strange)
    measured = finished.table("results/**/part-*.parquet").to_pylist()
    rem = {row["cell_id"]: row for row in measured if row["method"] == "rem"}
    tables = finished.table("features/*.parquet").to_pylist()
    features = {row["cell_id"]: np.reshape(row["features"], (-1, len(FEATURES))) for row in tables}
    card = open_model(finished.path / "models/friendly-rf").card
    for row in strange:
        found, plain = features[row["cell_id"]], rem[row["cell_id"]]
        gates, relaxation, zz = (
            -found[:, FEATURES.index(f"log_signal{kind}")] for kind in ("", "_idle", "_zz")
        )
        decay = card.decay
        lost = decay.gates * gates + decay.relaxation * relaxation + decay.zz * zz
        factor = np.exp(lost - 1.5 * (decay.spread * lost) ** 2)
        by_hand = np.clip(np.array(plain["mitigated"]) * factor, -1, 1)
        np.testing.assert_allclose(row["mitigated"], by_hand, atol=1e-12)
        errors = np.array(plain["mitigated_std_errs"]) * factor
        np.testing.assert_allclose(row["mitigated_std_errs"], errors, atol=1e-12)
    share = np.mean([name != "" for row in known for name in row["fallbacks"]])
    assert share < 0.05


def test_a_run_is_known_by_its_distance_from_other_circuits_runs(finished: RunFolder) -> None:
    """Served distances and the bound, against plain arithmetic."""
    training, test = _rows(finished, "train"), _rows(finished, "test")
    method = open_model(finished.path / "models/friendly-rf")
    runs, asked = (_descriptors(rows) for rows in (training, test))
    scale = np.where(runs.std(axis=0) > 1e-7, runs.std(axis=0), 1.0)

    def distances(some: NDArray[np.float64]) -> NDArray[np.float64]:
        apart = (some[:, None] - runs[None]) / scale
        return np.asarray(np.sqrt((apart**2).sum(axis=2)))

    ids = np.array([row["circuit_id"] for row in training.cells])
    elsewhere = np.where(ids[:, None] == ids[None], np.inf, distances(runs))
    bound = method.card.largest_distance
    assert bound == pytest.approx(elsewhere.min(axis=1).max(), rel=1e-4)
    served = method.model.distances(run_descriptors(test.features, test.cell))
    np.testing.assert_allclose(served, distances(asked).min(axis=1), rtol=1e-3, atol=1e-3)


def _descriptors(rows: LearningRows) -> NDArray[np.float64]:
    """Of each run, circuit by circuit."""
    found = []
    for number in range(len(rows.cells)):
        told = dict(zip(FEATURES, rows.features[rows.cell == number].T, strict=True))
        shape = [told[name][0] for name in PER_CIRCUIT]
        means, spreads = (
            [statistic(told[name]) for name in PER_OBSERVABLE] for statistic in (np.mean, np.std)
        )
        found.append([*shape, *means, *spreads])
    return np.round(found, 9)


def test_learning_beats_rem_and_its_controls_on_new_angles(finished: RunFolder) -> None:
    rows = [row for row in _learned(finished) if row["variant"] == "vqe"]
    rem = [
        row["rmse_mitigated"]
        for row in finished.table("results/**/part-*.parquet").to_pylist()
        if row["method"] == "rem" and row["split"] == "test" and row["variant"] == "vqe"
    ]
    error = {
        name: np.mean([row["rmse_mitigated"] for row in _of(rows, variant="rf", control=name)])  # type: ignore[arg-type]
        for name in (None, *CONTROLS)
    }
    assert error[None] < 0.8 * np.mean(rem)
    assert error["descriptors"] > 3 * error[None]
    assert error["shuffled"] > 3 * error[None]
    # What is learned beyond a line and beyond physics is less than what is gained over REM.
    for control in ("recalibration", "rescaled", "light cone"):
        assert error[control] > 1.02 * error[None]


def test_controls_see_no_noisy_value(finished: RunFolder) -> None:
    training, test = _rows(finished, "train"), _rows(finished, "test")
    changed = test.features.copy()
    for name in NOISY_FEATURES:
        changed[:, FEATURES.index(name)] = 0.123
    same, decay = replace(test, features=changed), fitted_decay(training)
    assert np.array_equal(
        control_values("descriptors", training, test, decay),
        control_values("descriptors", training, same, decay),
    )


def test_the_report_has_the_learned_tables(finished: RunFolder) -> None:
    summary = summarise(
        finished.table("results/**/*.parquet"), finished.table("features/*.parquet")
    )
    (table,) = [t for t in summary["learned"] if t["family"] == "variational"]
    assert {one["role"] for one in table["against"]} >= {
        "descriptors",
        "shuffled",
        "zne",
        "rem+zne",
    }
    assert table["missing"] == []
    assert {check["outcome"] for check in summary["leakage"]} == {"ok"}


def test_learning_again_changes_nothing(finished: RunFolder) -> None:
    before = {name: (finished.path / name).read_bytes() for name in finished.files()}
    learn(finished, parse_plan(PLAN, "the plan"))
    assert {name: (finished.path / name).read_bytes() for name in finished.files()} == before


def test_learning_that_was_stopped_between_two_backends_goes_on(
    finished: RunFolder, tmp_path: Path
) -> None:
    run = RunFolder(shutil.copytree(finished.path, tmp_path / "run"))
    whole = content_sha256(run.table("results/**/learned-friendly.parquet"))
    measured, plan = run.table("results/**/part-*.parquet"), parse_plan(PLAN, "the plan")
    assert unlearned(run, plan, measured) == []
    next(run.path.glob("results/**/learned-friendly.parquet")).unlink()
    assert unlearned(run, plan, measured) == ["friendly"]
    learn(run, plan)
    assert content_sha256(run.table("results/**/learned-friendly.parquet")) == whole


def test_a_changed_model_is_refused(finished: RunFolder, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(finished.path / "models/friendly-mlp", folder)
    file = folder / "residual.onnx"
    file.write_bytes(file.read_bytes()[:-1] + b"\x00")
    with pytest.raises(ArtefactError, match="not the model that its card names"):
        open_model(folder)
    (folder / "card.json").write_bytes(b"{}")
    with pytest.raises(ArtefactError, match="not a model card"):
        open_model(folder)
    for parameters in ({}, {"model": 5}, {"model": str(tmp_path), "x": 1}):
        with pytest.raises(BadInputError, match="a model is needed"):
            make_method("ml-qem", parameters)


def test_too_few_circuits(finished: RunFolder) -> None:
    rows = _rows(finished, "train")
    few = replace(rows, cells=tuple(row | {"circuit_id": "one"} for row in rows.cells))
    with pytest.raises(BadInputError, match="too few to learn from"):
        train(few, "rf", fitted_decay(few))
    assert isinstance(finished.table("results/**/*.parquet"), pa.Table)
