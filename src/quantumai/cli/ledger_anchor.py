"""`qai ledger anchor`: put the ledger's head under a hash-based signature; for a nightly timer."""

from __future__ import annotations

from quantumai.cli.options import AsJson
from quantumai.cli.terminal import show, show_json


def anchor(as_json: AsJson = False) -> None:
    """Sign the newest checkpoint with SLH-DSA and log that; nothing new, nothing done."""
    from quantumai.provenance.sealing.ledger_anchor import anchor_ledger
    from quantumai.services.existing_home import open_existing_home

    with open_existing_home() as home:
        made = anchor_ledger(home.open_sealer(), home.desk(recovers=False).now())
    if made is None:
        if as_json:
            show_json({"anchored": False})
        else:
            show("nothing new since the last anchor")
        return
    anchor, index = made
    if as_json:
        found: dict[str, object] = {"size": anchor.size, "root": anchor.root, "leaf_index": index}
        show_json({"anchored": True, **found})
        return
    show(f"anchored {anchor.size} leaves under SLH-DSA, root {anchor.root}")
    show(f"the anchor is leaf {index}")
