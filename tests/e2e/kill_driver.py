"""Runs one job again and again in forked children, killed by SIGKILL before the k-th write.

    kill_driver.py BASE_HOME CIRCUIT FOLDER STEP

Each child works on a copy of BASE_HOME (which need not exist) at FOLDER/<k> and dies before its
k-th storage call, for every STEP-th k, until one lives through. Storage calls are those that make
something durable: the rows that the database writes, and each sync, link and rename of a file.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import qiskit.qasm2  # noqa: F401 - imported once here and not in every child

import quantumai.jobs.replay
import quantumai.jobs.run_job
import quantumai.sdk.client  # noqa: F401
from quantumai.storage.sql_database import SqlDatabase

_FILE_CALLS = ("open", "write", "fsync", "link", "rename", "replace", "unlink", "mkdir")
_ROW_CALLS = ("insert", "upsert", "update")


def kill_before(number: int) -> None:
    """From now on this process dies just before its storage call `number`."""
    calls = count(1)

    def counted(call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapper(*arguments: Any, **named: Any) -> Any:
            if next(calls) == number:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*arguments, **named)

        return wrapper

    for name in _FILE_CALLS:
        setattr(os, name, counted(getattr(os, name)))
    for name in _ROW_CALLS:
        setattr(SqlDatabase, name, counted(getattr(SqlDatabase, name)))


def child(home: Path, circuit: Path, number: int) -> None:
    from quantumai.sdk.client import run

    kill_before(number)
    run(circuit, ["ZZIIII"], shots=100, em="none", home=home, seed="kill")


def drive(base: Path, circuit: Path, folder: Path, step: int) -> None:
    for number in count(1, step):
        home = folder / f"{number:04d}"
        if base.exists():
            shutil.copytree(base, home)
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                child(home, circuit, number)
                code = 0
            finally:
                os._exit(code)
        _, status = os.waitpid(pid, 0)
        if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
            continue
        sys.exit(os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    drive(*map(Path, sys.argv[1:4]), int(sys.argv[4]))
