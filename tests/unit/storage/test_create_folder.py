"""A folder that is made with its files: all of them, or as it was, whatever goes wrong and when."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from quantumai.storage.durable_files import create_folder

FILES = {"artefacts/a": b"1", "artefacts/b": b"22", "proof.json": b"{}", "manifest.json": b"[]"}
KILLED = 9


def content(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def at_step(number: int, end: Callable[[], None]) -> None:
    """From now on `end` is called at the `number`-th sync or rename. Syncing costs no time here."""
    steps, rename = itertools.count(), os.rename

    def synced(descriptor: int) -> None:
        if next(steps) == number:
            end()

    def renamed(source: Path, target: Path) -> None:
        synced(0)
        rename(source, target)

    os.fsync, os.rename = synced, renamed  # type: ignore[assignment]


def full() -> None:
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("is_there", [False, True])
def test_a_full_disk_leaves_what_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_there: bool
) -> None:
    for number in itertools.count():
        folder = tmp_path / str(number) / "out"
        (folder if is_there else folder.parent).mkdir(parents=True)
        node = folder.stat().st_ino if is_there else None
        with monkeypatch.context() as patched:
            patched.setattr(os, "fsync", os.fsync)  # both are put back afterwards
            patched.setattr(os, "rename", os.rename)
            at_step(number, full)
            try:
                create_folder(folder, FILES)
            except OSError:
                pass
            else:
                assert number > len(FILES)
                break
        # After the last rename only its durability is in doubt.
        whole = folder.exists() and any(folder.iterdir())
        assert (content(folder) if whole else FILES) == FILES
        assert folder.exists() == (is_there or whole)
        assert sorted(folder.parent.iterdir()) == ([folder] if folder.exists() else [])
    assert content(folder) == FILES
    assert node in (None, folder.stat().st_ino)


@pytest.mark.parametrize("is_there", [False, True])
def test_who_finds_the_last_file_finds_all(tmp_path: Path, is_there: bool) -> None:
    for number in itertools.count():
        folder = tmp_path / str(number) / "out"
        (folder if is_there else folder.parent).mkdir(parents=True)
        child = os.fork()
        if child == 0:
            at_step(number, lambda: os._exit(KILLED))
            create_folder(folder, FILES)
            os._exit(0)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if (folder / "manifest.json").exists():
            assert content(folder).items() >= FILES.items()
        if code == 0:
            break
        assert code == KILLED
        assert is_there or content(folder) in ({}, FILES)
    assert number > len(FILES)


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(OSError, match="not empty"):
        create_folder(tmp_path, FILES)
    assert content(tmp_path) == {"letter.txt": b"dear"}
