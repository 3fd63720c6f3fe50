"""Filters that need the catalogue only: the same before a home is opened and in the plan."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from quantumai.backends.catalogue import BackendEntry
from quantumai.crypto_mode import CryptoMode
from quantumai.errors import BadInputError, NoCandidateError


def require_simulable(num_qubits: int, simulator: str, max_qubits: int) -> None:
    """Raise `BadInputError` for a circuit too wide for the engine."""
    if num_qubits > max_qubits:
        raise BadInputError(
            f"the circuit has {num_qubits} qubits, "
            f"the {simulator} engine simulates at most {max_qubits}",
            hint="cut the circuit down; nothing was spent",
        )


def named(entries: Sequence[BackendEntry], backend_id: str | None) -> list[BackendEntry]:
    """The entry of that id, or all for None; `BadInputError` if there is no such."""
    found = [entry for entry in entries if backend_id in (None, entry.backend_id)]
    if not found and backend_id is not None:
        known = ", ".join(entry.backend_id for entry in entries)
        raise BadInputError(f"unknown backend {backend_id!r}", hint=f"use auto or one of: {known}")
    return found


def refusal(entry: BackendEntry, mode: CryptoMode, num_qubits: int) -> str:
    """Why a backend is out before anything is computed for it; empty if it is not."""
    if not entry.supports(mode):
        return f"does not support crypto mode {mode}"
    if entry.num_qubits < num_qubits:
        return f"has {entry.num_qubits} qubits, {num_qubits} are needed"
    return ""


def no_candidate(refusals: Iterable[tuple[str, str]]) -> NoCandidateError:
    """The error when all are out, from (backend id, reason) pairs; repeated ones count once."""
    reasons = dict.fromkeys(f"{backend_id} {reason}" for backend_id, reason in refusals)
    return NoCandidateError(
        "no backend and method is left: " + "; ".join(reasons),
        hint="relax --crypto-mode, --max-cost, --backend or --em",
    )
