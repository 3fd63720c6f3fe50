"""`qai ledger`: the append-only log of all that was sealed."""

from __future__ import annotations

import typer

from quantumai.cli.options import AsJson, group
from quantumai.cli.terminal import show, show_json

LEDGER_WRONG = 6

app = group("Check the ledger.")


@app.command("verify")
def verify(as_json: AsJson = False) -> None:
    """Recheck every leaf, root and signature that is stored; exit 6 where one does not hold."""
    from quantumai.errors import EvidenceError
    from quantumai.provenance.checkpoint import TreeHead
    from quantumai.provenance.note import Note
    from quantumai.services.existing_home import open_existing_home

    size, origin, root = 0, "", ""
    with open_existing_home() as home:
        try:
            sealer = home.look_at_sealer() or home.open_sealer()
            ledger, problems = sealer.ledger, sealer.verify_ledger()
            head = TreeHead.parse(Note.parse(ledger.checkpoint()).text)
            size, origin, root = head.size, head.origin, head.root.hex()
        except EvidenceError as error:
            # A ledger that is too damaged to be opened is a finding, not a fault of ours.
            problems = [str(error)]
    if as_json:
        found = {"ok": not problems, "origin": origin, "size": size, "root": root}
        show_json(found | {"problems": problems})
    else:
        for problem in problems:
            show(f"FAILED  {problem}")
        show(f"origin  {origin}\nsize    {size} leaves\nroot    {root}")
        show("NOT ok" if problems else "ok: every commit, root, signature and tile holds")
    raise typer.Exit(LEDGER_WRONG if problems else 0)


# With one command alone Typer would drop the group's name.
@app.callback()
def _ledger() -> None:
    """Check the ledger."""
