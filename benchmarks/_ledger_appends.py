"""Appenders of `ledger.py`: many threads over one ledger, and Tessera's POSIX log beside it."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from quantumai.provenance.ledger.commits import Leaf
from quantumai.provenance.ledger.run_ledger import Ledger

_AGE = "10ms"


@dataclass(frozen=True)
class Run:
    """One measurement. Latencies are those of an append, from its call to its durable answer."""

    per_s: float
    p50_ms: float
    p99_ms: float
    bytes_per_entry: float  # all that lies in the store afterwards
    bytes_kept: float  # the same without partial tiles that full ones have superseded


def fresh_leaves(count: int) -> list[Leaf]:
    """Leaves that no ledger has; every call makes others."""
    start = next(_CALLS) << 40
    return [
        Leaf("run-manifest", 1, hashlib.sha256(str(start + n).encode()).hexdigest())
        for n in range(count)
    ]


_CALLS = itertools.count()


def append_all(
    ledger: Ledger, leaves: Sequence[Leaf], threads: int, stored: Callable[[], tuple[int, int]]
) -> Run:
    """Append each leaf by a call of its own, from so many threads at once.

    `stored` is the store's size in bytes, with and without superseded tiles.
    """
    remaining = list(leaves)
    latencies: list[list[float]] = [[] for _ in range(threads)]
    errors: list[BaseException] = []
    start = threading.Barrier(threads + 1)

    def work(taken: list[float]) -> None:
        start.wait()
        try:
            while True:
                try:
                    leaf = remaining.pop()  # atomic
                except IndexError:
                    return
                began = time.perf_counter()
                ledger.append([leaf])
                taken.append(time.perf_counter() - began)
        except BaseException as error:
            errors.append(error)

    before = stored()
    workers = [threading.Thread(target=work, args=(taken,)) for taken in latencies]
    for worker in workers:
        worker.start()
    start.wait()
    began = time.perf_counter()
    for worker in workers:
        worker.join()
    wall_s = time.perf_counter() - began
    if errors:
        raise errors[0]
    ledger.close()
    after = stored()
    p50, p99 = np.percentile(1e3 * np.concatenate(latencies), [50, 99])
    grown = [(late - early) / len(leaves) for early, late in zip(before, after, strict=True)]
    return Run(len(leaves) / wall_s, float(p50), float(p99), *grown)


def folder_bytes(folder: Path) -> tuple[int, int]:
    """Bytes of all files of a log in a folder, and of those that full tiles did not supersede."""
    everything = kept = 0
    for path in folder.rglob("*"):
        if path.is_file():
            size = path.stat().st_size
            everything += size
            superseded = path.parent.suffix == ".p" and path.parent.with_suffix("").exists()
            kept += 0 if superseded else size
    return everything, kept


def tessera(program: Path, folder: Path, leaves: Sequence[Leaf], threads: int) -> Run:
    """The same entries into a new Tessera log in `folder`, by so many clients at once.

    A batch is full when all clients are in it, up to 256 (Tessera's default): a larger one would
    only wait for its age.
    """
    folder.mkdir()
    entries = folder.with_name(folder.name + ".entries")
    entries.write_bytes(b"".join(leaf.entry + b"\n" for leaf in leaves))
    command: list[str | Path] = [
        program, "-dir", folder, "-from", entries, "-entries", str(len(leaves)),
        "-concurrency", str(threads), "-batch", str(min(threads, 256)), "-age", _AGE,
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    count = found["entries"]
    return Run(
        count / found["seconds"],
        found["p50_ms"],
        found["p99_ms"],
        found["bytes"] / count,
        found["bytes_collected"] / count,
    )


@contextmanager
def probe_fsync(folder: Path) -> Iterator[Callable[[], float]]:
    """A call that times one durable write of 4 KiB (ms) in `folder`: what the disk itself takes."""
    path = folder / "probe"

    def probe() -> float:
        began = time.perf_counter()
        with path.open("wb", buffering=0) as file:
            file.write(bytes(4096))
            os.fsync(file.fileno())
        return 1e3 * (time.perf_counter() - began)

    yield probe
    path.unlink(missing_ok=True)
