"""`qai kms`: the token that signs for this home, and any signature over a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from quantumai.cli.options import AsJson, group
from quantumai.cli.terminal import show, show_json
from quantumai.errors import BadInputError

app = group("Keys in a token that they never leave, and signatures.")
token = group("The PKCS#11 token of this home.")
app.add_typer(token, name="token")

SIGNATURE_INVALID = 1
# The longest signature (SLH-DSA-SHA2-256f) has 49,856 bytes, the longest key in PEM 3,700.
_MAX_SMALL_FILE_BYTES = 2**16


@token.command("init")
def init(
    library: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="PKCS#11 library (default: what `make token` built)."),
    ] = None,
) -> None:
    """Initialise a token for this home, which then signs with it."""
    import os

    from quantumai.services.home_token import FOLDER, init_home_token
    from quantumai.services.wiring import home_root

    root = home_root(os.environ)
    settings = init_home_token(root, library)
    show(f"token    {settings.label}, in {root / FOLDER}")
    show(f"library  {settings.library}")
    show("This home signs with the token from now on.")


@token.command("status")
def status(as_json: AsJson = False) -> None:
    """Say what the token is, what it can do and what validation it has; exit 1 if it is broken."""
    import os
    from dataclasses import asdict

    from quantumai.errors import NotFoundError
    from quantumai.services.home_token import has_token
    from quantumai.services.wiring import home_root, open_token_keys

    root = home_root(os.environ)
    if not has_token(root):
        raise NotFoundError("this home has no token", hint="make one with `qai kms token init`")
    found = open_token_keys(root).status()
    if as_json:
        show_json(asdict(found))
        return
    show(f"token       {found.label} ({found.manufacturer}, {found.model})")
    show(f"library     {found.library}")
    show(f"validation  {found.validation}")
    show("probe       private keys can neither be read nor copied")
    show(f"keys        {found.keys}")
    for name, able in found.capabilities.items():
        show(f"{name:<11} {able}")


@app.command("verify")
def verify(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The message, byte for byte.")],
    algorithm: Annotated[
        str,
        typer.Option(metavar="A", help="Such as ML-DSA-65, SLH-DSA-SHA2-128s, ECDSA-P256."),
    ],
    public_key: Annotated[
        Path, typer.Option(metavar="PEM", help="The public key: a SubjectPublicKeyInfo in PEM.")
    ],
    signature: Annotated[
        Path,
        typer.Option(
            metavar="SIG", help="The signature's bytes as they are; for ECDSA they are its DER."
        ),
    ],
    context: Annotated[
        str,
        typer.Option(metavar="HEX", help="ML-DSA and SLH-DSA only, at most 255 bytes."),
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Check a signature over a file: exit 0 if valid, 1 if not, 2 if it cannot be checked.

    Pure ML-DSA (FIPS 204) and SLH-DSA (FIPS 205), Ed25519, ECDSA-P256 with SHA-256, ECDSA-P384
    with SHA-384, RSA-3072-PSS with SHA-256 and 32 bytes of salt.
    """
    from quantumai.bounded_reading import open_regular, read_bounded
    from quantumai.keys.algorithms import key_id
    from quantumai.keys.signatures import verify_stream
    from quantumai.keys.spki import spki_of_pem

    spki_der = spki_of_pem(read_bounded(public_key, _MAX_SMALL_FILE_BYTES, "the public key"))
    signature_bytes = read_bounded(signature, _MAX_SMALL_FILE_BYTES, "the signature")
    context_bytes = _hex(context)
    with open_regular(file, "the file") as stream:
        valid = verify_stream(algorithm, spki_der, stream, signature_bytes, context_bytes)
    if as_json:
        show_json({"valid": valid, "algorithm": algorithm, "key_id": key_id(spki_der)})
    else:
        shown = "valid" if valid else "NOT valid"
        show(f"{shown}: {algorithm} signature, key {key_id(spki_der)}")
    raise typer.Exit(0 if valid else SIGNATURE_INVALID)


def _hex(text: str) -> bytes:
    try:
        # bytes.fromhex alone would skip blanks.
        if text.split() == [text] or not text:
            return bytes.fromhex(text)
    except ValueError:
        pass
    raise BadInputError("--context is not hexadecimal", hint="such as --context 0a1b2c")
