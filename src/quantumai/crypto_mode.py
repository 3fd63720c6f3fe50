"""Crypto modes: how much post-quantum protection a job, a backend or an auditor asks for."""

from __future__ import annotations

from enum import StrEnum

from quantumai.errors import BadInputError


class CryptoMode(StrEnum):
    """The product's one enum; ordered by `strength`, weakest first.

    classical: classical signatures suffice. hybrid: classical and post-quantum, both must hold.
    pqc-preferred: post-quantum, classical beside it where available. pqc-required: post-quantum
    alone suffices and classical never does.
    """

    CLASSICAL = "classical"
    HYBRID = "hybrid"
    PQC_PREFERRED = "pqc-preferred"
    PQC_REQUIRED = "pqc-required"

    @property
    def strength(self) -> int:
        """Position in the order classical < hybrid < pqc-preferred < pqc-required."""
        return list(CryptoMode).index(self)

    @classmethod
    def parse(cls, text: str) -> CryptoMode:
        """Read a mode by its name, or raise `BadInputError`."""
        try:
            return cls(text)
        except ValueError:
            raise BadInputError(
                f"unknown crypto mode {text!r}", hint=f"use one of: {', '.join(cls)}"
            ) from None
