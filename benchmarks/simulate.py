"""CPU-seconds of one ZNE estimate of all Z and ZZ values: ours beside mitiq over Aer, and Aer.

The same transpiled circuits with the same noise (the calibration of a 133-qubit device, reduced to
the active qubits), linear extrapolation from noise factors 1, 2, 3 by local folding of two-qubit
gates, the same shots. All on one thread, timed by `time.process_time`, which counts all threads of
this process. Noise models are built before the clock starts; so are our gate matrices, which are
kept from one circuit of a device to the next.
"""

from __future__ import annotations

import argparse
import os
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from math import prod
from typing import Any, TypeVar

os.environ.update(
    OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", RAYON_NUM_THREADS="1", QISKIT_PARALLEL="FALSE"
)

import _mitiq_rival as mitiq_rival
import numpy as np
from _aer_rival import (
    CONFIGURATIONS,
    PLAIN,
    Array,
    backend,
    exact_probabilities,
    folded_circuit,
    run_shares,
)
from _reporting import in_words, print_environment, print_json, print_table, spread
from qiskit import QuantumCircuit
from qiskit_aer import AerSimulator

from quantumai.backends.channel_program import compile_program
from quantumai.backends.channel_simulator import ChannelSimulator
from quantumai.backends.ibm_fake import read_snapshot
from quantumai.backends.noise import DeviceNoise, device_noise
from quantumai.backends.physical_circuit import PhysicalCircuit
from quantumai.backends.simulator import no_folding
from quantumai.circuits.families.mixed import family_circuit
from quantumai.circuits.observables import measurement_bases
from quantumai.execution.run import Outcome, calibrated_confusion, run_method
from quantumai.execution.transpile import TranspiledCircuit, Transpiler
from quantumai.mitigation.folding import choose_folds
from quantumai.mitigation.methods import METHODS
from quantumai.mitigation.readout import Confusion, outcome_weights
from quantumai.randomness import RootSeed

DEVICE = "torino"
FAMILIES = ("trotter", "random", "vqe")
SIZES = (4, 6, 8)
SHOTS = 8000
NOISE_FACTORS = METHODS["zne"].noise_factors
AIMS = {"ratio_to_mitiq_batched": 80, "ratio_to_mitiq": 500, "ratio_to_aer_batched": 20}
RIVALS = ("mitiq_batched", "mitiq", "aer_batched", "aer_batched_plain")
PARTS = ("mitiq_fold", "mitiq_simulate", "mitiq_infer")
"""Parts of mitiq_batched: conversion and folding, Aer, extrapolation."""
OURS_PER_REPEAT = 9
"""Ours takes milliseconds, so its time in a repeat is the median of so many runs."""
MOST_STANDARD_ERRORS = 6.0
"""Farther apart than this, two estimates are not of the same thing."""

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Case:
    """One transpiled circuit with its noise, and the rival's form of both.

    `weights` are the observables' outcome weights, shape (2**n, observables).
    """

    name: str
    transpiled: TranspiledCircuit
    noise: DeviceNoise
    confusion: Confusion
    observables: tuple[str, ...]
    weights: Array
    qiskit: QuantumCircuit
    aer: AerSimulator
    aer_choice: str
    aer_plain: AerSimulator


def main() -> None:
    """Measure every case, then report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--repeats", type=int, default=3, help="paired repeats per circuit")
    options = parser.parse_args()
    warnings.filterwarnings("ignore", module="mitiq|cirq")

    rate = multiply_adds_per_second()
    cases = (build_case(family, size) for family in FAMILIES for size in SIZES)
    report = summary([measure(case, options.repeats, rate) for case in cases], rate)
    if options.json:
        print_json(report)
    else:
        print_text(report)


def build_case(family: str, num_qubits: int) -> Case:
    """Transpile, build the noise both ways, check that they are the same, pick the best Aer."""
    snapshot = read_snapshot(DEVICE)
    transpiled = Transpiler(family_circuit(family, num_qubits, seed=1).circuit).transpile(snapshot)
    circuit = transpiled.circuit
    noise = device_noise(snapshot, transpiled.physical_qubits)
    supports = [*((q,) for q in range(num_qubits)), *pairwise(range(num_qubits))]
    observables = tuple(
        "".join("Z" if q in support else "I" for q in reversed(range(num_qubits)))
        for support in supports
    )
    plain = folded_circuit(circuit, [1] * circuit.two_qubit_gate_count)
    backends = {name: backend(circuit, noise, name) for name in CONFIGURATIONS}
    seconds = {}
    for name, simulator in backends.items():
        _check_same_noise(circuit, noise, exact_probabilities(simulator, noise, plain))
        folded = mitiq_rival.measured([plain] * len(NOISE_FACTORS))
        seconds[name] = min(
            clocked(partial(run_shares, simulator, folded, SHOTS, 1))[0] for _ in range(2)
        )
    choice = min(seconds, key=lambda name: seconds[name])
    return Case(
        name=f"{family}-{num_qubits}",
        transpiled=transpiled,
        noise=noise,
        confusion=calibrated_confusion(snapshot, transpiled.physical_qubits),
        observables=observables,
        weights=np.stack([outcome_weights(transpiled.place(p), None) for p in observables], axis=1),
        qiskit=plain,
        aer=backends[choice],
        aer_choice=choice,
        aer_plain=backends[PLAIN],
    )


def _check_same_noise(circuit: PhysicalCircuit, noise: DeviceNoise, theirs: Array) -> None:
    basis = "Z" * circuit.num_qubits
    own = ChannelSimulator().probabilities(circuit, noise, basis, no_folding(circuit))[0]
    worst = float(np.abs(own - theirs).max())
    if worst > 1e-6:
        raise SystemExit(f"the two simulators differ by {worst:.1e}: not the same work")


def clocked(task: Callable[[], Answer]) -> tuple[float, Answer]:
    """CPU-seconds of this process, all threads, and the task's answer."""
    start = time.process_time()
    answer = task()
    return time.process_time() - start, answer


def ours(case: Case, seed: int) -> Outcome:
    """Fold, compile, simulate, sample, read, extrapolate: the public path."""
    return run_method(
        case.transpiled,
        case.observables,
        METHODS["zne"],
        SHOTS,
        noise=case.noise,
        confusion=case.confusion,
        simulator=ChannelSimulator(),
        seed=RootSeed.of(str(seed)),
    )


def measure(case: Case, repeats: int, rate: float) -> dict[str, Any]:
    """Paired repeats of all ways on one circuit, and whether their values agree."""
    samples: dict[str, list[float]] = {name: [] for name in ("ours", *PARTS, *RIVALS)}
    circuit = case.transpiled.circuit
    folds = choose_folds(NOISE_FACTORS, circuit.two_qubit_gate_count, np.random.default_rng(1))
    own_folded = mitiq_rival.measured([folded_circuit(circuit, row) for row in folds.tolist()])

    def timed(name: str, task: Callable[[], Answer]) -> Answer:
        seconds, answer = clocked(task)
        samples[name].append(seconds)
        return answer

    ours(case, 0)  # fills the cache of gate matrices
    worst = 0.0
    for seed in range(1, repeats + 1):
        runs = [clocked(partial(ours, case, 100 * seed + i)) for i in range(OURS_PER_REPEAT)]
        samples["ours"].append(float(np.median([seconds for seconds, _ in runs])))
        own = runs[0][1].mitigated
        folded = timed("mitiq_fold", partial(mitiq_rival.fold, case.qiskit, NOISE_FACTORS))
        shares = timed("mitiq_simulate", partial(run_shares, case.aer, folded, SHOTS, seed))
        batched = timed(
            "mitiq_infer",
            partial(mitiq_rival.extrapolate, NOISE_FACTORS, shares, case.weights),
        )
        samples["mitiq_batched"].append(sum(samples[part][-1] for part in PARTS))
        arguments = (case.qiskit, case.aer, case.weights, NOISE_FACTORS, SHOTS, seed)
        single = timed("mitiq", partial(mitiq_rival.estimate_one_by_one, *arguments))
        timed("aer_batched", partial(run_shares, case.aer, own_folded, SHOTS, seed))
        timed("aer_batched_plain", partial(run_shares, case.aer_plain, own_folded, SHOTS, seed))
        scale = np.sqrt(2) * np.maximum(own.std_errs, 1 / SHOTS)
        for other in (batched, single):
            worst = max(worst, float(np.max(np.abs(other - own.values) / scale)))
    if worst > MOST_STANDARD_ERRORS:
        raise SystemExit(f"{case.name}: the estimates differ by {worst:.1f} standard errors")
    return {
        "circuit": case.name,
        "two_qubit_gates": circuit.two_qubit_gate_count,
        "cpu_ms": {name: round(1e3 * float(np.median(s)), 3) for name, s in samples.items()},
        "ratios": {
            f"ratio_to_{rival}": [float(r) for r in np.divide(samples[rival], samples["ours"])]
            for rival in RIVALS
        },
        "aer_choice": case.aer_choice,
        "worst_difference_in_standard_errors": round(worst, 2),
        **arithmetic(case, rate, float(np.median(samples["ours"]))),
    }


def arithmetic(case: Case, rate: float, ours_s: float) -> dict[str, float]:
    """How long the multiply-adds alone would take at `rate` a second.

    `full_vector` counts 4^n x 16 per fused block and noise factor. Ours needs fewer: a qubit has
    four components only between its first and its last block, one before and two after.
    """
    circuit = case.transpiled.circuit
    (basis,) = measurement_bases([case.transpiled.place(pauli) for pauli in case.observables])
    folds = np.repeat(no_folding(circuit), len(NOISE_FACTORS), axis=0)
    blocks = compile_program(circuit, case.noise, basis.pauli, folds).blocks
    sizes: dict[int, int] = {}
    needed = 0
    for block in blocks:
        needed += block.matrix.size * prod(sizes[q] for q in sizes if q not in block.qubits)
        sizes.update(zip(block.qubits, block.out_sizes, strict=True))
    full_vector = len(blocks) * len(folds) * 16 * 4**circuit.num_qubits
    return {
        "fused_blocks": len(blocks),
        "arithmetic_ms": round(1e3 * needed / rate, 4),
        "arithmetic_full_vector_ms": round(1e3 * full_vector / rate, 4),
        "share_at_limit": round(needed / rate / ours_s, 4),
    }


def multiply_adds_per_second() -> float:
    """What one thread of this machine reaches in a large matrix product (the best of five)."""
    size = 1000
    left, right = np.random.default_rng(0).random((2, size, size))
    return size**3 / min(clocked(lambda: left @ right)[0] for _ in range(5))


def summary(rows: list[dict[str, Any]], rate: float) -> dict[str, Any]:
    """Overall: spread over circuits of each circuit's median ratio, and ratios of sums."""
    report: dict[str, Any] = {"circuits": rows, "shots": SHOTS, "device": DEVICE}
    for rival in RIVALS:
        name = f"ratio_to_{rival}"
        per_circuit = spread([float(np.median(row["ratios"][name])) for row in rows])
        total = sum(r["cpu_ms"][rival] for r in rows) / sum(r["cpu_ms"]["ours"] for r in rows)
        report[name] = per_circuit["median"]
        report[f"{name}_spread"] = per_circuit
        report[f"{name}_of_sums"] = float(f"{total:.4g}")
        if name in AIMS:
            report[f"{name}_aim"] = AIMS[name]
    report["gemm_multiply_adds_per_s"] = float(f"{rate:.3g}")
    return report


def print_text(report: dict[str, Any]) -> None:
    """Tables of times, ratios and arithmetic, then the overall ratios beside the aims."""
    rows = report["circuits"]
    print(
        f"CPU-ms of one ZNE estimate of all Z and ZZ values, {SHOTS} shots at each of noise "
        f"factors {NOISE_FACTORS}, {DEVICE}'s calibration, one thread\n"
    )
    names = ("ours", *PARTS, *RIVALS)
    print_table(
        ("circuit", "2q gates", *names),
        [
            (r["circuit"], r["two_qubit_gates"], *(r["cpu_ms"][name] for name in names))
            for r in rows
        ],
    )
    print("Their time over ours: median (smallest-largest of the repeats)\n")
    print_table(
        ("circuit", *RIVALS, "ours differs by"),
        [
            (
                row["circuit"],
                *(_with_range(ratios) for ratios in row["ratios"].values()),
                f"{row['worst_difference_in_standard_errors']} s.e.",
            )
            for row in rows
        ],
    )
    print(
        f"CPU-ms of our arithmetic at the {report['gemm_multiply_adds_per_s'] / 1e9:.1f}e9 "
        f"multiply-adds a second of a large matrix product\n"
    )
    print_table(
        ("circuit", "blocks", "4^n x 16 a block", "needed", "share of ours", "Aer's quickest"),
        [
            (
                row["circuit"],
                row["fused_blocks"],
                row["arithmetic_full_vector_ms"],
                row["arithmetic_ms"],
                f"{row['share_at_limit']:.1%}",
                row["aer_choice"],
            )
            for row in rows
        ],
    )
    for rival in RIVALS:
        name = f"ratio_to_{rival}"
        aim = f"; aim {AIMS[name]}" if name in AIMS else ""
        print(
            f"{name}: {in_words(report[f'{name}_spread'])} over circuits; "
            f"ratio of sums {report[f'{name}_of_sums']:.3g}{aim}"
        )
    print()
    print_environment()


def _with_range(ratios: list[float]) -> str:
    return f"{np.median(ratios):.3g} ({min(ratios):.3g}-{max(ratios):.3g})"


if __name__ == "__main__":
    main()
