"""ML-DSA-65 signatures per second: bare PKCS#11, the KMS in process, and the KMS over HTTP.

All ways use one key in one development token (kryoptic, built by `make token`), with 1, 2 and 4
slots on the same store, in turn and round by round. Signing takes a random number of rounds, so all
sign one set of messages whose counts are known, with a fixed key and deterministically
(`_rejection_counts.py`); before the clock starts every signature of every way is compared with the
one computed there. Cost is what a way loses of another one's signatures per second; "by CPU" is
what it would lose if nothing but CPU time counted, which other work on the machine disturbs least.

The port does what the bare call does not: it looks the key, its state and its policy up, verifies
each signature before it leaves, counts the use, and writes an audit entry that is on the disk
before the answer is given. "Bare, verified" is the bare call and that verification alone: less
cannot be had. Client and service share the machine's cores, which a token of two slots fills.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", RAYON_NUM_THREADS="1")

import numpy as np
from _rejection_counts import MEAN_ROUNDS, Counted, count, message_set
from _reporting import print_environment, print_json, print_table, spread
from _signing_paths import Way, open_ways

PACKAGES = ("python-pkcs11", "cryptography", "sqlalchemy", "fastapi", "uvicorn", "urllib3")
THREADS = "threads as stated"
AIMS = {"port_cost": 0.10, "http_cost": 0.40, "per_s": 1000}


def main() -> None:
    """Measure, and print one table for each number of slots."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--slots", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--rounds", type=int, default=9, help="how often each way is measured")
    parser.add_argument("--passes", type=int, default=4, help="times the set is signed in a round")
    parser.add_argument("--callers", type=int, default=2, help="callers of the KMS for each slot")
    parser.add_argument("--messages", type=Path, help="a JSON list of texts, such as CCTV's")
    options = parser.parse_args()
    messages = _messages(options.messages)
    found = {}
    for slots in options.slots:
        with (
            tempfile.TemporaryDirectory() as folder,
            open_ways(Path(folder) / "home", slots, options.callers) as ways,
        ):
            _require_known(ways, messages)
            texts = [counted.message for counted in messages] * options.passes
            found[slots] = _measured(ways, texts, options.rounds)
    rounds = sum(counted.rounds for counted in messages) / len(messages)
    if options.json:
        result = {"aims": AIMS, "rounds_per_signature": rounds, "slots": found}
        print_json(result, packages=PACKAGES, threads=THREADS)
        return
    for slots, result in found.items():
        _show(slots, result)
    print(
        f"{len(messages)} messages, {rounds:.2f} rounds of rejection sampling a signature (expected"
        f" {MEAN_ROUNDS}), the same in every way\n"
        "aims: the port costs under 10 %, audit apart; HTTP under 40 %; over 1,000 a second"
    )
    print_environment(packages=PACKAGES, threads=THREADS)


def _messages(path: Path | None) -> list[Counted]:
    if path is None:
        return message_set()
    return count(text.encode() for text in json.loads(path.read_text()))


def _require_known(ways: Sequence[Way], messages: Sequence[Counted]) -> None:
    """Stop unless every way makes exactly the signatures that were counted."""
    for way in ways:
        for caller in {id(caller): caller for caller in way.callers}.values():
            for counted in messages:
                if caller(counted.message) != counted.signature:
                    raise SystemExit(f"{way.name} made another signature than was counted")


def _measured(ways: Sequence[Way], texts: Sequence[bytes], rounds: int) -> dict[str, Any]:
    """Figures of each way, and costs from the rates of the same round."""
    runs: dict[str, list[_Run]] = {way.name: [] for way in ways}
    for number in range(rounds):
        # Every other round backwards, so that no way always follows the same one.
        for way in ways if number % 2 == 0 else reversed(ways):
            runs[way.name].append(_run(way, texts))
    figures = {name: _figures(done) for name, done in runs.items()}
    rate = {name: np.array([run.per_s for run in done]) for name, done in runs.items()}
    costs = {
        "verifying of bare": ("bare, verified", "bare PKCS#11"),
        "port, audit apart, of bare": ("port without audit", "bare PKCS#11"),
        "port, audit apart, of verified": ("port without audit", "bare, verified"),
        "port of bare": ("port", "bare PKCS#11"),
        "HTTP of port": ("HTTP", "port"),
        "HTTP of bare": ("HTTP", "bare PKCS#11"),
    }
    cpu = {name: np.median([run.cpu_s for run in done]) for name, done in runs.items()}
    lost = {
        name: spread(list(1 - rate[way] / rate[rival]))
        | {"by_cpu": float(f"{1 - cpu[rival] / cpu[way]:.3g}")}
        for name, (way, rival) in costs.items()
    }
    return {"ways": figures, "costs": lost}


class _Run:
    """One measurement of a way."""

    def __init__(self, wall_s: float, cpu_s: float, latencies_s: Sequence[float]) -> None:
        self.per_s = len(latencies_s) / wall_s
        self.cpu_s = cpu_s / len(latencies_s)
        self.latencies_s = latencies_s


def _run(way: Way, texts: Sequence[bytes]) -> _Run:
    """Sign all texts, each once, by all callers of a way at once."""
    remaining = iter(texts)
    lock = threading.Lock()
    latencies: list[list[float]] = [[] for _ in way.callers]
    errors: list[BaseException] = []
    start = threading.Barrier(len(way.callers) + 1)

    def work(number: int) -> None:
        sign, taken = way.callers[number], latencies[number]
        start.wait()
        try:
            while True:
                with lock:
                    text = next(remaining, None)
                if text is None:
                    return
                began = time.perf_counter()
                sign(text)
                taken.append(time.perf_counter() - began)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(len(way.callers))]
    for thread in threads:
        thread.start()
    cpu = _cpu_s(way)
    start.wait()
    began = time.perf_counter()
    for thread in threads:
        thread.join()
    wall_s = time.perf_counter() - began
    if errors:
        raise errors[0]
    return _Run(wall_s, _cpu_s(way) - cpu, list(itertools.chain(*latencies)))


def _cpu_s(way: Way) -> float:
    """CPU-seconds of this process and the way's service so far."""
    own = time.process_time()
    if way.service is None:
        return own
    fields = Path(f"/proc/{way.service}/stat").read_text().rpartition(")")[2].split()
    return own + (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _figures(runs: Sequence[_Run]) -> dict[str, Any]:
    latencies_ms = 1e3 * np.concatenate([run.latencies_s for run in runs])
    p50, p99 = np.percentile(latencies_ms, [50, 99])
    return {
        "per_s": spread([run.per_s for run in runs]),
        "cpu_ms": spread([1e3 * run.cpu_s for run in runs]),
        "p50_ms": float(f"{p50:.3g}"),
        "p99_ms": float(f"{p99:.3g}"),
    }


def _show(slots: int, result: Mapping[str, Any]) -> None:
    rows = [
        [
            name,
            figures["per_s"]["median"],
            f"{figures['per_s']['min']:.0f}-{figures['per_s']['max']:.0f}",
            figures["cpu_ms"]["median"],
            figures["p50_ms"],
            figures["p99_ms"],
        ]
        for name, figures in result["ways"].items()
    ]
    print_table([f"{slots} slots", "per s", "range", "CPU ms", "p50 ms", "p99 ms"], rows)
    shown = [
        [name, *(f"{100 * share:.0f} %" for share in lost.values())]
        for name, lost in result["costs"].items()
    ]
    print_table(["cost", "median", "q25", "q75", "min", "max", "by CPU"], shown)


if __name__ == "__main__":
    main()
