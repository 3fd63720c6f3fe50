"""`qai kms keys rotate`, `retire`, `disable` and the other turns in the life of a key."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from quantumai.cli.kms_approval import Approval, ApprovalRequest, Signing
from quantumai.cli.kms_caller import (
    As,
    IdempotencyKey,
    KeyName,
    Version,
    opened_keys,
    two_principals,
)
from quantumai.cli.kms_keys import show_key
from quantumai.cli.options import AsJson
from quantumai.cli.terminal import show, show_json
from quantumai.errors import BadInputError

if TYPE_CHECKING:
    from quantumai.cli.kms_caller import OpenedKeys
    from quantumai.keys.management.joint_calls import JointCall
    from quantumai.keys.management.records import KeyVersion


def rotate(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="The key's name; none with --due.")
    ] = None,
    due: Annotated[
        bool, typer.Option("--due", help="Every key that its policy says is due.")
    ] = False,
    provider: Annotated[
        str, typer.Option(metavar="P", help="Make the next version in another provider.")
    ] = "",
    overlap: Annotated[
        bool,
        typer.Option("--overlap", help="Leave the former version active too, until `retire`."),
    ] = False,
    principal: As = None,
    idempotency_key: IdempotencyKey = "",
    as_json: AsJson = False,
) -> None:
    """Make the next version of a key; the former one then verifies only."""
    import msgspec

    from quantumai.keys.management.records import check_name

    if due is (name is not None):
        raise BadInputError("give either the NAME of a key or --due", hint="not both, not neither")
    if name is not None:
        check_name(name)
    elif provider or overlap or idempotency_key:
        raise BadInputError("--due goes alone", hint="rotate one key by its NAME")
    with opened_keys(principal) as opened:
        if name is not None and provider:
            opened.require_provider(name, provider)
        made = (
            opened.keys.rotate_due()
            if name is None
            else [
                opened.keys.rotate(
                    name, provider=provider, overlap=overlap, idempotency_key=idempotency_key
                )
            ]
        )
        for key in made:
            opened.tell_ledger(key)
    if name is not None:
        show_key(made[0], as_json)
    elif as_json:
        show_json([msgspec.to_builtins(key) for key in made])
    else:
        for key in made:
            show(f"{key.label} is active: {key.algorithm}, key id {key.key_id}")
        show(f"{len(made)} keys rotated")


def retire(
    name: KeyName,
    version: Annotated[
        int,
        typer.Option(
            "--version", metavar="N", min=1, max=999_999, help="Another one has to be active."
        ),
    ],
    principal: As = None,
    idempotency_key: IdempotencyKey = "",
    as_json: AsJson = False,
) -> None:
    """End the overlap of a rotation: an active version then verifies only."""
    _change(
        principal,
        name,
        as_json,
        lambda opened: opened.keys.retire(name, version, idempotency_key=idempotency_key),
    )


def disable(
    name: KeyName,
    version: Version = None,
    principal: As = None,
    idempotency_key: IdempotencyKey = "",
    as_json: AsJson = False,
) -> None:
    """Forbid every use of a version, until `enable`."""
    _change(
        principal,
        name,
        as_json,
        lambda opened: opened.keys.disable(name, version or 0, idempotency_key=idempotency_key),
    )


def enable(
    name: KeyName,
    version: Version = None,
    principal: As = None,
    idempotency_key: IdempotencyKey = "",
    as_json: AsJson = False,
) -> None:
    """Take back `disable`."""
    _change(
        principal,
        name,
        as_json,
        lambda opened: opened.keys.enable(name, version or 0, idempotency_key=idempotency_key),
    )


def compromised(
    name: KeyName,
    version: Version = None,
    from_index: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=0,
            max=2**53 - 1,
            help="Signatures from this leaf of the run ledger on are void; by default all.",
        ),
    ] = None,
    principal: As = None,
    idempotency_key: IdempotencyKey = "",
    approval: Approval = None,
    approval_request: ApprovalRequest = None,
    as_json: AsJson = False,
) -> None:
    """Two principals: forbid every use of a version for ever, and void its signatures."""
    from quantumai.keys.management.joint_calls import compromise

    more = () if from_index is None else ("--from-index", str(from_index))
    _change_by_two(
        principal,
        ("compromised", name, *more),
        version,
        as_json,
        Signing(approval, approval_request),
        lambda label: compromise(label, from_index),
        lambda opened, number: opened.keys.mark_compromised(
            name, number, from_index=from_index, idempotency_key=idempotency_key
        ),
    )


def destroy(
    name: KeyName,
    version: Version = None,
    waiting_days: Annotated[
        int, typer.Option(metavar="N", min=1, max=90, help="1 to 90; until then it can be kept.")
    ] = 7,
    principal: As = None,
    idempotency_key: IdempotencyKey = "",
    approval: Approval = None,
    approval_request: ApprovalRequest = None,
    as_json: AsJson = False,
) -> None:
    """Two principals: forbid every use of a version, and destroy it after a waiting period.

    It is destroyed by the first `qai kms` command after that.
    """
    from quantumai.keys.management.joint_calls import destruction

    _change_by_two(
        principal,
        ("destroy", name, "--waiting-days", str(waiting_days)),
        version,
        as_json,
        Signing(approval, approval_request),
        lambda label: destruction(label, waiting_days),
        lambda opened, number: opened.keys.schedule_destruction(
            name, number, waiting_days=waiting_days, idempotency_key=idempotency_key
        ),
    )


def cancel_destroy(
    name: KeyName,
    version: Version = None,
    principal: As = None,
    idempotency_key: IdempotencyKey = "",
    as_json: AsJson = False,
) -> None:
    """Keep a version that is waiting to be destroyed; it is then disabled."""
    _change(
        principal,
        name,
        as_json,
        lambda opened: opened.keys.cancel_destruction(
            name, version or 0, idempotency_key=idempotency_key
        ),
    )


def _change(
    principal: str | None,
    name: str,
    as_json: bool,
    change: Callable[[OpenedKeys], KeyVersion],
) -> None:
    from quantumai.keys.management.records import check_name

    check_name(name)
    with opened_keys(principal) as opened:
        key = change(opened)
        opened.tell_ledger(key)
    show_key(key, as_json)


def _change_by_two(
    principal: str | None,
    command: tuple[str, ...],
    version: int | None,
    as_json: bool,
    signing: Signing,
    joint_call: Callable[[str], JointCall],
    change: Callable[[OpenedKeys, int], KeyVersion],
) -> None:
    """`command` is what the other principal runs, but for version and principal."""
    from quantumai.keys.management.records import check_name

    name = check_name(command[1])
    with opened_keys(principal, approval=signing.signature()) as opened:
        # A proposal is for one version: the other principal has to mean the same one.
        number = version or opened.current_version(name)
        if signing.request:
            opened.require_version(name, number)
        call = joint_call(f"{name}/{number}")
        if signing.write_request(opened.kms.parts, opened.caller, call, as_json):
            return
        with two_principals(opened.caller, "keys", *command, "--version", str(number)):
            key = change(opened, number)
        opened.tell_ledger(key)
    show_key(key, as_json)
