"""`qai backends`: where a job may run, and what its calibration says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from quantumai.cli.options import AsJson, group
from quantumai.cli.terminal import heading, show, show_json, table
from quantumai.errors import NotFoundError

if TYPE_CHECKING:
    from quantumai.scheduler.planner import FleetMember

app = group("List backends and show one.")


@app.command("list")
def list_all(as_json: AsJson = False) -> None:
    """All backends of the catalogue with their latest calibration."""
    members = _fleet()
    summaries = [_summary(member) for member in members]
    if as_json:
        show_json(summaries)
        return
    rows = [
        (
            one["backend_id"],
            str(one["num_qubits"]),
            one["calibrated_at"][:10],
            f"{one['median_two_qubit_error']:.4f}",
            f"{one['median_readout_error']:.4f}",
            f"{one['cost_per_shot']:.5f}",
            f"{one['availability']:.2f}",
            ", ".join(one["crypto_modes"]),
        )
        for one in summaries
    ]
    headers = (
        "backend",
        "qubits",
        "calibrated",
        "2q error",
        "readout",
        "USD/shot",
        "avail.",
        "modes",
    )
    for line in table(headers, rows, right={1, 3, 4, 5, 6}):
        show(line)
    show("\nErrors are medians. Prices, availability and crypto modes are illustrative.")


@app.command("show")
def show_one(
    backend: Annotated[str, typer.Argument(metavar="ID", help="As `qai backends list` names it.")],
    as_json: AsJson = False,
) -> None:
    """One backend: its calibration, its edges, and what was excluded or repaired."""
    import msgspec

    members = _fleet()
    found = [member for member in members if member.entry.backend_id == backend]
    if not found:
        known = ", ".join(member.entry.backend_id for member in members)
        raise NotFoundError(f"unknown backend {backend!r}", hint=f"use one of: {known}")
    member = found[0]
    snapshot = member.snapshot
    if as_json:
        show_json(_summary(member) | {"calibration": msgspec.to_builtins(snapshot)})
        return
    show(heading(f"{backend}: {snapshot.num_qubits} qubits, {member.entry.region}"))
    show(f"  calibrated  {snapshot.created_at}  ({snapshot.snapshot_id})")
    show(f"  SHA-256     {member.snapshot_sha256}")
    show(f"  price       {member.entry.cost_per_shot:.5f} USD a shot (illustrative)")
    show(f"  modes       {', '.join(member.entry.crypto_modes)} (illustrative)")
    show("\n" + heading(f"Usable edges ({len(snapshot.edges)}, gate {snapshot.two_qubit_gate})"))
    edges = [
        (f"{e.control} -> {e.target}", f"{e.error:.5f}", f"{e.duration_s * 1e9:.0f}")
        for e in snapshot.edges
    ]
    for line in table(("edge", "error", "ns"), edges, right={1, 2}):
        show(line)
    show("\n" + heading(f"Excluded or repaired ({len(snapshot.repairs)})"))
    for line in table(("where", "what"), [(r.where, r.what) for r in snapshot.repairs]):
        show(line)


def _fleet() -> tuple[FleetMember, ...]:
    from quantumai.services.wiring import open_home

    with open_home() as home:
        return home.fleet()


def _summary(member: FleetMember) -> dict[str, Any]:
    from statistics import median

    snapshot, entry = member.snapshot, member.entry
    usable = [q for q in snapshot.qubits if q.operational]
    return {
        "backend_id": entry.backend_id,
        "vendor": entry.vendor,
        "region": entry.region,
        "cost_per_shot": entry.cost_per_shot,
        "availability": entry.availability,
        "num_qubits": entry.num_qubits,
        "crypto_modes": [str(mode) for mode in entry.crypto_modes],
        "calibration_snapshot_id": snapshot.snapshot_id,
        "calibration_sha256": member.snapshot_sha256,
        "calibrated_at": snapshot.created_at,
        "usable_qubits": len(usable),
        "usable_edges": len(snapshot.edges),
        "median_two_qubit_error": median([e.error for e in snapshot.edges] or [0.0]),
        "median_readout_error": median(
            [(q.prob_meas1_prep0 + q.prob_meas0_prep1) / 2 for q in usable] or [0.0]
        ),
        "repairs": len(snapshot.repairs),
    }
