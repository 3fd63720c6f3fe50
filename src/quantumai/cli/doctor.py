"""`qai doctor`: what is installed and works, and what to do about the rest."""

from __future__ import annotations

import os

import typer

from quantumai.cli.options import AsJson
from quantumai.cli.terminal import show, show_json, table, visible


def doctor(as_json: AsJson = False) -> None:
    """Look at everything; exit 1 if something is broken. Optional parts may be absent."""
    from dataclasses import asdict

    from quantumai.services.doctor import State, examine

    findings = examine(os.environ)
    broken = [finding for finding in findings if finding.state is State.BROKEN]
    if as_json:
        show_json({"ok": not broken, "findings": [asdict(finding) for finding in findings]})
    else:
        rows = [
            (f.subject, str(f.state), visible(f.detail) + (f". Do: {f.advice}" if f.advice else ""))
            for f in findings
        ]
        for line in table(("part", "state", "detail"), rows):
            show(line)
        show(f"\n{len(broken)} broken" if broken else "\nall well")
    raise typer.Exit(1 if broken else 0)
