"""The witness and the client that asks witnesses, over HTTP, by the rules of C2SP tlog-witness."""

from __future__ import annotations

import base64
import hashlib
import http.client
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from quantumai.errors import BadInputError, ConflictError, StorageError, UnreachableError
from quantumai.merkle import consistency_proof, subtrees_of
from quantumai.provenance.ledger.checkpoint import stated_head
from quantumai.provenance.ledger.commits import Leaf
from quantumai.provenance.ledger.cosignatures import cosignatures
from quantumai.provenance.ledger.note import Note, VerifierKey, parse_signature_lines
from quantumai.provenance.ledger.run_ledger import Ledger
from quantumai.provenance.public_log.cosigned_checkpoints import CosignedCheckpoints
from quantumai.provenance.public_log.cosigning import Asked, KnownWitness, Outcome, ask_witnesses
from quantumai.provenance.public_log.witness import AddCheckpoint, Answer, Remembering, Witness
from quantumai.provenance.public_log.witness_memory import FolderMemory
from quantumai.provenance.verification.trust import WitnessTrust
from quantumai.services.witness.client import HttpWitness
from quantumai.services.witness.store import init_store, log_keys, open_store
from tests.logs import ORIGIN, HandMadeLog, Signing, leaf, new_witness, sha256, text_of
from tests.witness_service import canned_answers, running_witness

pytestmark = pytest.mark.slow

VECTORS = Path(__file__).parents[1] / "vectors" / "c2sp"
SIZES = (0, 1, 2, 3, 7, 8, 9, 255, 300)


@pytest.fixture(scope="module")
def log() -> HandMadeLog:
    return HandMadeLog([leaf("run-manifest", str(i)) for i in range(300)])


def keys_of(signing: Signing) -> tuple[VerifierKey, ...]:
    return tuple(VerifierKey.parse(text) for text in signing.vkeys)


@pytest.fixture
def witness(log: HandMadeLog, tmp_path: Path) -> Witness:
    store = init_store(tmp_path / "witness", "witness.example/w", {})
    return store.witness({ORIGIN: keys_of(log.signing)})


@pytest.fixture
def prefix(witness: Witness) -> Iterator[str]:
    with running_witness(witness) as address:
        yield address


def proof(log: HandMadeLog, first: int, second: int) -> tuple[bytes, ...]:
    return tuple(consistency_proof(first, second, subtrees_of(log.levels[0])))


def ask(prefix: str, body: bytes) -> Answer:
    return HttpWitness(prefix).add_checkpoint(body)


def grow(log: HandMadeLog, prefix: str, old: int, size: int) -> Answer:
    return ask(prefix, AddCheckpoint(old, proof(log, old, size), log.checkpoint(size)).data)


def test_the_texts_request_is_read_and_written() -> None:
    body = (VECTORS / "tlog-witness-request.txt").read_bytes()
    request = AddCheckpoint.parse(body)
    assert (request.old_size, len(request.proof)) == (20852014, 4)
    assert stated_head(request.checkpoint).size == 20852163
    assert request.data == body


def test_each_step_of_a_growing_log_is_cosigned(
    log: HandMadeLog, witness: Witness, prefix: str
) -> None:
    keys = witness.cosigner.verifier_keys()
    assert [key.signature_type for key in keys] == [0x04, 0x06]
    old = 0
    for size in SIZES:
        answer = grow(log, prefix, old, size)
        assert answer.status == 200, answer
        whole = log.checkpoint(size) + answer.body
        assert {c.key for c in cosignatures(whole, keys)} == set(keys)
        again = grow(log, prefix, size, size)  # of the same size: a fresh time
        assert again.status == 200
        old = size


def test_it_signs_what_the_texts_say(log: HandMadeLog, witness: Witness, prefix: str) -> None:
    """Both messages, built by hand, under the bare public keys."""
    from cryptography.hazmat.primitives.asymmetric import ed25519, mldsa

    lines = parse_signature_lines(grow(log, prefix, 0, 5).body)
    text, name = text_of(5, log.root(5)), b"witness.example/w"
    for key, line in zip(witness.cosigner.verifier_keys(), lines, strict=True):
        stamp, signature = line.signature[:8], line.signature[8:]
        typed = bytes([key.signature_type]) + key.public
        assert line.key_id == sha256(name + b"\n" + typed)[:4]
        time = int.from_bytes(stamp, "big")
        if key.signature_type == 0x04:
            public = ed25519.Ed25519PublicKey.from_public_bytes(key.public)
            public.verify(signature, f"cosignature/v1\ntime {time}\n{text}".encode())
        else:
            message = b"subtree/v1\n\0" + bytes([len(name)]) + name + stamp
            message += bytes([len(ORIGIN)]) + ORIGIN.encode()
            message += bytes(8) + (5).to_bytes(8, "big") + log.root(5)
            mldsa.MLDSA44PublicKey.from_public_bytes(key.public).verify(signature, message)


def test_a_wrong_old_size_is_told_the_right_one(log: HandMadeLog, prefix: str) -> None:
    assert grow(log, prefix, 0, 7).status == 200
    for old in (0, 3):
        answer = grow(log, prefix, old, 9)
        assert (answer.status, answer.body) == (409, b"7\n")
        assert answer.media_type == "text/x.tlog.size"
    # Also for a roll-back: the log's own size is behind.
    assert grow(log, prefix, 3, 5).status == 409
    backwards = AddCheckpoint(9, (), log.checkpoint(5)).data  # larger than the new size
    assert ask(prefix, backwards).status == 400
    assert grow(log, prefix, 7, 9).status == 200


def test_inconsistent_trees_are_not_cosigned(log: HandMadeLog, prefix: str) -> None:
    fork = HandMadeLog([*log.entries[:3], *log.entries[:200]], log.signing)
    assert grow(log, prefix, 0, 7).status == 200
    good = proof(log, 7, 9)
    wrong = {
        "a fork with its own proof": AddCheckpoint(7, proof(fork, 7, 9), fork.checkpoint(9)),
        "a fork with our proof": AddCheckpoint(7, good, fork.checkpoint(9)),
        "no proof": AddCheckpoint(7, (), log.checkpoint(9)),
        "a proof too long": AddCheckpoint(7, (*good, bytes(32)), log.checkpoint(9)),
        "a proof where none belongs": AddCheckpoint(7, good, log.checkpoint(7)),
    }
    for what, request in wrong.items():
        answer = ask(prefix, request.data)
        assert answer.status == 422, what
        assert "\u2014".encode() not in answer.body
    needless = ask(prefix, wrong["a proof where none belongs"].data)
    assert needless.body == b"there is nothing to prove between trees of one size\n"
    assert grow(log, prefix, 7, 9).status == 200


def test_another_tree_of_the_same_size_is_a_conflict(log: HandMadeLog, prefix: str) -> None:
    """Version 1.0.0 of the text: 409, and not with a size, which would invite to ask again."""
    fork = HandMadeLog([*log.entries[:3], *log.entries[:200]], log.signing)
    assert grow(log, prefix, 0, 7).status == 200
    answer = ask(prefix, AddCheckpoint(7, (), fork.checkpoint(7)).data)
    assert (answer.status, answer.media_type.split(";")[0]) == (409, "text/plain")
    assert "\u2014".encode() not in answer.body
    assert grow(log, prefix, 7, 7).status == 200


def test_an_empty_tree_has_one_root_and_a_first_request_no_proof(
    log: HandMadeLog, prefix: str
) -> None:
    wrong_root = log.checkpoint(0, root=sha256(b"x"))
    assert ask(prefix, AddCheckpoint(0, (), wrong_root).data).status == 422
    assert ask(prefix, AddCheckpoint(0, (bytes(32),), log.checkpoint(5)).data).status == 422
    assert ask(prefix, AddCheckpoint(0, (), log.checkpoint(0)).data).status == 200


def test_unknown_logs_and_bad_signatures(log: HandMadeLog, prefix: str) -> None:
    stranger = HandMadeLog(log.entries, Signing(ORIGIN))
    unknown = log.checkpoint(5, origin="log.example/other", root=log.root(5))
    text = text_of(5, log.root(5)) + "\n"
    good = log.signing.lines(text_of(5, log.root(5)))
    other = log.signing.lines(text_of(5, sha256(b"x")))
    spoilt = good.splitlines()[0] + "\n" + other.splitlines()[1] + "\n"
    for checkpoint, status in (
        (unknown, 404),
        (stranger.checkpoint(5), 403),
        ((text + new_witness("w.example").lines(text[:-1])).encode(), 403),
        ((text + spoilt).encode(), 403),  # one good signature does not excuse a bad one
        (log.checkpoint(5) + stranger.checkpoint(5).partition(b"\n\n")[2], 200),
    ):
        assert ask(prefix, AddCheckpoint(0, (), checkpoint).data).status == status


def test_malformed_requests(log: HandMadeLog, prefix: str) -> None:
    good = AddCheckpoint(0, (), log.checkpoint(5)).data
    hash_line = base64.b64encode(bytes(32)) + b"\n"
    for body in (
        b"",
        b"old 0\n",
        good.replace(b"old 0", b"old 00"),
        good.replace(b"old 0", b"old -1"),
        good.replace(b"old 0", b"old \xd9\xa0"),
        good.replace(b"old 0", b"new 0"),
        good.replace(b"old 0", b"old 99999999999999999999"),
        good.replace(b"old 0\n", b"old 0\n" + hash_line * 64),
        good.replace(b"old 0\n", b"old 0\nAAAA\n"),
        good.replace(b"old 0\n", b"old 0\r\n"),
        good[:-1],
        good.replace(b"\n5\n", b"\n05\n"),
        good + b"\x00",
    ):
        assert ask(prefix, body).status == 400, body[:40]
    assert ask(prefix, bytes((1 << 20) + 1)).status == 413
    assert ask(prefix, good).status == 200


def test_extension_lines_of_other_logs_are_cosigned(log: HandMadeLog, prefix: str) -> None:
    text = text_of(5, log.root(5)) + "extension 1\n"
    checkpoint = (text + "\n" + log.signing.lines(text)).encode()
    answer = ask(prefix, AddCheckpoint(0, (), checkpoint).data)
    assert answer.status == 200
    assert grow(log, prefix, 5, 9).status == 200


def test_the_monitoring_path_serves_what_was_cosigned(
    log: HandMadeLog, witness: Witness, prefix: str
) -> None:
    origin_hash = hashlib.sha256(ORIGIN.encode()).hexdigest()

    def look(path: str, method: str = "GET") -> tuple[int, bytes]:
        connection = http.client.HTTPConnection(prefix.removeprefix("http://"), timeout=10)
        connection.request(method, path)
        answer = connection.getresponse()
        return answer.status, answer.read()

    assert look(f"/{origin_hash}/checkpoint")[0] == 404
    grow(log, prefix, 0, 5)
    status, data = look(f"/{origin_hash}/checkpoint")
    assert status == 200
    names = [s.name for s in Note.parse(data).signatures]
    assert names == [ORIGIN, ORIGIN, "witness.example/w", "witness.example/w"]
    assert {c.key for c in cosignatures(data, witness.cosigner.verifier_keys())}
    assert look("/" + "0" * 64 + "/checkpoint")[0] == 404
    assert look("/add-checkpoint")[0] == 405


def test_a_request_that_never_ends_is_given_up(prefix: str) -> None:
    connection = http.client.HTTPConnection(prefix.removeprefix("http://"), timeout=10)
    connection.putrequest("POST", "/add-checkpoint")
    connection.putheader("Content-Length", "100")
    connection.endheaders()
    connection.send(b"old ")
    assert connection.getresponse().status == 408


def test_two_forks_at_once_and_one_is_cosigned(log: HandMadeLog, witness: Witness) -> None:
    forks = [
        HandMadeLog([*log.entries[:20], leaf("model", str(i)), *log.entries], log.signing)
        for i in range(8)
    ]
    assert witness.add_checkpoint(AddCheckpoint(0, (), log.checkpoint(20)).data).status == 200
    bodies = [AddCheckpoint(20, proof(f, 20, 40), f.checkpoint(40)).data for f in forks]
    start = threading.Barrier(len(bodies))

    def race(body: bytes) -> int:
        start.wait(10)
        return witness.add_checkpoint(body).status

    with ThreadPoolExecutor(len(bodies)) as pool:
        assert sorted(pool.map(race, bodies)) == [200, *[409] * 7]


def test_what_was_cosigned_outlives_the_witness(
    log: HandMadeLog, witness: Witness, tmp_path: Path
) -> None:
    assert witness.add_checkpoint(AddCheckpoint(0, (), log.checkpoint(9)).data).status == 200
    store = open_store(tmp_path / "witness", {})
    reopened = store.witness({ORIGIN: keys_of(log.signing)})
    assert reopened.cosigner.verifier_keys() == witness.cosigner.verifier_keys()
    assert reopened.add_checkpoint(AddCheckpoint(0, (), log.checkpoint(9)).data).status == 409
    with pytest.raises(ConflictError):
        init_store(tmp_path / "witness", "", {})
    # Forgetting is worse than refusing.
    (held,) = (tmp_path / "witness" / "cosigned").iterdir()
    held.write_bytes(held.read_bytes()[:40])
    with pytest.raises(StorageError, match="damaged"):
        reopened.add_checkpoint(AddCheckpoint(0, (), log.checkpoint(9)).data)


def test_nothing_leaves_that_was_not_remembered(
    log: HandMadeLog, witness: Witness, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import quantumai.provenance.public_log.witness_memory as memory

    def full(*unused: object) -> None:
        raise OSError(28, "No space left on device")

    with running_witness(witness) as prefix:
        monkeypatch.setattr(memory, "replace_file", full)
        answer = grow(log, prefix, 0, 5)
        assert answer.status == 503
        assert "\u2014".encode() not in answer.body
        monkeypatch.undo()
        assert grow(log, prefix, 0, 5).status == 200


def test_it_is_remembered_before_it_leaves(log: HandMadeLog, witness: Witness) -> None:
    order: list[str] = []

    class Recording:
        def __init__(self, inner: FolderMemory) -> None:
            self._inner = inner

        def hold(self, origin: str):  # type: ignore[no-untyped-def]
            from contextlib import contextmanager

            @contextmanager
            def held() -> Iterator[Remembering]:
                with self._inner.hold(origin) as memory:
                    order.append("locked")
                    yield memory
                    order.append("size " + str(stated_head(memory.newest() or b"").size))

            return held()

    witness._memory = Recording(witness._memory)  # type: ignore[assignment, arg-type]
    assert witness.add_checkpoint(AddCheckpoint(0, (), log.checkpoint(5)).data).status == 200
    assert order == ["locked", "size 5"]


def test_log_keys_of_the_command_line(log: HandMadeLog) -> None:
    ed, ml = keys_of(log.signing)
    assert log_keys([ed.text, ml.text]) == {ORIGIN: (ed, ml)}
    assert log_keys([f"{ml.text}@other@name"]) == {"other@name": (ml,)}
    for bad in ("", ed.text[:-3], ed.text + "@"):
        with pytest.raises(BadInputError):
            log_keys([bad])


def test_a_witness_does_not_cosign_its_own_key(witness: Witness, tmp_path: Path) -> None:
    own = witness.cosigner.verifier_keys()
    with pytest.raises(BadInputError, match="this witness"):
        open_store(tmp_path / "witness", {}).witness({"log.example/x": own})


# The client's side, with a ledger of ours.


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return open_ledger(tmp_path / "home")


def open_ledger(home: Path) -> Ledger:
    from quantumai.provenance.sealing.checkpoint_signer import KmsCheckpointSigner
    from quantumai.storage.local_objects import LocalObjects
    from tests.key_management import soft_kms

    home.mkdir(exist_ok=True)
    signer = KmsCheckpointSigner(soft_kms(home).internal(), "quantumai/ledger/test")
    return Ledger(LocalObjects(home / "objects"), signer._origin, signer, now)


def now() -> datetime:
    from datetime import UTC

    return datetime.now(UTC)


def leaves(count: int, name: str) -> list[Leaf]:
    return [Leaf.parse(leaf("run-manifest", f"{name}{i}")) for i in range(count)]


def ask_one(ledger: Ledger, url: str, keys: tuple[VerifierKey, ...], **more: object) -> Asked:
    known = KnownWitness(url, keys).check()
    within = float(str(more.get("within_s", 5.0)))
    (asked,) = ask_witnesses(ledger, [known], lambda url: HttpWitness(url, within), now)
    return asked


@pytest.fixture
def our_witness(ledger: Ledger, tmp_path: Path) -> Witness:
    store = init_store(tmp_path / "ours", "", {})
    return store.witness({ledger.origin: ledger.signer.verifier_keys()})


def test_our_ledger_is_cosigned_and_keeps_it(ledger: Ledger, our_witness: Witness) -> None:
    keys = our_witness.cosigner.verifier_keys()
    trust = WitnessTrust(tuple(key.text for key in keys), 1)
    kept = CosignedCheckpoints(ledger)
    with running_witness(our_witness) as prefix:
        for count in (3, 300, 1):
            ledger.append(leaves(count, str(count)))
            asked = ask_one(ledger, prefix, keys)
            assert (asked.outcome, asked.size) == (Outcome.COSIGNED, ledger.size()), asked
    ledger.append(leaves(5, "later"))
    # Leaves that were there are proved at the cosigned head, later ones at the newest.
    covering = kept.best(trust, index=303)
    assert stated_head(covering).size == 304
    assert {c.key for c in cosignatures(covering, keys)} == set(keys)
    assert kept.best(trust, index=304) == ledger.checkpoint()
    assert kept.newest_by_quorum(WitnessTrust(trust.verifier_keys, 0)) is None
    assert ledger.verify() == []
    assert kept.problems(keys) == []


def test_a_second_witness_joins_the_first(
    ledger: Ledger, our_witness: Witness, tmp_path: Path
) -> None:
    other = init_store(tmp_path / "second", "second.example/w", {}).witness(
        {ledger.origin: ledger.signer.verifier_keys()[1:]}
    )
    ledger.append(leaves(2, "a"))
    every = (our_witness.cosigner.verifier_keys(), other.cosigner.verifier_keys())
    texts = tuple(key.text for keys in every for key in keys)
    kept = CosignedCheckpoints(ledger)
    with running_witness(our_witness) as one, running_witness(other) as two:
        assert ask_one(ledger, one, every[0]).outcome is Outcome.COSIGNED
        assert kept.newest_by_quorum(WitnessTrust(texts, 2)) is None
        assert ask_one(ledger, two, every[1][1:]).outcome is Outcome.COSIGNED
    found = kept.newest_by_quorum(WitnessTrust(texts, 2))
    assert found is not None
    assert len(Note.parse(found).signatures) == 2 + 2 + 1


def test_a_ledger_that_was_rolled_back_is_caught(
    our_witness: Witness, ledger: Ledger, tmp_path: Path
) -> None:
    import shutil

    ledger.append(leaves(4, "a"))
    shutil.copytree(tmp_path / "home", tmp_path / "old")
    keys = our_witness.cosigner.verifier_keys()
    with running_witness(our_witness) as prefix:
        ledger.append(leaves(4, "b"))
        assert ask_one(ledger, prefix, keys).outcome is Outcome.COSIGNED
        restored = open_ledger(tmp_path / "old")
        smaller = ask_one(restored, prefix, keys)
        assert smaller.outcome is Outcome.CONTRADICTED
        assert "rolled back" in smaller.detail
        restored.append(leaves(9, "c"))
        larger = ask_one(restored, prefix, keys)
        assert larger.outcome is Outcome.CONTRADICTED
        assert "another tree of 8 leaves" in larger.detail


def conflict(body: bytes, media_type: str = "text/plain") -> tuple[int, str, bytes]:
    return 409, media_type, body


# What witnesses say of another tree of the same size: the text leaves the body open in version
# 1.0.0, and later asks for another status.
OTHER_TREE = {
    "409 without a body": conflict(b""),
    "409 with words": conflict(b"root mismatch\n"),
    "409 with the very size": conflict(b"3\n", "text/x.tlog.size"),
    "409 with no size": conflict(b"root mismatch\n", "text/x.tlog.size"),
    "422": (422, "text/plain", b"root mismatch\n"),
}


@pytest.mark.parametrize("name", OTHER_TREE)
def test_another_tree_of_the_same_size_is_a_contradiction(ledger: Ledger, name: str) -> None:
    """By hand, as the text says: the witness tells its size, and then that the roots differ."""
    ledger.append(leaves(3, "a"))
    answers = conflict(b"3\n", "text/x.tlog.size"), OTHER_TREE[name]
    with canned_answers(*answers) as (prefix, seen):
        asked = ask_one(ledger, prefix, keys_of(new_witness("w.example")))
    assert asked.outcome is Outcome.CONTRADICTED
    assert "another tree of 3 leaves" in asked.detail
    assert [AddCheckpoint.parse(body).old_size for body in seen] == [0, 3]
    assert CosignedCheckpoints(ledger).at(3) is None


def test_our_witness_contradicts_a_fork_of_the_same_size(
    our_witness: Witness, ledger: Ledger, tmp_path: Path
) -> None:
    import shutil

    ledger.append(leaves(4, "a"))
    shutil.copytree(tmp_path / "home", tmp_path / "old")
    keys = our_witness.cosigner.verifier_keys()
    with running_witness(our_witness) as prefix:
        ledger.append(leaves(4, "b"))
        assert ask_one(ledger, prefix, keys).outcome is Outcome.COSIGNED
        restored = open_ledger(tmp_path / "old")
        restored.append(leaves(4, "c"))
        forked = ask_one(restored, prefix, keys)
    assert forked.outcome is Outcome.CONTRADICTED
    assert "another tree of 8 leaves" in forked.detail


def test_a_conflict_at_another_size_is_only_a_size(ledger: Ledger) -> None:
    """A witness that another process moved on meanwhile names its new size."""
    ledger.append(leaves(3, "a"))
    own = new_witness("w.example")
    good = (200, "text/plain", lines_over(ledger.checkpoint(), own))
    sizes = [conflict(size, "text/x.tlog.size") for size in (b"1\n", b"2\n", b"3\n")]
    with canned_answers(*sizes, good) as (prefix, _):
        assert ask_one(ledger, prefix, keys_of(own)).outcome is Outcome.COSIGNED


def lines_over(checkpoint: bytes, signing: Signing, time: int = 0, **more: object) -> bytes:
    text = checkpoint.decode().partition("\n\n")[0] + "\n"
    return signing.lines(text, time or int(now().timestamp()), **more).encode()  # type: ignore[arg-type]


SIZE_TYPE = "text/x.tlog.size"
REFUSALS: dict[str, tuple[int, str, bytes]] = {
    "unknown": (404, "text/plain", b""),
    "forbidden": (403, "text/plain", b"no\x1b[31m"),
    "malformed": (400, "text/plain", b""),
}
UNREADABLE: dict[str, tuple[int, str, bytes]] = {
    "not a size": (409, SIZE_TYPE, b"seven\n"),
    "a size of another type": (409, "text/plain", b"0\n"),
    "a size for ever": (409, SIZE_TYPE, b"0\n"),
    "redirected": (302, "text/plain", b""),
    "broken": (500, "text/plain", b""),
    "endless": (200, "text/plain", bytes(1 << 19)),
}


@pytest.mark.parametrize("name", [*REFUSALS, *UNREADABLE])
def test_answers_that_are_no_cosignature(ledger: Ledger, name: str) -> None:
    ledger.append(leaves(3, "a"))
    answer = (REFUSALS | UNREADABLE)[name]
    with canned_answers(answer) as (prefix, seen):
        asked = ask_one(ledger, prefix, keys_of(new_witness("w.example")))
    assert asked.outcome is (Outcome.REFUSED if name in REFUSALS else Outcome.AWAY)
    assert asked.detail.isprintable()
    assert len(seen) <= 4
    assert CosignedCheckpoints(ledger).at(3) is None


LIES: dict[str, Callable[[bytes, Signing], bytes]] = {
    "nothing": lambda checkpoint, own: b"",
    "not lines": lambda checkpoint, own: b"hello\n",
    "by a stranger": lambda checkpoint, own: lines_over(checkpoint, new_witness("w.example")),
    "over another root": lambda checkpoint, own: own.lines(
        text_of(3, sha256(b"x"), "quantumai/ledger/test"), 1_700_000_000
    ).encode(),
    "of the future": lambda checkpoint, own: lines_over(
        checkpoint, own, int((now() + timedelta(hours=1)).timestamp())
    ),
    "without a time": lambda checkpoint, own: own.lines(
        checkpoint.decode().partition("\n\n")[0] + "\n", 0
    ).encode(),
}


@pytest.mark.parametrize("name", LIES)
def test_a_witness_that_lies_is_not_believed(ledger: Ledger, name: str) -> None:
    ledger.append(leaves(3, "a"))
    own = new_witness("w.example")
    with canned_answers((200, "text/plain", LIES[name](ledger.checkpoint(), own))) as (prefix, _):
        asked = ask_one(ledger, prefix, keys_of(own))
    assert asked.outcome is Outcome.REFUSED
    assert CosignedCheckpoints(ledger).at(3) is None


def test_strangers_lines_beside_the_right_ones_are_left_out(ledger: Ledger) -> None:
    ledger.append(leaves(3, "a"))
    own, other = new_witness("w.example"), new_witness("other.example")
    checkpoint = ledger.checkpoint()
    body = lines_over(checkpoint, other) + lines_over(checkpoint, own, kinds=["ml"])
    with canned_answers((200, "text/plain", body)) as (prefix, _):
        asked = ask_one(ledger, prefix, keys_of(own))
    assert (asked.outcome, asked.detail) == (
        Outcome.COSIGNED,
        "no cosignature by its Ed25519 key",
    )
    kept = CosignedCheckpoints(ledger).at(3)
    assert kept is not None
    assert [s.name for s in Note.parse(kept).signatures][2:] == ["w.example"]


def test_the_request_is_what_the_text_asks_for(ledger: Ledger) -> None:
    """A witness that knows 2 leaves is told so, with the proof from there."""
    ledger.append(leaves(2, "a"))
    ledger.append(leaves(5, "b"))
    answer = (409, SIZE_TYPE, b"2\n")
    own = new_witness("w.example")
    good = (200, "text/plain", lines_over(ledger.checkpoint(), own))
    with canned_answers(answer, good) as (prefix, seen):
        assert ask_one(ledger, prefix, keys_of(own)).outcome is Outcome.COSIGNED
    first, second = (AddCheckpoint.parse(body) for body in seen)
    assert (first.old_size, first.proof) == (0, ())
    assert (second.old_size, list(second.proof)) == (2, ledger.consistency_proof(2, 7))
    assert second.checkpoint == ledger.checkpoint()


def test_a_witness_that_is_away_or_never_ends_is_said(ledger: Ledger) -> None:
    ledger.append(leaves(3, "a"))
    keys = keys_of(new_witness("w.example"))
    with canned_answers((200, "text/plain", b"")) as (gone, _):
        pass
    assert ask_one(ledger, gone, keys).outcome is Outcome.AWAY
    with canned_answers((200, "text/plain", b""), drips=True) as (prefix, _):
        assert ask_one(ledger, prefix, keys, within_s=0.5).outcome is Outcome.AWAY
    with pytest.raises(UnreachableError):
        HttpWitness(gone).add_checkpoint(b"")


def test_damaged_cosigned_checkpoints_are_found(ledger: Ledger) -> None:
    own = new_witness("w.example")
    ledger.append(leaves(3, "a"))
    kept = CosignedCheckpoints(ledger)
    kept.add(ledger.checkpoint(), parse_signature_lines(lines_over(ledger.checkpoint(), own)))
    assert kept.problems(keys_of(own)) == []
    key = "ledger/cosigned/" + "3".zfill(20)
    whole = ledger.objects.get(key)
    genuine = set(cosignatures(whole, keys_of(own)))
    for at in range(0, len(whole), 97):
        changed = whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :]
        ledger.objects.replace(key, changed)
        if not (kept.problems(keys_of(own)) or ledger.verify()):
            # A line by nobody who is known: it counts for nothing, and the others as before.
            assert set(cosignatures(changed, keys_of(own))) < genuine, at
    unsigned = Note(Note.parse(whole).text, Note.parse(whole).signatures[1:]).data
    for wrong in (whole[:-40], unsigned):
        ledger.objects.replace(key, wrong)
        assert kept.at(3) is None
