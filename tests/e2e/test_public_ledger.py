"""A home's ledger in public: exported, cosigned, verified and watched without the home."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from quantumai.provenance.ledger.cosignatures import cosignatures
from quantumai.provenance.ledger.note import VerifierKey
from quantumai.provenance.public_log.witness import AddCheckpoint
from quantumai.services.witness.client import HttpWitness
from quantumai.services.witness.store import log_keys, open_store
from tests.e2e.qai_command import ROOT, TFIM, Ended, qai, qai_process
from tests.logs import HandMadeLog, leaf
from tests.witness_service import running_witness

pytestmark = pytest.mark.slow


@pytest.fixture
def own_home(home: Path, tmp_path: Path) -> Path:
    shutil.copytree(home, tmp_path / "home")
    return tmp_path / "home"


def run_a_job(home: Path) -> None:
    assert qai("run", TFIM, "--observable", "ZZIIII", "--shots", 100, home=home).code == 0


def export_trust(home: Path, path: Path, *options: object) -> Path:
    assert qai("trust", "export", "--out", path, *options, home=home).code == 0
    return path


def test_export_verify_and_watch(own_home: Path, tmp_path: Path) -> None:
    public, state = tmp_path / "public", tmp_path / "state"
    trust = export_trust(own_home, tmp_path / "trust.json")
    no_home = tmp_path / "nowhere"

    def watch(place: object = public) -> Ended:
        more = ("--trust", trust, "--state", state, "--once")
        return qai("ledger", "watch", "--from", place, *more, home=no_home)

    assert qai("ledger", "export", public, home=own_home).code == 0
    kept = tmp_path / "kept"
    shutil.copy(public / "checkpoint", kept)
    first = watch()
    assert first.code == 0, first.err
    assert "freshness: not checked" in first.out

    run_a_job(own_home)
    assert "3 of them new" in qai("ledger", "export", public, home=own_home).out
    looked = qai("ledger", "verify", "--from", public, "--trust", trust, home=no_home)
    assert looked.code == 0, looked.err
    assert "freshness: not checked" in looked.out
    more = ("--trust", trust, "--remembered", kept, "--json")
    sure = qai("ledger", "verify", "--from", public, *more, home=no_home)
    assert (sure.code, sure.json["freshness"]["status"]) == (0, "ok")
    assert "freshness: ok" in watch().out
    assert not no_home.exists()

    # By HTTP the same files say the same.
    handler = partial(SimpleHTTPRequestHandler, directory=str(public))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    served = watch(f"http://127.0.0.1:{server.server_address[1]}/")
    server.shutdown()
    server.server_close()
    assert served.code == 0, served.err
    assert watch(f"http://127.0.0.1:{server.server_address[1]}").code == 13

    # Put back the older checkpoint: the monitor and whoever remembers the newer one find it.
    newer = tmp_path / "newer"
    shutil.copy(public / "checkpoint", newer)
    shutil.copy(kept, public / "checkpoint")
    alarm = watch()
    assert (alarm.code, alarm.out) == (6, "")
    assert "roll-back" in alarm.err
    more = ("--trust", trust, "--remembered", newer)
    assert qai("ledger", "verify", "--from", public, *more, home=no_home).code == 6
    assert qai("ledger", "verify", "--remembered", newer, home=own_home).code == 0
    # Without a trust file and without a home nobody says whose log it is.
    assert qai("ledger", "verify", "--from", public, home=no_home).code == 2
    assert qai("ledger", "verify", "--from", public, home=own_home).code == 0


def test_a_witnessed_ledger(own_home: Path, tmp_path: Path) -> None:
    store, public = tmp_path / "witness", tmp_path / "public"
    made = qai("witness", "init", "--store", store, "--name", "w.example", "--json", home=None)
    keys = made.json["verifier_keys"]
    assert qai("witness", "key", "--store", store, "--json", home=None).json == made.json
    plain = json.loads(export_trust(own_home, tmp_path / "plain.json").read_text())
    logs = log_keys(plain["ledger"]["verifier_keys"][1:])

    assert qai("ledger", "cosign", home=own_home).code == 2  # none is listed
    with running_witness(open_store(store, {}).witness(logs)) as prefix:
        assert qai("witness", "add", prefix, *keys, home=own_home).code == 0
        done = qai("ledger", "cosign", "--json", home=own_home)
        assert (done.code, done.json["witnesses"][0]["outcome"]) == (0, "cosigned"), done.err
        trust = export_trust(own_home, tmp_path / "trust.json", "--quorum", 1)
        assert qai("ledger", "export", public, home=own_home).code == 0
        verify = ("ledger", "verify", "--from", public, "--trust", trust)
        assert "freshness: ok (cosigned by w.example" in qai(*verify, home=None).out

        # What is not cosigned yet is not published.
        run_a_job(own_home)
        waiting = qai("ledger", "export", public, home=own_home)
        assert "0 of them new" in waiting.out
        assert "3 leaves wait" in waiting.err
        once = ("ledger", "cosign", "--witness", prefix, "--key", keys[1])
        assert qai(*once, home=own_home).code == 0
        assert "3 of them new" in qai("ledger", "export", public, home=own_home).out

    away = qai("ledger", "cosign", home=own_home)
    assert away.code == 13
    assert away.out.startswith("away")
    looked = qai("ledger", "verify", home=own_home)
    assert looked.code == 0
    assert "cosigned by w.example" in looked.out
    strict = export_trust(own_home, tmp_path / "strict.json", "--quorum", 1)
    assert qai("ledger", "verify", "--trust", strict, home=own_home).code == 0
    assert qai("witness", "remove", "w.example", home=own_home).code == 0


def test_bad_input_leaves_nothing_behind(own_home: Path, tmp_path: Path) -> None:
    trust, state = export_trust(own_home, tmp_path / "trust.json"), tmp_path / "state"
    for arguments in (
        ("verify", "--from", tmp_path, "--trust", trust),
        ("verify", "--remembered", trust),
        ("verify", "--trust", TFIM),
        ("watch", "--from", tmp_path, "--trust", trust, "--state", state, "--once"),
        ("watch", "--from", "http:///x", "--trust", trust, "--state", state, "--once"),
        ("watch", "--trust", TFIM, "--state", state, "--once"),
        ("export", own_home),
        ("cosign", "--witness", "http://127.0.0.1:9"),
        ("cosign", "--key", "x"),
    ):
        done = qai("ledger", *arguments, home=own_home)
        assert (done.code, done.out) == (2, ""), arguments
    for arguments in (
        ("key", "--store", tmp_path),
        ("init", "--store", tmp_path / "w", "--name", "a b"),
        ("serve", "--store", tmp_path, "--log", "x"),
        ("add", "http://127.0.0.1:9", "x"),
    ):
        assert qai("witness", *arguments, home=own_home).code == 2, arguments
    assert not state.exists()
    assert not (tmp_path / "w").exists()
    # The home's own ledger can be watched too.
    own = ("watch", "--trust", trust, "--state", state, "--once")
    assert qai("ledger", *own, home=own_home).code == 0


def test_the_witness_as_a_process(tmp_path: Path) -> None:
    log = HandMadeLog([leaf("run-manifest", str(i)) for i in range(5)])
    store = tmp_path / "witness"
    made = qai("witness", "init", "--store", store, "--json", home=None)
    command = [sys.executable, "-c", "from quantumai.cli.main import main; main()"]
    more = ["--store", str(store), "--log", log.signing.vkeys[1], "--listen", "127.0.0.1:0"]
    service = subprocess.Popen(
        [*command, "witness", "serve", *more],
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert service.stdout is not None
        words = service.stdout.readline().split()
        body = AddCheckpoint(0, (), log.checkpoint(5)).data
        answer = HttpWitness(words[-1]).add_checkpoint(body)
    finally:
        service.send_signal(signal.SIGINT)
        _, err = service.communicate(timeout=60)
    assert service.returncode == 0, err
    assert answer.status == 200
    keys = [VerifierKey.parse(text) for text in made.json["verifier_keys"]]
    assert len(cosignatures(log.checkpoint(5) + answer.body, keys)) == 2
    # No private key lies there in the clear, and a production environment refuses soft ones.
    refused = {"QAI_ENV": "production", "PYTHONPATH": str(ROOT / "src")}
    ended = qai_process("witness", "key", "--store", store, environment=refused)
    assert ended.code == 1
    assert "refuse" in ended.err
