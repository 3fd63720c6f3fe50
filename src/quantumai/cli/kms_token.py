"""`qai kms token`: where the keys of a home are, what that can do, and how fast it signs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from quantumai.bounded_reading import shown_path
from quantumai.cli.options import AsJson, group
from quantumai.cli.terminal import show, show_json, table

app = group("The token of this home, or what it has instead.")


@app.command("init")
def init(
    library: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="PKCS#11 library (default: what `make token` built, else the wheel's).",
        ),
    ] = None,
    slots: Annotated[
        int, typer.Option(metavar="N", min=1, max=64, help="Calls that the token works on at once.")
    ] = 2,
    pin: Annotated[
        str,
        typer.Option(
            metavar="SOURCE",
            help="Where the PIN comes from, now and later: file:PATH, fd:NUMBER or command:LINE "
            "(default: one that is made here, in a file of the home). Never the PIN itself.",
        ),
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Initialise a token for this home, which then signs with it."""
    from quantumai.services.home_token import FOLDER, init_home_token
    from quantumai.services.wiring import home_root

    root = home_root()
    settings = init_home_token(root, library, slots=slots, pin=pin)
    if as_json:
        show_json(
            {
                "label": settings.label,
                "library": settings.library,
                "folder": str(root / FOLDER),
            }
        )
        return
    show(f"token    {settings.label}, in {root / FOLDER}")
    show(f"library  {settings.library}")
    show("This home signs with the token from now on.")


@app.command("status")
def status(as_json: AsJson = False) -> None:
    """Where the keys are, what can be done there, what validation it has; exit 1 if broken."""
    from dataclasses import asdict

    from quantumai.services.provider_status import ALGORITHMS_TESTED, home_providers

    found = home_providers(_root())
    if as_json:
        show_json({"providers": [asdict(each) for each in found], "algorithms": ALGORITHMS_TESTED})
        return
    for each in found:
        show(f"provider    {each.provider}")
        if token := each.token:
            show(f"token       {token['label']} ({token['manufacturer']}, {token['model']})")
            show(f"library     {token['library']}")
            show(f"slots       {token['slots']}, {token['sessions']} sessions at once")
            show("probe       private keys can neither be read nor copied")
            if token["halves"]:
                show(f"left over   {token['halves']} objects without their other half")
        show(f"validation  {each.validation}")
        show(f"keys        {each.keys}")
        for line in table(("algorithm", "can"), list(each.capabilities.items())):
            show(line)
        show()
    show(ALGORITHMS_TESTED)


@app.command("bench")
def bench(
    seconds: Annotated[
        float, typer.Option(metavar="N", min=0.1, max=60, help="How long it signs.")
    ] = 3,
    algorithm: Annotated[str, typer.Option(metavar="A", help="What it signs with.")] = "ML-DSA-65",
    as_json: AsJson = False,
) -> None:
    """A quick look at signatures per second; the key for it is made and destroyed.

    With keys in AWS KMS these are calls over the network, and they are paid for.
    """
    import os
    import time
    from dataclasses import asdict

    from quantumai.services.token_bench import measure_signing
    from quantumai.services.wiring import open_providers

    provider = open_providers(_root(), os.environ)[0]
    found = measure_signing(provider, algorithm, seconds, time.perf_counter)
    if as_json:
        show_json(asdict(found))
        return
    show(f"{found.per_second:.0f} {found.algorithm} signatures a second by {found.provider}")
    show(f"p50 {found.p50_ms:.2f} ms, p99 {found.p99_ms:.2f} ms, of {found.signatures} signatures")
    show(f"A quick look of {found.seconds:.1f} s: one thread, without audit and verification.")


def _root() -> Path:
    """The folder of a home that is there, if only set up for keys. Raises `NotFoundError`."""
    from quantumai.errors import NotFoundError
    from quantumai.services.existing_home import home_exists
    from quantumai.services.home_aws_kms import read_home
    from quantumai.services.home_token import has_token
    from quantumai.services.wiring import home_root

    root = home_root()
    if not home_exists(root) and not has_token(root) and read_home(root) is None:
        raise NotFoundError(
            f"no home at {shown_path(root)}",
            hint="`qai kms token init` gives a new home a token",
        )
    return root
