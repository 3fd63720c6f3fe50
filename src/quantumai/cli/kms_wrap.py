"""`qai kms wrap` and `unwrap`: data keys under an ML-KEM key."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from quantumai.bounded_reading import shown_path
from quantumai.cli.kms_caller import As, KeyName, bytes_of_hex, opened_keys
from quantumai.cli.options import AsJson
from quantumai.cli.terminal import show, show_json

_MAX_DATA_KEY_BYTES = 64
_MAX_WRAPPED_BYTES = 4096  # ML-KEM-1024: 1,568 bytes of ciphertext, and less than 100 more

Associated = Annotated[
    str,
    typer.Option(
        "--associated-data", metavar="HEX", help="Bound to the wrapped key; unwrap needs the same."
    ),
]


def wrap(
    name: KeyName,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A data key of 16 to 64 bytes.")],
    out: Annotated[Path, typer.Option(metavar="WRAPPED", help="Where to write the wrapped key.")],
    associated_data: Associated = "",
    principal: As = None,
    as_json: AsJson = False,
) -> None:
    """Encrypt a data key: ML-KEM, HKDF-SHA256, AES-256-GCM. Data is encrypted by you, with it."""
    from quantumai.bounded_reading import read_bounded
    from quantumai.cli.output_file import require_writable, write_file
    from quantumai.keys.management.data_keys import require_data_key
    from quantumai.keys.management.records import check_name

    bound = bytes_of_hex(associated_data, "--associated-data")
    check_name(name)
    data_key = read_bounded(file, _MAX_DATA_KEY_BYTES, "the data key")
    require_data_key(data_key)
    require_writable(out, "the wrapped key", file)
    with opened_keys(principal) as opened:
        wrapped = opened.keys.wrap(name, data_key, bound)
    write_file(out, wrapped, "the wrapped key")
    if as_json:
        show_json({"name": name, "bytes": len(wrapped), "out": str(out)})
    else:
        show(f"wrapped key of {len(wrapped)} bytes in {shown_path(out)}, for {name}")


def unwrap(
    name: KeyName,
    file: Annotated[Path, typer.Argument(metavar="WRAPPED", help="What `qai kms wrap` wrote.")],
    out: Annotated[
        Path, typer.Option(metavar="FILE", help="Where to write the data key (mode 0600).")
    ],
    associated_data: Associated = "",
    principal: As = None,
    as_json: AsJson = False,
) -> None:
    """Decrypt a data key, by whichever version of the key wrapped it."""
    from quantumai.bounded_reading import read_bounded
    from quantumai.cli.output_file import require_writable, write_file
    from quantumai.keys.management.records import check_name

    bound = bytes_of_hex(associated_data, "--associated-data")
    check_name(name)
    wrapped = read_bounded(file, _MAX_WRAPPED_BYTES, "the wrapped key")
    require_writable(out, "the data key", file)
    with opened_keys(principal) as opened:
        data_key = opened.keys.unwrap(name, wrapped, bound)
    write_file(out, data_key, "the data key", mode=0o600)
    if as_json:
        show_json({"name": name, "bytes": len(data_key), "out": str(out)})
    else:
        show(f"data key of {len(data_key)} bytes in {shown_path(out)}")
