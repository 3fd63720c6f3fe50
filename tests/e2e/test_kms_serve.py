"""`qai kms serve` as a process: a token is made, a key signs over HTTP, the service ends."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from quantumai.errors import DeniedError
from quantumai.keys.management.records import KeyPurpose
from quantumai.keys.signatures import verify_signature
from quantumai.services.kms.client import HttpKeyManagement
from tests.e2e.qai_command import ROOT, qai


@pytest.mark.slow
def test_a_home_serves_its_keys_to_whom_it_gave_a_token(tmp_path: Path) -> None:
    home = tmp_path / "home"
    added = qai("kms", "principals", "add", "alice", home=home)
    assert added.code == 0, added.err
    token = added.out.strip()
    command = [sys.executable, "-c", "from quantumai.cli.main import main; main()"]
    service = subprocess.Popen(
        [*command, "kms", "serve", "--port", "0"],
        env=os.environ | {"QAI_HOME": str(home), "PYTHONPATH": str(ROOT / "src")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert service.stdout is not None
        words = service.stdout.readline().split()
        client = HttpKeyManagement(words[words.index("on") + 1], token)
        made = client.create("release", "ML-DSA-65", KeyPurpose.RAW)
        signed = client.sign("release", b"message")
        with pytest.raises(DeniedError):
            HttpKeyManagement(words[words.index("on") + 1], token + "x").list()
    finally:
        service.send_signal(signal.SIGINT)
        out, err = service.communicate(timeout=60)

    assert made.public_key is not None
    spki = made.public_key.spki_der
    assert verify_signature("ML-DSA-65", spki, b"message", signed.signature)
    assert service.returncode == 0, err
    assert token not in out + err
    files = [path for path in home.rglob("*") if stat.S_ISREG(path.lstat().st_mode)]
    assert files
    assert not [path for path in files if token.encode() in path.read_bytes()]


def test_serve_refuses_what_it_cannot_do(tmp_path: Path) -> None:
    nobody = qai("kms", "serve", home=tmp_path / "home")
    qai("kms", "principals", "add", "alice", home=tmp_path / "home")
    public = qai("kms", "serve", "--host", "0.0.0.0", home=tmp_path / "home")
    odd = qai("kms", "principals", "add", "not a name", home=tmp_path / "home")

    assert (nobody.code, public.code, odd.code) == (2, 2, 2)
    assert "qai kms principals add" in nobody.err
    assert "no TLS" in public.err
