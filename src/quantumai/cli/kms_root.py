"""`qai kms root`: the SLH-DSA key that vouches for a new key when the present one is void."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from quantumai.cli.kms_approval import Approval, ApprovalRequest, Signing
from quantumai.cli.kms_caller import As, KeyName, opened_keys
from quantumai.cli.options import AsJson, group
from quantumai.cli.terminal import show, show_json
from quantumai.errors import ApprovalNeededError

app = group("The root: an SLH-DSA key in a token of its own, normally off line.")

Folder = Annotated[
    Path, typer.Argument(metavar="FOLDER", help="Of the root's token, such as on a removable disk.")
]


@app.command("init")
def init(
    folder: Folder,
    library: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="PKCS#11 library (default: what `make token` built)."),
    ] = None,
    pin: Annotated[
        str,
        typer.Option(
            metavar="SOURCE",
            help="Where the PIN comes from, now and later: file:PATH, fd:NUMBER or command:LINE, "
            "never the PIN itself. Without it the PIN lies in FOLDER: who has FOLDER has the root.",
        ),
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Make the root in a new token in FOLDER; the home notes its public half, once for ever.

    If it was interrupted, run it again: it goes on with the token and the root that are in FOLDER.
    """
    from quantumai.services.home_root import init_root
    from quantumai.services.wiring import home_root, open_home

    public = init_root(home_root(), folder, library, pin)
    with open_home() as home:
        home.open_sealer().announce_root(public)
    if as_json:
        show_json({"key_id": public.key_id, "algorithm": public.algorithm, "folder": str(folder)})
        return
    show(f"root    {public.algorithm} key {public.key_id}")
    show(f"folder  {folder}")
    show("Take the folder away from this machine: it is needed in an emergency only.")


@app.command("show")
def show_root(as_json: AsJson = False) -> None:
    """Show the root's public key."""
    from quantumai.keys.spki import pem_of_spki
    from quantumai.services.home_root import root_public_key
    from quantumai.services.wiring import home_root

    public = root_public_key(home_root())
    pem = pem_of_spki(public.spki_der)
    if as_json:
        show_json({"key_id": public.key_id, "algorithm": public.algorithm, "public_key": pem})
        return
    show(f"root    {public.algorithm} key {public.key_id}")
    show(pem.rstrip())


@app.command("emergency-rotate")
def emergency_rotate(
    name: KeyName,
    root: Annotated[
        Path, typer.Option("--root", metavar="FOLDER", help="Folder of the root's token.")
    ],
    from_index: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=2**53 - 1,
            metavar="N",
            help="Ledger leaf from which signatures are void (default: from now on).",
        ),
    ] = None,
    principal: As = None,
    approval: Approval = None,
    approval_request: ApprovalRequest = None,
    as_json: AsJson = False,
) -> None:
    """Void the active versions of a key, and let the root vouch for a new one. Two principals."""
    from quantumai.keys.management.joint_calls import emergency_rotation
    from quantumai.keys.management.root import emergency_rotate as rotate
    from quantumai.services.home_root import open_root

    signing = Signing(approval, approval_request)
    with opened_keys(principal, approval=signing.signature()) as opened:
        if signing.request:
            opened.require_version(name)
        asked = emergency_rotation(name, from_index)
        if signing.write_request(opened.kms.parts, opened.caller, asked, as_json):
            return
        key = open_root(opened.home.root, root)
        try:
            made = rotate(opened.kms.parts, opened.caller, key, name, from_index)
        except ApprovalNeededError as error:
            raise ApprovalNeededError(
                str(error), hint="within 24 hours another principal runs the same with --as OTHER"
            ) from None
        # Again, if the first time was interrupted: who vouches has to be known before it counts.
        opened.home.open_sealer().announce_root(key.public)
        opened.tell_ledger(made)
    if as_json:
        show_json({"name": made.name, "version": made.version, "key_id": made.key_id})
        return
    show(f"key {made.label} follows, vouched for by the root; the versions before are void")
    show("Give auditors a new trust file: qai trust export")
