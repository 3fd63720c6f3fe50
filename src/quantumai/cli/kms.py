"""`qai kms`: the token that signs for this home."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from quantumai.cli.options import AsJson, group
from quantumai.cli.terminal import show, show_json

app = group("Keys in a token that they never leave.")
token = group("The PKCS#11 token of this home.")
app.add_typer(token, name="token")


@token.command("init")
def init(
    library: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="PKCS#11 library (default: what `make token` built)."),
    ] = None,
) -> None:
    """Initialise a token for this home, which then signs with it."""
    import os

    from quantumai.services.home_token import FOLDER, init_home_token
    from quantumai.services.wiring import home_root

    root = home_root(os.environ)
    settings = init_home_token(root, library)
    show(f"token    {settings.label}, in {root / FOLDER}")
    show(f"library  {settings.library}")
    show("This home signs with the token from now on.")


@token.command("status")
def status(as_json: AsJson = False) -> None:
    """Say what the token is, what it can do and what validation it has; exit 1 if it is broken."""
    import os
    from dataclasses import asdict

    from quantumai.errors import NotFoundError
    from quantumai.services.home_token import has_token
    from quantumai.services.wiring import home_root, open_token_keys

    root = home_root(os.environ)
    if not has_token(root):
        raise NotFoundError("this home has no token", hint="make one with `qai kms token init`")
    found = open_token_keys(root).status()
    if as_json:
        show_json(asdict(found))
        return
    show(f"token       {found.label} ({found.manufacturer}, {found.model})")
    show(f"library     {found.library}")
    show(f"validation  {found.validation}")
    show("probe       private keys can neither be read nor copied")
    show(f"keys        {found.keys}")
    for name, able in found.capabilities.items():
        show(f"{name:<11} {able}")


# With one command alone Typer would drop the group's name.
@app.callback()
def _kms() -> None:
    """Keys in a token that they never leave."""
