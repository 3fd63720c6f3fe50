"""Every attack on a small audit log, at every position, with and without a head to compare with."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantumai.canonical import sha256_hex
from quantumai.errors import BadInputError
from quantumai.keys.audit.entry import AuditEntry, AuditRecord, Outcome, link_to
from quantumai.keys.audit.head import AuditHead
from quantumai.keys.audit.verification import AuditReport, Fault, verify_log

SIZE = 7
START = datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)
# For each field another value that an entry may have.
OTHER: dict[str, Any] = {
    "tenant": "other",
    "principal": "mallory",
    "operation": "destroy",
    "outcome": Outcome.DENIED,
    "payload_sha256": "0" * 64,
    "key": "another-key",
    "version": 9,
    "key_id": "1" * 64,
    "request_id": "another-request",
    "tls_group": "x25519",
    "error": "denied",
    "at": "2020-01-01T00:00:00.000000Z",
    "previous": "2" * 64,
}


def record(number: int) -> AuditRecord:
    return AuditRecord(
        tenant="local",
        principal="alice",
        operation="sign",
        outcome=Outcome.OK,
        payload_sha256=sha256_hex(str(number).encode()),
        key="statement",
        version=1,
        key_id="a" * 64,
        request_id=f"request-{number}",
        tls_group="X25519MLKEM768",
    )


def written(numbers: Iterable[int], after: Sequence[str] = ()) -> list[str]:
    """A log of entries that follow each other, as the KMS or a thorough forger writes it."""
    texts = list(after)
    for number in numbers:
        previous = link_to(texts[-1]) if texts else ""
        at = START + timedelta(seconds=number)
        texts.append(AuditEntry.of(record(number), len(texts), at, previous).text)
    return texts


def mth(entries: Sequence[bytes]) -> bytes:
    """MTH, copied from the text of RFC 6962, section 2.1."""
    if not entries:
        return hashlib.sha256().digest()
    if len(entries) == 1:
        return hashlib.sha256(b"\x00" + entries[0]).digest()
    k = 1
    while k * 2 < len(entries):
        k *= 2
    return hashlib.sha256(b"\x01" + mth(entries[:k]) + mth(entries[k:])).digest()


LOG = written(range(SIZE))


def head(size: int = SIZE, log: Sequence[str] = LOG) -> AuditHead:
    return AuditHead(size, mth([text.encode() for text in log[:size]]))


def verify(texts: Sequence[str], *heads: AuditHead) -> AuditReport:
    return verify_log(enumerate(texts), heads)


def changed(text: str, **fields: Any) -> str:
    return msgspec.structs.replace(AuditEntry.parse(text), **fields).text


def renumbered(texts: Sequence[str]) -> list[str]:
    """Each entry says that it is where it is; the links are left as they were."""
    return [changed(text, sequence=at) for at, text in enumerate(texts)]


def relinked(texts: Sequence[str]) -> list[str]:
    """As a thorough forger does it: no entry shows anything."""
    mended: list[str] = []
    for at, text in enumerate(texts):
        previous = link_to(mended[-1]) if mended else ""
        mended.append(changed(text, sequence=at, previous=previous))
    return mended


def cut_loose(texts: Sequence[str], at: int) -> list[str]:
    """The entries from `at` on, which follow each other, but the first of them none before it."""
    loose = [changed(texts[at], previous="2" * 64)]
    for text in texts[at + 1 :]:
        loose.append(changed(text, previous=link_to(loose[-1])))
    return loose


@dataclass(frozen=True)
class Attack:
    name: str
    texts: list[str]
    at: int  # the first entry that is not what was written
    fault: Fault | None = None


def without(at: int) -> list[str]:
    return LOG[:at] + LOG[at + 1 :]


def swapped(at: int) -> list[str]:
    return [*LOG[:at], LOG[at + 1], LOG[at], *LOG[at + 2 :]]


def inserted(at: int) -> list[str]:
    return [*written([99], LOG[:at]), *LOG[at:]]


MUTATIONS = [
    Attack(f"{field} of {at}", [*LOG[:at], changed(LOG[at], **{field: value}), *LOG[at + 1 :]], at)
    for at in range(SIZE)
    for field, value in OTHER.items()
]
CLUMSY = [
    *(
        Attack(f"{what} {at}", [*LOG[:at], text, *LOG[at + 1 :]], at, Fault.CHANGED)
        for at in range(SIZE)
        for what, text in (
            ("garbage in", "not JSON"),
            ("nothing in", ""),
            ("a blank in", LOG[at].replace(":", ": ", 1)),
            ("a second field in", LOG[at].replace("{", '{"tenant":"mallory",', 1)),
            ("another schema in", changed(LOG[at], schema=2)),
        )
    ),
    *(
        Attack(f"other number in {at}", [*LOG[:at], changed(LOG[at], sequence=at + 2)], at)
        for at in range(SIZE)
    ),
    *(Attack(f"swap {at}", swapped(at), at, Fault.REORDERED) for at in range(SIZE - 1)),
    *(Attack(f"drop and move up {at}", without(at), at) for at in range(SIZE - 1)),
    *(Attack(f"insert {at}", inserted(at), at, Fault.INSERTED) for at in range(SIZE)),
    *(Attack(f"insert, renumber {at}", renumbered(inserted(at)), at) for at in range(SIZE)),
    *(Attack(f"double {at}", [*LOG[: at + 1], *LOG[at:]], at + 1) for at in range(SIZE)),
]
# One broken link tells one of its two ends; here the log's own end leaves it open which.
OPEN = [
    *(Attack(f"drop, renumber {at}", renumbered(without(at)), at) for at in range(SIZE - 1)),
    *(Attack(f"swap, renumber {at}", renumbered(swapped(at)), at) for at in range(SIZE - 1)),
]
# What alone would look like another entry; only a head between the two knows better.
MISLEADING = [
    *(
        Attack(f"double, renumber {at}", renumbered([*LOG[: at + 1], *LOG[at:]]), at + 1)
        for at in range(SIZE - 1)
    ),
    *(
        Attack(
            f"double for the next {at}",
            renumbered([*LOG[: at + 1], LOG[at], *LOG[at + 2 :]]),
            at + 1,
        )
        for at in range(SIZE - 1)
    ),
    *(
        Attack(
            f"begin anew at {at}",
            [*LOG[:at], *cut_loose(relinked([*LOG[:at], *reversed(LOG[at:])]), at)],
            at,
        )
        for at in range(1, SIZE)
    ),
]
THOROUGH = [
    *(
        Attack(f"rewrite from {at}", relinked([*LOG[:at], changed(LOG[at], key="k")]), at)
        for at in range(SIZE)
    ),
    *(
        Attack(
            f"rewrite {at} to the end",
            relinked([*LOG[:at], changed(LOG[at], key="k"), *LOG[at + 1 :]]),
            at,
        )
        for at in range(SIZE)
    ),
    *(Attack(f"drop {at}", relinked(without(at)), at) for at in range(SIZE)),
    *(Attack(f"swap {at}", relinked(swapped(at)), at) for at in range(SIZE - 1)),
    *(Attack(f"insert {at}", relinked(inserted(at)), at) for at in range(SIZE)),
    *(Attack(f"cut off at {at}", LOG[:at], at, Fault.TRUNCATED) for at in range(SIZE)),
    *(
        Attack(f"cut off at {at}, then go on", written(range(50, 60), LOG[:at]), at)
        for at in range(SIZE)
    ),
]


def by_name(attack: Attack) -> str:
    return attack.name


def test_an_honest_log_holds() -> None:
    every_head = [head(size) for size in range(SIZE + 1)]
    report = verify(LOG, *every_head)
    assert report == AuditReport(SIZE, head().root, SIZE + 1, SIZE, None)
    assert verify([]) == AuditReport(0, mth([]), 0, 0, None)
    # Without a head it holds too, but nothing is proven.
    assert verify(LOG) == AuditReport(SIZE, head().root, 0, 0, None)


@pytest.mark.parametrize("attack", [*MUTATIONS, *CLUMSY], ids=by_name)
def test_a_head_names_the_first_bad_entry(attack: Attack) -> None:
    bad = verify(attack.texts, head()).bad
    assert bad is not None
    assert bad.first <= attack.at <= bad.last
    if attack.at < SIZE - 1:
        assert bad.first == bad.last
        assert attack.fault in (None, bad.fault)


@pytest.mark.parametrize("attack", [*MUTATIONS, *CLUMSY, *OPEN], ids=by_name)
def test_the_chain_alone_finds_all_but_the_last_entry(attack: Attack) -> None:
    bad = verify(attack.texts).bad
    if bad is None:
        # Nothing follows the last entry, so nothing contradicts it.
        assert attack.at >= len(attack.texts) - 1
        return
    assert bad.first <= attack.at <= bad.last
    assert bad.last - bad.first <= (1 if bad.last == len(attack.texts) - 1 else 0)


@pytest.mark.parametrize(
    "attack", [*MUTATIONS, *CLUMSY, *OPEN, *MISLEADING, *THOROUGH], ids=by_name
)
def test_the_heads_on_both_sides_enclose_the_first_bad_entry(attack: Attack) -> None:
    report = verify(attack.texts, *(head(size) for size in range(SIZE + 1)))
    assert report.bad is not None
    assert (report.bad.first, report.bad.last, report.proven) == (attack.at,) * 3


@pytest.mark.parametrize("attack", THOROUGH, ids=by_name)
@pytest.mark.parametrize("good", [0, 2, 3])
def test_a_thorough_forgery_is_found_by_a_head_and_by_nothing_else(
    attack: Attack, good: int
) -> None:
    assert verify(attack.texts).bad is None
    kept = head(min(good, attack.at))
    bad = verify(attack.texts, head(), kept).bad
    assert bad is not None
    assert bad.first <= attack.at <= bad.last
    size = len(attack.texts)
    if size < SIZE:
        assert (bad.fault, bad.first, bad.last) == (Fault.TRUNCATED, kept.size, size)
    else:
        assert (bad.fault, bad.first, bad.last) == (Fault.REWRITTEN, kept.size, SIZE - 1)


@pytest.mark.parametrize("at", range(SIZE))
def test_a_row_that_is_gone_is_missing(at: int) -> None:
    rows = [row for row in enumerate(LOG) if row[0] != at]
    for heads in ([], [head()], [head(size) for size in range(SIZE + 1)]):
        bad = verify_log(rows, heads).bad
        if at == SIZE - 1:
            assert (bad is None) == (not heads)
            assert bad is None or (bad.fault, bad.last) == (Fault.TRUNCATED, at)
        else:
            assert bad is not None
            assert (bad.fault, bad.first, bad.last) == (Fault.MISSING, at, at)


def test_rows_out_of_place_are_found() -> None:
    bad = verify_log([(-1, LOG[0]), *enumerate(LOG)], [head()]).bad
    assert bad is not None
    assert (bad.fault, bad.first) == (Fault.INSERTED, 0)
    # A gap of any width is one missing entry and costs nothing.
    bad = verify_log([*enumerate(LOG), (2**62, LOG[0])], [head()]).bad
    assert bad is not None
    assert (bad.fault, bad.first) == (Fault.MISSING, SIZE)


def test_an_older_copy_that_went_on_is_found() -> None:
    went_on = written(range(40, 50), LOG[:4])
    assert verify(went_on).bad is None
    bad = verify(went_on, head(3), head(6)).bad
    assert bad is not None
    assert (bad.fault, bad.first, bad.last) == (Fault.REWRITTEN, 3, 5)
    # Even when the KMS vouched for it later on.
    bad = verify(went_on, head(3), head(6), head(9, went_on)).bad
    assert bad is not None
    assert (bad.fault, bad.first, bad.last) == (Fault.FORKED, 3, 5)


def test_a_head_tells_which_of_the_last_two_entries_was_changed() -> None:
    for at, field in ((SIZE - 2, "key"), (SIZE - 1, "previous")):
        texts = [*LOG[:at], changed(LOG[at], **{field: OTHER[field]}), *LOG[at + 1 :]]
        unsure, sure = verify(texts).bad, verify(texts, head()).bad
        assert unsure is not None
        assert sure is not None
        assert (unsure.first, unsure.last) == (SIZE - 2, SIZE - 1)
        assert (sure.first, sure.last) == (at, at)


@pytest.mark.parametrize("at", range(SIZE - 1))
def test_a_visible_fault_does_not_hide_a_forgery_before_it(at: int) -> None:
    forged = relinked([*LOG[:at], changed(LOG[at], key="k"), *LOG[at + 1 :]])
    for visible in range(at + 1, SIZE):
        texts = [*forged[:visible], "not JSON", *forged[visible + 1 :]]
        bad = verify(texts, head(at), head(visible)).bad
        assert bad is not None
        assert (bad.fault, bad.first, bad.last) == (Fault.REWRITTEN, at, visible - 1)


def test_several_changes_name_the_first() -> None:
    for first in range(SIZE - 3):
        texts = list(LOG)
        texts[first] = changed(texts[first], key="k")
        texts[first + 2] = changed(texts[first + 2], key="k")
        for heads in ([], [head()]):
            bad = verify(texts, *heads).bad
            assert bad is not None
            assert (bad.first, bad.last) == (first, first)


@pytest.mark.parametrize("at", range(SIZE - 2))
def test_a_head_corrects_what_looks_like_another_entry(at: int) -> None:
    # Two neighbours changed look like the second one alone; what follows them knows better.
    texts = list(LOG)
    texts[at], texts[at + 1] = changed(LOG[at], key="k"), changed(LOG[at + 1], key="k")
    bad = verify(texts, head()).bad
    assert bad is not None
    assert (bad.first, bad.last) == (at, at)


@given(st.data())
def test_no_change_of_any_bytes_passes_a_head(data: st.DataObject) -> None:
    at = data.draw(st.integers(0, SIZE - 1))
    position = data.draw(st.integers(0, len(LOG[at]) - 1))
    character = data.draw(st.characters(codec="utf-8"))
    text = LOG[at][:position] + character + LOG[at][position + 1 :]
    bad = verify([*LOG[:at], text, *LOG[at + 1 :]], head()).bad
    assert (bad is None) == (text == LOG[at])
    if bad is not None:
        assert bad.first <= at <= bad.last


@given(st.data())
def test_any_log_of_any_of_its_entries_is_found(data: st.DataObject) -> None:
    """Drops, doubles and orders of all kinds, with and without mended links."""
    picks = data.draw(st.lists(st.integers(0, SIZE - 1), max_size=SIZE + 2))
    mends: list[Callable[[Sequence[str]], list[str]]] = [list, renumbered, relinked]
    mend = data.draw(st.sampled_from(mends))
    texts = mend([LOG[pick] for pick in picks])
    same = sum(texts[: at + 1] == LOG[: at + 1] for at in range(min(len(texts), SIZE)))
    report = verify(texts, *(head(size) for size in range(SIZE + 1)))
    assert report.proven == same
    if same < SIZE:
        assert report.bad is not None
        assert report.bad.first == same
    # More entries than the heads know are fine if they follow; copies of old ones never do.
    elif len(texts) > SIZE:
        assert report.bad is not None or mend is relinked


def test_a_record_that_no_log_can_hold_is_refused() -> None:
    for field, value in (
        ("payload_sha256", ""),
        ("payload_sha256", "A" * 64),
        ("key_id", "short"),
        ("version", -1),
        ("request_id", "x" * 257),
        ("key", "\ud800"),
    ):
        with pytest.raises(BadInputError):
            msgspec.structs.replace(record(0), **{field: value}).check()


def test_only_the_one_form_of_an_entry_is_read() -> None:
    good = LOG[1]
    assert AuditEntry.parse(good).text == good
    for bad in (
        good + " ",
        good.replace(":", ": ", 1),
        good.replace("{", '{"tenant":"mallory",', 1),
        good.replace("}", ',"z":1}'),
        good.replace('"alice"', '"\\u0061lice"'),
        good.replace('"schema":1', '"schema":2'),
        good.replace('"sequence":1', '"sequence":-1'),
        good.replace('"sequence":1', '"sequence":1.0'),
        good.replace('"outcome":"ok"', '"outcome":"fine"'),
        good.replace('"version":1', '"version":"1"'),
        good.replace(".000006Z", "Z"),
        good.replace("Z", "+00:00"),
        good.replace("2026-", "20-"),
        changed(good, previous="x" * 64),
        changed(good, payload_sha256=""),
    ):
        assert bad != good
        with pytest.raises(BadInputError):
            AuditEntry.parse(bad)


@given(st.text(st.characters(codec="utf-8"), max_size=40), st.integers(0, 2**31 - 1))
def test_an_entry_has_one_form(text: str, version: int) -> None:
    fields = {"key": text, "version": version, "tls_group": text}
    entry = AuditEntry.of(msgspec.structs.replace(record(0), **fields), 5, START, "b" * 64)
    assert AuditEntry.parse(entry.text) == entry
    assert "\0" not in entry.text
