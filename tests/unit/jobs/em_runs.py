"""A small finished run of the harness, with a model that is a model by its card's name only."""

from __future__ import annotations

from quantumai.harness.plan import parse_plan
from quantumai.harness.run_folder import RunFolder
from quantumai.services.em_runs import go_on, start_run
from quantumai.services.wiring import Home

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
