"""`qai trust`: the keys that an auditor is asked to believe."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from quantumai.bounded_reading import shown_path
from quantumai.cli.options import AsJson, group
from quantumai.cli.terminal import note, show, show_json
from quantumai.errors import BadInputError

app = group("Hand out the public keys that an auditor may decide to believe.")


@app.command("export")
def export(
    least_crypto_mode: Annotated[
        str, typer.Option(metavar="MODE", help="The least crypto mode that the auditor accepts.")
    ] = "pqc-required",
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write to a file instead of stdout.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Print the trust file; its fingerprint, to compare by another way, goes to stderr."""
    from quantumai.crypto_mode import CryptoMode
    from quantumai.services.existing_home import open_existing_home

    mode = CryptoMode.parse(least_crypto_mode)
    with open_existing_home() as home:
        trust = home.open_sealer().export_trust(mode)
    if out:
        try:
            out.write_bytes(trust.export())
        except OSError as error:
            raise BadInputError(
                f"cannot write {shown_path(out)}: {error.strerror}", hint="give another --out"
            ) from None
    if as_json:
        printed = {} if out else {"trust_file": json.loads(trust.export())}
        show_json({"fingerprint": trust.fingerprint()} | printed)
        return
    if not out:
        show(trust.export().decode().rstrip("\n"))
    note(f"fingerprint {trust.fingerprint()}")


# With one command alone Typer would drop the group's name.
@app.callback()
def _trust() -> None:
    """Hand out the public keys that an auditor may decide to believe."""
