"""The page of plain words that ends `qai run`: what was asked, chosen, measured and verified."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from quantumai.cli.terminal import heading, table, visible, wrapped

if TYPE_CHECKING:
    from quantumai.circuits.features import CircuitFeatures
    from quantumai.jobs.report import JobReport
    from quantumai.scheduler.decision import Candidate

SIMULATED = "A simulator with the calibrated noise: mitigation knows it better than on a device."
"""Stands wherever errors are shown: readout correction is given the exact confusion matrix."""


def job_page(report: JobReport, *, everything: bool = False) -> str:
    """The whole page; `everything` lists every candidate and not only the telling ones."""
    parts = (
        _circuit(report),
        _considered(report, everything),
        _choice(report),
        _values(report),
        _evidence(report),
    )
    return "\n\n".join("\n".join(part) for part in parts)


def shown_candidates(report: JobReport, *, everything: bool) -> list[Candidate]:
    """The best candidate of each backend and every method of the winner's, or all of them."""
    seen: set[str] = set()
    shown = []
    for candidate in report.decision.candidates:
        best_there = candidate.backend_id not in seen
        seen.add(candidate.backend_id)
        if everything or best_there or candidate.backend_id == report.backend_id:
            shown.append(candidate)
    return shown


def why_lost(candidate: Candidate, report: JobReport) -> str:
    """Why a candidate did not win, against the winner's score, error and cost."""
    chosen = report.decision.chosen
    method = candidate.forecast.method
    if (candidate.backend_id, method) == (chosen.backend_id, chosen.forecast.method):
        return "chosen"
    if candidate.refused:
        return candidate.refused
    error = _ratio(candidate.forecast.predicted_rmse, chosen.forecast.predicted_rmse)
    cost = _ratio(candidate.factors.effective_cost, chosen.factors.effective_cost)
    parts = [f"error x{error:.2f}", f"cost x{cost:.2f}"]
    availability = candidate.factors.availability_penalty
    if availability < chosen.factors.availability_penalty:
        parts.append(f"availability factor {availability:.2f}")
    return ", ".join(parts)


def _circuit(report: JobReport) -> Iterator[str]:
    yield heading(f"Circuit {visible(report.circuit_name)}")
    yield f"  {_features(report.decision.features)}"
    yield from wrapped(f"observables {', '.join(o.pauli for o in report.observables)}")
    yield (
        f"  {report.shots} shots, tolerance {report.tolerance:g}, crypto mode {report.crypto_mode}"
    )


def _features(features: CircuitFeatures) -> str:
    return (
        f"{features.qubit_count} qubits, depth {features.depth}, "
        f"{features.single_qubit_gate_count} one-qubit and "
        f"{features.two_qubit_gate_count} two-qubit gates, "
        f"mapping entropy {features.mapping_entropy_bits:.2f} bits"
    )


def _considered(report: JobReport, everything: bool) -> Iterator[str]:
    decision = report.decision
    shown = shown_candidates(report, everything=everything)
    yield heading(f"Considered: {len(decision.backends)} backends")
    rows = [
        (
            candidate.backend_id,
            candidate.forecast.method,
            f"{candidate.forecast.predicted_rmse:.4f}",
            f"{candidate.factors.cost:.2f}",
            f"{candidate.forecast.expected_fidelity:.3f}",
            f"{candidate.forecast.confidence:.2f}",
            f"{candidate.factors.score:.4g}",
            why_lost(candidate, report),
        )
        for candidate in shown
    ]
    headers = (
        "backend",
        "method",
        "error",
        "USD",
        "fidelity",
        "conf.",
        "score",
        "beside the winner",
    )
    yield from table(headers, rows, right={2, 3, 4, 5, 6})
    for backend in decision.backends:
        if backend.refused:
            yield from wrapped(f"{backend.backend_id}: refused, {backend.refused}")
    left_out = len(decision.candidates) - len(shown)
    if left_out:
        yield f"  {left_out} more, each behind its backend's best: qai jobs show {report.job_id}"
    yield from wrapped(
        "error: predicted RMSE. fidelity: exp(-error / tolerance). conf.: share of test circuits "
        "whose error came within 1.5x of the prediction. score: fidelity / cost per shot x "
        "availability x crypto, higher wins. Beside the winner: error and cost as multiples of the "
        "chosen one's."
    )


def _choice(report: JobReport) -> Iterator[str]:
    chosen = report.decision.chosen
    yield heading(f"Chosen: {chosen.backend_id} with {chosen.forecast.method}")
    yield from wrapped(f"{chosen.reason}.")
    yield from wrapped(f"calibration {report.calibration_snapshot_id}")


def _values(report: JobReport) -> Iterator[str]:
    yield heading("Values (with standard errors)")
    rows = []
    for one in report.observables:
        ideal = "-" if one.ideal is None else f"{one.ideal:+.4f}"
        raw = f"{one.raw:+.4f} ± {one.raw_std_err:.4f}"
        mitigated = f"{one.mitigated:+.4f} ± {one.std_err:.4f}"
        remark = f"fell back to {one.fallback}" if one.fallback else ""
        rows.append((one.pauli, ideal, raw, mitigated, remark))
    yield from table(("observable", "ideal", "raw", "mitigated", ""), rows, right={1, 2, 3})
    if report.observed_rmse is not None and report.raw_rmse is not None:
        yield (
            f"  RMSE: raw {report.raw_rmse:.4f} at {report.shots} shots, mitigated "
            f"{report.observed_rmse:.4f} at {report.shots_spent}, "
            f"predicted {report.predicted_rmse:.4f}"
        )
        yield f"  {SIMULATED}"
    yield f"  Cost: {report.cost:.2f} USD for {report.shots_spent} shots (illustrative prices)"


def _evidence(report: JobReport) -> Iterator[str]:
    yield heading("verified" if report.verified else "NOT VERIFIED")
    yield from check_lines(report.checks)
    yield ""
    yield f"  Job:          {report.job_id}"
    yield f"  Manifest:     {report.manifest_path}"
    yield f"  Verify again: qai manifest verify {report.job_id}"
    yield f"  Replay:       qai replay {report.job_id}"


def check_lines(checks: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """The checks of a verification, as its JSON has them: outcome, name and detail."""
    for check in checks:
        status = {"ok": "ok", "failed": "FAILED"}.get(str(check["status"]), "not checked")
        first, *rest = wrapped(str(check["detail"]), " " * 28)
        yield f"  {status:<11}  {check['name']:<11}  {first.lstrip()}"
        yield from rest


def _ratio(value: float, base: float) -> float:
    return value / base if base else float("inf")
