"""`qai trust`: the keys that an auditor is asked to believe."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from quantumai.cli.options import group
from quantumai.cli.terminal import note
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
) -> None:
    """Print the trust file; its fingerprint, to compare by another way, goes to stderr."""
    from quantumai.crypto_mode import CryptoMode
    from quantumai.services.wiring import open_home

    mode = CryptoMode.parse(least_crypto_mode)
    with open_home() as home:
        trust = home.open_sealer().export_trust(mode)
    if out:
        try:
            out.write_bytes(trust.export())
        except OSError as error:
            raise BadInputError(
                f"cannot write {out}: {error.strerror}", hint="give another --out"
            ) from None
    else:
        sys.stdout.write(trust.export().decode())
    note(f"fingerprint {trust.fingerprint()}")


# With one command alone Typer would drop the group's name.
@app.callback()
def _trust() -> None:
    """Hand out the public keys that an auditor may decide to believe."""
