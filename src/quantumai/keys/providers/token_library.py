"""The development token's library out of the wheel `quantumai-token`, for who has no Rust."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from quantumai.errors import BadInputError

_PACKAGE = "quantumai_token"


def packaged_library() -> Path | None:
    """The PKCS#11 library in the installed package, absolute; None without that package.

    Raises `BadInputError` if the package is there but its library is not.
    """
    try:
        package = import_module(_PACKAGE)
    except ModuleNotFoundError:
        return None
    path = Path(package.library_path())
    if not path.is_file():
        raise BadInputError(
            "the package quantumai-token is installed without its library",
            hint="install its wheel again, or give --library",
        )
    return path
