"""The learning step of a run: models from its training cells, and their rows on its test cells.

Each noise has models of its own; nothing learned under one is measured under another. Like batches,
models and rows are files that appear whole, so an interrupted run goes on here too.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from quantumai.harness.cells import read_cells
from quantumai.harness.ml_qem.controls import control_values
from quantumai.harness.ml_qem.decay import fitted_decay
from quantumai.harness.ml_qem.export import model_files
from quantumai.harness.ml_qem.known_runs import known_runs
from quantumai.harness.ml_qem.learned_files import learned_name, unlearned
from quantumai.harness.ml_qem.learned_results import control_rows, learned_rows
from quantumai.harness.ml_qem.learning_rows import LearningRows, learning_rows
from quantumai.harness.ml_qem.liao_forest import PlacedShapes, liao_forest_values
from quantumai.harness.ml_qem.training import require_enough, train
from quantumai.harness.plan import Learning, Plan
from quantumai.harness.results import CONTROLS, LIAO_FOREST
from quantumai.harness.run_folder import RunFolder
from quantumai.mitigation.ml_qem.onnx_model import CARD, open_model

if TYPE_CHECKING:
    import pyarrow as pa

_CONTROLLED = "rf"


def learn(run: RunFolder, plan: Plan) -> None:
    """Train what the plan asks for and write models and rows. Raises `BadInputError`."""
    if plan.learning is None:
        return
    results = run.table("results/**/part-*.parquet")
    features = run.table("features/*.parquet")
    shapes = (
        PlacedShapes(read_cells(run.cells()), run.snapshots())
        if LIAO_FOREST in plan.learning.rivals
        else None
    )
    for noise in unlearned(run, plan, results):
        test = learning_rows(results, features, noise, "test")
        training = learning_rows(results, features, noise, "train")
        _write(
            run,
            learned_name(noise),
            list(_tables(run, plan.learning, noise, training, test, shapes)),
        )


def _tables(
    run: RunFolder,
    learning: Learning,
    noise: str,
    training: LearningRows,
    test: LearningRows,
    shapes: PlacedShapes | None,
) -> Iterator[pa.Table]:
    require_enough(training)
    decay, known = fitted_decay(training), known_runs(training)
    for variant in learning.variants:
        folder = f"models/{noise}-{variant}"
        if not run.has(f"{folder}/{CARD}"):
            began_s = time.process_time()
            model = train(training, variant, decay)
            cpu_s = round(time.process_time() - began_s, 3)
            for name, data in model_files(model, training, known, noise, cpu_s).items():
                run.write(f"{folder}/{name}", data)
        yield learned_rows(test, open_model(run.path / folder))
    for control in CONTROLS if learning.controls else ():
        values = control_values(control, training, test, decay)
        yield control_rows(test, _CONTROLLED, control, values)
    if shapes is not None:
        values = liao_forest_values(training, test, shapes)
        yield control_rows(test, _CONTROLLED, LIAO_FOREST, values)


def _write(run: RunFolder, name: str, tables: list[pa.Table]) -> None:
    import pyarrow as pa
    import pyarrow.compute as pc

    table, record = pa.concat_tables(tables), run.record()
    for backend in sorted(set(table.column("backend_id").to_pylist())):
        mine = table.filter(pc.equal(table.column("backend_id"), backend))
        run.write_table(f"results/date={record.date}/backend_id={backend}/{name}", mine)
