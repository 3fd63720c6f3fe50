"""`qai manifest`: show, verify and hand out the proof of a job."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from quantumai.bounded_reading import read_bounded, shown_path
from quantumai.cli.options import AsJson, JobId, group
from quantumai.cli.terminal import show, show_json
from quantumai.errors import BadInputError

if TYPE_CHECKING:
    from quantumai.provenance.report import VerificationReport
    from quantumai.provenance.trust import TrustFile

_MOST_BYTES = 8 << 20
_MOST_ARTEFACT_BYTES = 64 << 20
_UNREADABLE = 2  # `ExitCode.BAD_INPUT`, without importing it at the start

app = group("Show, verify and export a job's signed manifest.")

JobOrFile = Annotated[
    str, typer.Argument(metavar="JOB|FILE", help="A job of this home, or a manifest file.")
]


@app.command("show")
def show_manifest(target: JobOrFile, as_json: AsJson = False) -> None:
    """The manifest's fields as flat JSON, with or without --json. Nothing is verified."""
    from quantumai.provenance.dsse import parse_envelope
    from quantumai.provenance.run_manifest import flat_view

    file = _as_file(target)
    data = read_bounded(file, _MOST_BYTES, "the manifest") if file else _manifest_of(target)
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

    trusted = TrustFile.parse(read_bounded(trust, _MOST_BYTES, "the trust file")) if trust else None
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
    unchecked = [check.name for check in report.checks if check.status == "not-checked"]
    if as_json:
        show_json(report.as_json() | {"unchecked": unchecked})
    else:
        for check in report.checks:
            shown = {"ok": "ok", "failed": "FAILED"}.get(check.status, "not checked")
            show(f"{shown:<11}  {check.name:<11}  {check.detail}")
        show(_verdict(report, unchecked))
    raise typer.Exit(int(report.exit_code))


@app.command("export")
def export(
    job: JobId,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Made if absent.")],
    as_json: AsJson = False,
) -> None:
    """Copy a job's evidence: manifest.json, proof.json and artefacts/."""
    from quantumai.jobs.evidence import export_evidence
    from quantumai.jobs.history import find_job
    from quantumai.services.existing_home import open_existing_home

    with open_existing_home() as home:
        desk = home.desk()
        written = export_evidence(desk, find_job(desk, job).job_id, folder)
    if as_json:
        show_json({"folder": str(folder), "files": [str(path) for path in written]})
        return
    show(f"{len(written)} files in {folder}")
    show("The trust file goes apart, by a way that its reader trusts: qai trust export")


def _verdict(report: VerificationReport, unchecked: Sequence[str]) -> str:
    if not report.verified:
        return f"NOT verified (exit code {int(report.exit_code)})"
    return f"verified, except not checked: {', '.join(unchecked)}" if unchecked else "verified"


def _as_file(target: str) -> Path | None:
    """`target` as a path if it is one, None if it can only be a job's id."""
    path = Path(target)
    try:
        there = path.exists()
    except (OSError, ValueError):  # a name too long, a folder that may not be entered
        there = True
    return path if there or path.suffix or len(path.parts) > 1 else None


def _manifest_of(job: str) -> bytes:
    from quantumai.jobs.evidence import manifest_bytes
    from quantumai.jobs.history import find_job
    from quantumai.services.existing_home import open_existing_home

    with open_existing_home() as home:
        desk = home.desk()
        return manifest_bytes(desk, find_job(desk, job).job_id)


def _verify_job(job: str, trust: TrustFile | None) -> VerificationReport:
    from quantumai.jobs.evidence import verify_job
    from quantumai.jobs.history import find_job
    from quantumai.services.existing_home import open_existing_home

    with open_existing_home() as home:
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

    envelope = read_bounded(file, _MOST_BYTES, "the manifest")
    sibling = file.with_name("proof.json")
    proof = proof or (sibling if _is(sibling, Path.exists) else None)
    if artefacts and not _is(artefacts, Path.is_dir):
        raise BadInputError(
            f"{shown_path(artefacts)} is no directory", hint="give the folder of artefacts"
        )
    report = verify_manifest(
        envelope,
        _finder(artefacts or file.with_name("artefacts")),
        read_bounded(proof, _MOST_BYTES, "the proof") if proof else None,
        trust,
        allow_unchecked=allowed,
    )
    if report.exit_code == _UNREADABLE:
        reason = next(c.detail for c in report.checks if c.exit_code == _UNREADABLE)
        raise BadInputError(
            f"{shown_path(file)} is no manifest: {reason}",
            hint="give the manifest.json that `qai manifest export` wrote",
        )
    return report


def _finder(folder: Path) -> Callable[[str], bytes | None]:
    def find(sha256: str) -> bytes | None:
        path = folder / sha256
        # A missing artefact is left to the verification; anything odd in its place is refused.
        if not _is(path, Path.exists):
            return None
        return read_bounded(path, _MOST_ARTEFACT_BYTES, "the artefact")

    return find


def _is(path: Path, asked: Callable[[Path], bool]) -> bool:
    try:
        return asked(path)
    except (OSError, ValueError):
        return False
