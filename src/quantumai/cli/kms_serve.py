"""`qai kms serve` and `qai kms principals`: the KMS of this home over HTTP, and who may call it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from quantumai.cli.options import group
from quantumai.cli.terminal import show
from quantumai.errors import BadInputError, NotFoundError

principals = group("Who may call the key service of this home.")

TOKENS_FILE = "kms-tokens.toml"
_TOKENS = typer.Option(metavar="FILE", help=f"Tokens file (default: {TOKENS_FILE} in the home).")


def serve(
    host: Annotated[
        str, typer.Option(metavar="ADDRESS", help="A loopback address: there is no TLS yet.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(metavar="P", min=0, max=65535, help="0 lets the system choose.")
    ] = 8443,
    tokens: Annotated[Path | None, _TOKENS] = None,
) -> None:
    """Serve the keys of this home over HTTP until interrupted.

    Every minute it destroys what is due, and anchors the audit log in the run ledger.
    """
    import os
    import sys

    from quantumai.services.wiring import home_root, open_home

    path = tokens or home_root(os.environ) / TOKENS_FILE
    if not path.exists():
        raise NotFoundError(
            "nobody may call the service yet", hint="add somebody: `qai kms principals add NAME`"
        )
    try:
        from quantumai.services.kms.app import create_app, service_of
    except ModuleNotFoundError as error:
        raise BadInputError(
            f"the key service is not installed: {error.name} is missing",
            hint="pip install 'quantumai[services]'",
        ) from None
    from quantumai.services.kms.principals import read_principals
    from quantumai.services.kms.server import listen, make_server
    from quantumai.services.kms.upkeep import running_upkeep

    known = read_principals(path)
    with listen(host, port) as listener, open_home() as home:
        service = service_of(home.open_kms(), known)
        service.check()
        server = make_server(create_app(service))
        address, chosen = listener.getsockname()[:2]
        shown = f"[{address}]" if ":" in address else address
        show(f"serving {home.root} on http://{shown}:{chosen} for {len(known.entries)} tokens")
        sys.stdout.flush()  # whoever started the service waits for this line
        try:
            with running_upkeep(home):
                server.run([listener])
        except KeyboardInterrupt:
            show("stopped")


@principals.command("add")
def add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Such as alice or ci@example.org.")],
    tenant: Annotated[str, typer.Option(metavar="T", help="Whose keys they are.")] = "local",
    tokens: Annotated[Path | None, _TOKENS] = None,
) -> None:
    """Make a token for somebody and print it, this once; the service knows it after a restart."""
    import os

    from quantumai.services.kms.principals import add_principal
    from quantumai.services.wiring import home_root

    show(add_principal(tokens or home_root(os.environ) / TOKENS_FILE, tenant, name))
