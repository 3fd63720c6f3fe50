"""The playbook of docs/guides/moving-to-production-keys.md, walked through with real commands.

From the development token (kryoptic) to AWS KMS (emulated): new keys there, an overlap in which
both sign, a roll-back, the cut-over; the manifests of every era verify on another machine.
"""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.aws_emulation import SECRET_ACCESS_KEY, running_aws_emulation
from tests.e2e.qai_command import TFIM, Ended, qai_process
from tests.tokens import token_library

pytestmark = [pytest.mark.integration, pytest.mark.slow]


_CREDENTIALS = {"AWS_ACCESS_KEY_ID": "emulated", "AWS_SECRET_ACCESS_KEY": SECRET_ACCESS_KEY}


class _Machine:
    """A home and the commands that are run on it."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.home = folder / "home"
        self._environment = environment | {"QAI_HOME": str(self.home), "HOME": os.environ["HOME"]}

    def __call__(self, *arguments: object, code: int = 0) -> Ended:
        done = qai_process(*arguments, environment=self._environment)
        assert done.code == code, done.out + done.err
        return done

    def job(self) -> tuple[str, list[str]]:
        """Run a small job; its id and the ids of the keys that signed its manifest."""
        job = self("run", TFIM, "--observable", "ZZIIII", "--shots", 300, "--json").json["job_id"]
        envelope: Any = json.loads(
            (self.home / f"objects/manifests/local/{job}/manifest.json").read_bytes()
        )
        assert base64.b64decode(envelope["payload"])
        return job, [signature["keyid"] for signature in envelope["signatures"]]


def test_from_the_development_token_to_a_cloud_kms(tmp_path: Path) -> None:
    with running_aws_emulation() as aws:
        qai = _Machine(tmp_path, _CREDENTIALS)
        qai("kms", "token", "init", "--library", token_library("kryoptic"))
        first, (old,) = qai.job()

        qai(
            "kms", "aws-kms", "init", "--endpoint-url", aws.endpoint_url, "--region", "eu-central-1"
        )
        rotate = ("kms", "keys", "rotate", "statement", "--provider", "aws-kms")
        qai(*rotate, "--overlap")
        both, signers = qai.job()
        assert len(signers) == 2
        assert old in signers

        # Roll-back: the new key is retired, and the token signs alone again.
        qai("kms", "keys", "retire", "statement", "--version", 2)
        back, signers = qai.job()
        assert signers == [old]

        # Cut-over: the next version in the cloud signs alone.
        qai(*rotate)
        last, (new,) = qai.job()
        assert new != old
        (current,) = [
            key
            for key in qai("kms", "keys", "list", "--json").json
            if key["name"] == "statement" and key["state"] == "active"
        ]
        assert (current["provider"], current["version"]) == ("aws-kms", 3)

        qai("ledger", "verify")
        qai("kms", "audit", "verify")
        trust = tmp_path / "trust.json"
        trust.write_text(qai("trust", "export").out)
        said = {}
        auditor = _Machine(tmp_path / "auditor", {})
        for job in (first, both, back, last):
            evidence = tmp_path / job
            qai("manifest", "export", job, evidence)
            said[job] = auditor(
                "manifest", "verify", evidence / "manifest.json",
                "--proof", evidence / "proof.json", "--trust", trust,
            ).out  # fmt: skip
        assert "in pkcs11: validation none certified" in said[first]
        assert "in aws-kms: validation" in said[last]
        assert not auditor.home.exists()
