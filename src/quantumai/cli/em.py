"""`qai em`: the error-mitigation harness."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from quantumai.bounded_reading import shown_path
from quantumai.cli.options import AsJson, group
from quantumai.cli.output_file import require_writable, write_file
from quantumai.cli.terminal import note, show, show_json, table
from quantumai.errors import BadInputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from quantumai.harness.run import Progress
    from quantumai.harness.run_folder import RunFolder

app = group("Measure error-mitigation methods against the truth, reproducibly.")


@app.command("run")
def run(
    plan: Annotated[
        str, typer.Option(metavar="NAME|FILE", help="A packaged plan, or a YAML file.")
    ] = "",
    resume: Annotated[
        str, typer.Option(metavar="RUN", help="Go on with a run that was interrupted.")
    ] = "",
    workers: Annotated[
        int, typer.Option(metavar="N", min=0, max=256, help="Processes; 0: one for each core.")
    ] = 0,
    crypto_mode: Annotated[
        str, typer.Option(metavar="MODE", help="The crypto mode to seal in.")
    ] = "pqc-required",
    as_json: AsJson = False,
) -> None:
    """Run a plan: every method on every circuit, backend and noise; prints the run's id.

    What was finished is never run again. At the end each backend's part is sealed as a job.
    """
    _require_arrow()
    from quantumai.crypto_mode import CryptoMode
    from quantumai.harness.fan_out import available_workers
    from quantumai.services.em_models import doubtful_models
    from quantumai.services.em_runs import (
        failed_rows,
        find_run,
        go_on,
        read_plan,
        require_as_sealed,
        seal_run,
        start_run,
    )
    from quantumai.services.wiring import home_root, open_home
    from quantumai.storage.folder_lock import locked_folder

    if bool(plan) == bool(resume):
        raise BadInputError("which plan?", hint="--plan NAME, or --resume RUN")
    CryptoMode.parse(crypto_mode)
    if resume:
        begun = find_run(home_root(), resume)
    else:
        loaded = read_plan(plan)  # what is wrong with it leaves no home behind
        with open_home() as home:
            begun = start_run(home, *loaded)
            for warning in doubtful_models(home, loaded[0]):
                note(f"warning: {warning}")
    if not as_json:
        note(f"run {begun.path.name}")
    with locked_folder(begun.path):  # another process may go on with the same run
        require_as_sealed(home_root(), begun)
        go_on(begun, workers or available_workers(), _bar())
        with open_home() as home:
            jobs = seal_run(home, begun, crypto_mode)
    failed, rows = failed_rows(begun)
    if failed:
        note(f"{failed} of {rows} rows have no values; `qai em report` says why")
    if as_json:
        told = {"run": begun.path.name, "folder": str(begun.path), "jobs": jobs}
        show_json({**told, "rows": rows, "failed_rows": failed})
    else:
        show(begun.path.name)


@app.command("report")
def report(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run's id, or its folder.")],
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Where the page goes. Default: beside the run's files."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Audit a run for leaks, then write its summary and a page with pictures.

    A sealed run is compared with its manifests first; exit code 4 if a file was changed.
    """
    _require_arrow()
    from quantumai.cli.em_page import em_page
    from quantumai.services.em_runs import find_run, require_as_sealed, summarise_run
    from quantumai.services.wiring import home_root

    found = find_run(home_root(), run)
    target = out or found.path / "report.html"
    _require_no_file_of(found, target)
    require_writable(target, "the report")
    if not require_as_sealed(home_root(), found):
        note("the run is not sealed in this home: its files were compared with nothing")
    summary = summarise_run(found)
    title = f"Error mitigation: {found.record().plan_name}"
    write_file(target, em_page(summary, title).encode(), "the report")
    if as_json:
        show_json(summary)
    else:
        show(str(target))


@app.command("list")
def list_all(as_json: AsJson = False) -> None:
    """All runs of this home, oldest first."""
    from quantumai.services.em_runs import list_runs
    from quantumai.services.wiring import home_root

    records = [found.record() for found in list_runs(home_root())]
    if as_json:
        show_json(
            [{"run": r.run_id, "plan": r.plan_name, "created": r.created_at} for r in records]
        )
        return
    rows = [(r.run_id, r.plan_name, r.created_at) for r in records]
    for line in table(("run", "plan", "created"), rows):
        show(line)


@app.command("verify-model")
def verify_model(
    model: Annotated[Path, typer.Argument(metavar="FOLDER", help="A model, such as of a run.")],
    public_key: Annotated[
        Path | None,
        typer.Option(metavar="PEM", help="The key to believe. Default: those of this home."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check a model's signature (OpenSSF model signing) and each of its files.

    Exit codes as of manifest verify: 4 if a file was changed, 5 for another's key, 8 without a
    signature.
    """
    from quantumai.cli.verification_report import show_report, unreadable
    from quantumai.services.em_models import home_model_keys, model_key, verify_model_folder
    from quantumai.services.existing_home import open_existing_home

    if public_key is not None:
        report = verify_model_folder(model, (model_key(public_key),))
    else:
        with open_existing_home() as home:
            report = verify_model_folder(model, home_model_keys(home))
    if reason := unreadable(report):
        raise BadInputError(reason, hint="`model_signing verify` is the tool of that format")
    show_report(report, as_json)
    raise typer.Exit(int(report.exit_code))


def _require_no_file_of(run: RunFolder, target: Path) -> None:
    """A new file among its rows would be a change of what was sealed."""
    folder, target = run.path.resolve(), target.resolve()
    kept = {folder / name for name in run.files() if name != "report.html"}
    if target in kept or (target.is_relative_to(folder) and target.parent != folder):
        raise BadInputError(
            f"{shown_path(target)} is a file of the run, or among them", hint="give another --out"
        )


def _bar() -> Callable[[Progress], None]:
    """Shows how far a run is, and how long it will still take, a few times a minute."""
    import time

    began = time.monotonic()
    last = 0.0

    def tell(progress: Progress) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last < 2 and progress.done < progress.total:
            return
        last = now
        made, left = progress.done - progress.ready, progress.total - progress.done
        eta = f", {(now - began) / made * left:.0f} s left" if made and left else ""
        width = 30 * progress.done // max(progress.total, 1)
        bar = "#" * width + "." * (30 - width)
        note(f"[{bar}] {progress.done} of {progress.total} cells{eta}")

    return tell


def _require_arrow() -> None:
    from importlib.util import find_spec

    if find_spec("pyarrow") is None:
        raise BadInputError(
            "the harness is not installed: pyarrow is missing",
            hint="pip install 'quantumai[harness]'",
        )
