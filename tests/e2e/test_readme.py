"""Every command that the README shows in a console block runs and exits with 0."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
_BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def readme_commands() -> list[str]:
    blocks = _BLOCK.findall((ROOT / "README.md").read_text())
    return [line[2:] for block in blocks for line in block.splitlines() if line.startswith("$ ")]


@pytest.mark.slow
def test_the_readme_commands_run_in_order(tmp_path: Path) -> None:
    """One shell runs them all, because later commands use what earlier ones set ($JOB)."""
    commands = readme_commands()
    assert len(commands) >= 10, "the README lost its commands"
    work = tmp_path / "work"
    work.mkdir()
    (work / "examples").symlink_to(ROOT / "examples")
    bin_folder = Path(sys.executable).parent
    done = subprocess.run(
        ["bash", "-eu", "-o", "pipefail", "-c", "set -v\n" + "\n".join(commands)],
        cwd=work,
        env=os.environ
        | {"PATH": f"{bin_folder}:{os.environ['PATH']}", "QAI_HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
        timeout=300,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    assert (work / "report.html").stat().st_size > 0
