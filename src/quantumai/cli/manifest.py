"""`qai manifest`: show, verify and hand out the proof of a job."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from quantumai.cli.options import AsJson, JobId, group
from quantumai.cli.terminal import show, show_json
from quantumai.errors import BadInputError

if TYPE_CHECKING:
    from quantumai.provenance.report import VerificationReport
    from quantumai.provenance.trust import TrustFile

app = group("Show, verify and export a job's signed manifest.")

JobOrFile = Annotated[
    str, typer.Argument(metavar="JOB|FILE", help="A job of this home, or a manifest file.")
]


@app.command("show")
def show_manifest(target: JobOrFile) -> None:
    """The manifest's fields as flat JSON. Nothing is verified."""
    from quantumai.provenance.dsse import parse_envelope
    from quantumai.provenance.run_manifest import flat_view

    file = _as_file(target)
    data = _read(file, "manifest") if file else _manifest_of(target)
    show_json(flat_view(parse_envelope(data)))


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
    allow_unchecked: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="A check that may lack evidence. Repeatable."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check a manifest: a FILE from the evidence beside it alone, a JOB from this home."""
    from quantumai.provenance.trust import TrustFile

    trusted = TrustFile.parse(_read(trust, "trust file")) if trust else None
    allowed = frozenset(allow_unchecked or ())
    file = _as_file(target)
    if file:
        report = _verify_file(file, proof, trusted, artefacts, allowed)
    elif proof or artefacts or allowed:
        raise BadInputError(
            "--proof, --artefacts and --allow-unchecked go with a manifest file",
            hint="a job of this home is verified with the home's own evidence",
        )
    else:
        report = _verify_job(target, trusted)
    if as_json:
        show_json(report.as_json())
    else:
        for check in report.checks:
            shown = {"ok": "ok", "failed": "FAILED"}.get(check.status, "not checked")
            show(f"{shown:<11}  {check.name:<11}  {check.detail}")
        show("verified" if report.verified else f"NOT verified (exit code {int(report.exit_code)})")
    raise typer.Exit(int(report.exit_code))


@app.command("export")
def export(
    job: JobId, folder: Annotated[Path, typer.Argument(metavar="DIR", help="Made if absent.")]
) -> None:
    """Copy a job's evidence: manifest.json, proof.json and artefacts/."""
    from quantumai.jobs.evidence import export_evidence
    from quantumai.jobs.history import find_job
    from quantumai.services.wiring import open_home

    with open_home() as home:
        desk = home.desk()
        written = export_evidence(desk, find_job(desk, job).job_id, folder)
    show(f"{len(written)} files in {folder}")
    show("The trust file goes apart, by a way that its reader trusts: qai trust export")


def _as_file(target: str) -> Path | None:
    """`target` as a path if it is one, None if it can only be a job's id."""
    path = Path(target)
    looks_like_path = path.exists() or path.suffix or len(path.parts) > 1
    return path if looks_like_path else None


def _read(path: Path, what: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadInputError(
            f"cannot read the {what} {path}: {error.strerror}", hint="give the path of a file"
        ) from None


def _manifest_of(job: str) -> bytes:
    from quantumai.jobs.evidence import manifest_bytes
    from quantumai.jobs.history import find_job
    from quantumai.services.wiring import open_home

    with open_home() as home:
        desk = home.desk()
        return manifest_bytes(desk, find_job(desk, job).job_id)


def _verify_job(job: str, trust: TrustFile | None) -> VerificationReport:
    from quantumai.jobs.evidence import verify_job
    from quantumai.jobs.history import find_job
    from quantumai.services.wiring import open_home

    with open_home() as home:
        desk = home.desk()
        return verify_job(desk, find_job(desk, job).job_id, trust)


def _verify_file(
    file: Path,
    proof: Path | None,
    trust: TrustFile | None,
    artefacts: Path | None,
    allowed: frozenset[str],
) -> VerificationReport:
    from quantumai.provenance.verification import verify_manifest

    envelope = _read(file, "manifest")
    sibling = file.with_name("proof.json")
    proof = proof or (sibling if sibling.is_file() else None)
    if artefacts and not artefacts.is_dir():
        raise BadInputError(f"{artefacts} is no directory", hint="give the folder of artefacts")
    return verify_manifest(
        envelope,
        _finder(artefacts or file.with_name("artefacts")),
        _read(proof, "proof") if proof else None,
        trust,
        allow_unchecked=allowed,
    )


def _finder(folder: Path) -> Callable[[str], bytes | None]:
    def find(sha256: str) -> bytes | None:
        path = folder / sha256
        return path.read_bytes() if path.is_file() else None

    return find
