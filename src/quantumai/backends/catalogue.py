"""The catalogue: which backends there are, what they cost and which crypto modes they support.

A small file that people edit, so it is read strictly: every mistake is named with its place.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import msgspec

from quantumai.bounded_reading import read_bounded
from quantumai.crypto_mode import CryptoMode
from quantumai.errors import BadInputError

PACKAGED_CATALOGUE = Path(__file__).with_name("catalogue.toml")
_MAX_BYTES = 1_000_000


class BackendEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One backend; `cost_per_shot` in USD above 0, `availability` a share of time (0..1).

    `device` is the vendor's own name of it, which the calibration reader takes.
    """

    backend_id: str
    vendor: str
    device: str
    region: str
    cost_per_shot: float
    availability: float
    num_qubits: int
    crypto_modes: tuple[CryptoMode, ...]

    def supports(self, mode: CryptoMode) -> bool:
        """Whether a job of this crypto mode may run here."""
        return mode in self.crypto_modes


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    backend: tuple[BackendEntry, ...]


def load_catalogue(path: Path | None = None) -> tuple[BackendEntry, ...]:
    """Read a catalogue file (the packaged one by default), in the order it is written.

    Raises `BadInputError` that names the file and the field.
    """
    path = path or PACKAGED_CATALOGUE
    hint = f"correct {path}"
    try:
        plain = tomllib.loads(read_bounded(path, _MAX_BYTES, "catalogue").decode())
    except (ValueError, RecursionError) as error:
        raise BadInputError(f"catalogue {path} is not TOML: {error}", hint=hint) from None
    try:
        entries = msgspec.convert(plain, _File).backend
    except msgspec.ValidationError as error:
        what = _with_backend_id(str(error), plain)
        raise BadInputError(f"catalogue {path}: {what}", hint=hint) from None
    seen: set[str] = set()
    for entry in entries:
        fault = "backend_id: listed twice" if entry.backend_id in seen else _fault(entry)
        if fault:
            raise BadInputError(f"catalogue {path}: {entry.backend_id!r}: {fault}", hint=hint)
        seen.add(entry.backend_id)
    if not entries:
        raise BadInputError(f"catalogue {path}: backend: none is listed", hint=hint)
    return entries


def _fault(entry: BackendEntry) -> str:
    """The first field with an impossible value and why, or an empty string."""
    for name in ("backend_id", "vendor", "device", "region"):
        text: str = getattr(entry, name)
        if not text or not all(c.isascii() and (c.isalnum() or c in "._-") for c in text):
            return f"{name}: {text!r} has characters other than letters, digits, '.', '_' and '-'"
    # Written so that NaN fails: every comparison with it is false.
    if not 0 < entry.cost_per_shot < 1e6:
        return f"cost_per_shot: {entry.cost_per_shot} is not a price above 0"
    if not 0 <= entry.availability <= 1:
        return f"availability: {entry.availability} is not between 0 and 1"
    if entry.num_qubits < 1:
        return f"num_qubits: {entry.num_qubits} is below 1"
    if not entry.crypto_modes or len(set(entry.crypto_modes)) != len(entry.crypto_modes):
        return "crypto_modes: none is listed, or one is listed twice"
    return ""


def _with_backend_id(message: str, plain: dict[str, Any]) -> str:
    """`message` with "$.backend[3]" made into that backend's id, which is easier to find."""
    backends = plain.get("backend")
    for index, item in enumerate(backends if isinstance(backends, list) else []):
        if f"$.backend[{index}]" in message and isinstance(item, dict) and "backend_id" in item:
            return f"{item['backend_id']!r}: " + message.replace(f"$.backend[{index}]", "$")
    return message
