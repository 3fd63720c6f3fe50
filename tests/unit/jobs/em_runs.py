"""A small finished run of the harness, with a model that is a model by its card's name only."""

from __future__ import annotations

import shutil
from pathlib import Path

from quantumai.crypto_mode import CryptoMode
from quantumai.harness.plan import parse_plan
from quantumai.harness.run_folder import RunFolder
from quantumai.jobs.em_sealing import seal_em_run
from quantumai.services.em_runs import FOLDER, go_on, start_run
from quantumai.services.wiring import Home, open_home

PLAN = b"""
"schema_version": 1
"name": "small"
"seed": "1"
"shots": [400]
"tolerance": 0.05
"engine": "channel"
"backends": ["ibm.fake_nairobi", "ibm.fake_torino"]
"noises": {"friendly": {}}
"methods": [{"name": "none"}, {"name": "rem"}, {"name": "zne"}]
"circuits":
  - {"variant": "brickwork", "num_qubits": [4], "count": 3}
"""
MODEL = "models/friendly-rf"
MODEL_FILES = {"card.json": b"{}", "error.onnx": b"an error", "residual.onnx": b"a residual"}


def finished_run(home: Home) -> RunFolder:
    run = start_run(home, parse_plan(PLAN, "the plan"), PLAN)
    go_on(run, 1, lambda _: None)
    for name, data in MODEL_FILES.items():
        run.write(f"{MODEL}/{name}", data)
    return run


def run_of(root: Path) -> RunFolder:
    (folder,) = (root / FOLDER).iterdir()
    return RunFolder(folder)


def measured_and_sealed(folder: Path) -> tuple[Path, Path]:
    """Two homes with the same finished run, sealed in the second."""
    measured, sealed = folder / "measured", folder / "sealed"
    with open_home(measured, {}) as home:
        finished_run(home)
    shutil.copytree(measured, sealed)
    with open_home(sealed, {}) as home:
        seal_em_run(home.desk(), run_of(home.root), CryptoMode.PQC_REQUIRED)
    return measured, sealed
