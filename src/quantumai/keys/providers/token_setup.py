"""Initialising a token: C_InitToken and C_InitPIN, without a tool that wants the PIN as argument.

python-pkcs11 has no C_InitToken, and `pkcs11-tool` shows the PIN to everyone who lists processes.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from quantumai.errors import BadInputError, KeyUnavailableError
from quantumai.keys.providers.pkcs11_functions import LABEL_BYTES, TOKEN_INITIALIZED, Functions


def initialise_token(library: Path, environment: Mapping[str, str], label: str, pin: str) -> int:
    """Initialise the first empty slot's token with `label` and a user `pin`.

    Returns how many slots show the token afterwards: a software token may be reached through
    several. The security officer's PIN is random and forgotten: what it could do, reset the user's
    PIN, is not wanted. Raises `KeyUnavailableError` with the step that failed, and never touches a
    token that is initialised already. The library must not be in use in this process.
    """
    if not 0 < len(label.encode()) <= LABEL_BYTES:
        raise BadInputError(f"a token's label has 1 to {LABEL_BYTES} bytes")
    os.environ.update(environment)
    functions = Functions(library)
    functions.initialise()
    try:
        officer_pin = secrets.token_hex(16)
        slot = _empty_slot(functions)
        functions.init_token(slot, officer_pin, label)
        # Some libraries (SoftHSM2) move a token to another slot when it is initialised.
        slot = next((s for s in functions.slots() if functions.token_info(s)[0] == label), slot)
        functions.init_pin(slot, officer_pin, pin)
    finally:
        functions.finalise()
    # A slot that was opened while the store was still empty notices in the library's next life.
    functions.initialise()
    try:
        return sum(_holds(functions, slot, label) for slot in functions.slots())
    finally:
        functions.finalise()


def _holds(functions: Functions, slot: int, label: str) -> bool:
    found, flags = functions.token_info(slot)
    return found == label and bool(flags & TOKEN_INITIALIZED)


def _empty_slot(functions: Functions) -> int:
    for slot in functions.slots():
        if not functions.token_info(slot)[1] & TOKEN_INITIALIZED:
            return slot
    raise KeyUnavailableError(
        "no slot holds a token that is still to be initialised",
        hint="a token that is in use is left alone",
    )
