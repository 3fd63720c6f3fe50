"""`qai`: the commands, and the one place where an error becomes a line and an exit code.

Only typer is imported here, so that `qai --help` is quick; each command imports what it needs.
"""

from __future__ import annotations

import os
import sys
import warnings
from typing import TextIO

import typer

from quantumai.cli import backends, doctor, jobs, ledger, manifest, replay, run, trust
from quantumai.errors import QuantumAIError

INTERRUPTED, BROKEN_PIPE = 130, 141  # what a shell reports for SIGINT and SIGPIPE

app = typer.Typer(
    name="qai",
    help="Run quantum circuits where and how they come out best, and prove it.",
    epilog="Exit codes: 0 all well, 1 our fault, 2 bad input; README.md lists the others.",
    no_args_is_help=True,
    add_completion=False,
    # Typer's pretty output would import Rich, which costs as much as all the rest of the start.
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.command("run")(run.run)
app.add_typer(jobs.app, name="jobs")
app.add_typer(backends.app, name="backends")
app.add_typer(manifest.app, name="manifest")
app.command("replay")(replay.replay)
app.add_typer(ledger.app, name="ledger")
app.add_typer(trust.app, name="trust")
app.command("doctor")(doctor.doctor)


def main(arguments: list[str] | None = None) -> None:
    """Run one command and exit with its code."""
    # One BLAS thread, set before NumPy is imported: the matrices are small, so more threads only
    # burn CPU, and the order of additions, hence the last bits, stays the same on every run.
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    warnings.showwarning = _WarningLines()
    code = _run(arguments)
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        code = _broken_pipe()
    sys.exit(code)


def _run(arguments: list[str] | None) -> int:
    try:
        # Typer turns an interrupt into this code and says nothing.
        code = app(args=arguments, prog_name="qai", standalone_mode=False)
        return _interrupted() if code == INTERRUPTED else int(code or 0)
    except QuantumAIError as error:
        return _fail(str(error), error.hint or "see `qai --help`", error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        return _interrupted()
    except BrokenPipeError:
        return _broken_pipe()
    except Exception as error:
        # Typer's usage errors share no public base class; all of them can format themselves.
        if hasattr(error, "format_message"):
            return _usage_error(error)
        if os.environ.get("QAI_DEBUG") == "1":
            raise
        what = f"internal error: {type(error).__name__}: {error}"
        return _fail(what, "run it again with QAI_DEBUG=1 for the traceback, and report it", 1)


def _usage_error(error: Exception) -> int:
    context = getattr(error, "ctx", None)
    command = context.command_path if context else "qai"
    if type(error).__name__ == "NoArgsIsHelpError":
        print(context.get_help() if context else error)  # noqa: T201
        return 2
    return _fail(error.format_message(), f"see `{command} --help`", 2)  # type: ignore[attr-defined]


def _fail(message: str, hint: str, code: int) -> int:
    """One line for the error and one for the hint, on stderr; stdout stays empty for --json."""
    print("error:", " ".join(message.split()), file=sys.stderr)  # noqa: T201
    print("hint:", " ".join(hint.split()), file=sys.stderr)  # noqa: T201
    return code


def _interrupted() -> int:
    return _fail(
        "interrupted", "a job that was running is marked failed; run it again", INTERRUPTED
    )


def _broken_pipe() -> int:
    # Python would complain once more when it flushes at exit.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    return BROKEN_PIPE


class _WarningLines:
    """Prints the warning about insecure keys once, as one line; libraries' own ones are dropped."""

    def __init__(self) -> None:
        self._seen: set[str] = set()

    def __call__(
        self,
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        text = str(message)
        if category.__name__ == "InsecureKeysWarning" and text not in self._seen:
            self._seen.add(text)
            print("warning:", text, file=sys.stderr)  # noqa: T201
