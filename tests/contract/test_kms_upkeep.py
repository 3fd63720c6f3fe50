"""What a service does by itself, on a home with soft keys and a clock that is set forward."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from quantumai.errors import ApprovalNeededError, DeniedError, KeyUnavailableError, QuantumAIError
from quantumai.keys.audit.entry import AuditEntry
from quantumai.keys.management.built_in import LEDGER_PQC
from quantumai.keys.management.records import KeyPurpose
from quantumai.keys.management.states import KeyState
from quantumai.provenance.ledger.commits import Leaf
from quantumai.provenance.ledger.run_ledger import Ledger
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


def test_what_comes_while_a_round_anchors_is_anchored_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with wiring.open_home(tmp_path / "home", {}) as home:
        kms, sealer = home.open_kms(), home.open_sealer()
        append = Ledger.append

        def with_a_call_at_once(ledger: Ledger, leaves: Sequence[Leaf], **more: Any) -> list[int]:
            kms.of(ALICE).list()
            return append(ledger, leaves, **more)

        with monkeypatch.context() as patch:
            patch.setattr(Ledger, "append", with_a_call_at_once)
            anchored = upkeep_once(home, 0)
        entries = [AuditEntry.parse(text) for _, text in kms.parts.audit.entries(0, 1000)]
        call = next(entry.sequence for entry in entries if entry.operation == "list")
        assert anchored <= call
        anchored = upkeep_once(home, anchored)
        assert anchored > call
        assert sealer.audit_anchor.anchored()[-1].checkpoint.size == anchored
        size = sealer.ledger.size()
        assert upkeep_once(home, anchored) == anchored
        assert sealer.ledger.size() == size
        with pytest.raises(DeniedError):  # no signature of anchoring, whatever key it names
            kms.of(ALICE).sign(LEDGER_PQC, b"")
        assert upkeep_once(home, anchored) > anchored


@pytest.mark.parametrize("error", [KeyUnavailableError("credentials expired"), KeyError("s3cret")])
def test_a_step_that_fails_holds_up_no_other(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    error: Exception,
) -> None:
    with wiring.open_home(tmp_path / "home", {}) as home:
        kms, sealer = home.open_kms(), home.open_sealer()
        kms.of(ALICE).rotate("statement")  # which the ledger does not know yet
        size = sealer.ledger.size()

        def failing(self: object) -> None:
            raise error

        for broken, owner in (("destroy_due", type(kms)), ("ensure_ready", type(sealer))):
            caplog.clear()
            with monkeypatch.context() as patch:
                patch.setattr(owner, broken, failing)
                anchored = upkeep_once(home, 0)
            assert sealer.ledger.size() > size
            size = sealer.ledger.size()
            head = sealer.audit_anchor.anchored()[-1].checkpoint
            assert head.size == anchored
            (logged,) = caplog.records
            assert "s3cret" not in logged.getMessage()
            named = (
                "key-unavailable" if isinstance(error, QuantumAIError) else "KeyError in failing"
            )
            assert named in logged.getMessage()
        announced = [leaf for _, leaf in sealer.ledger.leaves("key-rotation")]
        assert len(announced) == 1


def test_the_service_goes_on_after_any_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rounds, enough = [], Event()

    def failing(kms: object) -> None:
        rounds.append(kms)
        if len(rounds) == 3:
            enough.set()
        raise ZeroDivisionError

    with wiring.open_home(tmp_path / "home", {}) as home:
        monkeypatch.setattr(type(home.open_kms()), "destroy_due", failing)
        with running_upkeep(home, every_s=0.001):
            assert enough.wait(30)
