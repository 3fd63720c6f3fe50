"""`qai verify-all`: does everything in this home hold?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from quantumai.cli.auditors_files import read_evidence, trust_file
from quantumai.cli.options import AsJson
from quantumai.cli.terminal import show, show_json, visible

_EVIDENCE_WRONG = 3


def verify_all(
    trust: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A trust file that was kept outside of the home."),
    ] = None,
    remembered: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A checkpoint that you kept: is this the same ledger?"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Recheck the whole home: ledger, keys, audit log, objects, jobs, rows; exit 3 if one is wrong.

    Without a trust file from elsewhere a home can only agree with itself, and without a checkpoint
    an older copy of the whole home looks just like it.
    """
    from quantumai.services.verify_all import verify_home

    trusted = trust_file(trust) if trust else None
    kept = read_evidence(remembered, "the checkpoint") if remembered else None
    parts = verify_home(trust=trusted, remembered=kept)
    wrong = any(part.problems for part in parts)
    if as_json:
        listed = [
            {"name": p.name, "looked_at": p.looked_at, "problems": list(p.problems)} for p in parts
        ]
        show_json({"ok": not wrong, "trust": trusted is not None, "parts": listed})
    else:
        for part in parts:
            show(f"{'FAILED' if part.problems else 'ok':<7}  {part.name:<9}  {part.looked_at}")
            for problem in part.problems:
                show(f"         {visible(problem)}")
        show("NOT ok" if wrong else "ok: everything in this home holds")
    raise typer.Exit(_EVIDENCE_WRONG if wrong else 0)
