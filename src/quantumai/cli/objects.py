"""`qai objects`: where this home keeps what it stores, how long, and whether encrypted."""

from __future__ import annotations

from typing import Annotated

import typer

from quantumai.cli.options import AsJson, group
from quantumai.cli.terminal import show, show_json

app = group("Where this home keeps its objects: a folder or a bucket, in clear or encrypted.")


@app.command("init")
def init(
    bucket: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="An S3 bucket; without one the home's own folder."),
    ] = None,
    prefix: Annotated[
        str, typer.Option(metavar="TEXT", help="Begins the names of this home's objects.")
    ] = "",
    endpoint: Annotated[
        str, typer.Option(metavar="URL", help="Of a store other than AWS's own.")
    ] = "",
    region: Annotated[
        str, typer.Option(metavar="REGION", help="By default what boto3's settings name.")
    ] = "",
    retention_days: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="How long nobody can delete evidence in the bucket (Object Lock, compliance"
            " mode): 365 unless told, 0 for not at all.",
        ),
    ] = None,
    encrypt: Annotated[
        bool, typer.Option("--encrypt", help="Encrypt each tenant's data under its own key.")
    ] = False,
) -> None:
    """Say where a fresh home keeps its objects; credentials come from boto3's usual chain.

    The bucket is asked first whether it keeps what a home needs of it.
    """
    from quantumai.services.home_objects import (
        DEFAULT_RETENTION_DAYS,
        HomeObjects,
        init_home_objects,
    )
    from quantumai.services.wiring import home_root

    days = retention_days
    if days is None:
        days = DEFAULT_RETENTION_DAYS if bucket is not None else 0
    place = HomeObjects(
        kind="local" if bucket is None else "s3",
        bucket=bucket or "",
        prefix=prefix,
        endpoint=endpoint,
        region=region,
        retention_days=days,
        encrypt=encrypt,
    )
    init_home_objects(home_root(), place)
    for about, words in place.described().items():
        show(f"{about:<8}  {words}")


@app.command("clear-erased")
def clear_erased(as_json: AsJson = False) -> None:
    """Clear the database's rows about jobs whose data were erased with their tenant's key."""
    from quantumai.jobs.erasure import clear_erased as clear
    from quantumai.services.existing_home import open_existing_home

    with open_existing_home() as home:
        cleared = clear(home.desk())
    if as_json:
        show_json({"cleared": cleared})
        return
    show(f"{len(cleared)} jobs cleared")


@app.command("show")
def show_place(as_json: AsJson = False) -> None:
    """Where this home keeps its objects, as `objects.toml` says it. The bucket is not asked."""
    from quantumai.services.home_objects import read_home_objects
    from quantumai.services.wiring import home_root

    place = read_home_objects(home_root())
    if as_json:
        show_json({name: getattr(place, name) for name in place.__struct_fields__})
        return
    for about, words in place.described().items():
        show(f"{about:<8}  {words}")
