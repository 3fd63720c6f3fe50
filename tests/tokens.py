"""Real PKCS#11 tokens for tests: built or installed where they are missing, never left out."""

from __future__ import annotations

import os
import subprocess
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from quantumai.keys.providers.pkcs11 import Pkcs11Keys
from quantumai.keys.providers.pkcs11_library import finalize_library
from quantumai.keys.providers.pkcs11_token import Pkcs11Token
from quantumai.keys.providers.token_settings import TokenSettings
from quantumai.keys.providers.token_setup import initialise_token
from tests.servers import install_package

TOKENS = ("kryoptic", "softhsm2")
LABEL = "tests"
PIN = "pin-of-a-test-0815"
_ROOT = Path(__file__).parents[1]
_SOFTHSM2 = Path("/usr/lib/softhsm/libsofthsm2.so")


@cache
def token_library(kind: str) -> Path:
    """The library of a kind of token; kryoptic is built the first time, which takes minutes."""
    if kind == "softhsm2":
        install_package("softhsm2", _SOFTHSM2)
        return _SOFTHSM2
    command = [_ROOT / "scripts" / "token"]
    return Path(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout[:-1])


def new_token(kind: str, folder: Path, slots: int = 1) -> TokenSettings:
    """An initialised token in a new `folder`, with its PIN in the file `pin`.

    With kryoptic as many slots show it as there are sessions; SoftHSM2 has one slot for a token.
    """
    library = token_library(kind)
    store = folder / "store"
    store.mkdir(parents=True)
    configuration = folder / "conf"
    if kind == "kryoptic":
        text = "".join(
            f'[[slots]]\nslot = {slot}\ndbtype = "sqlite"\ndbargs = "{store}/token.sqlite"\n'
            for slot in range(slots)
        )
        environment = {"KRYOPTIC_CONF": str(configuration)}
    else:
        text = f"directories.tokendir = {store}\nobjectstore.backend = file\n"
        environment = {"SOFTHSM2_CONF": str(configuration)}
    configuration.write_text(text)
    pin = folder / "pin"
    pin.touch(0o600)
    pin.write_text(PIN + "\n")
    finalize_library(str(library))
    shown = initialise_token(library, environment, LABEL, PIN)
    assert shown == (slots if kind == "kryoptic" else 1)
    return TokenSettings(str(library), LABEL, "file:pin", environment, slots=slots)


def token_keys(settings: TokenSettings, folder: Path) -> Pkcs11Keys:
    """The provider on a token, with a clock that stands still."""
    token = Pkcs11Token(settings, folder)
    return Pkcs11Keys(token, lambda: datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), folder / "lock")


def environment_of(settings: TokenSettings) -> dict[str, str]:
    """The environment of a child process that opens the token itself."""
    return {k: v for k, v in os.environ.items() if k not in settings.environment}
