"""The run ledger: durable appends per second beside Tessera's, and what verifying costs.

Each append is one leaf by a call of its own; it counts when its answer is there: the leaf is in a
commit on the disk (fsync of the file and of its folder), in the tree and under a checkpoint with an
Ed25519 and an ML-DSA-44 signature. The rival is Tessera's POSIX log in Go (`benchmarks/tessera`),
with the same entries, on the same disk, in turn and round by round. Its append counts when its
index is durable and its tiles are written; it signs with Ed25519 alone, and later.

On S3 the store is versitygw over the same disk, under Object Lock, reached over loopback; the
writer's lease is a file, as in every home.

Verifying is measured from bytes, offline: one manifest, the proof of one leaf, and a whole log.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", RAYON_NUM_THREADS="1")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # for the servers of the tests

from _ledger_appends import Run, append_all, folder_bytes, fresh_leaves, probe_fsync, tessera
from _reporting import print_environment, print_json, print_table, spread
from _verification_costs import inclusion_curve, manifest_ms, whole_log_curve

from quantumai.provenance.ledger.run_ledger import Ledger
from quantumai.services.wiring import open_home, utc_now

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("cryptography", "msgspec", "boto3")
THREADS = "threads as stated"
AIMS = {"per_s": 1600, "ratio_to_tessera": 0.5, "verify_ms": 5.0}
Append = Callable[[int, int], Run]


def main() -> None:
    """Measure, and print a table for each part."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--folder", type=Path, help="on the disk to measure (default: temporary)")
    parser.add_argument("--concurrency", type=int, nargs="+", default=[64, 256])
    parser.add_argument("--entries", type=int, default=10_000, help="in a round")
    parser.add_argument("--s3-entries", type=int, default=2_000, help="in a round; 0: no S3")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=200, help="manifests, and proofs at a size")
    parser.add_argument("--largest", type=int, default=10**7, help="leaves for inclusion proofs")
    parser.add_argument("--whole-log", type=int, default=10**5, help="leaves of a whole log")
    parser.add_argument("--no-rival", action="store_true", help="leave Tessera (Go) out")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="qai-ledger-", dir=options.folder) as name:
        result = {
            "appends": _appends(Path(name), options),
            "manifest_ms": manifest_ms(options.repeats),
            "inclusion": inclusion_curve(options.largest, proofs=options.repeats, repeats=20),
            "whole_log": whole_log_curve(options.whole_log, options.rounds),
            "aims": AIMS,
        }
    if options.json:
        print_json(result, packages=PACKAGES, threads=THREADS)
        return
    _show(result)
    print_environment(packages=PACKAGES, threads=THREADS)


def _appends(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Figures of each way at each concurrency; ratios are of pairs in one round."""
    found: dict[str, Any] = {}
    with _ways(folder, options) as ways, probe_fsync(folder) as probe:
        for threads in options.concurrency:
            runs: dict[str, list[Run]] = {name: [] for name in ways}
            probes = []
            for number in range(options.rounds):
                # Every other round backwards, so that no way always follows the same one.
                for name in ways if number % 2 == 0 else reversed(ways):
                    probes.append(probe())
                    entries = options.s3_entries if name == "S3" else options.entries
                    runs[name].append(ways[name](entries, threads))
            found[str(threads)] = _figures(runs) | {"fsync_ms": spread(probes)}
        lone = [ways["local"](100, 1) for _ in range(options.rounds)]
        found["1"] = _figures({"local": lone})
    return found


def _figures(runs: dict[str, list[Run]]) -> dict[str, Any]:
    figures: dict[str, Any] = {
        name: {f.name: spread([getattr(run, f.name) for run in done]) for f in fields(Run)}
        for name, done in runs.items()
    }
    if "Tessera" in runs:
        pairs = zip(runs["local"], runs["Tessera"], strict=True)
        figures["ratio_to_tessera"] = spread([ours.per_s / theirs.per_s for ours, theirs in pairs])
    return figures


@contextmanager
def _ways(folder: Path, options: argparse.Namespace) -> Iterator[dict[str, Append]]:
    """What is measured, by name: each appends so many entries from so many threads."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # soft keys say that they are insecure
        home = open_home(folder / "home", {})
        local = home.open_sealer().ledger
    ways: dict[str, Append] = {}

    def on_disk(entries: int, threads: int) -> Run:
        stored = lambda: folder_bytes(folder / "home" / "objects" / "ledger")  # noqa: E731
        return append_all(local, fresh_leaves(entries), threads, stored)

    ways["local"] = on_disk
    if not options.no_rival:
        from tests.servers import go_build

        program = go_build(ROOT / "benchmarks" / "tessera", ".")

        def by_tessera(entries: int, threads: int) -> Run:
            place = Path(tempfile.mkdtemp(dir=folder)) / "log"
            return tessera(program, place, fresh_leaves(entries), threads)

        ways["Tessera"] = by_tessera
    with home:
        if not options.s3_entries:
            yield ways
            return
        with _on_s3(folder, local) as ways["S3"]:
            yield ways


@contextmanager
def _on_s3(folder: Path, local: Ledger) -> Iterator[Append]:
    """A ledger of its own in a bucket with retention, written under a file lock as in a home."""
    from quantumai.storage.file_lease import FileLease
    from quantumai.storage.s3_client import S3Settings
    from quantumai.storage.s3_objects import S3Objects
    from tests.servers import S3_REGION, versitygw_server

    tempfile.tempdir = str(folder)  # the server's files belong on the measured disk
    try:
        with versitygw_server() as server:
            bucket = server.make_bucket("ledger")
            settings = S3Settings(
                bucket, region=S3_REGION, endpoint_url=server.endpoint_url, retention_days=1
            )
            objects = S3Objects(settings, utc_now)
            lease = FileLease(folder / "s3.lease")
            ledger = Ledger(objects, local.origin, local.signer, utc_now, lease)

            def append(entries: int, threads: int) -> Run:
                stored = lambda: folder_bytes(server.folder / "objects" / bucket)  # noqa: E731
                return append_all(ledger, fresh_leaves(entries), threads, stored)

            yield append
    finally:
        tempfile.tempdir = None


def _show(result: dict[str, Any]) -> None:
    for threads, found in result["appends"].items():
        ways = {name: f for name, f in found.items() if isinstance(f, dict) and "per_s" in f}
        rows = [
            [name, f["per_s"]["median"], f"{f['per_s']['min']:.0f}-{f['per_s']['max']:.0f}"]
            + [f[key]["median"] for key in ("p50_ms", "p99_ms", "bytes_per_entry", "bytes_kept")]
            for name, f in ways.items()
        ]
        headers = ["per s", "range", "p50 ms", "p99 ms", "bytes/entry", "superseded apart"]
        print_table([f"{threads} appenders", *headers], rows)
        for name in ("ratio_to_tessera", "fsync_ms"):
            if name in found:
                print_table([name, *found[name]], [["", *found[name].values()]])
    rows = [
        [name, *(f"{v:.3g}" for v in ms.values())] for name, ms in result["manifest_ms"].items()
    ]
    print_table(["verify one manifest, ms", "median", "q25", "q75", "min", "max"], rows)
    print_table(
        ["leaves", "hashes in a proof", "bytes", "check, us", "q25-q75", "tree hashed in s"],
        [_curve_row(point) for point in result["inclusion"]],
    )
    print_table(
        ["leaves", "whole log, s", "range", "us a leaf", "bytes of files"],
        [_whole_log_row(point) for point in result["whole_log"]],
    )
    print("aims: 1,600 durable appends a second, half of Tessera's rate, a manifest in under 5 ms")


def _curve_row(point: dict[str, Any]) -> Sequence[object]:
    us = point["us"]
    return [
        f"{point['leaves']:,}",
        point["hashes"]["median"],
        point["bytes"]["median"],
        us["median"],
        f"{us['q25']:.3g}-{us['q75']:.3g}",
        point["built_s"],
    ]


def _whole_log_row(point: dict[str, Any]) -> Sequence[object]:
    taken = point["s"]
    return [
        f"{point['leaves']:,}",
        taken["median"],
        f"{taken['min']:.3g}-{taken['max']:.3g}",
        1e6 * taken["median"] / point["leaves"],
        f"{point['bytes']:,}",
    ]


if __name__ == "__main__":
    main()
