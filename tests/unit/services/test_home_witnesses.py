"""The home's list of witnesses."""

from __future__ import annotations

from pathlib import Path

import pytest

from quantumai.errors import BadInputError, ConflictError, NotFoundError
from quantumai.provenance.ledger.note import VerifierKey
from quantumai.services.home_witnesses import (
    FILE_NAME,
    HomeWitnesses,
    add_witness,
    home_witnesses,
    remove_witness,
)
from tests.logs import Signing, new_witness


def keys_of(signing: Signing) -> tuple[VerifierKey, ...]:
    return tuple(VerifierKey.parse(text) for text in signing.vkeys)


def test_adding_and_removing(tmp_path: Path) -> None:
    assert home_witnesses(tmp_path) == HomeWitnesses()
    assert home_witnesses(tmp_path).quorum == 0
    names = [f"w.example/{i}" for i in range(3)]
    signings = [new_witness(name) for name in names]
    quorums = []
    for number, signing in enumerate(signings):
        ed, ml = keys_of(signing)
        add_witness(tmp_path, f"https://{number}.example/", (ml,))
        added = add_witness(tmp_path, f"https://{number}.example", (ed, ml))
        assert home_witnesses(tmp_path) == added
        quorums.append(added.quorum)
    assert quorums == [1, 2, 2]  # more than half
    known = home_witnesses(tmp_path)
    assert [w.url for w in known.witnesses] == [f"https://{i}.example" for i in range(3)]
    assert set(known.trust().verifier_keys) == {key for s in signings for key in s.vkeys}
    assert (known.trust().quorum, known.trust(0).quorum) == (2, 0)
    assert add_witness(tmp_path, "https://0.example", keys_of(signings[0]), 3).quorum == 3
    assert remove_witness(tmp_path, names[1]).quorum == 2
    with pytest.raises(NotFoundError):
        remove_witness(tmp_path, names[1])


def test_what_is_refused_leaves_the_list_as_it_was(tmp_path: Path) -> None:
    one, two = new_witness("w.example/1"), new_witness("w.example/2")
    add_witness(tmp_path, "https://1.example", keys_of(one))
    before = (tmp_path / FILE_NAME).read_bytes()
    (log_key, _) = keys_of(Signing("w.example/3"))
    for url, keys, quorum in (
        ("ftp://2.example", keys_of(two), None),
        ("https://2.example", (), None),
        ("https://2.example", (*keys_of(one)[:1], *keys_of(two)[1:]), None),
        ("https://2.example", (log_key,), None),
        ("https://2.example", keys_of(two), 3),
    ):
        with pytest.raises(BadInputError):
            add_witness(tmp_path, url, keys, quorum)
    with pytest.raises(ConflictError):
        add_witness(tmp_path, "https://2.example", keys_of(one))
    assert (tmp_path / FILE_NAME).read_bytes() == before


@pytest.mark.parametrize(
    "text",
    [
        "quorum = 1\n",
        "[[witness]]\nurl = 'https://x.example'\nverifier_keys = ['a+b+c']\n",
        "[[witness]]\nurl = 'https://x.example'\nverifier_keys = []\n",
        "unknown = 1\n",
        "quorum = -1\n",
        "\x00",
    ],
)
def test_a_damaged_list_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE_NAME).write_text(text)
    with pytest.raises(BadInputError, match=FILE_NAME):
        home_witnesses(tmp_path)
