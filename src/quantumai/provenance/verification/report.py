"""What a verification found: checks, their outcome, and the exit code that they amount to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Any


class ExitCode(IntEnum):
    """How a verification can end; documented, never renumbered."""

    OK = 0
    INTERNAL = 1
    BAD_INPUT = 2  # the envelope cannot be read at all
    SIGNATURE = 3  # signature wrong, or a field malformed or contradicting it
    ARTEFACT = 4  # an artefact differs from what was signed
    UNTRUSTED_KEY = 5  # signed by a key that the trust file does not name
    LEDGER = 6  # proof, checkpoint or key status does not hold
    KEY_NOT_VALID = 7  # the key did not count at that leaf
    NOT_CHECKED = 8  # evidence is missing
    CRYPTO_MODE = 9  # weaker than the auditor accepts


# Of several failures the one that says most about an attacker decides; missing evidence is last.
_DECIDES = (
    ExitCode.BAD_INPUT,
    ExitCode.SIGNATURE,
    ExitCode.UNTRUSTED_KEY,
    ExitCode.CRYPTO_MODE,
    ExitCode.KEY_NOT_VALID,
    ExitCode.LEDGER,
    ExitCode.ARTEFACT,
)


class Outcome(StrEnum):
    """Outcome of one check."""

    OK = "ok"
    FAILED = "failed"
    NOT_CHECKED = "not-checked"


@dataclass(frozen=True)
class Check:
    """One check: its name, outcome, a sentence on what was seen, and its exit code."""

    name: str
    status: Outcome
    detail: str
    exit_code: ExitCode


@dataclass(frozen=True)
class VerificationReport:
    """All checks in order; `verified` only if none failed and none was left out unasked.

    `unchecked` names the checks that lacked evidence and were allowed to.
    """

    checks: tuple[Check, ...]
    verified: bool
    exit_code: ExitCode
    unchecked: tuple[str, ...] = ()

    @classmethod
    def of(cls, checks: Sequence[Check], allow_unchecked: frozenset[str]) -> VerificationReport:
        """Sum up `checks`; those named in `allow_unchecked` may lack evidence."""
        codes = {check.exit_code for check in checks if check.status is Outcome.FAILED}
        lacking = [check.name for check in checks if check.status is Outcome.NOT_CHECKED]
        allowed = tuple(name for name in lacking if name in allow_unchecked)
        code = next((code for code in _DECIDES if code in codes), ExitCode.OK)
        if code is ExitCode.OK and len(allowed) < len(lacking):
            code = ExitCode.NOT_CHECKED
        return cls(tuple(checks), code is ExitCode.OK, code, allowed)

    def as_json(self) -> dict[str, Any]:
        """The report as plain JSON data."""
        return {
            "verified": self.verified,
            "exit_code": int(self.exit_code),
            "checks": [
                {"name": c.name, "status": str(c.status), "detail": c.detail} for c in self.checks
            ],
            "unchecked": list(self.unchecked),
        }


def passed(name: str, detail: str) -> Check:
    """A check that holds."""
    return Check(name, Outcome.OK, detail, ExitCode.OK)


def failed(name: str, detail: str, exit_code: ExitCode) -> Check:
    """A check that does not hold."""
    return Check(name, Outcome.FAILED, detail, exit_code)


def not_checked(name: str, detail: str) -> Check:
    """A check for which evidence is missing."""
    return Check(name, Outcome.NOT_CHECKED, detail, ExitCode.NOT_CHECKED)
