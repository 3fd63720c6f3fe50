"""Settings for all tests, and the counts of published vectors at the end of a run."""

from __future__ import annotations

import pytest
from hypothesis import settings

# A slow example on a busy machine is no failure; what must be quick has a test of its own.
settings.register_profile("project", deadline=None)
settings.load_profile("project")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print how many published vectors ran; workers hand the counts over in reports."""
    lines = [
        value
        for report in terminalreporter.stats.get("passed", [])
        for name, value in getattr(report, "user_properties", [])
        if name == "vectors"
    ]
    if lines:
        terminalreporter.section("published vectors")
        for line in sorted(lines):
            terminalreporter.write_line(line)
