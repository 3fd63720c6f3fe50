"""`qai`: the commands, and the one place where an error becomes a line and an exit code.

Only typer is imported here, so that `qai --help` is quick; each command imports what it needs.
"""

from __future__ import annotations

import os
import re
import sys
import warnings
from collections.abc import Callable, Mapping
from typing import Annotated, TextIO

import typer

from quantumai.cli import (
    backends,
    counter_sign,
    doctor,
    em,
    jobs,
    kms,
    ledger,
    ledger_anchor,
    ledger_attest,
    manifest,
    objects,
    replay,
    run,
    trust,
    verify_all,
    witness,
)
from quantumai.cli.terminal import (
    OutputError,
    ReaderGoneError,
    prepare_streams,
    print_line,
    show,
    unwritable,
)
from quantumai.errors import QuantumAIError, StorageError

_QUOTED = re.compile(r"('[^']{60})[^']+'")
INTERRUPTED, BROKEN_PIPE = 130, 141  # what a shell reports for SIGINT and SIGPIPE

manifest.app.command("counter-sign")(counter_sign.counter_sign)
ledger.app.command("anchor")(ledger_anchor.anchor)
ledger.app.command("attest")(ledger_attest.attest)
ledger.app.command("check-attestation")(ledger_attest.check_attestation)
_COMMANDS: Mapping[str, Callable[..., None]] = {
    "run": run.run,
    "replay": replay.replay,
    "verify-all": verify_all.verify_all,
    "doctor": doctor.doctor,
}
_GROUPS: Mapping[str, typer.Typer] = {
    "jobs": jobs.app,
    "backends": backends.app,
    "manifest": manifest.app,
    "ledger": ledger.app,
    "trust": trust.app,
    "witness": witness.app,
    "kms": kms.app,
    "objects": objects.app,
    "em": em.app,
}


def _version(wanted: bool) -> None:
    if not wanted:
        return
    from importlib import metadata

    try:
        show(f"qai {metadata.version('quantumai')}")
    except metadata.PackageNotFoundError:
        show("qai, run from source")
    raise typer.Exit(0)


def _options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """Options that stand before a command."""


def command_line(first_word: str = "") -> typer.Typer:
    """All of `qai`, or only the command that is asked for: Typer takes long to build them all."""
    app = typer.Typer(
        name="qai",
        help="Run quantum circuits where and how they come out best, and prove it.",
        epilog="Exit codes: 0 all well, 1 our fault, 2 bad input; README.md lists the others.",
        no_args_is_help=True,
        add_completion=False,
        # Typer's pretty output would import Rich, which costs as much as the rest of the start.
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
    )
    app.callback()(_options)
    known = first_word in _COMMANDS or first_word in _GROUPS
    for name, command in _COMMANDS.items():
        if not known or name == first_word:
            app.command(name)(command)
    for name, group in _GROUPS.items():
        if not known or name == first_word:
            app.add_typer(group, name=name)
    return app


def main(arguments: list[str] | None = None) -> None:
    """Run one command and exit with its code."""
    # One BLAS thread, set before NumPy is imported: the matrices are small, so more threads only
    # burn CPU, and the order of additions, hence the last bits, stays the same on every run.
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    warnings.showwarning = _WarningLines()
    prepare_streams()
    if getattr(sys, "stdout", None) is None:
        # The next file that is opened would get its descriptor, and our output with it.
        sys.exit(_fail("stdout is closed", "send it to /dev/null instead; nothing was done", 2))
    code = _run(arguments)
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        code = _broken_pipe()
    except OSError as error:
        code = _full(unwritable(error))
    sys.exit(code)


def _run(arguments: list[str] | None) -> int:
    words = sys.argv[1:] if arguments is None else arguments
    try:
        # Typer turns an interrupt into this code and says nothing.
        app = command_line(words[0] if words else "")
        code = app(args=words, prog_name="qai", standalone_mode=False)
        return _interrupted() if code == INTERRUPTED else int(code or 0)
    except OutputError as error:
        return _full(error)
    except QuantumAIError as error:
        return _fail(str(error), error.hint or _hint(error, words), error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        return _interrupted()
    except (BrokenPipeError, ReaderGoneError):
        return _broken_pipe()
    except Exception as error:
        # Typer's usage errors share no public base class; all of them can format themselves.
        if hasattr(error, "format_message"):
            return _usage_error(error)
        if os.environ.get("QAI_DEBUG") == "1":
            raise
        what = f"internal error: {type(error).__name__}: {error}"
        return _fail(what, "run it again with QAI_DEBUG=1 for the traceback, and report it", 1)


def _hint(error: QuantumAIError, words: list[str]) -> str:
    if isinstance(error, StorageError):
        return "see that the disk has room and that its files may be used; then run it again"
    return f"see `{' '.join(_command_of(words))} --help`"


def _command_of(words: list[str]) -> list[str]:
    """The words of the command line that name the command."""
    named = ["qai"]
    group: typer.Typer | None = None
    for word in words:
        known: dict[str | None, typer.Typer | None] = {}
        if len(named) == 1:
            known |= dict.fromkeys(_COMMANDS)
            known |= dict(_GROUPS.items())
        elif group is not None:
            known |= dict.fromkeys(command.name for command in group.registered_commands)
            known |= {inner.name: inner.typer_instance for inner in group.registered_groups}
        if word not in known:
            break
        named.append(word)
        group = known[word]
    return named


def _usage_error(error: Exception) -> int:
    context = getattr(error, "ctx", None)
    command = context.command_path if context else "qai"
    if type(error).__name__ == "NoArgsIsHelpError":
        print(context.get_help() if context else error)  # noqa: T201
        return 2
    message = _QUOTED.sub(r"\1...'", error.format_message())  # type: ignore[attr-defined]
    return _fail(message, f"see `{command} --help`", 2)


def _fail(message: str, hint: str, code: int) -> int:
    """One line for the error and one for the hint, on stderr; stdout stays empty for --json."""
    print_line(f"error: {message}")
    print_line(f"hint: {hint}")
    return code


def _interrupted() -> int:
    return _fail(
        "interrupted", "a job that was running is marked failed; run it again", INTERRUPTED
    )


def _broken_pipe() -> int:
    _drop_stdout()
    return BROKEN_PIPE


def _full(error: OutputError) -> int:
    _drop_stdout()
    return _fail(str(error), error.hint, error.exit_code)


def _drop_stdout() -> None:
    # Python would complain once more when it flushes at exit.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


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
            print_line(f"warning: {text}")
