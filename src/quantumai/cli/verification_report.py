"""How a verification is shown: a line for each check, and the verdict."""

from __future__ import annotations

from typing import TYPE_CHECKING

from quantumai.cli.terminal import show, show_json

if TYPE_CHECKING:
    from quantumai.provenance.verification.report import VerificationReport

_WORDS = {"ok": "ok", "failed": "FAILED", "not-checked": "not checked"}


def show_report(report: VerificationReport, as_json: bool) -> None:
    """Print all checks; the verdict names what was left unchecked, also where it was allowed."""
    unchecked = [check.name for check in report.checks if check.status == "not-checked"]
    if as_json:
        show_json(report.as_json() | {"unchecked": unchecked})
        return
    for check in report.checks:
        show(f"{_WORDS[check.status]:<11}  {check.name:<11}  {check.detail}")
    if not report.verified:
        show(f"NOT verified (exit code {int(report.exit_code)})")
    else:
        show(f"verified, except not checked: {', '.join(unchecked)}" if unchecked else "verified")
