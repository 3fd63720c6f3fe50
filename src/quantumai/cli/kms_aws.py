"""`qai kms aws-kms`: keys of this home in AWS KMS."""

from __future__ import annotations

from typing import Annotated

import typer

from quantumai.cli.options import group
from quantumai.cli.terminal import show

app = group("Keys of this home in AWS KMS.")


@app.command("init")
def init(
    region: Annotated[
        str, typer.Option(metavar="REGION", help="By default what boto3's settings name.")
    ] = "",
    prefix: Annotated[
        str,
        typer.Option(metavar="TEXT", help="Begins the aliases of this home's keys."),
    ] = "quantumai",
    endpoint_url: Annotated[
        str, typer.Option(metavar="URL", help="Of a VPC endpoint, or of an emulation.")
    ] = "",
    new_keys: Annotated[
        bool, typer.Option("--new-keys", help="Make new keys there, not in the token.")
    ] = False,
) -> None:
    """Let this home keep keys in AWS KMS; credentials come from boto3's usual chain.

    A home that has no keys yet has all of them there. Another one keeps its keys where they are:
    `qai kms keys rotate NAME --provider aws-kms` takes a key over.
    """
    from quantumai.services.home_aws_kms import HomeAwsKms, connect_home
    from quantumai.services.wiring import home_root, open_aws_keys

    root, wanted = home_root(), HomeAwsKms(prefix, region, endpoint_url, new_keys)
    # Makes a client and asks nobody: what boto3 cannot use must not become the home's setting.
    open_aws_keys(wanted).abilities()
    connect_home(root, wanted)
    show(f"aws-kms  aliases {prefix}, in region {region or 'of the settings'}")
    show("A rotation with --provider aws-kms takes a key over.")
