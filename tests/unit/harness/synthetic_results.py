"""Results whose truth is known: ideal + bias + noise of a given variance per shot."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import numpy as np
import pyarrow as pa

from quantumai.harness.results import result_schema
from quantumai.mitigation.ml_qem.features import FEATURES

VARIANT_OF = {"random": "brickwork", "trotter": "tfim", "variational": "vqe"}


@dataclass(frozen=True)
class Truth:
    """A method: its bias on every observable (random sign), its variance times shots, its cost."""

    name: str
    bias: float
    variance: float = 1.0
    shot_multiplier: int = 1
    parameters: Mapping[str, Any] = field(default_factory=dict)
    failing: float = 0.0  # share of cells


@dataclass(frozen=True)
class World:
    """Circuits, and the raw value's own bias; `noises` multiply every bias."""

    circuits: int = 40
    backends: tuple[str, ...] = ("fake_a", "fake_b")
    families: tuple[str, ...] = ("random",)
    noises: Mapping[str, float] = field(default_factory=lambda: {"friendly": 1.0})
    shots: tuple[int, ...] = (1000,)
    raw_bias: float = 0.2
    raw_variance: float = 1.0
    signal: float = 0.5
    observables: int = 7
    split: str = "test"
    unseen: str = ""
    prefix: str = ""  # of the circuits' names: other prefix, other circuits
    seed: int = 0


def results(methods: Sequence[Truth], world: World) -> pa.Table:
    """Rows of `result_schema`, one for each cell and method."""
    rng = np.random.default_rng(world.seed)
    rows = []
    for family, number in product(world.families, range(world.circuits)):
        ideal = rng.normal(0, world.signal, world.observables).clip(-0.99, 0.99)
        name = f"{world.prefix}{family}-{number}"
        for backend, (noise, scale), shots in product(
            world.backends, world.noises.items(), world.shots
        ):
            cell = {
                "family": family,
                "variant": VARIANT_OF[family],
                "circuit_id": f"sha256:{name}",
                "physical_circuit_sha256": f"{name} on {backend}",
                "cell_id": f"{name} {backend} {noise} {shots}",
                "backend_id": backend,
                "noise": noise,
                "shots": shots,
            }
            rows += [_row(cell, method, ideal, scale, world, rng) for method in methods]
    return pa.Table.from_pylist(rows, schema=result_schema())


def joined(*tables: pa.Table) -> pa.Table:
    return pa.concat_tables(tables)


def features_of(
    table: pa.Table, rng: np.random.Generator, names: Sequence[str] = FEATURES
) -> pa.Table:
    """Honest features of the rows of "rem": its value and descriptors that say nothing of it."""
    cells, flat = [], []
    for row in table.to_pylist():
        if row["method"] == "rem" and row["mitigated"] is not None:
            drawn = rng.normal(size=(len(row["ideal"]), len(names)))
            drawn[:, list(names).index("rem")] = row["mitigated"]
            # What tells of the circuit is the same for all of its observables.
            shape = [
                i for i, name in enumerate(names) if name.startswith(("angles_", "num_", "two_"))
            ]
            drawn[:, shape] = drawn[0, shape]
            cells.append(row["cell_id"])
            flat.append(drawn.ravel().tolist())
    return pa.table({"cell_id": cells, "features": flat})


def _row(
    cell: Mapping[str, Any],
    method: Truth,
    ideal: np.ndarray,
    scale: float,
    world: World,
    rng: np.random.Generator,
) -> dict[str, Any]:
    total = cell["shots"] * method.shot_multiplier
    row = {
        **cell,
        "method": method.name,
        "parameters": json.dumps(method.parameters),
        "num_qubits": world.observables // 2 + 1,
        "circuit_parameters": "{}",
        "circuit_seed": 0,
        "calibration_sha256": "0" * 64,
        "engine": "channel",
        "seed": "sha256:" + "0" * 64,
        "split": world.split,
        "unseen": world.unseen,
        "eps": 0.05,
        "versions": "{}",
    }
    if rng.random() < method.failing:
        return {**row, "failure": "the queue was full"}
    signal = float(np.sqrt(np.mean(ideal**2)))
    values = {
        "raw": (world.raw_bias * scale, world.raw_variance, cell["shots"]),
        "mitigated": (method.bias * scale, method.variance, total),
        "equal_shot": (world.raw_bias * scale, world.raw_variance, total),
    }
    for which, (bias, variance, shots) in values.items():
        sigma = np.sqrt(variance / shots)
        error = bias * rng.choice([-1, 1], len(ideal)) + rng.normal(0, sigma, len(ideal))
        row[which] = (ideal + error).tolist()
        row[f"{which}_std_errs"] = [sigma] * len(ideal)
        row[f"rmse_{which}"] = float(np.sqrt(np.mean(error**2)))
        row[f"mae_{which}"] = float(np.mean(np.abs(error)))
        row[f"std_err_{which}"] = sigma
    return {
        **row,
        "total_shots": total,
        "circuits_run": 1,
        "observables": [f"P{i}" for i in range(len(ideal))],
        "ideal": ideal.tolist(),
        "signal": signal,
        "low_signal": signal < 0.1,
        "mitigated_fidelity": None
        if signal < 0.1
        else max(0.0, 1 - row["rmse_mitigated"] / signal),
        "observed_precision_fidelity": float(np.exp(-row["rmse_mitigated"] / 0.05)),
        "fallbacks": ["" for _ in ideal],
    }
