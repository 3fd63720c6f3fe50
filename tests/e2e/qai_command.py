"""Running `qai` in this process, which spares a test the seconds of a fresh interpreter."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import warnings
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

from quantumai.cli.main import main

ROOT = Path(__file__).parents[2]
TFIM = ROOT / "examples" / "tfim_6q.qasm"


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def qai(*arguments: object, home: Path | None) -> Ended:
    """Run `qai` in process; without a home, QAI_HOME is unset."""
    out, err = io.StringIO(), io.StringIO()
    environment = {} if home is None else {"QAI_HOME": str(home)}
    code: object = None
    with (
        warnings.catch_warnings(),
        patch.dict(os.environ, environment),
        redirect_stdout(out),
        redirect_stderr(err),
    ):
        if home is None:
            os.environ.pop("QAI_HOME", None)
        try:
            main([str(argument) for argument in arguments])
        except SystemExit as stop:
            code = stop.code
    assert isinstance(code, int)
    return Ended(code, out.getvalue(), err.getvalue())


def qai_process(*arguments: object, environment: dict[str, str]) -> Ended:
    """Run `qai` as a process of its own, with nothing in its environment but what is given."""
    command = [sys.executable, "-c", "from quantumai.cli.main import main; main()"]
    done = subprocess.run(
        [*command, *map(str, arguments)],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT / "src")} | environment,
        capture_output=True,
        text=True,
        timeout=120,
        stdin=subprocess.DEVNULL,
    )
    return Ended(done.returncode, done.stdout, done.stderr)
