"""`qai witness`: be a witness of other people's logs, and list those that cosign this home's."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from quantumai.cli.options import AsJson, group
from quantumai.cli.terminal import show, show_json
from quantumai.errors import BadInputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from quantumai.provenance.ledger.note import VerifierKey
    from quantumai.services.home_witnesses import HomeWitnesses

app = group("Be a witness of logs, or list the witnesses of this home's ledger.")

_Store = Annotated[
    Path, typer.Option(metavar="DIR", help="The witness's own folder: name, keys, memory.")
]


@app.command("init")
def init(
    store: _Store,
    name: Annotated[
        str,
        typer.Option(metavar="NAME", help="Such as example.org/witness. Default: from its key."),
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Make a witness: a name for good, an Ed25519 and an ML-DSA-44 key; print its verifier keys."""
    import os

    from quantumai.services.witness.store import init_store

    _show_keys(init_store(store, name, os.environ).cosigner.verifier_keys(), as_json)


@app.command("key")
def key(store: _Store, as_json: AsJson = False) -> None:
    """Print the witness's verifier keys, for the operators and the verifiers of logs."""
    import os

    from quantumai.services.witness.store import open_store

    _show_keys(open_store(store, os.environ).cosigner.verifier_keys(), as_json)


@app.command("serve")
def serve(
    store: _Store,
    log: Annotated[
        list[str],
        typer.Option(
            metavar="VKEY[@ORIGIN]",
            help="A log to cosign, by a key of it; for a post-quantum one give only its ML-DSA-44 "
            "key, as any one listed key suffices. Repeatable.",
        ),
    ],
    listen: Annotated[
        str, typer.Option(metavar="HOST:PORT", help="A loopback address; port 0: any free one.")
    ] = "127.0.0.1:7380",
) -> None:
    """Cosign checkpoints by C2SP tlog-witness until interrupted; put TLS in front of it."""
    import os
    import sys

    from quantumai.services.witness.store import log_keys, open_store

    try:
        from quantumai.services.kms.server import make_server
        from quantumai.services.witness.app import create_app
    except ModuleNotFoundError as error:
        raise BadInputError(
            f"the witness service is not installed: {error.name} is missing",
            hint="pip install 'quantumai[services]'",
        ) from None
    from quantumai.services.kms.server import listen as open_listener

    logs = log_keys(log)
    witness = open_store(store, os.environ).witness(logs)
    host, port = _address(listen)
    with open_listener(host, port) as listener:
        server = make_server(create_app(witness))
        address, chosen = listener.getsockname()[:2]
        shown = f"[{address}]" if ":" in address else address
        show(f"witnessing {len(logs)} logs on http://{shown}:{chosen}")
        sys.stdout.flush()  # whoever started the service waits for this line
        try:
            server.run([listener])
        except KeyboardInterrupt:
            show("stopped")


@app.command("add")
def add(
    url: Annotated[str, typer.Argument(metavar="URL", help="The witness's submission prefix.")],
    vkey: Annotated[list[str], typer.Argument(metavar="VKEY...", help="Its verifier keys.")],
    quorum: Annotated[
        int | None,
        typer.Option(metavar="N", min=0, help="How many must cosign. Default: more than half."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List a witness of this home's ledger, or further keys of one."""
    from quantumai.provenance.ledger.note import VerifierKey
    from quantumai.services.home_witnesses import add_witness
    from quantumai.services.wiring import home_root

    keys = tuple(VerifierKey.parse(text) for text in vkey)
    _require_others(keys)
    _show_witnesses(add_witness(home_root(), url, keys, quorum), as_json)


@app.command("remove")
def remove(
    name: Annotated[str, typer.Argument(metavar="NAME", help="As `qai witness list` shows it.")],
    as_json: AsJson = False,
) -> None:
    """Take a witness off the list; what it cosigned stays."""
    from quantumai.services.home_witnesses import remove_witness
    from quantumai.services.wiring import home_root

    _show_witnesses(remove_witness(home_root(), name), as_json)


@app.command("list")
def list_witnesses(as_json: AsJson = False) -> None:
    """Show the witnesses of this home's ledger and their quorum."""
    from quantumai.services.home_witnesses import home_witnesses
    from quantumai.services.wiring import home_root

    _show_witnesses(home_witnesses(home_root()), as_json)


def _require_others(keys: tuple[VerifierKey, ...]) -> None:
    """Raise `BadInputError` for a key of this home's own ledger, if it has one yet."""
    from quantumai.provenance.public_log.cosigning import require_others
    from quantumai.services.existing_home import home_exists, open_existing_home
    from quantumai.services.wiring import home_root

    if home_exists(home_root()):
        with open_existing_home() as home:
            if sealer := home.look_at_sealer():
                require_others(sealer.ledger, keys)


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not port.isascii() or not port.isdecimal() or len(port) > 5 or int(port) > 65535:
        raise BadInputError(f"not an address: {text[:60]!r}", hint="such as 127.0.0.1:7380")
    return host, int(port)


def _show_keys(keys: Sequence[VerifierKey], as_json: bool) -> None:
    if as_json:
        texts = [each.text for each in keys]
        show_json({"name": keys[0].name, "verifier_keys": texts})
        return
    for each in keys:
        show(each.text)


def _show_witnesses(known: HomeWitnesses, as_json: bool) -> None:
    if as_json:
        listed = [
            {"name": w.name, "url": w.url, "verifier_keys": [k.text for k in w.keys]}
            for w in known.witnesses
        ]
        show_json({"quorum": known.quorum, "witnesses": listed})
        return
    for witness in known.witnesses:
        kinds = ", ".join(each.algorithm for each in witness.keys)
        show(f"{witness.name}  {witness.url}  {kinds}")
    show(f"quorum {known.quorum} of {len(known.witnesses)}")
