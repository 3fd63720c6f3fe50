"""What a service does by itself, on a home with soft keys and a clock that is set forward."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from quantumai.errors import ApprovalNeededError, LedgerError
from quantumai.keys.management.records import KeyPurpose
from quantumai.keys.management.states import KeyState
from quantumai.services import wiring
from quantumai.services.kms.upkeep import running_upkeep, upkeep_once
from tests.key_management import ALICE, BOB

pytestmark = pytest.mark.filterwarnings("ignore::quantumai.keys.providers.soft.InsecureKeysWarning")


def test_a_round_destroys_what_is_due_and_anchors_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [datetime(2026, 1, 2, tzinfo=UTC)]
    monkeypatch.setattr(wiring, "utc_now", lambda: now[0])
    with wiring.open_home(tmp_path / "home", {}) as home:
        kms = home.open_kms()
        kms.of(ALICE).create("gone", "ML-DSA-44", KeyPurpose.STATEMENT)
        with pytest.raises(ApprovalNeededError):
            kms.of(ALICE).schedule_destruction("gone", waiting_days=1)
        kms.of(BOB).schedule_destruction("gone", waiting_days=1)

        anchored = upkeep_once(home, 0)
        assert kms.of(ALICE).show("gone").state is KeyState.DESTROY_SCHEDULED
        now[0] += timedelta(days=1)
        anchored = upkeep_once(home, anchored)
        assert kms.of(ALICE).show("gone").state is KeyState.DESTROYED
        left = kms.parts.provider("soft").keys()
        assert not [key.handle for key in left if "gone" in key.handle]

        sealer = home.open_sealer()
        anchored = upkeep_once(home, anchored)
        size = sealer.ledger.size()
        assert upkeep_once(home, anchored) == anchored  # nothing new: nothing is appended
        assert sealer.ledger.size() == size
        heads = [found.checkpoint.head for found in sealer.audit_anchor.anchored()]
        report = kms.parts.audit.verify(heads)
        assert report.bad is None
        assert report.proven == heads[-1].size


def test_a_failing_round_does_not_end_the_service(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from threading import Event

    rounds, enough = [], Event()

    def failing(home: wiring.Home, anchored: int) -> int:
        rounds.append(anchored)
        if len(rounds) == 3:
            enough.set()
        raise LedgerError("the ledger is away")

    monkeypatch.setattr("quantumai.services.kms.upkeep.upkeep_once", failing)
    with (
        wiring.open_home(tmp_path / "home", {}) as home,
        caplog.at_level("WARNING", "quantumai.kms"),
        running_upkeep(home, every_s=0.001),
    ):
        assert enough.wait(30)
    assert "upkeep failed" in caplog.text
