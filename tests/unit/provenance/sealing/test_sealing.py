"""Keys, events and rotation through the sealer."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from quantumai.canonical import sha256_hex
from quantumai.crypto_mode import CryptoMode
from quantumai.errors import BadInputError, EvidenceError, LedgerError
from quantumai.keys.algorithms import verify_signature
from quantumai.keys.management.internal_keys import InternalKeys
from quantumai.provenance.key_history.key_events import KeyEventKind, parse_key_event
from quantumai.provenance.key_history.key_status import KeyStatus
from quantumai.provenance.sealing.opening import open_sealer
from quantumai.provenance.sealing.sealer import Sealer
from quantumai.provenance.statements.dsse import parse_envelope
from quantumai.provenance.statements.statement import SCHEDULER_DECISION, build_statement
from quantumai.provenance.verification.trust import TrustFile
from quantumai.storage.local_objects import LocalObjects
from tests.key_management import standing_clock


def _events(sealer: Sealer, home: Path) -> list[tuple[str, str, int]]:
    found = []
    for _, leaf in sealer.ledger.leaves("key-event"):
        data = (home / "objects" / "key-events" / leaf.sha256).read_bytes()
        event = parse_key_event(parse_envelope(data))
        found.append((event.event.value, event.alias, event.key_version))
    return found


def test_first_use_activates_each_key_once(
    tmp_path: Path, new_sealer: Callable[[Path], Sealer]
) -> None:
    for _ in range(2):
        sealer = new_sealer(tmp_path)
        sealer.ensure_ready()
    assert sorted(_events(sealer, tmp_path)) == [
        ("activation", "audit", 1),
        ("activation", "authority", 1),
        ("activation", "ledger-ed25519", 1),
        ("activation", "ledger-ml-dsa-44", 1),
        ("activation", "statement", 1),
    ]


_OPEN = """
import sys, warnings
from datetime import UTC, datetime
from pathlib import Path
warnings.simplefilter("ignore")
from quantumai.provenance.sealing.opening import open_sealer
from quantumai.storage.file_lease import FileLease
from quantumai.storage.local_objects import LocalObjects
from tests.key_management import soft_kms
home, now = Path(sys.argv[1]), lambda: datetime.now(UTC)
lease = FileLease(home / "lease") if sys.argv[2] == "leased" else None
sealer = open_sealer(soft_kms(home).internal(), LocalObjects(home / "o"), now, lease=lease)
print(sealer.ledger.origin)
"""


@pytest.mark.parametrize("lease", ["optimistic", "leased"])
def test_processes_opening_a_new_home_at_once_agree(
    tmp_path: Path, new_sealer: Callable[[Path], Sealer], lease: str
) -> None:
    command = [sys.executable, "-c", _OPEN, str(tmp_path), lease]
    openers = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(3)]
    assert len({opener.communicate()[0] for opener in openers}) == 1
    (tmp_path / "o").rename(tmp_path / "objects")
    sealer = new_sealer(tmp_path)
    assert sealer.ledger.size() == 6  # with the head of the audit log
    assert sealer.ledger.verify() == []
    if lease == "leased":
        assert _stored(tmp_path) == _logged(sealer)


def _stored(home: Path) -> dict[str, set[str]]:
    """Names of the envelopes in the store that ensure_ready makes."""
    folders = [home / "objects" / name for name in _FOLDERS.values()]
    return {f.name: {p.name for p in f.iterdir()} if f.exists() else set() for f in folders}


def _logged(sealer: Sealer) -> dict[str, set[str]]:
    """The names that they have to have, by the leaves in the ledger."""
    return {
        folder: {leaf.sha256 for _, leaf in sealer.ledger.leaves(kind)}
        for kind, folder in _FOLDERS.items()
    }


_FOLDERS = {
    "key-event": "key-events",
    "key-rotation": "key-rotations",
    "audit-checkpoint": "audit-checkpoints",
}
_LIMIT = 150


@pytest.mark.slow
def test_readiness_comes_however_busy_the_ledger_is(
    tmp_path: Path, new_sealer: Callable[[Path], Sealer]
) -> None:
    sealer = new_sealer(tmp_path)
    sealer.keys.rotate("statement")
    is_ready, appending = threading.Event(), threading.Barrier(9)

    def append(thread: int) -> int:
        """Number of appends until the sealer is ready, or `_LIMIT`."""
        for number in range(_LIMIT):
            sealer.log("run-manifest", b"%d %d" % (thread, number))
            if number == 0:
                appending.wait(60)
            if is_ready.is_set():
                return number
        return _LIMIT

    with ThreadPoolExecutor(8) as pool:
        others = [pool.submit(append, thread) for thread in range(8)]
        appending.wait(60)
        sealer.ensure_ready()
        is_ready.set()
        counts = [other.result() for other in others]
    assert max(counts) < _LIMIT
    assert len(_events(sealer, tmp_path)) == 7
    assert _stored(tmp_path) == _logged(sealer)
    assert sealer.verify_ledger() == []


def test_each_event_is_signed_once_and_its_place_is_asked_for(
    tmp_path: Path, new_sealer: Callable[[Path], Sealer], monkeypatch: pytest.MonkeyPatch
) -> None:
    sealer, other = new_sealer(tmp_path), new_sealer(tmp_path)
    sealer.keys.rotate("statement")
    stranger = new_sealer(tmp_path / "stranger").keys.ensure("authority").public_key
    assert stranger
    sign = sealer.keys.sign_statement
    signed: list[Any] = []

    def sign_while_others_append(*arguments: Any) -> Any:
        other.log("run-manifest", b"%d" % len(signed))
        if not signed:  # an event of something else, after which ours are still due
            other.announce_root(stranger)
        signed.append(arguments)
        return sign(*arguments)

    monkeypatch.setattr(sealer.keys, "sign_statement", sign_while_others_append)
    sealer.ensure_ready()
    assert len(signed) == 2  # the retirement and the activation
    # Another process is quicker: what was signed in vain is neither logged nor stored.
    sealer.keys.rotate("statement")
    number = len(signed)

    def sign_while_another_is_ready(*arguments: Any) -> Any:
        other.ensure_ready()
        return sign_while_others_append(*arguments)

    monkeypatch.setattr(sealer.keys, "sign_statement", sign_while_another_is_ready)
    sealer.ensure_ready()
    assert len(signed) == number + 2
    assert len(_events(sealer, tmp_path)) == 10
    assert _stored(tmp_path) == _logged(sealer)
    assert sealer.verify_ledger() == []


def test_threads_that_find_a_rotation_at_once_log_it_once(
    tmp_path: Path, new_sealer: Callable[[Path], Sealer]
) -> None:
    sealer = new_sealer(tmp_path)
    sealer.keys.rotate("statement")
    # Two requests would share a commit, where neither guard sees the other's leaves.
    group = sealer.ledger._writer._group
    group._expected, group._max_delay_s = 2, 0.5
    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(sealer.ensure_ready) for _ in range(2)]:
            done.result()
    assert sealer.ledger.size() == 10
    assert _stored(tmp_path) == _logged(sealer)


def test_rotation_retires_and_activates_in_one_commit(
    tmp_path: Path, new_sealer: Callable[[Path], Sealer], rotate: Callable[[Sealer], str]
) -> None:
    sealer = new_sealer(tmp_path)
    former = sealer.keys.ensure("statement").key_id
    renewed = rotate(sealer)
    assert sealer.ledger.size() == 10  # with the announcement, and the head of the audit log
    assert set(_events(sealer, tmp_path)[5:]) == {
        ("retirement", "statement", 1),
        ("activation", "statement", 2),
    }
    windows = {
        key.key_id: (key.valid_from_index, key.valid_until_index)
        for key in sealer.export_trust().statement_keys
    }
    assert set(windows) == {former, renewed}
    assert windows[former][1] in (6, 7)
    assert windows[renewed][1] is None
    (signature,) = parse_envelope(sealer.sign(_statement())).signatures
    assert signature.key_id == renewed


def test_an_interrupted_rotation_is_completed(
    tmp_path: Path, new_sealer: Callable[[Path], Sealer]
) -> None:
    new_sealer(tmp_path).keys.rotate("statement")  # the process died before it was logged
    assert new_sealer(tmp_path).ledger.size() == 10


def test_a_sealer_notices_that_another_one_rotated(
    tmp_path: Path, new_sealer: Callable[[Path], Sealer], rotate: Callable[[Sealer], str]
) -> None:
    slow, quick = new_sealer(tmp_path), new_sealer(tmp_path)
    slow.sign(_statement())
    key_id = rotate(quick)
    (signature,) = parse_envelope(slow.sign(_statement())).signatures
    assert signature.key_id == key_id


def test_the_signature_is_over_the_pre_authentication_encoding(sealer: Sealer) -> None:
    envelope = parse_envelope(sealer.sign(_statement()))
    payload = _statement()
    message = b"DSSEv1 28 application/vnd.in-toto+json %d %s" % (len(payload), payload)
    (signature,) = envelope.signatures
    key = sealer.keys.ensure("statement").public_key
    assert key is not None
    assert key.key_id == signature.key_id
    assert verify_signature("ML-DSA-65", key.spki_der, message, signature.signature)


def test_forged_key_events_are_refused(
    tmp_path: Path, new_sealer: Callable[[Path], Sealer]
) -> None:
    sealer = new_sealer(tmp_path / "home")
    stranger = new_sealer(tmp_path / "stranger")
    (_, leaf), *_ = stranger.ledger.leaves("key-event")
    forged = (tmp_path / "stranger/objects/key-events" / leaf.sha256).read_bytes()
    (tmp_path / "home/objects/key-events" / leaf.sha256).write_bytes(forged)
    sealer.ledger.append([leaf])
    with pytest.raises(EvidenceError, match="authority"):
        new_sealer(tmp_path / "home")


def test_a_changed_key_event_is_refused(
    tmp_path: Path, new_sealer: Callable[[Path], Sealer]
) -> None:
    sealer = new_sealer(tmp_path)
    (_, leaf), *_ = sealer.ledger.leaves("key-event")
    path = tmp_path / "objects/key-events" / leaf.sha256
    path.write_bytes(path.read_bytes().replace(b"payload", b"pAyload", 1))
    with pytest.raises(EvidenceError, match="changed"):
        new_sealer(tmp_path)


@pytest.mark.parametrize(
    ("active", "retired", "compromised", "counts"),
    [
        (None, None, None, []),
        (2, None, None, [2, 3, 4, 5, 6]),
        (2, 5, None, [2, 3, 4]),
        (2, None, 4, [2, 3]),
        (2, 5, 3, [2]),
        (2, 3, 1, []),
    ],
)
def test_where_a_key_counts(
    active: int | None, retired: int | None, compromised: int | None, counts: list[int]
) -> None:
    status = KeyStatus("k", 7, "", active, retired, compromised)
    assert [index for index in range(7) if not status.problem_at(index)] == counts


def test_trust_file_round_trip_and_strictness(sealer: Sealer) -> None:
    trust = sealer.export_trust()
    assert TrustFile.parse(trust.export()) == trust
    assert trust.least_crypto_mode is CryptoMode.PQC_REQUIRED
    assert trust.fingerprint() == "sha256:" + sha256_hex(trust.canonical())
    text = trust.export().decode()
    for bad in (
        "",
        "[]",
        text.replace('"schema_version": 2', '"schema_version": 3'),
        text.replace('"schema_version": 2', '"schema_version": 2, "schema_version": 2'),
        text.replace('"schema_version": 2', '"schema_version": 2, "extra": 1'),
        text.replace('"schema_version": 2', '"schema_version": 2, "tenants": {"t": "none"}'),
        text.replace('"schema_version": 2', '"schema_version": 2, "witnesses": {"quorum": 1}'),
        text.replace('"schema_version": 2', '"schema_version": 1, "tenants": {"t": "hybrid"}'),
        text.replace("pqc-required", "none"),
        text.replace(trust.statement_keys[0].key_id, "0" * 64),
        text.replace(trust.statement_keys[0].spki, trust.authority_keys[0].spki),
        text.replace("ML-DSA-65", "ML-DSA-87"),
        text.replace(trust.ledger.origin + "+", "other+"),
    ):
        with pytest.raises(BadInputError):
            TrustFile.parse(bad.encode())


def test_only_a_compromise_is_dated_back(
    sealer: Sealer, mark_compromised: Callable[..., None]
) -> None:
    index = sealer.log("run-manifest", b"{}")
    sealer.log("run-manifest", b"{}")
    mark_compromised(sealer, 1, from_index=index)
    (trusted,) = sealer.export_trust().statement_keys
    assert trusted.valid_until_index == index
    # Dated back to before its activation, the key never counted: its window is empty.
    mark_compromised(sealer, 1, from_index=0)
    (trusted,) = sealer.export_trust().statement_keys
    assert trusted.valid_until_index == trusted.valid_from_index
    with pytest.raises(BadInputError, match="out of range"):
        mark_compromised(sealer, 1, from_index=-1)
    assert KeyEventKind.COMPROMISE.value == "compromise"


@pytest.mark.parametrize("lost", ["everything", "keys too", "some"])
def test_a_ledger_shorter_than_what_was_handed_out_is_refused_untouched(
    tmp_path: Path, internal_keys: Callable[[Path], InternalKeys], lost: str
) -> None:
    def opened(least_size: int) -> Sealer:
        objects = LocalObjects(tmp_path / "objects")
        return open_sealer(internal_keys(tmp_path), objects, standing_clock, least_size=least_size)

    sealer = opened(0)
    shutil.copytree(tmp_path / "objects", tmp_path / "older")
    index = sealer.log("run-manifest", b"{}")
    assert opened(index + 1).ledger.size() == index + 1 == 7
    shutil.rmtree(tmp_path / "objects")
    if lost == "some":
        (tmp_path / "older").rename(tmp_path / "objects")
    elif lost == "keys too":
        shutil.rmtree(tmp_path / "keys")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(LedgerError, match="but leaf 6 was handed out") as caught:
        opened(index + 1)
    assert f"has {6 if lost == 'some' else 0} leaves" in str(caught.value)
    assert "restore" in caught.value.hint
    assert caught.value.exit_code == 6
    with pytest.raises(LedgerError):
        sealer.ensure_ready(index + 2)
    assert sorted(tmp_path.rglob("*")) == before


def test_damage_that_opening_meets_is_a_ledger_error(
    tmp_path: Path, new_sealer: Callable[[Path], Sealer]
) -> None:
    new_sealer(tmp_path)
    stored = sorted((tmp_path / "objects/key-events").iterdir())
    for path in (*stored, tmp_path / "objects/ledger/commits/00000000000000000001"):
        original = path.read_bytes()
        for damaged in (b"{}", original.replace(b"a", b"b", 1), original[:-1]):
            path.write_bytes(damaged)
            with pytest.raises(LedgerError):
                new_sealer(tmp_path)
        path.write_bytes(original)
    new_sealer(tmp_path)


def test_trust_files_that_contradict_themselves_are_refused(sealer: Sealer) -> None:
    value = json.loads(sealer.export_trust().export())
    (key,) = value["statement_keys"]
    vkeys = value["ledger"]["verifier_keys"]
    ledger = value["ledger"]

    def window(start: int, end: int | None) -> dict[str, object]:
        return {"statement_keys": [key | {"valid_from_index": start, "valid_until_index": end}]}

    for good in (window(0, None), window(3, 3), window(3, 4)):
        TrustFile.parse(json.dumps(value | good).encode())
    for bad, why in (
        (window(-1, None), "negative"),
        (window(0, -1), "negative"),
        (window(3, 2), "before it begins"),
        ({"statement_keys": [key, key | {"valid_until_index": 9}]}, "lists a key twice"),
        ({"ledger": ledger | {"verifier_keys": [*vkeys, vkeys[0]]}}, "verifier key twice"),
    ):
        with pytest.raises(BadInputError, match=why):
            TrustFile.parse(json.dumps(value | bad).encode())
    text = json.dumps(value)
    for encoding in ("utf-8-sig", "utf-16", "utf-16-le", "utf-32"):
        with pytest.raises(BadInputError):
            TrustFile.parse(text.encode(encoding))


def _statement() -> bytes:
    return build_statement({"x": sha256_hex(b"x")}, SCHEDULER_DECISION, {"a": 1})
