"""Initialising a token: C_InitToken and C_InitPIN, called on the library's function list.

python-pkcs11 has no C_InitToken, and a command-line tool would want the PIN as an argument. The
function list is a C structure: a version and 68 function pointers (PKCS#11 2.40, section 3.6).
Only for Linux's layout, where the structure is not packed.
"""

from __future__ import annotations

import ctypes
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from quantumai.errors import KeyUnavailableError

# Positions among the function pointers.
_INITIALIZE, _FINALIZE, _GET_SLOT_LIST, _GET_TOKEN_INFO = 0, 1, 4, 6
_INIT_TOKEN, _INIT_PIN, _OPEN_SESSION, _CLOSE_ALL, _LOGIN = 9, 10, 12, 14, 18
_SESSION_FLAGS = 0x6  # CKF_SERIAL_SESSION | CKF_RW_SESSION
_SECURITY_OFFICER = 0
_LABEL_BYTES = 32
_TOKEN_INITIALIZED = 0x400
_FLAGS_OFFSET = 96  # in CK_TOKEN_INFO, after label, manufacturer, model and serial number


def initialise_token(library: Path, environment: Mapping[str, str], label: str, pin: str) -> None:
    """Initialise the first empty slot's token with `label` and a user `pin`.

    The security officer's PIN is random and forgotten: what it could do, reset the user's PIN, is
    not wanted. Raises `KeyUnavailableError` with the step that failed, and never touches a token
    that is initialised already. The library must not be in use in this process.
    """
    os.environ.update(environment)
    functions = _Functions(library)
    functions.call("start", _INITIALIZE, None)
    try:
        officer_pin = secrets.token_hex(16)
        slot = _empty_slot(functions)
        padded = label.encode().ljust(_LABEL_BYTES)
        if len(padded) != _LABEL_BYTES:
            raise KeyUnavailableError("a token's label has at most 32 bytes")
        functions.call(
            "initialise the token", _INIT_TOKEN, slot, *_text(officer_pin), ctypes.c_char_p(padded)
        )
        # Some libraries (SoftHSM2) move a token to another slot when it is initialised.
        slot = next((s for s in _slots(functions) if _info(functions, s)[0] == label), slot)
        session = ctypes.c_ulong()
        functions.call(
            "open a session",
            _OPEN_SESSION,
            slot,
            ctypes.c_ulong(_SESSION_FLAGS),
            None,
            None,
            ctypes.byref(session),
        )
        officer = ctypes.c_ulong(_SECURITY_OFFICER)
        functions.call("log in", _LOGIN, session, officer, *_text(officer_pin))
        functions.call("set the PIN", _INIT_PIN, session, *_text(pin))
        functions.call("close", _CLOSE_ALL, slot)
    finally:
        functions.call("finish", _FINALIZE, None)


class _Functions:
    """The library's function list."""

    def __init__(self, library: Path) -> None:
        try:
            loaded = ctypes.CDLL(str(library), mode=os.RTLD_NOW)
            entry = loaded.C_GetFunctionList
        except (OSError, AttributeError):
            raise KeyUnavailableError(
                f"{library} is no PKCS#11 library that loads", hint="run `make token`"
            ) from None
        table = ctypes.c_void_p()
        if entry(ctypes.byref(table)) != 0 or not table.value:
            raise KeyUnavailableError(f"{library} gives no function list")
        pointers = ctypes.POINTER(ctypes.c_void_p)
        # The version's two bytes are padded to a pointer's size.
        self._pointers = ctypes.cast(table.value + ctypes.sizeof(ctypes.c_void_p), pointers)

    def call(self, what: str, position: int, *arguments: Any) -> None:
        """Call a function; `KeyUnavailableError` with the return value unless it is CKR_OK."""
        address = self._pointers[position]
        function = ctypes.CFUNCTYPE(ctypes.c_ulong, *map(_argument_type, arguments))(address)
        answer = function(*arguments)
        if answer != 0:
            raise KeyUnavailableError(f"the token did not {what}: PKCS#11 error {answer:#x}")


def _argument_type(argument: Any) -> Any:
    if isinstance(argument, (ctypes.c_ulong, ctypes.c_ubyte)):
        return type(argument)
    return ctypes.c_char_p if isinstance(argument, ctypes.c_char_p) else ctypes.c_void_p


def _text(text: str) -> tuple[ctypes.c_char_p, ctypes.c_ulong]:
    data = text.encode()
    return ctypes.c_char_p(data), ctypes.c_ulong(len(data))


def _slots(functions: _Functions) -> list[ctypes.c_ulong]:
    count = ctypes.c_ulong()
    with_token = ctypes.c_ubyte(1)
    functions.call("list slots", _GET_SLOT_LIST, with_token, None, ctypes.byref(count))
    found = (ctypes.c_ulong * max(1, count.value))()
    functions.call("list slots", _GET_SLOT_LIST, with_token, found, ctypes.byref(count))
    return [ctypes.c_ulong(number) for number in found[: count.value]]


def _info(functions: _Functions, slot: ctypes.c_ulong) -> tuple[str, int]:
    """Label and flags of the token in a slot."""
    buffer = ctypes.create_string_buffer(512)
    functions.call("describe itself", _GET_TOKEN_INFO, slot, buffer)
    label = buffer.raw[:_LABEL_BYTES].decode(errors="replace").rstrip(" \0")
    return label, ctypes.c_ulong.from_buffer(buffer, _FLAGS_OFFSET).value


def _empty_slot(functions: _Functions) -> ctypes.c_ulong:
    for slot in _slots(functions):
        if not _info(functions, slot)[1] & _TOKEN_INITIALIZED:
            return slot
    raise KeyUnavailableError(
        "no slot holds a token that is still to be initialised",
        hint="a token that is in use is left alone",
    )
