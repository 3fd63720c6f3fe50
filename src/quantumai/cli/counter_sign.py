"""`qai manifest counter-sign`: vouch again for an old manifest, under today's keys."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from quantumai.cli.options import AsJson, JobId
from quantumai.cli.output_file import write_new_file
from quantumai.cli.terminal import show, show_json
from quantumai.errors import BadInputError

ENVELOPE, PROOF = "counter-signature.json", "counter-signature.proof"


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
    paths = [folder / ENVELOPE, folder / PROOF]
    with open_existing_home() as home:
        desk = home.desk()
        job_id = find_job(desk, job).job_id
        _make_room(folder, paths)  # before anything is logged, and after what could be refused
        made = counter_sign_job(desk, job_id, mode)
    # What has an envelope has its proof.
    write_new_file(paths[1], made.proof, "the proof")
    write_new_file(paths[0], made.envelope, "the counter-signature")
    if as_json:
        show_json({"files": [str(path) for path in paths]})
        return
    show(f"{ENVELOPE} and {PROOF} in {folder}")
    show(f"verify with: qai manifest verify MANIFEST --counter-signature {paths[0]}")


def _make_room(folder: Path, paths: list[Path]) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        taken = [path for path in paths if path.exists()]
    except OSError as error:
        raise BadInputError(f"cannot write to {folder}: {error.strerror}") from None
    if taken:
        raise BadInputError(f"{taken[0]} is there already", hint="name another folder")
