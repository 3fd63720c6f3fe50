"""The quick encoders of leaves and commits against RFC 8785 by another implementation."""

from __future__ import annotations

import json

import msgspec
import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from quantumai.errors import LedgerError
from quantumai.provenance.ledger.commits import LEAF_TYPES, Commit, Leaf
from quantumai.provenance.ledger.leaf_index import LeafIndex

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
DIGESTS = st.binary(min_size=32, max_size=32).map(bytes.hex)
SMALL = st.integers(0, 2**53 - 1)
LEAVES = st.builds(Leaf, st.sampled_from(sorted(LEAF_TYPES)), st.just(1), DIGESTS)
ANY_LEAVES = st.builds(Leaf, TEXT, SMALL, TEXT)
CHECKPOINT = st.builds(
    lambda size, note: f"origin\n{size}\n{'A' * 43}=\n\n\u2014 name {note}\n",
    st.integers(0, 2**53),
    st.just("AAAAAAAA"),
)


@given(ANY_LEAVES)
def test_a_leaf_is_encoded_as_canonical_json(leaf: Leaf) -> None:
    assert leaf.entry == rfc8785.dumps(msgspec.to_builtins(leaf))


@given(SMALL, TEXT, SMALL, SMALL, st.lists(ANY_LEAVES, max_size=3), TEXT, SMALL)
def test_a_commit_is_encoded_as_canonical_json(
    number: int,
    previous: str,
    first: int,
    size: int,
    entries: list[Leaf],
    checkpoint: str,
    epoch: int,
) -> None:
    commit = Commit(2, number, previous, first, size, tuple(entries), checkpoint, epoch)
    fields = msgspec.to_builtins(commit)
    assert commit.data == rfc8785.dumps(fields)
    # The first schema had no epochs.
    del fields["epoch"]
    fields["schema"] = 1
    assert msgspec.structs.replace(commit, schema=1).data == rfc8785.dumps(fields)


def _commit(epoch: int = 3) -> Commit:
    leaf = Leaf("run-manifest", 1, "ab" * 32)
    text = f"origin\n8\n{'A' * 43}=\n\n\u2014 name AAAAAAAA\n"
    return Commit(2, 5, "cd" * 32, 7, 8, (leaf,), text, epoch)


@given(LEAVES)
def test_what_is_parsed_is_what_was_written(leaf: Leaf) -> None:
    assert Leaf.parse(leaf.entry) == leaf
    assert Commit.parse(5, _commit().data) == _commit()


@given(st.data())
def test_no_other_spelling_is_read(data: st.DataObject) -> None:
    original = data.draw(st.sampled_from([_commit().data, Leaf("release", 1, "ab" * 32).entry]))
    at = data.draw(st.integers(0, len(original)))
    cut = data.draw(st.integers(0, 3))
    changed = original[:at] + data.draw(st.binary(max_size=3)) + original[at + cut :]
    for parse in (Leaf.parse, lambda entry: Commit.parse(5, entry)):
        try:
            found = parse(changed)
        except LedgerError:
            continue
        assert rfc8785.dumps(json.loads(changed)) == changed
        assert (found.entry if isinstance(found, Leaf) else found.data) == changed


@pytest.mark.parametrize(
    "spelling",
    [
        lambda data: data.replace(b'"version":1', b'"version":1.0'),
        lambda data: data.replace(b'"version":1', b'"version":01'),
        lambda data: data.replace(b'"version":1', b'"version":1,"version":1'),
        lambda data: data.replace(b'"version":1', b'"version":true'),
        lambda data: data.replace(b'"version":1', b'"version":1,"wide":2'),
        lambda data: data.replace(b"{", b"{ ", 1),
        lambda data: data.replace(b"run", b"\\u0072un"),
        lambda data: data.replace(b"run", b"\xff"),
        lambda data: data.replace(b"run", b"\\ud800"),
        lambda data: data + b"\n",
        lambda data: data.replace(b'"version":1', b'"version":2'),
        lambda data: b"[" * 100_000,
        lambda data: b"",
    ],
)
def test_malformed_commits_and_entries_are_refused(spelling: object) -> None:
    assert callable(spelling)
    with pytest.raises(LedgerError):
        Leaf.parse(spelling(_commit().entries[0].entry))
    with pytest.raises(LedgerError):
        Commit.parse(5, spelling(_commit().data))


@pytest.mark.parametrize("epoch", [-1, 2**53])
def test_an_epoch_that_canonical_json_cannot_hold_is_refused(epoch: int) -> None:
    with pytest.raises(LedgerError, match="contradicts itself"):
        Commit.parse(5, _commit(epoch).data)


def test_the_index_of_leaves_against_a_dictionary() -> None:
    """More leaves than are kept in a dictionary; among them some whose first bytes are equal."""
    count = 150_000
    hashes = [(n * 0x9E3779B97F4A7C15 % 2**64).to_bytes(8, "big") + bytes(24) for n in range(count)]
    twins = {5: 9, 70_000: 7, 140_000: 139_999}
    for at, other in twins.items():
        hashes[at] = hashes[other][:8] + bytes(23) + b"\1"
    index = LeafIndex()
    for at in range(0, count, 1000):
        index.add(hashes[at : at + 1000])
    assert index.size == count
    for at in (*range(0, count, 997), *twins, *twins.values()):
        assert at in index.candidates(hashes[at])
    for n in range(count, count + 1000):
        absent = (n * 0x9E3779B97F4A7C15 % 2**64).to_bytes(8, "big") + bytes(24)
        assert index.candidates(absent) == []
