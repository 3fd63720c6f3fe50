"""`qai ledger watch`: a monitor that remembers, and alarms."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from quantumai.cli.auditors_files import trust_file
from quantumai.cli.options import AsJson
from quantumai.cli.terminal import note, show, show_json
from quantumai.errors import QuantumAIError

if TYPE_CHECKING:
    from quantumai.provenance.public_log.monitor import Monitor, Observation
    from quantumai.provenance.public_log.static_files import StaticFiles


def watch(
    trust: Annotated[Path, typer.Option(metavar="FILE", help="The trust file.")],
    state: Annotated[
        Path,
        typer.Option(
            metavar="FILE", help="Where the last checkpoint is remembered; made at first."
        ),
    ],
    from_: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="DIR|URL",
            help="The log's static files, in a folder or on a server. Default: this home's ledger.",
        ),
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="Look once and end.")] = False,
    interval: Annotated[
        float, typer.Option(metavar="S", min=1, help="Seconds between two looks.")
    ] = 300.0,
    as_json: AsJson = False,
) -> None:
    """Watch a log: its signatures, and that it only grows. An alarm ends it with exit 6.

    What was remembered stays as it was at an alarm. A log that cannot be read now is said, and
    looked at again at the next turn.
    """
    import threading

    from quantumai.provenance.public_log.monitor import Monitor
    from quantumai.provenance.public_log.static_files import StoredFiles
    from quantumai.services.existing_home import open_existing_home
    from quantumai.services.log_files import open_log_files

    monitor = Monitor(trust_file(trust), state)
    home = nullcontext() if from_ is not None else open_existing_home()
    with home as opened:
        files = StoredFiles(opened.objects) if opened else open_log_files(from_ or "")
        try:
            while _look(monitor, files, as_json, may_wait=not once):
                threading.Event().wait(interval)
        except KeyboardInterrupt:
            note("stopped")


def _look(monitor: Monitor, files: StaticFiles, as_json: bool, *, may_wait: bool) -> bool:
    """One look; whether there is to be another one."""
    try:
        seen = monitor.look(files)
    except QuantumAIError as error:
        if not (error.retryable and may_wait):
            raise
        note(f"nothing was seen this time: {error}")
        return True
    _show(seen, as_json)
    return may_wait


def _show(seen: Observation, as_json: bool) -> None:
    from quantumai.provenance.ledger.cosignatures import voices_in_words

    is_fresh = bool(seen.witnesses) or seen.former_size is not None
    if as_json:
        found = {"origin": seen.head.origin, "size": seen.head.size, "root": seen.head.root.hex()}
        more = {"former_size": seen.former_size, "witnesses": dict(sorted(seen.witnesses.items()))}
        show_json(found | more | {"freshness": "ok" if is_fresh else "not-checked"})
        return
    former = seen.former_size
    grown = "seen for the first time" if former is None else f"{seen.head.size - former} new"
    show(f"ok: {seen.head.size} leaves, {grown}")
    if seen.witnesses:
        show(f"freshness: ok (cosigned by {voices_in_words(seen.witnesses)})")
    elif former is not None:
        show(f"freshness: ok (consistent with the {former} leaves seen before)")
    else:
        show("freshness: not checked (nothing was remembered, and no witness cosigned)")
