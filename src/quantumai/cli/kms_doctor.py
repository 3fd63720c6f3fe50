"""`qai kms doctor`: whether the register of keys and the providers agree, and mending that."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from quantumai.cli.kms_approval import Approval, ApprovalRequest, Signing
from quantumai.cli.kms_caller import As, caller_named
from quantumai.cli.options import AsJson
from quantumai.cli.terminal import show, show_json, table, visible

if TYPE_CHECKING:
    from quantumai.keys.management.mending import Mended
    from quantumai.keys.management.reconciliation import Finding


def doctor(
    repair: Annotated[
        bool, typer.Option("--repair", help="Do what was begun to its end: make, rotate, destroy.")
    ] = False,
    destroy_orphans: Annotated[
        bool,
        typer.Option(
            "--destroy-orphans",
            help="With --repair: destroy keys that this home does not know. Two principals: one of "
            "another home, or one made after the last backup, looks just like it.",
        ),
    ] = False,
    orphan: Annotated[
        str | None,
        typer.Option(metavar="HANDLE", help="Only this orphan: each takes approvals of its own."),
    ] = None,
    principal: As = None,
    approval: Approval = None,
    approval_request: ApprovalRequest = None,
    as_json: AsJson = False,
) -> None:
    """Compare the register of keys with what the providers hold; exit 1 if something is left."""
    from quantumai.errors import BadInputError
    from quantumai.keys.management.mending import destruction_of, mend
    from quantumai.keys.management.reconciliation import FindingKind, find
    from quantumai.services.existing_home import open_existing_home

    if destroy_orphans and not repair:
        raise BadInputError("--destroy-orphans needs --repair", hint="give both")
    signing = Signing(approval, approval_request)
    if not destroy_orphans and (orphan or approval or approval_request):
        raise BadInputError(
            "--orphan and approvals belong to --destroy-orphans", hint="give --destroy-orphans"
        )
    signature = signing.signature()
    with open_existing_home() as home:
        parts = home.open_kms().parts
        caller = caller_named(principal, signature) if destroy_orphans else None
        found = find(parts) if repair else []
        if caller and (orphan or approval or approval_request):
            chosen = _chosen(found, orphan)
            if signing.write_request(parts, caller, destruction_of(chosen), as_json):
                return
            found = [f for f in found if f.kind is not FindingKind.ORPHAN or f is chosen]
        tried = mend(parts, found, destroy_orphans_for=caller)
        left = find(parts)
    if as_json:
        _show_json(tried, left)
    else:
        _show(tried, left)
    raise typer.Exit(1 if left else 0)


def _chosen(found: list[Finding], handle: str | None) -> Finding:
    """The orphan with this handle (or id in the provider), or the only one there is."""
    from quantumai.errors import BadInputError, NotFoundError
    from quantumai.keys.management.reconciliation import FindingKind

    orphans = [f for f in found if f.kind is FindingKind.ORPHAN]
    fitting = [f for f in orphans if handle is None or handle in (f.handle, f.provider_id)]
    if not fitting:
        raise NotFoundError("there is no such orphan", hint="`qai kms doctor` lists them")
    if len(fitting) > 1:
        raise BadInputError("an approval is for one orphan", hint="say which: --orphan HANDLE")
    return fitting[0]


def _show_json(tried: list[Mended], left: list[Finding]) -> None:
    from dataclasses import asdict

    show_json(
        {
            "ok": not left,
            "tried": [asdict(step) for step in tried],
            "findings": [asdict(finding) for finding in left],
        }
    )


def _show(tried: list[Mended], left: list[Finding]) -> None:
    for step in tried:
        how = f"failed: {visible(step.error)}" if step.error else "mended"
        show(f"{_place(step.finding)}, {step.finding.kind}: {how}")
    rows = [(_place(f), str(f.kind), f"{visible(f.detail)}. Do: {visible(f.advice)}") for f in left]
    for line in table(("key", "found", "detail"), rows) if rows else ():
        show(line)
    show(f"{len(left)} left" if left else "register and providers agree")


def _place(finding: Finding) -> str:
    return visible(f"{finding.provider} {finding.handle}".strip())
