"""`qai run`: one job from a circuit to a sealed and verified answer."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from quantumai.cli.options import AsJson
from quantumai.cli.output_file import require_writable
from quantumai.cli.terminal import OutputError, note, show, show_json
from quantumai.errors import BadInputError

_METHODS = "none, rem, zne, richardson or rem+zne"
_MODES = "classical, hybrid, pqc-preferred or pqc-required"


def run(
    circuit: Annotated[
        Path, typer.Argument(metavar="CIRCUIT", help="An OpenQASM 2 or 3 file.", show_default=False)
    ],
    observable: Annotated[
        list[str],
        typer.Option(
            metavar="PAULI",
            help="What to measure, in Qiskit's order: the rightmost letter is qubit 0. Repeatable.",
            show_default=False,
        ),
    ],
    shots: Annotated[
        int,
        typer.Option(
            metavar="N", parser=_whole_number, help="What method none spends over all bases."
        ),
    ] = 4000,
    crypto_mode: Annotated[str, typer.Option(metavar="MODE", help=_MODES)] = "pqc-required",
    backend: Annotated[str, typer.Option(metavar="ID", help="One backend only.")] = "auto",
    em: Annotated[str, typer.Option(metavar="METHOD", help=f"One method only: {_METHODS}.")] = (
        "auto"
    ),
    tolerance: Annotated[
        float, typer.Option(metavar="EPS", help="The error that you can live with.")
    ] = 0.05,
    max_cost: Annotated[
        float | None, typer.Option(metavar="USD", help="The most that the job may cost.")
    ] = None,
    seed: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Fixes every random number of the job.")
    ] = None,
    engine: Annotated[
        str, typer.Option(metavar="NAME", help="The simulator: channel or aer.")
    ] = "channel",
    report: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also write a page with pictures (HTML).")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Choose backend and method, run, mitigate, seal and verify. Exit 0 only if verified."""
    from quantumai.backends.catalogue import load_catalogue
    from quantumai.circuits.loading import load_circuit_file
    from quantumai.jobs.request import prepare_job
    from quantumai.services.admission import admit
    from quantumai.services.wiring import catalogue_path, home_root, open_simulator

    if report is not None:
        require_writable(report, "the report", circuit, hint="give another --report; nothing ran")
    loaded = load_circuit_file(circuit)
    prepared = prepare_job(
        loaded,
        observable,
        shots=shots,
        crypto_mode=crypto_mode,
        backend=backend,
        em=em,
        tolerance=tolerance,
        max_cost=max_cost,
        seed=seed,
        engine=engine,
    )
    job = admit(prepared, load_catalogue(catalogue_path(home_root())), open_simulator(engine))

    from quantumai.jobs.evidence import manifest_bytes, verify_job
    from quantumai.jobs.run_job import run_job
    from quantumai.services.wiring import open_home

    with open_home() as home:
        desk = home.desk()
        done = run_job(desk, job, note)
        if as_json:
            import msgspec

            show_json(msgspec.to_builtins(done))
        else:
            from quantumai.cli.page import job_page

            show(job_page(done))
        if report is not None:
            from quantumai.cli.report import html_report

            html = html_report(done, loaded, manifest_bytes(desk, done.job_id))
            _write(report, html, done.job_id)
            (note if as_json else show)(f"\nReport with pictures: {report.absolute()}")
        code = 0 if done.verified else int(verify_job(desk, done.job_id).exit_code)
    if code:
        raise typer.Exit(code)


def _whole_number(value: int | str) -> int:
    """Read digits alone: Python would also take 1_000, spaces and the digits of other scripts."""
    text = str(value)
    if not re.fullmatch(r"[+-]?[0-9]{1,20}", text):
        raise BadInputError(
            f"--shots must be a whole number, not {text[:60]!r}", hint="write it as 4000"
        )
    return int(text)


def _write(path: Path, text: str, job_id: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise OutputError(
            f"the job is done, but its report cannot be written: {error.strerror}",
            hint=f"qai jobs show {job_id}",
        ) from None
