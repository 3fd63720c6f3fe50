"""`report.html`: the job's page with pictures, in one file without any link outside."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

from quantumai.cli.html_parts import html_document, html_table
from quantumai.cli.page import SIMULATED, why_lost
from quantumai.cli.svg import Bar, Dot, Point, bar_chart, dot_chart, scatter_chart
from quantumai.provenance.manifest.views import flat_view
from quantumai.provenance.statements.dsse import parse_envelope

if TYPE_CHECKING:
    from collections.abc import Sequence

    from quantumai.circuits.circuit import Circuit
    from quantumai.jobs.report import JobReport
    from quantumai.scheduler.decision import Candidate

_MOST_GATES_DRAWN = 400


def html_report(report: JobReport, circuit: Circuit, envelope: bytes) -> str:
    """The whole page; `envelope` is the job's signed manifest."""
    view = flat_view(parse_envelope(envelope))
    sections = (
        _head(report),
        _values(report),
        _candidates(report),
        _drawing(circuit),
        _flow(report, view),
        _evidence(report),
    )
    return html_document(f"QuantumAI: {report.circuit_name}", sections)


def _head(report: JobReport) -> str:
    features, chosen = report.decision.features, report.decision.chosen
    badge = "verified" if report.verified else "not verified"
    kind = "badge" if report.verified else "badge bad"
    return (
        f"<h1>{escape(report.circuit_name)} on {escape(report.backend_id)} "
        f'with {escape(report.em_method)}</h1><p><span class="{kind}">{badge}</span> '
        f'<span class="quiet">job {escape(report.job_id)}, {escape(report.created_at)}</span></p>'
        f"<p>{features.qubit_count} qubits, depth {features.depth}, "
        f"{features.single_qubit_gate_count} one-qubit and {features.two_qubit_gate_count} "
        f"two-qubit gates, mapping entropy {features.mapping_entropy_bits:.2f} bits. "
        f"{report.shots} shots, tolerance {report.tolerance:g}, "
        f"crypto mode {escape(report.crypto_mode)}.</p>"
        f"<p>Why this pair: {escape(chosen.reason)}. It costs {report.cost:.2f} USD for "
        f'{report.shots_spent} shots <span class="quiet">(illustrative prices)</span>.</p>'
    )


def _values(report: JobReport) -> str:
    rows = []
    for one in report.observables:
        dots = [
            Dot(one.raw, one.raw_std_err, "raw"),
            Dot(one.mitigated, one.std_err, "mitigated"),
        ]
        if one.ideal is not None:
            dots.append(Dot(one.ideal, 0.0, "ideal"))
        rows.append((one.pauli, dots))
    table = html_table(
        ("observable", "ideal", "raw", "mitigated", "remark"),
        [
            (
                one.pauli,
                "-" if one.ideal is None else f"{one.ideal:+.4f}",
                f"{one.raw:+.4f} ± {one.raw_std_err:.4f}",
                f"{one.mitigated:+.4f} ± {one.std_err:.4f}",
                f"fell back to {one.fallback}" if one.fallback else "",
            )
            for one in report.observables
        ],
        numbers={1, 2, 3},
    )
    errors = ""
    if report.raw_rmse is not None and report.observed_rmse is not None:
        errors = (
            f"<p>RMSE: raw {report.raw_rmse:.4f} at {report.shots} shots, mitigated "
            f"{report.observed_rmse:.4f} at {report.shots_spent}, "
            f"predicted {report.predicted_rmse:.4f}. {SIMULATED}</p>"
        )
    key = _key(("raw", "#d9822b"), ("mitigated", "#14804a"), ("ideal", "#1c2733"))
    caption = f'<p class="quiet">Whiskers are one standard error.{key}</p>'
    return f"<section><h2>Values</h2>{dot_chart(rows)}{caption}{table}{errors}</section>"


def _candidates(report: JobReport) -> str:
    decision = report.decision
    bars = [
        Bar(
            f"{c.backend_id} {c.forecast.method}",
            c.factors.score,
            f"{c.factors.score:.4g}",
            _kind(c, report),
        )
        for c in decision.candidates[:15]
    ]
    points = [
        Point(
            c.factors.cost,
            c.forecast.predicted_rmse,
            f"{c.backend_id} {c.forecast.method}",
            _kind(c, report),
            _is_chosen(c, report),
        )
        for c in decision.candidates
    ]
    rows = [
        (
            c.backend_id,
            c.forecast.method,
            f"{c.forecast.predicted_rmse:.4f}",
            f"{c.factors.cost:.2f}",
            f"{c.forecast.expected_fidelity:.3f}",
            f"{c.forecast.confidence:.2f}",
            f"{c.factors.score:.4g}",
            why_lost(c, report),
        )
        for c in decision.candidates
    ]
    chosen_row = next(i for i, c in enumerate(decision.candidates) if _is_chosen(c, report))
    table = html_table(
        ("backend", "method", "error", "USD", "fidelity", "confidence", "score", "beside winner"),
        rows,
        numbers={2, 3, 4, 5, 6},
        chosen=chosen_row,
    )
    refused = "".join(
        f"<li>{escape(b.backend_id)}: {escape(b.refused)}</li>"
        for b in decision.backends
        if b.refused
    )
    if refused:
        refused = f'<h2>Refused backends</h2><ul class="quiet">{refused}</ul>'
    more = f"the best {len(bars)} of {len(points)}" if len(points) > len(bars) else "all"
    return (
        f'<section><h2>Score of each candidate <span class="quiet">({more})</span></h2>'
        f"{bar_chart(bars)}</section>"
        "<section><h2>Predicted error and cost</h2>"
        f"{scatter_chart(points, 'cost (USD)', 'predicted error (RMSE)')}"
        f'<p class="quiet">Lower left is better. {_key(("chosen", "#14804a"))}</p></section>'
        f"<section><h2>All candidates</h2>{table}"
        '<p class="quiet">error: predicted RMSE; fidelity: exp(-error / tolerance); confidence: '
        "share of test circuits whose error came within 1.5x of the prediction; score: fidelity / "
        f"cost per shot x availability x crypto compatibility, higher wins. Beside the "
        "winner: error and cost as multiples of the chosen one's.</p>{refused}</section>"
    )


def _drawing(circuit: Circuit) -> str:
    gates = len(circuit.quantum.data)
    if gates > _MOST_GATES_DRAWN:
        drawn = f"<p>{gates} gates are too many to draw.</p>"
    else:
        text = circuit.quantum.draw(output="text", fold=110, idle_wires=True)
        drawn = f"<pre>{escape(str(text))}</pre>"
    return f"<section><h2>Circuit</h2>{drawn}</section>"


def _flow(report: JobReport, view: dict[str, Any]) -> str:
    """What went into each step, each thing with the SHA-256 under which it is stored."""
    subjects: dict[str, str] = view["subjects"]
    used = {f"calibration/{report.backend_id}"}
    steps = (
        ("Asked", ("circuit", "request"), ""),
        ("Known", ("catalogue", *sorted(used)), "and the calibrations of the other backends"),
        ("Decided", ("decision", "transpiled-circuit"), "signed before anything ran"),
        ("Run and mitigated", (), f"every random number from the seed {view['seed']}"),
    )
    named = {name for _, names, _ in steps for name in names}
    results = tuple(
        name for name in subjects if name not in named and not name.startswith("calibration/")
    )
    parts = []
    for title, names, remark in steps:
        parts.append(_step(title, names or results, remark, subjects))
    parts.append(
        f'<div class="step win"><b>Sealed</b> <span class="quiet">signed with '
        f"{escape(view['pqc_suite'])}, logged in the ledger</span>"
        f'<div class="mono hash">artifact_hash {escape(view["artifact_hash"])}</div>'
        f'<div class="mono hash">key {escape(view["key_id"])}</div></div>'
    )
    flow = '<div class="arrow">&#8595;</div>'.join(parts)
    return f'<section><h2>From question to proof</h2><div class="flow">{flow}</div></section>'


def _step(title: str, names: Sequence[str], remark: str, subjects: dict[str, str]) -> str:
    lines = "".join(
        f'<div class="mono hash">{escape(name)} {escape(subjects[name])}</div>'
        for name in names
        if name in subjects
    )
    quiet = f' <span class="quiet hash">{escape(remark)}</span>' if remark else ""
    return f'<div class="step"><b>{escape(title)}</b>{quiet}{lines}</div>'


def _evidence(report: JobReport) -> str:
    rows = [(str(c["status"]), str(c["name"]), str(c["detail"])) for c in report.checks]
    return (
        f"<section><h2>What was verified</h2>{html_table(('outcome', 'check', 'detail'), rows)}"
        f'<p>Manifest: <code class="hash">{escape(report.manifest_path)}</code></p>'
        f"<p>Verify again: <code>qai manifest verify {escape(report.job_id)}</code><br>"
        f"Replay: <code>qai replay {escape(report.job_id)}</code></p></section>"
    )


def _key(*entries: tuple[str, str]) -> str:
    marks = "".join(f'<i style="background:{colour}"></i>{name}' for name, colour in entries)
    return f'<span class="key">{marks}</span>'


def _is_chosen(candidate: Candidate, report: JobReport) -> bool:
    return (candidate.backend_id, candidate.forecast.method) == (
        report.backend_id,
        report.em_method,
    )


def _kind(candidate: Candidate, report: JobReport) -> str:
    if _is_chosen(candidate, report):
        return "win"
    return "refused" if candidate.refused else "other"
