"""`qai manifest`: show and verify a job's manifest, in any of its views."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from quantumai.bounded_reading import read_bounded, shown_path
from quantumai.cli.auditors_files import (
    counter_evidence,
    is_folder,
    is_there,
    read_evidence,
    remembered_checkpoint,
    trust_file,
)
from quantumai.cli.manifest_views import (
    JobOrFile,
    as_file,
    envelope_of,
    export,
    import_view,
    no_manifest,
)
from quantumai.cli.options import AsJson, group
from quantumai.cli.terminal import show_json
from quantumai.cli.verification_report import show_report, unreadable
from quantumai.errors import BadInputError

if TYPE_CHECKING:
    from quantumai.provenance.manifest.counter_signature import CounterEvidence
    from quantumai.provenance.verification.freshness import Remembered
    from quantumai.provenance.verification.report import VerificationReport
    from quantumai.provenance.verification.trust import TrustFile

_MOST_ARTEFACT_BYTES = 64 << 20

app = group("Show, verify and export a job's signed manifest.")

app.command("export")(export)
app.command("import")(import_view)


@app.command("show")
def show_manifest(target: JobOrFile, as_json: AsJson = False) -> None:
    """The manifest's fields as flat JSON, with or without --json. Nothing is verified."""
    from quantumai.provenance.manifest.views import flat_view

    show_json(flat_view(envelope_of(target)))


@app.command("verify")
def verify(
    target: JobOrFile,
    proof: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Default: proof.json beside the manifest.")
    ] = None,
    trust: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The keys to believe; for a JOB the home's own."),
    ] = None,
    artefacts: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Default: artefacts/ beside the manifest.")
    ] = None,
    remembered: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A checkpoint that you kept: is this the same ledger?"),
    ] = None,
    ledger: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="With --remembered: what `qai ledger export` wrote."),
    ] = None,
    counter_signature: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A counter-signature; its .proof lies beside it."),
    ] = None,
    allow_unchecked: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="A check that may lack evidence. Repeatable."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check a manifest: a FILE from the evidence beside it alone, a JOB from this home."""
    trusted = trust_file(trust) if trust else None
    allowed = frozenset(allow_unchecked or ())
    known = remembered_checkpoint(remembered, ledger)
    counter = counter_evidence(counter_signature)
    file = as_file(target)
    if file:
        report = _verify_file(file, proof, trusted, artefacts, allowed, known, counter)
    elif proof or artefacts or allowed or ledger:
        raise BadInputError(
            "--proof, --artefacts, --ledger and --allow-unchecked go with a manifest file",
            hint="a job of this home is verified with the home's own evidence",
        )
    else:
        report = _verify_job(target, trusted, known, counter)
    show_report(report, as_json)
    raise typer.Exit(int(report.exit_code))


def _verify_job(
    job: str,
    trust: TrustFile | None,
    remembered: Remembered | None,
    counter: CounterEvidence | None,
) -> VerificationReport:
    from quantumai.jobs.evidence import verify_job
    from quantumai.jobs.history import find_job
    from quantumai.services.existing_home import open_existing_home

    with open_existing_home() as home:
        desk = home.desk()
        if remembered is not None:
            proofs = desk.open_sealer().ledger.consistency_proof
            remembered = replace(remembered, consistency=proofs)
        job_id = find_job(desk, job).job_id
        return verify_job(desk, job_id, trust, remembered=remembered, counter=counter)


def _verify_file(
    file: Path,
    proof: Path | None,
    trust: TrustFile | None,
    artefacts: Path | None,
    allowed: frozenset[str],
    remembered: Remembered | None,
    counter: CounterEvidence | None,
) -> VerificationReport:
    from quantumai.provenance.manifest.view_verification import verify_view
    from quantumai.provenance.manifest.views import LONGEST_VIEW

    manifest = read_bounded(file, LONGEST_VIEW, "the manifest")
    sibling = file.with_name("proof.json")
    proof = proof or (sibling if is_there(sibling) else None)
    if artefacts and not is_folder(artefacts):
        raise BadInputError(
            f"{shown_path(artefacts)} is no directory", hint="give the folder of artefacts"
        )
    report = verify_view(
        manifest,
        _finder(artefacts or file.with_name("artefacts")),
        read_evidence(proof, "the proof") if proof else None,
        trust,
        allow_unchecked=allowed,
        remembered=remembered,
        counter=counter,
    )
    if reason := unreadable(report):
        raise no_manifest(file, reason)
    return report


def _finder(folder: Path) -> Callable[[str], bytes | None]:
    def find(sha256: str) -> bytes | None:
        path = folder / sha256
        # A missing artefact is left to the verification; anything odd in its place is refused.
        if not is_there(path):
            return None
        return read_bounded(path, _MOST_ARTEFACT_BYTES, "the artefact")

    return find
