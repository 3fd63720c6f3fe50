"""`qai manifest counter-sign`: vouch again for an old manifest, under today's keys."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from quantumai.bounded_reading import shown_path
from quantumai.cli.options import AsJson, JobId
from quantumai.cli.statement_files import statement_files, write_statement
from quantumai.cli.terminal import show, show_json

_NAME = "counter-signature"


def counter_sign(
    job: JobId,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where its two files go.")],
    crypto_mode: Annotated[
        str, typer.Option(metavar="MODE", help="The crypto mode to sign in.")
    ] = "pqc-required",
    as_json: AsJson = False,
) -> None:
    """Sign and log that a job's manifest verifies now; the manifest itself is not touched."""
    from quantumai.crypto_mode import CryptoMode
    from quantumai.jobs.counter_signing import counter_sign_job
    from quantumai.jobs.history import find_job
    from quantumai.services.existing_home import open_existing_home

    mode = CryptoMode.parse(crypto_mode)
    paths = statement_files(folder, _NAME)  # before anything is logged
    with open_existing_home() as home:
        desk = home.desk()
        job_id = find_job(desk, job).job_id
        made = counter_sign_job(desk, job_id, mode)
    write_statement(paths, made.envelope, made.proof, "the counter-signature")
    if as_json:
        show_json({"files": [str(path) for path in paths]})
        return
    show(f"{paths[0].name} and {paths[1].name} in {shown_path(folder)}")
    show(f"verify with: qai manifest verify MANIFEST --counter-signature {shown_path(paths[0])}")
