"""`qai manifest export` and `import`: a manifest in one of its views, or a job's evidence."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from quantumai.bounded_reading import read_bounded, shown_path
from quantumai.cli.options import AsJson
from quantumai.cli.output_file import write_new_file
from quantumai.cli.terminal import show, show_bytes, show_json
from quantumai.errors import BadInputError

if TYPE_CHECKING:
    from quantumai.provenance.manifest.views import ViewFormat
    from quantumai.provenance.statements.dsse import Envelope

JobOrFile = Annotated[
    str, typer.Argument(metavar="JOB|FILE", help="A job of this home, or a manifest file.")
]
_Out = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Write to a new file instead of stdout.")
]


def export(
    target: JobOrFile,
    folder: Annotated[
        Path | None,
        typer.Argument(metavar="DIR", help="Take proof and artefacts along. Made if absent."),
    ] = None,
    view: Annotated[
        str, typer.Option("--format", metavar="FORMAT", help="dsse, json or yaml.")
    ] = "dsse",
    out: _Out = None,
    as_json: AsJson = False,
) -> None:
    """Write a manifest in one of its views; with DIR a job's whole evidence."""
    from quantumai.provenance.manifest.views import ViewFormat, write_view

    wanted = ViewFormat.parse(view)
    if folder is not None:
        _export_evidence(target, folder, wanted, out, as_json)
        return
    _hand_out(write_view(envelope_of(target), wanted), wanted, out, as_json)


def import_view(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A manifest in any of its views.")],
    out: _Out = None,
    as_json: AsJson = False,
) -> None:
    """Read a manifest in any view, strictly, and write its DSSE envelope. Nothing is verified."""
    from quantumai.provenance.manifest.views import ViewFormat

    _hand_out(_read_file(file).data, ViewFormat.DSSE, out, as_json)


def envelope_of(target: str) -> Envelope:
    """The envelope of a job of this home, or of a manifest file in any view."""
    from quantumai.jobs.evidence import manifest_bytes
    from quantumai.jobs.history import find_job
    from quantumai.provenance.statements.dsse import parse_envelope
    from quantumai.services.existing_home import open_existing_home

    if file := as_file(target):
        return _read_file(file)
    with open_existing_home() as home:
        desk = home.desk()
        return parse_envelope(manifest_bytes(desk, find_job(desk, target).job_id))


def as_file(target: str) -> Path | None:
    """`target` as a path if it is one, None if it can only be a job's id."""
    path = Path(target)
    try:
        there = path.exists()
    except (OSError, ValueError):  # a name too long, a folder that may not be entered
        there = True
    return path if there or path.suffix or len(path.parts) > 1 else None


def _read_file(file: Path) -> Envelope:
    from quantumai.provenance.manifest.views import LONGEST_VIEW, read_view

    data = read_bounded(file, LONGEST_VIEW, "the manifest")
    try:
        return read_view(data)
    except BadInputError as error:
        raise no_manifest(file, str(error)) from None


def no_manifest(file: Path, reason: str) -> BadInputError:
    """The error for a file that cannot be read as a manifest."""
    return BadInputError(
        f"{shown_path(file)} is no manifest: {reason}",
        hint="give one that `qai manifest export` wrote",
    )


def _export_evidence(
    job: str, folder: Path, view: ViewFormat, out: Path | None, as_json: bool
) -> None:
    from quantumai.jobs.evidence import export_evidence
    from quantumai.jobs.history import find_job
    from quantumai.services.existing_home import open_existing_home

    if out is not None:
        raise BadInputError("give DIR or --out, not both", hint="DIR is for the whole evidence")
    if as_file(job):
        raise BadInputError(
            f"{shown_path(job)} is a file: proof and artefacts are with its job",
            hint="give a job, or --out instead of DIR for the manifest alone",
        )
    with open_existing_home() as home:
        desk = home.desk()
        written = export_evidence(desk, find_job(desk, job).job_id, folder, view)
    if as_json:
        show_json({"folder": str(folder), "files": [str(path) for path in written]})
        return
    show(f"{len(written)} files in {folder}")
    show("The trust file goes apart, by a way that its reader trusts: qai trust export")


def _hand_out(data: bytes, view: ViewFormat, out: Path | None, as_json: bool) -> None:
    if out is not None:
        write_new_file(out, data, "the manifest")
    if as_json:
        printed = {"file": str(out)} if out is not None else {"manifest": data.decode()}
        show_json({"format": str(view)} | printed)
    elif out is None:
        show_bytes(data)
