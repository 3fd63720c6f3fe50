"""`qai trust`: the keys that an auditor is asked to believe."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from quantumai.cli.auditors_files import trust_file
from quantumai.cli.options import AsJson, group
from quantumai.cli.output_file import require_writable, write_file
from quantumai.cli.terminal import note, show, show_bytes, show_json
from quantumai.errors import BadInputError

if TYPE_CHECKING:
    from quantumai.crypto_mode import CryptoMode

app = group("Hand out the public keys that an auditor may decide to believe.")


@app.command("export")
def export(
    least_crypto_mode: Annotated[
        str, typer.Option(metavar="MODE", help="The least crypto mode that the auditor accepts.")
    ] = "pqc-required",
    tenant: Annotated[
        list[str] | None,
        typer.Option(metavar="TENANT=MODE", help="A stricter mode for a tenant. Repeatable."),
    ] = None,
    quorum: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="How many of the home's witnesses must have cosigned. Default: none."
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write to a file instead of stdout.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Print the trust file; its fingerprint, to compare by another way, goes to stderr."""
    from quantumai.crypto_mode import CryptoMode
    from quantumai.services.existing_home import open_existing_home
    from quantumai.services.home_witnesses import home_witnesses

    mode = CryptoMode.parse(least_crypto_mode)
    if out:
        require_writable(out, "the trust file")
    tenants = dict(_tenant_mode(text) for text in tenant or ())
    with open_existing_home() as home:
        witnesses = home_witnesses(home.root).trust(quorum or 0)
        trust = home.open_sealer().export_trust(mode, witnesses=witnesses, tenants=tenants)
    if out:
        write_file(out, trust.export(), "the trust file")
    if as_json:
        printed = {} if out else {"trust_file": json.loads(trust.export())}
        show_json({"fingerprint": trust.fingerprint()} | printed)
        return
    if not out:
        show_bytes(trust.export())
    note(f"fingerprint {trust.fingerprint()}")


@app.command("show")
def show_trust(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A trust file.")],
    as_json: AsJson = False,
) -> None:
    """What a trust file says, and its fingerprint; no home is needed."""
    trust = trust_file(file)
    if as_json:
        show_json({"fingerprint": trust.fingerprint(), "trust_file": json.loads(trust.export())})
        return
    show(f"fingerprint  {trust.fingerprint()}")
    show(f"least mode   {trust.least_crypto_mode}")
    for name, mode in sorted(trust.tenants.items()):
        show(f"tenant       {name}: {mode}")
    show(f"ledger       {trust.ledger.origin}")
    ledger_keys, witnesses = trust.ledger.keys(), trust.witnesses.keys()
    for key in ledger_keys:
        show(f"             {key.algorithm} {key.key_id.hex()}")
    show(f"root         {trust.root.algorithm + ' ' + trust.root.key_id if trust.root else 'none'}")
    for public in trust.authority_keys:
        show(f"authority    {public.algorithm} {public.key_id}")
    for window in trust.statement_keys:
        until = "" if window.valid_until_index is None else str(window.valid_until_index)
        leaves = f"leaves [{window.valid_from_index}, {until})"
        show(f"statements   {window.algorithm} {window.key_id} {leaves}")
    for witness in witnesses:
        show(f"witness      {witness.name} {witness.algorithm}")
    show(f"quorum       {trust.witnesses.quorum or 'none: freshness is not checked'}")


def _tenant_mode(text: str) -> tuple[str, CryptoMode]:
    from quantumai.crypto_mode import CryptoMode
    from quantumai.jobs.object_names import check_tenant

    name, found, mode = text.partition("=")
    if not found or not name:
        raise BadInputError(f"not TENANT=MODE: {text[:80]!r}", hint="such as acme=pqc-required")
    return check_tenant(name), CryptoMode.parse(mode)
