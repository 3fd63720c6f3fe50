"""Many callers at once: a call under one idempotency key is done once, and no change is lost."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from quantumai.errors import ApprovalNeededError, ConflictError, DeniedError, QuantumAIError
from quantumai.keys.management.records import KeyPurpose
from quantumai.services.kms.limits import Limits
from tests.key_management import BOB, soft_keys, soft_kms
from tests.kms_world import SERVED, Clock, World, open_provider, open_world

pytestmark = pytest.mark.slow
DRIVER = Path(__file__).with_name("race_driver.py")
CALLERS = 1000
_KRYOPTIC = [pytest.param("kryoptic" + s, marks=pytest.mark.integration) for s in ("", SERVED)]


@pytest.fixture(params=["soft", "soft" + SERVED, *_KRYOPTIC])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8 * CALLERS), hard))
    # The line holds everybody: here it is about what the KMS does with them all.
    limits = Limits(waiting=CALLERS, deadline_s=120, body_s=120)
    with (
        open_provider(request.param, tmp_path / "provider") as keys,
        open_world(request.param, keys, tmp_path, limits=limits, read_timeout_s=120) as opened,
    ):
        yield opened
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def at_once(number: int, call: Callable[[int], Any]) -> list[Any]:
    """What each of `number` threads got from its call, errors of ours included."""
    results: list[Any] = [None] * number
    start = threading.Barrier(number)

    def work(index: int) -> None:
        start.wait(60)
        try:
            results[index] = call(index)
        except QuantumAIError as error:
            results[index] = error

    threads = [threading.Thread(target=work, args=(index,)) for index in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    return results


def outcomes(world: World, operation: str) -> dict[str, int]:
    counted = Counter(str(e.outcome) for e in world.entries() if e.operation == operation)
    return dict(counted)


def test_a_thousand_creates_under_one_key_make_one_key(world: World) -> None:
    name, generate, made = world.name("k"), world.provider.generate, []
    world.provider.generate = lambda *a: made.append(a) or generate(*a)
    results = at_once(
        CALLERS,
        lambda _: world.alice.create(name, world.signer, KeyPurpose.RAW, idempotency_key="one"),
    )
    assert set(results) == {world.alice.show(name)}
    assert len(made) == 1, "the others wait; they make no keys to throw away"
    assert world.held() == {f"{name}/1"}
    assert outcomes(world, "create") == {"ok": 1, "replayed": CALLERS - 1}
    assert world.kms.parts.audit.verify([]).bad is None


def test_creates_without_a_common_key_make_one_key_too(world: World) -> None:
    name = world.name("k")
    results = at_once(30, lambda _: world.bob.create(name, world.signer, KeyPurpose.RAW))
    made = [result for result in results if not isinstance(result, QuantumAIError)]
    assert made == [world.alice.show(name)]
    assert {type(r) for r in results if r not in made} == {ConflictError}
    assert outcomes(world, "create") == {"ok": 1, "failed": 29}


def test_rotations_at_once_lose_nothing(world: World) -> None:
    name = world.make("statement")
    results = at_once(20, lambda index: world.alice.rotate(name, overlap=index % 5 == 0))
    done = [result for result in results if not isinstance(result, QuantumAIError)]
    assert {type(r) for r in results if isinstance(r, QuantumAIError)} <= {ConflictError}
    states = world.states(name)
    assert sorted(key.version for key in done) == list(range(2, len(states) + 1))
    assert states[-1] == "active"
    assert "pre-active" not in states
    assert world.held() == {f"{name}/{n}" for n in range(1, len(states) + 1)}
    assert world.disagreements() == []
    # Each announcement names a former version that was active when the next one took over.
    for version in range(2, len(states) + 1):
        row = world.kms.parts.register.row("local", name, version)
        assert len(row["announcement"]["signatures"]) == 2


def test_a_confirmation_is_used_once(world: World) -> None:
    name = world.make()
    with pytest.raises(ApprovalNeededError):
        world.alice.schedule_destruction(name)
    results = at_once(
        20, lambda index: (world.bob, world.carol)[index % 2].schedule_destruction(name)
    )
    done = [result for result in results if not isinstance(result, QuantumAIError)]
    assert len(done) == 1
    assert {type(r) for r in results if r not in done} <= {
        ConflictError,
        DeniedError,
        ApprovalNeededError,
    }
    assert world.states(name) == ["destroy-scheduled"]


def test_signatures_at_once_are_all_counted(world: World) -> None:
    name = world.make()
    results = at_once(40, lambda index: world.alice.sign(name, b"%d" % index))
    assert all(
        world.bob.verify(name, b"%d" % index, signed.signature)
        for index, signed in enumerate(results)
    )
    assert [u.uses for u in world.alice.usage(name)] == [40]
    assert outcomes(world, "sign") == {"ok": 40}


def test_processes_on_one_home_do_a_call_once(tmp_path: Path) -> None:
    """Each process repeats the same calls under the same keys, all at the same time."""
    processes, threads = 3, 3
    world = World(
        kms := soft_kms(tmp_path),
        soft_keys(tmp_path / "keys"),
        Clock(),
        lambda name: kms.of(BOB),
        "k",
    )
    world.bob.create("k-doomed", "Ed25519", KeyPurpose.RAW)
    with pytest.raises(ApprovalNeededError):
        world.bob.schedule_destruction("k-doomed")
    started = [
        subprocess.Popen(
            [sys.executable, DRIVER, tmp_path, str(threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
            text=True,
        )
        for _ in range(processes)
    ]
    for process in started:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in started:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    answers = [a for process in started for a in json.loads(process.communicate(timeout=120)[0])]

    assert len(answers) == processes * threads
    assert all(answer == answers[0] for answer in answers)
    names = [f"k-{number}" for number in range(8)]
    assert len(answers[0]) == 4 * len(names)
    for name in names:
        assert world.states(name) == ["verify-only", "disabled"]
    assert world.states("k-doomed") == ["destroy-scheduled"]
    repeated = len(names) * (processes * threads - 1)
    for operation in ("create", "rotate", "disable"):
        extra = 1 if operation == "create" else 0
        assert outcomes(world, operation) == {"ok": len(names) + extra, "replayed": repeated}
    asked = len(names) * processes * threads
    assert outcomes(world, "destroy") == {"approval-needed": 1, "ok": 1, "replayed": asked - 1}
    assert world.held() == {f"{n}/{v}" for n in names for v in (1, 2)} | {"k-doomed/1"}
    assert world.disagreements() == []
    assert world.kms.parts.audit.verify([]).bad is None
