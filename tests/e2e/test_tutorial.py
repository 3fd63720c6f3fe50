"""The tutorial prints what it says: its commands in order, its lines in their output."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

import quantumai
from tests.e2e.qai_command import ROOT, Ended, qai

_BLOCK = re.compile(r"^```(?:console|text)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# New in each run. Where a line ends depends on the width of the terminal.
_NEW = re.compile(
    r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|\b[0-9a-f]{16,64}\b|\d{4}-\d\d-\d\dT[0-9:.]+Z"
)


def told() -> list[tuple[str, list[str]]]:
    """Each command of the tutorial with the lines that it is said to print."""
    steps: list[tuple[str, list[str]]] = []
    for block in _BLOCK.findall((ROOT / "docs" / "tutorial.md").read_text()):
        for line in block.splitlines():
            if line.startswith("$ "):
                steps.append((line[2:], []))
            elif line.strip() != "...":
                steps[-1][1].append(line)
    return steps


def masked(text: str) -> str:
    return " ".join(_NEW.sub("#", text).split())


@pytest.mark.slow
def test_the_tutorial_prints_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    job_id, wrong = "", []
    for command, lines in told():
        if not command.startswith("qai "):
            continue  # the test of the README runs the examples
        arguments = shlex.split(command.replace("$JOB", job_id))[1:]
        is_attacked = any("was changed" in line for line in lines)
        ended = attacked(arguments) if is_attacked else qai(*arguments, home=tmp_path / "home")
        if found := re.search(r"Job: +(\S+)", ended.out):
            job_id = found[1]
        printed = masked(ended.out + ended.err)
        wrong += [f"{command}: {line}" for line in lines if masked(line) not in printed]
    assert job_id
    assert wrong == []


def attacked(arguments: list[str]) -> Ended:
    """What a verification says while one character more stands in the histograms."""
    subjects = quantumai.read_manifest("evidence/manifest.json").subjects
    histograms = Path("evidence/artefacts") / subjects["histograms"]
    honest = histograms.read_bytes()
    histograms.write_bytes(honest + b" ")
    try:
        return qai(*arguments, home=None)
    finally:
        histograms.write_bytes(honest)
