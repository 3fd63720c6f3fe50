"""What verifying costs: one manifest with all its evidence, one leaf of a log, and a whole log."""

from __future__ import annotations

import hashlib
import random
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from _reporting import spread

from quantumai import merkle
from quantumai.provenance.ledger.commits import Leaf
from quantumai.provenance.ledger.run_ledger import Ledger
from quantumai.provenance.manifest.verification import verify_manifest
from quantumai.provenance.public_log.export import export_ledger
from quantumai.provenance.public_log.static_files import FolderFiles, PublicLog
from quantumai.provenance.public_log.verification import verify_public_log
from quantumai.provenance.verification.report import ExitCode
from quantumai.provenance.verification.trust import TrustFile
from quantumai.services.wiring import open_home

GOLDEN = Path(__file__).resolve().parents[1] / "tests" / "vectors" / "manifests" / "v2"
_BLOCK = 256
_AT_ONCE = 1 << 13


def manifest_ms(repeats: int) -> dict[str, dict[str, float]]:
    """Milliseconds from the bytes of a manifest that is kept as a test vector to its report.

    Offline. The trust file is parsed anew each time, as a process does that verifies one manifest.
    """
    envelope, proof, trust = (
        (GOLDEN / f"{name}.json").read_bytes() for name in ("manifest", "proof", "trust")
    )
    stored = {path.name: path.read_bytes() for path in (GOLDEN / "artefacts").iterdir()}

    def whole() -> bool:
        return verify_manifest(envelope, stored.get, proof, TrustFile.parse(trust)).verified

    def apart() -> bool:
        allowed = frozenset({"artefacts"})
        trusted = TrustFile.parse(trust)
        report = verify_manifest(envelope, lambda _: None, proof, trusted, allow_unchecked=allowed)
        return report.verified

    return {
        "with its artefacts": _timed_ms(whole, repeats),
        "artefacts apart": _timed_ms(apart, repeats),
    }


def _timed_ms(verify: Callable[[], bool], repeats: int) -> dict[str, float]:
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        held = verify()
        times.append(1e3 * (time.perf_counter() - began))
        if not held:
            raise SystemExit("the manifest that is kept as a test vector does not verify")
    return spread(times)


class _CountedTree:
    """The tree of the leaves 0, 1, 2, ...: roots of blocks in memory, the leaves made again."""

    def __init__(self) -> None:
        self._blocks: list[bytes] = []
        self._known: dict[tuple[int, int], bytes] = {}

    def grow(self, size: int) -> None:
        """Hash blocks until the full ones of the first `size` leaves are there."""
        while (len(self._blocks) + 1) * _BLOCK <= size:
            first = len(self._blocks) * _BLOCK
            self._blocks.append(merkle.root_hash(_leaves(first, first + _BLOCK)))

    def subtree(self, low: int, high: int) -> bytes:
        """Tree hash of [low, high), a range met in RFC 6962's recursion."""
        if high - low <= _BLOCK:
            whole = high - low == _BLOCK
            return self._blocks[low // _BLOCK] if whole else merkle.root_hash(_leaves(low, high))
        if (low, high) not in self._known:
            middle = low + merkle.split_point(high - low)
            halves = self.subtree(low, middle), self.subtree(middle, high)
            self._known[low, high] = merkle.node_hash(*halves)
        return self._known[low, high]


def _leaves(low: int, high: int) -> list[bytes]:
    return [leaf_of(n) for n in range(low, high)]


def leaf_of(number: int) -> bytes:
    """Leaf hash of the entry that says `number`."""
    return hashlib.sha256(b"\x00%d" % number).digest()


def inclusion_curve(largest: int, proofs: int, repeats: int) -> list[dict[str, Any]]:
    """Proof lengths and microseconds of checking one, for logs of 10^3, 10^4, ... leaves.

    This is what one manifest pays for the size of the log; the tree is in memory.
    """
    tree, found = _CountedTree(), []
    chosen = random.Random(5)
    size = 1000
    while size <= largest:
        began = time.perf_counter()
        tree.grow(size)
        root = tree.subtree(0, size)
        built_s = time.perf_counter() - began
        times, lengths = [], []
        for _ in range(proofs):
            index = chosen.randrange(size)
            path = merkle.inclusion_proof(index, size, tree.subtree)
            leaf = leaf_of(index)
            began = time.perf_counter()
            for _ in range(repeats):
                held = merkle.verify_inclusion(leaf, index, size, path, root)
            times.append(1e6 * (time.perf_counter() - began) / repeats)
            lengths.append(len(path))
            if not held or merkle.verify_inclusion(leaf, index ^ 1, size, path, root):
                raise SystemExit(f"the proof of leaf {index} among {size} is not what it should be")
        found.append(
            {
                "leaves": size,
                "hashes": spread(lengths),
                "bytes": spread([32 * length for length in lengths]),
                "us": spread(times),
                "built_s": float(f"{built_s:.3g}"),
            }
        )
        size *= 10
    return found


def whole_log_curve(largest: int, repeats: int) -> list[dict[str, Any]]:
    """Seconds of verifying whole logs of 10^3, 10^4, ... leaves from their exported files.

    This is what an auditor of the log pays: every entry is read, hashed up, and compared with every
    tile and the signed root (`qai ledger verify --from`). The log is a home's own, so its first
    leaves are key events.
    """
    found: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="qai-log-") as name, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # soft keys say that they are insecure
        with open_home(Path(name) / "home", {}) as home:
            sealer, folder, size = home.open_sealer(), Path(name) / "exported", 1000
            while size <= largest:
                _grow(sealer.ledger, size)
                _export(sealer.ledger, folder)
                times = [_whole_log_s(folder, sealer.export_trust()) for _ in range(repeats)]
                read = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
                found.append({"leaves": size, "s": spread(times), "bytes": sum(read)})
                size *= 10
    return found


def _grow(ledger: Ledger, size: int) -> None:
    while (present := ledger.size()) < size:
        count = min(_AT_ONCE, size - present)
        digests = (hashlib.sha256(b"%d" % n).hexdigest() for n in range(present, present + count))
        ledger.append([Leaf("run-manifest", 1, digest) for digest in digests])


def _export(ledger: Ledger, folder: Path) -> None:
    export_ledger(ledger, ledger.objects, lambda _: ledger.checkpoint(), folder)


def _whole_log_s(folder: Path, trust: TrustFile) -> float:
    began = time.perf_counter()
    findings = verify_public_log(PublicLog(FolderFiles(folder)), trust)
    taken_s = time.perf_counter() - began
    if findings.exit_code is not ExitCode.OK:
        raise SystemExit(f"the exported log does not verify: {findings.problems}")
    return taken_s
