"""Making the root of a home: once, all of it, however often it is begun."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from quantumai.errors import BadInputError, ConflictError
from quantumai.services import home_root
from quantumai.services.home_root import init_root, open_root, root_public_key
from quantumai.services.home_token import FOLDER
from quantumai.services.wiring import open_token_keys
from tests.tokens import token_library

pytestmark = pytest.mark.integration


class _KilledError(BaseException):
    """Stands for the death of the process."""


@pytest.mark.parametrize("step", ["make_root", "create_file"])
def test_it_goes_on_where_it_was_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    home, disk, library = tmp_path / "home", tmp_path / "disk", token_library("kryoptic")

    def die(*_: Any) -> None:
        raise _KilledError

    with monkeypatch.context() as patch:
        patch.setattr(home_root, step, die)
        with pytest.raises(_KilledError):
            init_root(home, disk, library)
    held = list(open_token_keys(disk).keys())
    left = [key.public_key for key in held]
    assert len(left) == (step == "create_file")
    public = init_root(home, disk, library)
    assert left in ([], [public])
    assert root_public_key(home) == public
    assert open_root(home, disk).vouch(b"m")[0] == public.key_id
    for folder in (disk, tmp_path / "another"):
        with pytest.raises(ConflictError, match="has a root already"):
            init_root(home, folder, library)
    assert not (tmp_path / "another").exists()


def test_a_key_in_the_roots_place_that_is_none_is_not_taken(tmp_path: Path) -> None:
    library = token_library("kryoptic")
    home_root.init_home_token(tmp_path / "disk", library, slots=1)
    open_token_keys(tmp_path / "disk").generate("root/1", "ML-DSA-44")
    with pytest.raises(ConflictError, match="no SLH-DSA"):
        init_root(tmp_path / "home", tmp_path / "disk", library)
    assert not (tmp_path / "home").exists()


def test_the_pin_need_not_lie_beside_the_root(tmp_path: Path) -> None:
    home, disk, library = tmp_path / "home", tmp_path / "disk", token_library("kryoptic")
    elsewhere = tmp_path / "pin"
    elsewhere.touch(0o600)
    elsewhere.write_text("a-pin-from-elsewhere\n")
    public = init_root(home, disk, library, f"file:{elsewhere}")
    assert not (disk / FOLDER / "pin").exists()
    assert all(
        b"a-pin-from-elsewhere" not in path.read_bytes()
        for path in disk.rglob("*")
        if path.is_file()
    )
    (home / home_root.FILE_NAME).unlink()
    with pytest.raises(BadInputError, match="another PIN source"):
        init_root(home, disk, library, "file:pin")
    for pin in ("", f"file:{elsewhere}"):
        assert init_root(home, disk, library, pin) == public
        (home / home_root.FILE_NAME).unlink()
