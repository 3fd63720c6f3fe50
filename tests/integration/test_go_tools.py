"""Go's libraries verify what we write: notes, tiles at every level, proofs, cosignatures.

Libraries: golang.org/x/mod/sumdb/note, transparency-dev formats, merkle and tessera, none of which
anybody here wrote.
"""

from __future__ import annotations

import base64
import json
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from quantumai import merkle
from quantumai.canonical import sha256_hex
from quantumai.provenance.ledger.commits import Leaf
from quantumai.provenance.ledger.run_ledger import Ledger
from quantumai.provenance.sealing.checkpoint_signer import KmsCheckpointSigner
from quantumai.provenance.sealing.opening import open_sealer
from quantumai.provenance.statements.statement import SCHEDULER_DECISION, build_statement
from quantumai.storage.local_objects import LocalObjects
from tests.integration.go_tools import LEDGER_GO, RefusedError, check
from tests.key_management import soft_kms, standing_clock
from tests.servers import run_go

pytestmark = [pytest.mark.slow, pytest.mark.integration]

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "tessera"
ORIGIN = "quantumai/ledger/interop"
# Beside the borders of tiles at levels 0, 1 and 2; 65536 leaves fill the first tile of level 1.
SIZES = (1, 255, 256, 257, 4096, 65535, 65536, 65537, 66000)
SIZE = SIZES[-1]


@dataclass(frozen=True)
class OurLog:
    ledger: Ledger
    root: Path
    checkpoints: dict[int, bytes]

    @property
    def vkeys(self) -> list[str]:
        return [key.text for key in self.ledger.signer.verifier_keys()]


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> OurLog:
    home = tmp_path_factory.mktemp("home")
    signer = KmsCheckpointSigner(soft_kms(home).internal(), ORIGIN)
    ledger = Ledger(LocalObjects(home / "objects"), ORIGIN, signer, standing_clock)
    checkpoints = {}
    for before, size in zip((0, *SIZES), SIZES, strict=False):
        ledger.append([_leaf(index) for index in range(before, size)])
        checkpoints[size] = ledger.checkpoint()
    return OurLog(ledger, home / "objects" / "ledger", checkpoints)


def _leaf(index: int) -> Leaf:
    return Leaf("run-manifest", 1, sha256_hex(str(index).encode()))


@contextmanager
def _changed(file: Path, at: int) -> Iterator[None]:
    data = file.read_bytes()
    try:
        file.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        yield
    finally:
        file.write_bytes(data)


@contextmanager
def _served(folder: Path) -> Iterator[str]:
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        request_queue_size = 256  # the client asks for many tiles at once

    server = Server(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.mark.parametrize("size", SIZES)
def test_both_signatures_of_a_checkpoint_hold(log: OurLog, size: int) -> None:
    opened = check("note", *log.vkeys, given=log.checkpoints[size])
    assert (opened["origin"], opened["size"], opened["extensions"]) == (ORIGIN, size, "")
    assert opened["unverified"] == 0
    at = int(standing_clock().timestamp())
    assert opened["signed"] == [
        {"name": ORIGIN, "type": 0x01, "timestamp": 0},
        {"name": ORIGIN, "type": 0x06, "timestamp": at},
    ]


def test_a_changed_checkpoint_is_refused_by_each_kind_of_key(log: OurLog) -> None:
    good = log.checkpoints[257]
    older = log.checkpoints[256]
    root_line, other_root = (data.split(b"\n")[2] for data in (good, older))
    for vkey in log.vkeys:
        for changed in (
            good.replace(b"\n257\n", b"\n258\n"),
            good.replace(root_line, other_root),
            good.replace(ORIGIN.encode(), ORIGIN.encode() + b"2", 1),
            older.split(b"\n\n")[0] + b"\n\n" + good.split(b"\n\n")[1],
        ):
            assert changed != good
            with pytest.raises(RefusedError, match="signature"):
                check("note", vkey, given=changed)


def test_all_tiles_and_bundles_are_those_of_the_signed_root(log: OurLog) -> None:
    found = check("log", log.root, ORIGIN, log.vkeys[0])
    # 66000 leaves in tiles of 256: 257 full and 1 partial, over which 2 and then 1.
    assert found == {"tiles": [258, 2, 1], "bundles": 258}


def test_a_client_reads_the_log_from_a_file_server(log: OurLog) -> None:
    with _served(log.root) as url:
        assert check("log", url, ORIGIN, log.vkeys[0])["bundles"] == 258
        followed = check("update", url, ORIGIN, log.vkeys[0], given=log.checkpoints[257])
    proof = [base64.b64encode(h).decode() for h in log.ledger.consistency_proof(257)]
    assert followed == {"from": 257, "size": SIZE, "proof": proof}


@pytest.mark.parametrize(
    "path",
    [
        "tile/entries/000", "tile/entries/257.p/208",
        "tile/0/000", "tile/0/128", "tile/0/257.p/208",
        "tile/1/000", "tile/1/001.p/1",
        "tile/2/000.p/1",
        "checkpoint",
    ],
)  # fmt: skip
def test_a_changed_byte_in_any_kind_of_file_is_found(log: OurLog, path: str) -> None:
    with _changed(log.root / path, 30), pytest.raises(RefusedError):
        check("log", log.root, ORIGIN, log.vkeys[0])


def test_a_log_that_changed_or_shrank_is_no_update(log: OurLog) -> None:
    asked = (log.root, ORIGIN, log.vkeys[0])
    leaf_256 = log.root / "tile/0/001"
    with _changed(leaf_256, 0), pytest.raises(RefusedError, match="consistency"):
        check("update", *asked, given=log.checkpoints[257])
    newest = (log.root / "checkpoint").read_bytes()
    try:
        (log.root / "checkpoint").write_bytes(log.checkpoints[256])
        followed = check("update", *asked, given=log.checkpoints[65537])
        assert followed["size"] == 65537  # a client does not go back
    finally:
        (log.root / "checkpoint").write_bytes(newest)


def test_our_proofs_hold_and_are_the_ones_that_a_client_builds(log: OurLog) -> None:
    roots = {size: base64.b64decode(data.split(b"\n")[2]) for size, data in log.checkpoints.items()}
    claims, asked = [], []
    for index in (0, 1, 254, 255, 256, 257, 4095, 32768, 65535, 65536, SIZE - 1):
        proof = log.ledger.inclusion_proof(index)
        leaf = merkle.leaf_hash(_leaf(index).entry)
        claims.append(_inclusion(leaf, index, SIZE, proof, roots[SIZE]))
        asked.append([index])
    for first in SIZES[:-1]:
        proof = log.ledger.consistency_proof(first)
        claims.append(_consistency(first, SIZE, roots[first], proof, roots[SIZE]))
        asked.append([first, SIZE])
    assert check("proofs", given=json.dumps(claims).encode()) == [""] * len(claims)
    built = check("build", log.root, SIZE, given=json.dumps(asked).encode())
    assert [path or [] for path in built] == [claim["proof"] for claim in claims]
    wrong = [claim | {"root": _b64(roots[256])} for claim in claims]
    wrong += [claim | {"proof": claim["proof"][1:]} for claim in claims]
    wrong += [claim | {"index": claim["index"] ^ 1} for claim in claims if "index" in claim]
    assert all(check("proofs", given=json.dumps(wrong).encode()))


def test_proofs_within_older_trees_hold(log: OurLog) -> None:
    claims = []
    for size in SIZES[1:]:
        root = base64.b64decode(log.checkpoints[size].split(b"\n")[2])
        for index in {0, size // 2, size - 1}:
            leaf = merkle.leaf_hash(_leaf(index).entry)
            proof = log.ledger.inclusion_proof(index, size)
            claims.append(_inclusion(leaf, index, size, proof, root))
    assert check("proofs", given=json.dumps(claims).encode()) == [""] * len(claims)


def test_a_proof_file_is_read_by_other_peoples_parser(tmp_path: Path) -> None:
    sealer = open_sealer(
        soft_kms(tmp_path).internal(), LocalObjects(tmp_path / "objects"), standing_clock
    )
    statement = build_statement({"x": "0" * 64}, SCHEDULER_DECISION, {"any": "thing"})
    envelope, index = sealer.seal("scheduler-decision", statement)
    proof = sealer.proof(index, envelope)
    entry = Leaf("scheduler-decision", 1, sha256_hex(envelope)).entry
    for vkey in (key.text for key in sealer.ledger.signer.verifier_keys()):
        given = (sealer.ledger.origin, vkey)
        found = check("proof-file", *given, _b64(entry), given=proof)
        assert (found["index"], found["size"]) == (index, sealer.ledger.size())
        assert set(json.loads(base64.b64decode(found["extra"]))) == {"key_status"}
        other = Leaf("run-manifest", 1, sha256_hex(envelope)).entry
        with pytest.raises(RefusedError):
            check("proof-file", *given, _b64(other), given=proof)


@pytest.mark.parametrize("module", [LEDGER_GO, BENCHMARK], ids=["ledger_go", "tessera"])
def test_the_go_sources_are_formatted_vetted_and_pinned(module: Path) -> None:
    run_go(["vet", "-mod=readonly", "./..."], module)
    unformatted = subprocess.run(["gofmt", "-l", module], check=True, capture_output=True)
    assert unformatted.stdout == b""
    pins = [(module / name).read_bytes() for name in ("go.mod", "go.sum")]
    run_go(["mod", "tidy", "-diff"], module)  # fails where a pin is missing or not needed
    assert pins == [(module / name).read_bytes() for name in ("go.mod", "go.sum")]


def _inclusion(
    leaf: bytes, index: int, size: int, proof: list[bytes], root: bytes
) -> dict[str, object]:
    return {
        "leaf": _b64(leaf), "index": index, "size": size, "root": _b64(root),
        "proof": [_b64(node) for node in proof],
    }  # fmt: skip


def _consistency(
    first: int, size: int, older: bytes, proof: list[bytes], root: bytes
) -> dict[str, object]:
    return {
        "first": first, "size": size, "older": _b64(older), "root": _b64(root),
        "proof": [_b64(node) for node in proof],
    }  # fmt: skip


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()
