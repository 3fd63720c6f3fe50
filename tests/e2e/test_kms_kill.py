"""kill -9 between token and database: a retry or `qai kms doctor` completes what was begun."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from quantumai.errors import ApprovalNeededError
from quantumai.keys.audit.entry import AuditEntry
from quantumai.keys.dsse_encoding import IN_TOTO_PAYLOAD_TYPE, pre_authentication_encoding
from quantumai.keys.management.kms import Kms, open_kms
from quantumai.keys.management.mending import mend
from quantumai.keys.management.reconciliation import find
from quantumai.keys.providers.port import KeyProvider
from quantumai.keys.spki import pem_of_spki
from tests.e2e.kms_kill_driver import CHANGES, NAME, copy_home, create, open_copy
from tests.key_management import ALICE, BOB, new_database, soft_keys, standing_clock
from tests.other_verifiers import library_verifies

pytestmark = pytest.mark.slow
DRIVER = Path(__file__).with_name("kms_kill_driver.py")
ROOT = Path(__file__).parents[2]
KINDS = ["soft", pytest.param("kryoptic", marks=pytest.mark.integration)]
STATES = {
    "create": ["active"],
    "rotate": ["verify-only", "active"],
    "destroy": ["destroyed"],
}
# What doctor calls a change that was begun.
BEGUN = {"create": "unfinished", "rotate": "unfinished", "destroy": "overdue"}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("change", CHANGES)
def test_killed_at_every_step(tmp_path: Path, kind: str, change: str) -> None:
    base = tmp_path / "base"
    prepare(kind, base, change)
    homes = killed(kind, base, tmp_path / "killed", change)
    assert len(homes) > 10, "the driver no longer sees the steps"
    seen = Counter(recover(kind, home, change) for home in homes)
    assert {BEGUN[change], "done"} <= set(seen) <= {BEGUN[change], "done", "not begun"}


def prepare(kind: str, base: Path, change: str) -> None:
    """A KMS in the state in which the change can be made."""
    base.mkdir()
    if kind == "soft":
        provider: KeyProvider = soft_keys(base / "keys")
    else:
        from tests.tokens import new_token, token_keys

        provider = token_keys(new_token(kind, base / "token"), base / "token")
    database = new_database(base / "kms.db")
    kms = open_kms(database, [provider], standing_clock)
    if change != "create":
        create(kms)
    if change == "destroy":
        with pytest.raises(ApprovalNeededError):
            kms.of(ALICE).schedule_destruction(NAME, waiting_days=1)
        kms.of(BOB).schedule_destruction(NAME, waiting_days=1)
    database.close()
    provider.renew()  # a token closes its store


def killed(kind: str, base: Path, folder: Path, change: str) -> list[Path]:
    """What the killed processes left; the last process lived."""
    driven = subprocess.run(
        [sys.executable, DRIVER, kind, base, folder, change],
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)])},
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert driven.returncode == 0, driven.stderr[-2000:]
    return sorted(folder.iterdir())


def recover(kind: str, home: Path, change: str) -> str:
    """Recover a home in both ways, on a copy each; how far the killed process had come."""
    copy_home(home, other := home.with_suffix(".mended"))

    kms, provider = open_copy(kind, home)
    CHANGES[change](kms)  # under the same idempotency key
    check(kms, provider, change)

    kms, provider = open_copy(kind, other)
    findings = find(kms.parts)
    assert {str(f.kind) for f in findings} <= {BEGUN[change]}
    how_far = str(findings[0].kind) if findings else "done" if is_done(kms, change) else "not begun"
    assert [step.error for step in mend(kms.parts, findings)] == [""] * len(findings)
    assert find(kms.parts) == []
    if findings:
        check(kms, provider, change)
    # And the caller who comes again is answered, without anything being done twice.
    CHANGES[change](kms)
    check(kms, provider, change)
    return how_far


def is_done(kms: Kms, change: str) -> bool:
    return states(kms) == STATES[change]


def states(kms: Kms) -> list[str]:
    return [str(version.state) for version in kms.parts.register.versions("local", NAME)]


def check(kms: Kms, provider: KeyProvider, change: str) -> None:
    """Register, provider and audit log agree on a change that was made once."""
    versions = kms.parts.register.versions("local", NAME)
    assert states(kms) == STATES[change]
    listed = provider.keys()
    held = {key.handle: key.public_key for key in listed}
    assert held == {v.handle: v.public_key for v in versions if v.state != "destroyed"}
    assert find(kms.parts) == []

    log = kms.parts.audit
    assert log.verify([]).bad is None
    entries = [AuditEntry.parse(text) for _, text in log.entries(0, log.size() - 1)]
    done = [(e.operation, e.version) for e in entries if e.outcome == "ok"]
    made = [("create", 1), ("rotate", 2), ("destroyed", 1)]
    assert [entry for entry in done if entry in made] == {
        "create": made[:1],
        "rotate": made[:2],
        "destroy": [made[0], made[2]],
    }[change]
    if change == "rotate":
        announcement = kms.parts.register.row("local", NAME, 2)["announcement"]
        require_announced(announcement, *versions)


def require_announced(announcement: Any, *keys: Any) -> None:
    encoded = pre_authentication_encoding(
        IN_TOTO_PAYLOAD_TYPE, base64.b64decode(announcement["payload"])
    )
    signatures = dict(announcement["signatures"])
    for key in keys:
        pem, signature = pem_of_spki(key.public_key.spki_der).encode(), signatures[key.key_id]
        assert library_verifies(key.algorithm, pem, encoded, base64.b64decode(signature))
