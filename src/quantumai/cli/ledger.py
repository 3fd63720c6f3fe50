"""`qai ledger`: the append-only log of all that was sealed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from quantumai.bounded_reading import shown_path
from quantumai.cli import ledger_cosign, ledger_watch
from quantumai.cli.auditors_files import trust_file
from quantumai.cli.options import AsJson, group
from quantumai.cli.terminal import note, show, show_json
from quantumai.errors import BadInputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from quantumai.provenance.ledger.checkpoint import TreeHead
    from quantumai.provenance.verification.report import Check

app = group("Check the ledger, publish it, have it cosigned, and watch one.")
_WORDS = {"ok": "ok", "failed": "FAILED", "not-checked": "not checked"}


@app.command("verify")
def verify(
    from_: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="DIR|URL",
            help="The static files of any log, as `qai ledger export` writes them. Default: this "
            "home's ledger.",
        ),
    ] = None,
    trust: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The trust file. Default: this home's own keys."),
    ] = None,
    remembered: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="A checkpoint that you kept; the ledger must have grown from it."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Recheck every leaf, root and signature; exit 6 where one does not hold.

    Exit 8 where a quorum of witnesses that the trust file asks for is missing.
    """
    from quantumai.provenance.public_log.monitor import remembered_checkpoint

    known = remembered_checkpoint(remembered) if remembered else None
    if from_ is None:
        _verify_home(trust, known, as_json)
    else:
        _verify_public(from_, trust, known, as_json)


def _verify_home(trust: Path | None, known: bytes | None, as_json: bool) -> None:
    from quantumai.errors import EvidenceError
    from quantumai.provenance.public_log.verification import LogFindings
    from quantumai.provenance.sealing.home_verification import verify_home_ledger
    from quantumai.provenance.verification.freshness import FRESHNESS
    from quantumai.provenance.verification.report import not_checked
    from quantumai.services.existing_home import open_existing_home

    trusted = trust_file(trust) if trust else None
    with open_existing_home() as home:
        try:
            sealer = home.look_at_sealer() or home.open_sealer()
            found = verify_home_ledger(sealer, trusted, known)
        except EvidenceError as error:
            freshness = not_checked(FRESHNESS, "the ledger does not hold")
            found = LogFindings(None, (str(error),), freshness)
    _say(found.head, found.problems, found.freshness, as_json, {})
    if not as_json:
        wrong = "NOT ok" if found.problems else "ok: every commit, root, signature and tile holds"
        show(wrong)
    raise typer.Exit(int(found.exit_code))


def _verify_public(place: str, trust: Path | None, known: bytes | None, as_json: bool) -> None:
    from quantumai.provenance.public_log.static_files import PublicLog
    from quantumai.provenance.public_log.verification import verify_public_log
    from quantumai.services.log_files import open_log_files

    trusted = trust_file(trust) if trust else _own_trust()
    found = verify_public_log(PublicLog(open_log_files(place)), trusted, known)
    statements = {"logged": found.statements.logged, "found": found.statements.found}
    _say(found.head, found.problems, found.freshness, as_json, {"statements": statements})
    if not as_json:
        counted = f"{found.statements.found} of {found.statements.logged}"
        show(f"public statements found: {counted}")
        show("NOT ok" if found.problems else "ok: every entry, tile, root and signature holds")
    raise typer.Exit(int(found.exit_code))


def _own_trust() -> Any:
    from quantumai.services.existing_home import home_exists, open_existing_home
    from quantumai.services.home_witnesses import home_witnesses
    from quantumai.services.wiring import home_root

    if not home_exists(home_root()):
        raise BadInputError("whose log is it to be?", hint="give its trust file with --trust")
    with open_existing_home() as home:
        sealer = home.look_at_sealer() or home.open_sealer()
        return sealer.export_trust(witnesses=home_witnesses(home.root).trust(0))


def _say(
    head: TreeHead | None,
    problems: Sequence[str],
    freshness: Check,
    as_json: bool,
    more: dict[str, Any],
) -> None:
    size, origin, root = (head.size, head.origin, head.root.hex()) if head else (0, "", "")
    if as_json:
        found = {"ok": not problems, "origin": origin, "size": size, "root": root}
        fresh = {"status": str(freshness.status), "detail": freshness.detail}
        show_json(found | {"problems": list(problems), "freshness": fresh} | more)
        return
    for problem in problems:
        show(f"FAILED  {problem}")
    show(f"origin  {origin}\nsize    {size} leaves\nroot    {root}")
    show(f"freshness: {_WORDS[freshness.status]} ({freshness.detail})")


@app.command("export")
def export(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A new one, or one of before.")],
    as_json: AsJson = False,
) -> None:
    """Write the ledger as static files that any tlog-tiles client reads; serve them as they are.

    A folder of before is brought up to date. It holds no tenant's data.
    """
    from quantumai.provenance.public_log.cosigned_checkpoints import CosignedCheckpoints
    from quantumai.provenance.public_log.export import export_ledger
    from quantumai.services.existing_home import open_existing_home
    from quantumai.services.home_witnesses import home_witnesses

    with open_existing_home() as home:
        witnesses = home_witnesses(home.root).trust()
        ledger = (home.look_at_sealer() or home.open_sealer()).ledger
        kept = CosignedCheckpoints(ledger)
        done = export_ledger(
            ledger, home.objects, lambda size: kept.best(witnesses, max(size - 1, 0)), folder
        )
        waiting = ledger.size() - done.head.size
    for name in done.missing:
        note(f"{name} is in the ledger but missing in this home; it was left out")
    if waiting:
        note(f"{waiting} leaves wait for a quorum of witnesses: qai ledger cosign")
    if as_json:
        found: dict[str, Any] = {"origin": done.head.origin, "size": done.head.size}
        show_json(found | {"before": done.since, "missing": list(done.missing)})
        return
    show(
        f"{shown_path(folder)}: {done.head.size} leaves, {done.head.size - done.since} of them new"
    )


app.command("cosign")(ledger_cosign.cosign)
app.command("watch")(ledger_watch.watch)
