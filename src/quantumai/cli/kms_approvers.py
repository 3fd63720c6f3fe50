"""`qai kms approvers`: whose post-quantum signatures it takes where two have to agree."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from quantumai.bounded_reading import read_bounded
from quantumai.cli.kms_approval import Approval, ApprovalRequest, Signing
from quantumai.cli.kms_caller import As, opened_keys, two_principals
from quantumai.cli.options import AsJson, group
from quantumai.cli.terminal import show, show_json, table

app = group(
    "Approvers: principals whose post-quantum signatures it takes to destroy or void a key."
)

Name = Annotated[str, typer.Argument(metavar="NAME", help="The principal.")]
_MAX_PEM_BYTES = 2**16


@app.command("add")
def add(
    name: Name,
    public_key: Annotated[
        Path,
        typer.Option(metavar="PEM", help="ML-DSA or SLH-DSA; the private half is theirs alone."),
    ],
    principal: As = None,
    approval: Approval = None,
    approval_request: ApprovalRequest = None,
    as_json: AsJson = False,
) -> None:
    """Enrol a principal's key. Free until two principals have one, then by two of them."""
    import msgspec

    from quantumai.keys.management.enrolment import approver_key
    from quantumai.keys.management.joint_calls import enrolment
    from quantumai.keys.management.records import Caller
    from quantumai.keys.spki import spki_of_pem

    spki_der = spki_of_pem(read_bounded(public_key, _MAX_PEM_BYTES, "the public key"))
    key = approver_key(spki_der)
    signing = Signing(approval, approval_request)
    with opened_keys(principal, approval=signing.signature()) as opened:
        call = enrolment(Caller(opened.caller.tenant, name).principal, key.key_id)
        if signing.write_request(opened.kms.parts, opened.caller, call, as_json):
            return
        with two_principals(
            opened.caller, "approvers", "add", name, "--public-key", str(public_key)
        ):
            made = opened.keys.enroll_approver(name, spki_der)
    if as_json:
        show_json(msgspec.to_builtins(made))
        return
    show(f"{name} approves with {key.algorithm} key {key.key_id}")


@app.command("list")
def list_all(principal: As = None, as_json: AsJson = False) -> None:
    """Who approves, with which keys, and whether signatures are needed."""
    import msgspec

    from quantumai.keys.management.approvers import makes_quorum

    with opened_keys(principal) as opened:
        found = opened.keys.approvers()
    is_needed = makes_quorum(found)
    if as_json:
        rows = [msgspec.to_builtins(approver) for approver in found]
        show_json({"signatures_needed": is_needed, "approvers": rows})
        return
    rows = [(a.principal, a.public_key.algorithm, a.public_key.key_id) for a in found]
    for line in table(("principal", "algorithm", "key id"), rows) if rows else ():
        show(line)
    show(
        "two of them have to sign"
        if is_needed
        else "no signatures are needed until two principals have keys: names are enough"
    )


@app.command("remove")
def remove(
    name: Name,
    key_id: Annotated[str, typer.Option(metavar="ID", help="As `approvers list` shows it.")],
    principal: As = None,
    approval: Approval = None,
    approval_request: ApprovalRequest = None,
    as_json: AsJson = False,
) -> None:
    """Take a key from an approver; two approvers at least stay. By two of them."""
    from quantumai.keys.management.joint_calls import removal

    signing = Signing(approval, approval_request)
    with opened_keys(principal, approval=signing.signature()) as opened:
        call = removal(name, key_id)
        if signing.write_request(opened.kms.parts, opened.caller, call, as_json):
            return
        with two_principals(opened.caller, "approvers", "remove", name, "--key-id", key_id):
            opened.keys.remove_approver(name, key_id)
    if as_json:
        show_json({"principal": name, "key_id": key_id, "removed": True})
        return
    show(f"{name} approves no longer with key {key_id}")
