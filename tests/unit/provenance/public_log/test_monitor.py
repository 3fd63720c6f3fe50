"""The monitor's memory: durable, never backwards, never replaced by what did not hold."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from quantumai.errors import BadInputError, StorageError
from quantumai.provenance.ledger.checkpoint import stated_head
from quantumai.provenance.public_log import monitor as monitor_module
from quantumai.provenance.public_log.monitor import (
    AlarmError,
    AlarmKind,
    Monitor,
    remembered_checkpoint,
)
from quantumai.provenance.public_log.static_files import FolderFiles
from tests.logs import ORIGIN, HandMadeLog, Signing, leaf, new_witness

WITNESS = new_witness("witness.example/1")


@pytest.fixture(scope="module")
def log() -> HandMadeLog:
    return HandMadeLog([leaf("run-manifest", str(i)) for i in range(700)])


def test_it_follows_a_growing_log(log: HandMadeLog, tmp_path: Path) -> None:
    files, state = FolderFiles(tmp_path / "log"), tmp_path / "state"
    monitor = Monitor(log.trust(WITNESS, quorum=1), state)
    former = None
    for size in (1, 2, 255, 256, 257, 600, 600, 700):
        log.write(tmp_path / "log", size, log.checkpoint(size, WITNESS, time=7))
        seen = monitor.look(files)
        assert (seen.head.size, seen.former_size) == (size, former)
        assert seen.witnesses == {WITNESS.name: 7}
        assert state.read_bytes() == (tmp_path / "log" / "checkpoint").read_bytes()
        assert stated_head(remembered_checkpoint(state)).size == size
        former = size


@pytest.mark.parametrize("name", ["tile/entries/001", "tile/entries/002.p/88", "tile/1/000.p/2"])
def test_hidden_or_changed_new_entries_are_an_alarm(
    log: HandMadeLog, tmp_path: Path, name: str
) -> None:
    state = tmp_path / "state"
    log.write(tmp_path / "log", 300)
    Monitor(log.trust(), state).look(FolderFiles(tmp_path / "log"))
    known = state.read_bytes()
    log.write(tmp_path / "log", 600)
    path = tmp_path / "log" / name
    whole = path.read_bytes()
    for damaged in (whole[:9] + b"???" + whole[12:], None):
        path.unlink()
        if damaged is not None:
            path.write_bytes(damaged)
        with pytest.raises(AlarmError) as alarm:
            Monitor(log.trust(), state).look(FolderFiles(tmp_path / "log"))
        assert alarm.value.kind in (AlarmKind.BAD_ENTRIES, AlarmKind.SPLIT_VIEW)
        assert state.read_bytes() == known


def test_another_entry_in_place_of_a_new_one_is_an_alarm(log: HandMadeLog, tmp_path: Path) -> None:
    """A leaf as good as any, which is not the one that was signed."""
    log.write(tmp_path / "log", 300)
    path = tmp_path / "log" / "tile" / "entries" / "001.p" / "44"
    other = path.read_bytes().replace(log.entries[299], leaf("run-manifest", "other"))
    assert other != path.read_bytes()
    path.unlink()
    path.write_bytes(other)
    with pytest.raises(AlarmError) as alarm:
        Monitor(log.trust(), tmp_path / "state").look(FolderFiles(tmp_path / "log"))
    assert alarm.value.kind is AlarmKind.BAD_ENTRIES


def test_a_slow_look_does_not_undo_a_quick_one(log: HandMadeLog, tmp_path: Path) -> None:
    state = tmp_path / "state"
    for size in (300, 600):
        log.write(tmp_path / str(size), size)

    class Slow(FolderFiles):
        def read(self, path: str) -> bytes:
            if path.startswith("tile/entries/001"):  # its last one; the state was read before
                Monitor(log.trust(), state).look(FolderFiles(tmp_path / "600"))
            return super().read(path)

    seen = Monitor(log.trust(), state).look(Slow(tmp_path / "300"))
    assert seen.head.size == 300
    assert stated_head(state.read_bytes()).size == 600


def test_the_state_never_moves_backwards(log: HandMadeLog, tmp_path: Path) -> None:
    """Looks at folders of many sizes at once; each of them alone is a log that holds."""
    state = tmp_path / "state"
    sizes = list(range(20, 260, 20))
    for size in sizes:
        log.write(tmp_path / str(size), size)

    def look(size: int) -> AlarmKind | None:
        try:
            Monitor(log.trust(), state).look(FolderFiles(tmp_path / str(size)))
        except AlarmError as alarm:
            return alarm.kind
        return None

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(look, sizes)) <= {None, AlarmKind.ROLL_BACK}
    assert stated_head(state.read_bytes()).size == sizes[-1]


def test_a_state_that_cannot_be_written_or_believed(
    log: HandMadeLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files, state = FolderFiles(tmp_path / "log"), tmp_path / "state"
    log.write(tmp_path / "log", 5)

    def full(*unused: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(monitor_module, "replace_file", full)
    with pytest.raises(StorageError):
        Monitor(log.trust(), state).look(files)
    monkeypatch.undo()
    assert not state.exists()
    stranger = HandMadeLog(log.entries, Signing(ORIGIN)).checkpoint(3)
    for wrong in (b"", b"hello", log.checkpoint(3)[:-9], stranger):
        state.write_bytes(wrong)
        with pytest.raises(BadInputError, match="state file"):
            Monitor(log.trust(), state).look(files)
        assert state.read_bytes() == wrong
    with pytest.raises(BadInputError, match="no directory"):
        Monitor(log.trust(), tmp_path / "nowhere" / "state").look(files)


def test_a_folder_without_a_log_is_no_alarm(log: HandMadeLog, tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="no log"):
        Monitor(log.trust(), tmp_path / "state").look(FolderFiles(tmp_path))
    with pytest.raises(BadInputError):
        remembered_checkpoint(tmp_path / "none")
    (tmp_path / "text").write_text("hello\n")
    with pytest.raises(BadInputError, match="no checkpoint"):
        remembered_checkpoint(tmp_path / "text")
    (tmp_path / "checkpoint").write_bytes(b"hello")
    with pytest.raises(AlarmError) as alarm:
        Monitor(log.trust(), tmp_path / "state").look(FolderFiles(tmp_path))
    assert alarm.value.kind is AlarmKind.BAD_SIGNATURE
