"""The packaged catalogue holds together, and a user's mistakes are named with their place."""

from __future__ import annotations

from pathlib import Path

import pytest

from quantumai.backends.catalogue import PACKAGED_CATALOGUE, load_catalogue
from quantumai.backends.ibm_fake import backend_id_of, read_snapshot
from quantumai.crypto_mode import CryptoMode
from quantumai.errors import BadInputError

TEXT = PACKAGED_CATALOGUE.read_text(encoding="utf-8")


def test_every_entry_has_the_calibration_it_names() -> None:
    entries = load_catalogue()
    snapshots = [read_snapshot(entry.device) for entry in entries]
    for entry, snapshot in zip(entries, snapshots, strict=True):
        assert entry.backend_id == snapshot.backend_id == backend_id_of(entry.device)
        assert entry.num_qubits == snapshot.num_qubits
    # The wish: at least eight, of different ages and sizes, and filters have work.
    assert len(entries) >= 8
    assert len({snapshot.created_at[:4] for snapshot in snapshots}) >= 4
    assert len({entry.num_qubits for entry in entries}) >= 5
    pqc = [entry for entry in entries if entry.supports(CryptoMode.PQC_REQUIRED)]
    assert 8 <= len(pqc) < len(entries)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("cost_per_shot = 0.00048", "cost_per_shot = nan", "'ibm.fake_hanoi': cost_per_shot"),
        ("cost_per_shot = 0.00048", "cost_per_shot = -1.0", "'ibm.fake_hanoi': cost_per_shot"),
        ("cost_per_shot = 0.00048", "cost_per_shot = 0", "'ibm.fake_hanoi': cost_per_shot"),
        ("cost_per_shot = 0.00048", "cost_per_shot = inf", "'ibm.fake_hanoi': cost_per_shot"),
        ("cost_per_shot = 0.00048", 'cost_per_shot = "1"', "cost_per_shot"),
        ("availability = 0.96", "availability = 1.5", "'ibm.fake_hanoi': availability"),
        ("availability = 0.96", "availability = nan", "'ibm.fake_hanoi': availability"),
        ("availability = 0.96", "", "'ibm.fake_hanoi': Object missing required field"),
        ("availability = 0.96", "availabilty = 0.96", "availabilty"),
        ("num_qubits = 16", "num_qubits = 0", "'ibm.fake_guadalupe': num_qubits"),
        ('["classical"]', '["classic"]', "crypto_modes"),
        ('["classical"]', "[]", "'ibm.fake_lima': crypto_modes"),
        ('"ibm.fake_boston"', '"ibm.fake_lima"', "'ibm.fake_lima': backend_id: listed twice"),
        ('"ibm.fake_boston"', '"two\\nlines"', "backend_id"),
        ("[[backend]]", "[[backends]]", "backends"),
        ("[[backend]]", "[[backend]", "not TOML"),
    ],
)
def test_a_mistake_is_named_with_file_and_field(
    tmp_path: Path, old: str, new: str, words: str
) -> None:
    path = tmp_path / "catalogue.toml"
    assert old in TEXT
    path.write_text(TEXT.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(BadInputError) as caught:
        load_catalogue(path)
    assert str(path) in str(caught.value)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [None, b"", b"\xff\xfe", b"backend = []", b"[" * 100_000])
def test_a_file_that_is_no_catalogue_is_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "catalogue.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BadInputError, match="catalogue"):
        load_catalogue(path)
