"""A PKCS#11 library's own function list, for what python-pkcs11 lacks.

That is C_InitToken and C_InitPIN, a C_Initialize that allows threads, and C_GetSessionInfo. The
function list is a C structure: a version and 68 function pointers (PKCS#11 2.40, section 3.6).
Only for Linux's layout, where the structure is not packed.
"""

from __future__ import annotations

import ctypes
import os
from pathlib import Path
from typing import Any

from quantumai.errors import KeyUnavailableError

# Positions among the function pointers.
_INITIALIZE, _FINALIZE, _GET_SLOT_LIST, _GET_TOKEN_INFO = 0, 1, 4, 6
_INIT_TOKEN, _INIT_PIN, _OPEN_SESSION, _CLOSE_ALL, _GET_SESSION_INFO, _LOGIN = 9, 10, 12, 14, 15, 18
_SESSION_FLAGS = 0x6  # CKF_SERIAL_SESSION | CKF_RW_SESSION
_OS_LOCKING = 0x2  # CKF_OS_LOCKING_OK
_SECURITY_OFFICER = 0
_RW_USER = 3  # CKS_RW_USER_FUNCTIONS
LABEL_BYTES = 32
TOKEN_INITIALIZED = 0x400
_FLAGS_OFFSET = 96  # in CK_TOKEN_INFO, after label, manufacturer, model and serial number


class _InitializeArguments(ctypes.Structure):
    """CK_C_INITIALIZE_ARGS: no mutexes of ours, so that the library takes the system's."""

    _fields_ = (
        ("mutex_functions", ctypes.c_void_p * 4),
        ("flags", ctypes.c_ulong),
        ("reserved", ctypes.c_void_p),
    )


class _SessionInfo(ctypes.Structure):
    _fields_ = (
        ("slot", ctypes.c_ulong),
        ("state", ctypes.c_ulong),
        ("flags", ctypes.c_ulong),
        ("device_error", ctypes.c_ulong),
    )


class Functions:
    """The function list of the library at a path.

    All methods raise `KeyUnavailableError` with the step and the return value that is not CKR_OK.
    """

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
        self._session_info = ctypes.CFUNCTYPE(ctypes.c_ulong, ctypes.c_ulong, ctypes.c_void_p)(
            self._pointers[_GET_SESSION_INFO]
        )

    def initialise(self) -> None:
        """Start the library and say that several threads will call it."""
        arguments = _InitializeArguments(flags=_OS_LOCKING)
        self._call("start with threads", _INITIALIZE, ctypes.byref(arguments))

    def finalise(self) -> None:
        """End the library; its sessions become invalid."""
        self._call("finish", _FINALIZE, None)

    def slots(self) -> list[int]:
        """Numbers of the slots that hold a token."""
        count = ctypes.c_ulong()
        with_token = ctypes.c_ubyte(1)
        self._call("list slots", _GET_SLOT_LIST, with_token, None, ctypes.byref(count))
        found = (ctypes.c_ulong * max(1, count.value))()
        self._call("list slots", _GET_SLOT_LIST, with_token, found, ctypes.byref(count))
        return list(found[: count.value])

    def token_info(self, slot: int) -> tuple[str, int]:
        """Label and flags of the token in a slot."""
        buffer = ctypes.create_string_buffer(512)
        self._call("describe itself", _GET_TOKEN_INFO, ctypes.c_ulong(slot), buffer)
        label = buffer.raw[:LABEL_BYTES].decode(errors="replace").rstrip(" \0")
        return label, ctypes.c_ulong.from_buffer(buffer, _FLAGS_OFFSET).value

    def init_token(self, slot: int, officer_pin: str, label: str) -> None:
        """Initialise a token; `label` has at most 32 bytes."""
        padded = ctypes.c_char_p(label.encode().ljust(LABEL_BYTES))
        pin = _text(officer_pin)
        self._call("initialise the token", _INIT_TOKEN, ctypes.c_ulong(slot), *pin, padded)

    def init_pin(self, slot: int, officer_pin: str, pin: str) -> None:
        """Set the user's PIN, as the security officer."""
        number, session = ctypes.c_ulong(slot), ctypes.c_ulong()
        flags = ctypes.c_ulong(_SESSION_FLAGS)
        self._call(
            "open a session", _OPEN_SESSION, number, flags, None, None, ctypes.byref(session)
        )
        officer = ctypes.c_ulong(_SECURITY_OFFICER)
        self._call("log in", _LOGIN, session, officer, *_text(officer_pin))
        self._call("set the PIN", _INIT_PIN, session, *_text(pin))
        self._call("close", _CLOSE_ALL, number)

    def is_logged_in(self, session: Any) -> bool:
        """Whether a session of python-pkcs11 lives and may use private keys; 0.5 microseconds.

        A session that was logged out gives no error: it finds no private objects.
        """
        info = _SessionInfo()
        if self._session_info(session.handle, ctypes.byref(info)) != 0:
            return False
        return bool(info.state == _RW_USER)

    def _call(self, what: str, position: int, *arguments: Any) -> None:
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
