"""PIN sources: what is refused, and that nothing of a PIN is shown. Tokens are in the contract."""

from __future__ import annotations

import os
import select
import sys
import time
from pathlib import Path

import pytest

from quantumai.errors import BadInputError, KeyUnavailableError
from quantumai.keys.providers.token_pin import PinSource

PIN = "pin-0815-ä"


def _command(program: str) -> str:
    return f"command:{sys.executable} -c '{program}'"


@pytest.mark.parametrize(
    "source", ["", "file:", "env:PIN", "fd:x", "fd:", "command:", "command: ", "command:'a", PIN]
)
def test_unknown_sources_are_refused(source: str, tmp_path: Path) -> None:
    with pytest.raises(BadInputError) as caught:
        PinSource(source, tmp_path)
    assert PIN not in str(caught.value)


def test_the_first_line_of_a_command_is_the_pin(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(f"{PIN}\nsecond line\n")
    source = PinSource("command:cat secret", tmp_path)
    assert source.read() == source.read() == PIN
    assert repr(source) == "PinSource(command:cat)"


def test_a_command_goes_through_no_shell(tmp_path: Path) -> None:
    text = "a;b $HOME `id` *"
    assert PinSource(f"command:echo '{text}'", tmp_path).read() == text


@pytest.mark.parametrize(
    ("program", "says"),
    [
        ("import sys; print(0x5EC2E7); sys.exit(3)", "failed"),
        ("import sys; print(0x5EC2E7, file=sys.stderr); sys.exit(1)", "failed"),
        ("print(str(0x5EC2E7) * 100)", "not 4 to 255 bytes"),
        ("print()", "not 4 to 255 bytes"),
        ("import sys; sys.stdout.buffer.write(bytes([0xff]) * 8)", "not 4 to 255 bytes"),
    ],
)
def test_a_command_that_gives_no_pin_is_said_without_its_output(
    program: str, says: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(KeyUnavailableError, match=says) as caught:
        PinSource(_command(program), tmp_path).read()
    shown = str(caught.value) + caught.value.hint + "".join(capfd.readouterr())
    assert str(0x5EC2E7) not in shown


def test_a_command_that_hangs_is_ended_with_what_it_started(tmp_path: Path) -> None:
    # A shell, since Python may take longer than that to start on a busy machine.
    command = "command:sh -c 'sleep 600 & echo $! > pid; wait'"
    source = PinSource(command, tmp_path, command_s=1.0)
    started = time.monotonic()
    with pytest.raises(KeyUnavailableError, match="no answer in 1 s"):
        source.read()
    assert time.monotonic() - started < 30
    assert _ends(int((tmp_path / "pid").read_text()), within_s=30)


def _ends(process: int, within_s: float) -> bool:
    """A signalled process is gone only when the kernel has run it once more."""
    try:
        descriptor = os.pidfd_open(process)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([descriptor], [], [], within_s)[0])
    finally:
        os.close(descriptor)


def test_a_missing_program_is_said(tmp_path: Path) -> None:
    with pytest.raises(KeyUnavailableError, match="does not run"):
        PinSource("command:/nowhere/pin", tmp_path).read()


def test_a_descriptor_is_read_once_and_closed(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.write(writer, PIN.encode() + b"\n")
    os.close(writer)
    source = PinSource(f"fd:{reader}", tmp_path)
    assert source.read() == source.read() == PIN
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(reader)
