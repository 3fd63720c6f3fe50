"""Whatever two principals do to a key, it is in the state, and allows the uses, that a model says.

The model is written out here from what the port promises, without the tables of the code.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from quantumai.errors import ApprovalNeededError, BadInputError, DeniedError
from quantumai.keys.audit.entry import AuditEntry, Outcome
from quantumai.keys.management.audit_check import audit_problems
from quantumai.keys.management.audited_states import AuditedStates
from quantumai.keys.management.records import KeyPurpose
from quantumai.keys.management.states import KeyState
from quantumai.storage.database import Row
from tests.key_management import soft_keys
from tests.kms_world import Clock, World, open_world

pytestmark = pytest.mark.slow

MESSAGE = b"the message"
NAME = "k"
# Reduced to the number of versions that there are.
VERSIONS = st.integers(0, 11)
PRINCIPALS = st.sampled_from(["alice", "bob"])
# Who makes a call that needs two; by chance alone they would rarely meet.
CALLERS = st.sampled_from([("alice",), ("bob",), ("alice", "bob"), ("bob", "alice")])
LIVE = ("active", "verify-only", "disabled", "compromised")


@dataclass
class Version:
    """What is expected of one version."""

    state: str = "active"
    replaced: bool = False
    was_void: bool = False  # when its destruction was scheduled
    destroy_at: datetime | None = None
    from_index: int | None = None
    signature: bytes = b""

    def is_late(self, clock: Clock) -> bool:
        """Whether its destruction can no longer be taken back."""
        return self.state == "destroyed" or (
            self.state == "destroy-scheduled"
            and self.destroy_at is not None
            and self.destroy_at <= clock.now
        )


class KeyLife(RuleBasedStateMachine):
    """One key of purpose raw, over soft keys."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        path = Path(self.folder.name)
        self.opened = open_world("soft", soft_keys(path / "keys"), path)
        self.world: World = self.opened.__enter__()
        self.world.prefix = NAME
        self.proposals: dict[tuple[Any, ...], tuple[str, datetime]] = {}
        self.calls = 1
        self.world.alice.create(NAME, "Ed25519", KeyPurpose.RAW)
        self.versions = [Version()]
        self._sign()

    def teardown(self) -> None:
        overdue = [
            f"overdue {NAME}/{number}"
            for number, version in enumerate(self.versions, 1)
            if version.state == "destroy-scheduled" and version.is_late(self.world.clock)
        ]
        world = self.world
        assert world.disagreements() == overdue
        assert world.kms.parts.audit.verify([]).bad is None
        assert list(audit_problems(world.kms.parts)) == []
        for row in world.kms.parts.database.select("kms_keys", {"name": NAME}):
            self._change_is_found(row, "state", [str(state) for state in KeyState])
            if row["state"] == "destroy-scheduled":
                self._change_is_found(row, "destroy_at", ["2026-01-01T00:00:00Z", None])
                wrong = {str(state) for state in KeyState} - {row["former_state"]}
                self._change_is_found(row, "former_state", sorted(wrong))
            if row["compromised_from"] is not None:
                self._change_is_found(row, "compromised_from", [6, None])
            elif row["state"] != "compromised":
                self._change_is_found(row, "compromised_from", [6])
            self._change_is_found(row, "retired_at", ["2020-01-01T00:00:00Z"])
            if row["state"] == "verify-only":
                self._change_is_found(row, "retired_at", [None])
        self.opened.__exit__(None, None, None)
        self.folder.cleanup()

    @rule(overlap=st.booleans(), by=PRINCIPALS)
    @precondition(lambda self: len(self.versions) < 4)
    def rotate(self, overlap: bool, by: str) -> None:
        possible = any(version.state != "destroyed" for version in self.versions)
        if not self._done(possible, lambda: self.world.as_(by).rotate(NAME, overlap=overlap)):
            return
        for version in self.versions if not overlap else ():
            if version.state == "active":
                version.state = "verify-only"
            if version.state in ("verify-only", "disabled", "destroy-scheduled"):
                version.replaced = True
        self.versions.append(Version())
        self._sign()

    @rule(choice=VERSIONS, by=PRINCIPALS)
    def disable(self, choice: int, by: str) -> None:
        number, version = self._version(choice)
        possible = version.state in ("active", "verify-only")
        if self._done(possible, lambda: self.world.as_(by).disable(NAME, number)):
            version.state = "disabled"

    @rule(choice=VERSIONS, by=PRINCIPALS)
    def enable(self, choice: int, by: str) -> None:
        number, version = self._version(choice)
        possible = version.state == "disabled"
        if self._done(possible, lambda: self.world.as_(by).enable(NAME, number)):
            version.state = "verify-only" if version.replaced else "active"

    @rule(choice=VERSIONS)
    def retire(self, choice: int) -> None:
        number, version = self._version(choice)
        active = [v for v in self.versions if v.state == "active"]
        possible = version in active and len(active) > 1
        if self._done(possible, lambda: self.world.alice.retire(NAME, number)):
            version.state, version.replaced = "verify-only", True

    @rule(choice=VERSIONS, callers=CALLERS, days=st.sampled_from([1, 2]))
    def schedule(self, choice: int, callers: tuple[str, ...], days: int) -> None:
        number, version = self._version(choice)
        for by in callers:
            keys, what = self.world.as_(by), ("destroy", number, days)
            possible = version.state in LIVE
            if self._done_by_two(
                possible,
                what,
                by,
                lambda keys=keys: keys.schedule_destruction(NAME, number, waiting_days=days),
            ):
                version.was_void = version.state == "compromised"
                version.state = "destroy-scheduled"
                version.destroy_at = self.world.clock.now + timedelta(days=days)

    @rule(choice=VERSIONS)
    def cancel(self, choice: int) -> None:
        number, version = self._version(choice)
        possible = version.state == "destroy-scheduled" and not version.is_late(self.world.clock)
        if self._done(possible, lambda: self.world.bob.cancel_destruction(NAME, number)):
            version.state = "compromised" if version.was_void else "disabled"

    @rule(choice=VERSIONS, callers=CALLERS, leaf=st.sampled_from([None, 5]))
    def compromise(self, choice: int, callers: tuple[str, ...], leaf: int | None) -> None:
        number, version = self._version(choice)
        late = version.is_late(self.world.clock)
        for by in callers:
            keys, what = self.world.as_(by), ("compromised", number, leaf)
            if self._done_by_two(
                not late or leaf is not None,
                what,
                by,
                lambda keys=keys: keys.mark_compromised(NAME, number, from_index=leaf),
            ):
                version.from_index = leaf
                if not late:
                    version.state = "compromised"

    @rule(hours=st.sampled_from([1, 23, 24, 48]))
    def wait(self, hours: int) -> None:
        self.world.clock.advance(hours=hours)

    @rule()
    def destroy_due(self) -> None:
        due = {
            f"{NAME}/{number}"
            for number, version in enumerate(self.versions, 1)
            if version.state == "destroy-scheduled" and version.is_late(self.world.clock)
        }
        assert {key.label for key in self.world.kms.destroy_due()} == due
        self.calls += len(due)
        for label in due:
            self.versions[int(label[-1]) - 1].state = "destroyed"

    @invariant()
    def states_and_uses_are_those_of_the_model(self) -> None:
        listed = self.world.kms.parts.register.versions("local", NAME)
        assert [str(v.state) for v in listed] == [v.state for v in self.versions]
        assert [v.compromised_from for v in listed] == [v.from_index for v in self.versions]
        keys = self.world.alice
        for number, version in enumerate(self.versions, 1):
            verifies = version.state in ("active", "verify-only")
            assert (
                self._done(
                    verifies,
                    lambda n=number, s=version.signature: keys.verify(NAME, MESSAGE, s, version=n),
                )
                is verifies
            )
        active = [number for number, v in enumerate(self.versions, 1) if v.state == "active"]
        signed: list[Any] = []
        self._done(bool(active), lambda: signed.append(keys.sign(NAME, MESSAGE)))
        assert [s.version for s in signed] == active[-1:]

    def _change_is_found(self, row: Row, column: str, values: list[Any]) -> None:
        """Whatever a thief of the database makes of a row, the audit log contradicts it."""
        for value in values:
            if value == row[column]:
                continue
            rows = [r | {column: value} if r == row else r for r in self.rows()]
            states = AuditedStates({(r["tenant"], r["name"], r["version"]): r for r in rows})
            states.follow(self.done())
            assert len(list(states.problems())) == 1, (row, column, value)

    def rows(self) -> list[Row]:
        """The register's rows as they are."""
        return self.world.kms.parts.database.select("kms_keys")

    def done(self) -> list[AuditEntry]:
        """Entries of the calls that succeeded."""
        log = self.world.kms.parts.audit
        entries = [AuditEntry.parse(text) for _, text in log.entries(0, log.size() - 1)]
        return [entry for entry in entries if entry.outcome is Outcome.OK]

    @invariant()
    def the_provider_holds_what_is_not_destroyed(self) -> None:
        alive = {f"{NAME}/{n}" for n, v in enumerate(self.versions, 1) if v.state != "destroyed"}
        assert self.world.held() == alive

    @invariant()
    def every_call_left_one_entry(self) -> None:
        assert self.world.kms.parts.audit.size() == self.calls

    def _version(self, choice: int) -> tuple[int, Version]:
        index = choice % len(self.versions)
        return index + 1, self.versions[index]

    def _sign(self) -> None:
        self.calls += 1
        signed = self.world.alice.sign(NAME, MESSAGE)
        assert signed.version == len(self.versions)
        self.versions[-1].signature = signed.signature

    def _done(self, possible: bool, call: Callable[[], Any]) -> bool:
        """Make the call; whether it was done, which must be as the model says."""
        self.calls += 1
        try:
            result = call()
        except (DeniedError, BadInputError):
            assert not possible
            return False
        assert possible
        return result is not False

    def _done_by_two(
        self, possible: bool, what: tuple[Any, ...], by: str, call: Callable[[], Any]
    ) -> bool:
        now = self.world.clock.now
        proposer, since = self.proposals.get(what, ("", now))
        is_open = proposer != "" and now - since < timedelta(hours=24)
        if possible and (not is_open or proposer == by):
            if not is_open:
                self.proposals[what] = (by, now)
            self.calls += 1
            try:
                call()
            except ApprovalNeededError:
                return False
            raise AssertionError("one principal was enough")
        if possible:
            del self.proposals[what]
        return self._done(possible, call)


KeyLife.TestCase.settings = settings(max_examples=40, stateful_step_count=40)
test_key_life = pytest.mark.slow(KeyLife.TestCase)
