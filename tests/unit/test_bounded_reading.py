from __future__ import annotations

import os
from pathlib import Path

import pytest

from quantumai.bounded_reading import read_bounded
from quantumai.errors import BadInputError


def test_a_file_up_to_the_limit_and_not_beyond(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * 10)
    assert read_bounded(path, 10, "the file") == b"x" * 10
    with pytest.raises(BadInputError, match="larger than 9 bytes"):
        read_bounded(path, 9, "the file")


def test_a_file_that_says_it_is_empty_and_is_not() -> None:
    """Files in /proc have size 0, so the limit must hold for what is read as well."""
    assert read_bounded("/proc/self/status", 1 << 20, "the file").startswith(b"Name:")
    with pytest.raises(BadInputError, match="larger than 5 bytes"):
        read_bounded("/proc/self/status", 5, "the file")


@pytest.mark.parametrize(
    "name", ["/dev/zero", "fifo", ".", "absent", "a" * 5000, "nul\0", "\ud800"]
)
def test_nothing_else_is_read(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    os.mkfifo("fifo")
    with pytest.raises(BadInputError, match=r"^cannot read the file .*: .") as caught:
        read_bounded(name, 100, "the file")
    assert str(caught.value).isprintable()
