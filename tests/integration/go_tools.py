"""The Go programs of `ledger_go`, which read and write logs with other people's libraries."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from tests.servers import go_build

LEDGER_GO = Path(__file__).parent / "ledger_go"


class RefusedError(Exception):
    """A Go program said that something does not hold."""


def check(form: str, *arguments: object, given: bytes = b"") -> Any:
    """What `check` found, as JSON data. Raises `RefusedError` with its reason."""
    program = go_build(LEDGER_GO, "./check")
    done = subprocess.run(
        [program, form, *map(str, arguments)], input=given, capture_output=True, timeout=300
    )
    if done.returncode:
        assert done.returncode == 1, done.stderr.decode()
        raise RefusedError(done.stderr.decode().strip())
    return json.loads(done.stdout)


def make_log(
    folder: Path, sizes: tuple[int, ...], entries: list[bytes], *options: object
) -> dict[str, str]:
    """Let Tessera write a log of `entries`; its verifier keys by name."""
    lines = b"\n".join(entries) + b"\n"
    _makelog("-dir", folder, "-sizes", ",".join(map(str, sizes)), *options, given=lines)
    keys: dict[str, str] = json.loads((folder / "vkeys.json").read_text())
    return keys


def make_log_key(file: Path) -> str:
    """A key for `make_log(..., "-key", file)`; its vkey."""
    return _makelog("-new-key", file)


def _makelog(*arguments: object, given: bytes = b"") -> str:
    done = subprocess.run(
        [go_build(LEDGER_GO, "./makelog"), *map(str, arguments)],
        input=given, capture_output=True, timeout=300,
    )  # fmt: skip
    if done.returncode:
        raise RefusedError(done.stderr.decode().strip())
    return done.stdout.decode().strip()
