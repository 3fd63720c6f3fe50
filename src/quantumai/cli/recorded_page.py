"""The page of `qai jobs show` for a run that QuantumAI did not schedule, but only recorded."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from quantumai.cli.page import check_lines
from quantumai.cli.terminal import heading, table, visible, wrapped

if TYPE_CHECKING:
    from quantumai.jobs.recorded_report import RecordedReport

_MOST_OUTCOMES = 8
_MOST_ROWS = 40


def recorded_page(report: RecordedReport) -> str:
    """The whole page."""
    parts = (_told(report), _values(report), _histograms(report), _evidence(report))
    return "\n\n".join("\n".join(part) for part in map(list, parts) if part)


def _told(report: RecordedReport) -> Iterator[str]:
    yield heading(f"Circuit {visible(report.circuit_name)}")
    yield "  recorded: QuantumAI neither scheduled nor ran this; what follows is its maker's word"
    yield from wrapped(f"backend {visible(report.backend_id)}, method {visible(report.em_method)}")
    shots = report.result.shots_spent
    spent = f"{shots} shots" if shots else "shots not told"
    yield f"  {spent}, crypto mode {report.crypto_mode}, taken from {report.result.source}"
    yield f"  calibration {report.calibration_snapshot_id}"


def _values(report: RecordedReport) -> Iterator[str]:
    values = report.result.expectation_values
    if not values:
        return
    yield heading("Expectation values")
    rows = [
        (
            str(each.circuit),
            f"{each.value:+.5f}",
            "-" if each.std_err is None else f"{each.std_err:.5f}",
            visible(each.observable) or str(list(each.index)),
        )
        for each in values[:_MOST_ROWS]
    ]
    yield from table(("circuit", "value", "std err", "observable"), rows, right=(0, 1, 2))
    yield from _left_out(len(values) - _MOST_ROWS, "values")


def _histograms(report: RecordedReport) -> Iterator[str]:
    if not report.histograms:
        return
    yield heading("Histograms")
    for each in report.histograms[:_MOST_ROWS]:
        common = sorted(each.counts.items(), key=lambda item: (-item[1], item[0]))
        shown = ", ".join(f"{outcome}: {count}" for outcome, count in common[:_MOST_OUTCOMES])
        rest = f", {len(common) - _MOST_OUTCOMES} more" if len(common) > _MOST_OUTCOMES else ""
        where = " ".join(filter(None, (f"circuit {each.circuit}", visible(each.label))))
        place = f" at {list(each.index)}" if each.index else ""
        yield from wrapped(f"{where}{place}: {shown}{rest} ({each.bit_order})")
    yield from _left_out(len(report.histograms) - _MOST_ROWS, "histograms")


def _evidence(report: RecordedReport) -> Iterator[str]:
    yield heading("verified" if report.verified else "NOT VERIFIED")
    yield from check_lines(report.checks)
    yield ""
    yield f"  Job:          {report.job_id}"
    yield f"  Manifest:     {report.manifest_path}"
    yield f"  Verify again: qai manifest verify {report.job_id}"


def _left_out(count: int, what: str) -> Iterator[str]:
    if count > 0:
        yield f"  {count} further {what}: qai jobs show --json"
