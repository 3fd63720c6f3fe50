"""`qai kms audit`: the log of what the KMS was asked to do, and whether it is as it was written."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from quantumai.cli.options import AsJson, group
from quantumai.cli.terminal import show, show_json, table, visible

if TYPE_CHECKING:
    from quantumai.keys.audit.head import AuditHead
    from quantumai.keys.audit.verification import AuditReport, BadEntries
    from quantumai.provenance.sealing.audit_anchor import AuditCheckpoint
    from quantumai.provenance.sealing.sealer import Sealer
    from quantumai.services.wiring import Home

app = group("The log of every call to the KMS.")

LOG_WRONG = 6
# An envelope with a signature of the longest kind (SLH-DSA-SHA2-256f, 49,856 bytes, in base64).
_MAX_CHECKPOINT_BYTES = 2**17


def _open() -> Home:
    """The home whose log is looked at. Nothing may be appended to a log before it is checked."""
    from quantumai.services.existing_home import open_existing_home

    return open_existing_home()


@app.command("show")
def show_entries(
    limit: Annotated[int, typer.Option(min=1, metavar="N", help="Show the newest N entries.")] = 20,
    as_json: AsJson = False,
) -> None:
    """List calls, the oldest first: when, who, what, on which key, and how it ended."""
    with _open() as home:
        log = home.open_kms().parts.audit
        size = log.size()
        entries = [_fields(*row) for row in log.entries(max(0, size - limit), size - 1)]
    if as_json:
        show_json(entries)
        return
    for line in table(
        ("entry", "at", "principal", "operation", "key", "outcome", "request"),
        [_cells(fields) for fields in entries],
        right={0},
    ):
        show(line)
    show(f"\n{len(entries)} of {size} entries")


@app.command("verify")
def verify(
    remembered: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A checkpoint that was kept outside of this home."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Recheck the whole audit log; exit 6 if it is not the one that was written.

    It is compared with the checkpoints in the run ledger. Only a remembered checkpoint can show
    that log and ledger were not put back together to an older state.
    """
    with _open() as home:
        seen = _look(home, remembered)
    report, problems = seen.report, seen.problems
    bad = report.bad if report else None
    if bad:
        problems.insert(0, _sentence(bad))
    found = {
        "ok": not problems,
        "size": report.size if report else None,
        "root": report.root.hex() if report else None,
        "anchored": seen.anchored,
        "proven": report.proven if report else 0,
        "freshness": _freshness(seen.known, report),
        "first_bad": {"fault": bad.fault, "first": bad.first, "last": bad.last} if bad else None,
        "problems": problems,
    }
    if as_json:
        show_json(found)
    else:
        _show_report(found)
    raise typer.Exit(LOG_WRONG if problems else 0)


@app.command("checkpoint")
def checkpoint(
    out: Annotated[Path, typer.Option(metavar="FILE", help="Where to write the checkpoint.")],
    as_json: AsJson = False,
) -> None:
    """Verify the log and write a signed checkpoint, to be kept where this home cannot change it."""
    from quantumai.bounded_reading import shown_path
    from quantumai.cli.output_file import require_writable, write_file
    from quantumai.errors import LedgerError
    from quantumai.keys.audit.head import AuditHead

    require_writable(out, "the checkpoint")
    with _open() as home:
        report = home.open_kms().parts.audit.verify(_anchored(home.look_at_sealer()))
        if report.bad:
            raise LedgerError(_sentence(report.bad), hint="qai kms audit verify")
        head = AuditHead(report.size, report.root)
        envelope = home.open_sealer().audit_anchor.signed(head)
    write_file(out, envelope, "the checkpoint")
    if as_json:
        show_json({"size": head.size, "root": head.root.hex(), "file": str(out)})
    else:
        show(f"{head.size} entries, root {head.root.hex()}, in {shown_path(out)}")


@dataclass
class _Seen:
    """What was found in a home; a log that is no log has no report."""

    anchored: int = 0
    known: AuditCheckpoint | None = None
    report: AuditReport | None = None
    problems: list[str] = field(default_factory=list)


def _look(home: Home, remembered: Path | None) -> _Seen:
    from quantumai.bounded_reading import read_bounded
    from quantumai.errors import EvidenceError

    seen, sealer, heads = _Seen(), None, []
    log = home.open_kms().parts.audit
    try:
        sealer = home.look_at_sealer()
        heads = _anchored(sealer)
    except EvidenceError as error:
        # What is in the log is looked at all the same.
        seen.problems.append(str(error))
    seen.anchored = len(heads)
    if remembered is not None:
        data = read_bounded(remembered, _MAX_CHECKPOINT_BYTES, "the checkpoint")
        if sealer is None:
            seen.problems.append("there are no keys to check the remembered checkpoint with")
        else:
            seen.known = sealer.audit_anchor.read(data)
            heads = [*heads, seen.known.head]
    try:
        seen.report = log.verify(heads)
    except EvidenceError as error:
        seen.problems.append(str(error))
    return seen


def _anchored(sealer: Sealer | None) -> list[AuditHead]:
    if sealer is None:
        return []
    return [found.checkpoint.head for found in sealer.audit_anchor.anchored()]


def _show_report(found: dict[str, Any]) -> None:
    for problem in found["problems"]:
        show(f"FAILED  {visible(problem)}")
    if found["size"] is not None:
        show(f"entries: {found['size']}\nroot: {found['root']}")
    show(f"checkpoints in the run ledger: {found['anchored']}")
    show(f"proven by checkpoints: the first {found['proven']} entries")
    show(f"freshness: {found['freshness']}")
    show("ok: every entry and every checkpoint holds" if found["ok"] else "NOT ok")


def _sentence(bad: BadEntries) -> str:
    where = f"entry {bad.first}" if bad.first == bad.last else f"one of {bad.first} to {bad.last}"
    return f"{bad.fault}: the first bad entry is {where}: {bad.detail}"


def _freshness(known: AuditCheckpoint | None, report: AuditReport | None) -> str:
    if known is None:
        return "not checked"
    if report is None or report.proven < known.size:
        return f"not given, the log is not that of the checkpoint of {known.at}"
    return f"holds the {known.size} entries of {known.at}"


def _fields(sequence: int, text: str) -> dict[str, Any]:
    import msgspec

    from quantumai.errors import BadInputError
    from quantumai.keys.audit.entry import AuditEntry

    try:
        entry = AuditEntry.parse(text)
    except BadInputError:
        return {"sequence": sequence, "damaged": True}
    return {"damaged": False, **msgspec.to_builtins(entry)}


def _cells(fields: dict[str, Any]) -> tuple[str, ...]:
    if fields["damaged"]:
        return (str(fields["sequence"]), "damaged", "", "", "", "", "qai kms audit verify")
    version = "" if fields["version"] is None else f"/{fields['version']}"
    outcome = fields["outcome"] + (f" ({fields['error']})" if fields["error"] else "")
    return (
        str(fields["sequence"]),
        fields["at"][:19] + "Z",
        *(
            visible(text)
            for text in (
                fields["principal"],
                fields["operation"],
                fields["key"] + version,
                outcome,
                fields["request_id"],
            )
        ),
    )
