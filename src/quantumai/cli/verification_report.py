"""How a verification is shown: a line for each check, and the verdict."""

from __future__ import annotations

from typing import TYPE_CHECKING

from quantumai.cli.terminal import show, show_json

if TYPE_CHECKING:
    from quantumai.provenance.verification.report import VerificationReport

_WORDS = {"ok": "ok", "failed": "FAILED", "not-checked": "not checked"}
_UNREADABLE = 2  # `ExitCode.BAD_INPUT`, without importing it at the start


def unreadable(report: VerificationReport) -> str:
    """Why what was to be verified cannot even be read; empty if it was read."""
    return next((c.detail for c in report.checks if c.exit_code == _UNREADABLE), "")


def show_report(report: VerificationReport, as_json: bool) -> None:
    """Print all checks; the verdict names what was left unchecked, also where it was allowed."""
    if as_json:
        show_json(report.as_json())
        return
    for check in report.checks:
        show(f"{_WORDS[check.status]:<11}  {check.name:<11}  {check.detail}")
    if not report.verified:
        show(f"NOT verified (exit code {int(report.exit_code)})")
        return
    left = ", ".join(report.unchecked)
    show(f"verified, except not checked: {left}" if left else "verified")
