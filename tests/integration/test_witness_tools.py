"""Our witness and logs of others, and our cosigned log in tools of others.

A Tessera log asks `qai witness serve` to cosign each checkpoint before it publishes one, by C2SP
tlog-witness. And transparency-dev's `formats` and `fsck` read what `qai ledger export` wrote.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.qai_command import ROOT, TFIM, qai
from tests.integration.go_tools import RefusedError, check, make_log, make_log_key

pytestmark = [pytest.mark.slow, pytest.mark.integration]

SIZES = (1, 5, 256, 300)
ENTRIES = [str(index).encode() for index in range(SIZES[-1])]


@contextmanager
def _witness(store: Path, *logs: str) -> Iterator[str]:
    """A witness of the logs with these vkeys; its address."""
    arguments = [word for log in logs for word in ("--log", log)]
    command = [sys.executable, "-c", "from quantumai.cli.main import main; main()"]
    process = subprocess.Popen(
        ["setpriv", "--pdeathsig", "KILL", *command, "witness", "serve",
         "--store", str(store), *arguments, "--listen", "127.0.0.1:0"],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT / "src")},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert " on http://127.0.0.1:" in line, line + (process.stderr or sys.stderr).read()
        yield line.strip().rsplit(" ", 1)[1]
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)


@pytest.fixture
def store(tmp_path: Path) -> tuple[Path, list[str]]:
    """A witness's folder, and its vkeys of type 0x04 and 0x06."""
    folder = tmp_path / "witness"
    made = qai("witness", "init", "--store", folder, "--name", "witness.example/w", home=None)
    assert made.code == 0, made.err
    shown = qai("witness", "key", "--store", folder, home=None).out.split()
    vkeys = [word for word in shown if word.startswith("witness.example/w+")]
    assert len(vkeys) == 2
    return folder, vkeys


@pytest.mark.parametrize("kind", [0, 1], ids=["ed25519", "ml-dsa-44"])
def test_tessera_publishes_what_our_witness_cosigned(
    tmp_path: Path, store: tuple[Path, list[str]], kind: int
) -> None:
    folder, vkeys = store
    key, policy = tmp_path / "key", tmp_path / "policy"
    origin_key = make_log_key(key)
    with _witness(folder, origin_key) as url:
        policy.write_text(f"witness w {vkeys[kind]} {url}\nquorum w\n")
        keys = make_log(tmp_path / "log", SIZES, ENTRIES, "-key", key, "-policy", policy)
    assert keys["log"] == origin_key
    for size in SIZES:
        checkpoint = (tmp_path / "log" / "checkpoints" / str(size)).read_bytes()
        opened = check("note", origin_key, vkeys[kind], given=checkpoint)
        assert opened["size"] == size
        assert [s["type"] for s in opened["signed"]] == [0x01, (0x04, 0x06)[kind]]
        assert opened["signed"][1]["timestamp"] > 0


def test_a_log_that_our_witness_does_not_know_stays_without(
    tmp_path: Path, store: tuple[Path, list[str]]
) -> None:
    folder, vkeys = store
    other, key, policy = tmp_path / "other", tmp_path / "key", tmp_path / "policy"
    make_log_key(key)
    with _witness(folder, make_log_key(other)) as url:
        policy.write_text(f"witness w {vkeys[0]} {url}\nquorum w\n")
        with pytest.raises(RefusedError, match="publish"):
            make_log(tmp_path / "log", SIZES, ENTRIES, "-key", key, "-policy", policy)


def test_our_exported_and_cosigned_log_is_read_by_others(
    tmp_path: Path, store: tuple[Path, list[str]]
) -> None:
    home, exported, trust = tmp_path / "home", tmp_path / "exported", tmp_path / "trust.json"
    ran = qai("run", TFIM, "--observable", "ZZIIII", "--shots", 500, "--json", home=home)
    assert ran.code == 0, ran.err
    assert qai("trust", "export", "--out", trust, home=home).code == 0
    ledger = json.loads(trust.read_text())["ledger"]
    folder, vkeys = store
    with _witness(folder, ledger["verifier_keys"][1]) as url:
        assert qai("witness", "add", url, *vkeys, home=home).code == 0
        cosigned = qai("ledger", "cosign", home=home)
        assert cosigned.code == 0, cosigned.err
    assert qai("ledger", "export", exported, home=home).code == 0
    checkpoint = (exported / "checkpoint").read_bytes()
    opened = check("note", *ledger["verifier_keys"], *vkeys, given=checkpoint)
    assert opened["unverified"] == 0
    assert sorted(s["type"] for s in opened["signed"]) == [0x01, 0x04, 0x06, 0x06]
    for vkey in vkeys:
        assert check("quorum", 1, vkey, given=checkpoint) == {"satisfied": True}
        changed = checkpoint.replace(b"\n%d\n" % opened["size"], b"\n%d\n" % (opened["size"] + 1))
        assert check("quorum", 1, vkey, given=changed) == {"satisfied": False}
    for vkey in ledger["verifier_keys"]:
        found = check("log", exported, ledger["origin"], vkey)
        assert found == {"tiles": [1], "bundles": 1}
