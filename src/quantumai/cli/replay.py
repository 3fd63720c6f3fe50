"""`qai replay`: recompute a job from its evidence."""

from __future__ import annotations

import typer

from quantumai.cli.options import AsJson, JobId
from quantumai.cli.terminal import show, show_json, wrapped

REPLAY_DIFFERS = 10


def replay(job: JobId, as_json: AsJson = False) -> None:
    """Recompute features, policy, decision and result; exit 10 where they differ."""
    from dataclasses import asdict, is_dataclass

    import msgspec

    from quantumai.jobs.history import find_job
    from quantumai.jobs.replay import replay_job
    from quantumai.services.wiring import open_home

    with open_home() as home:
        desk = home.desk()
        job_id = find_job(desk, job).job_id
        report = replay_job(desk, job_id)
    if as_json:
        plain = asdict(report) if is_dataclass(report) else msgspec.to_builtins(report)
        show_json({"job_id": job_id, **plain})
    else:
        for step in report.steps:
            show(f"{'equal' if step.equal else 'DIFFERS':<8} {step.name}")
            if not step.equal:
                for line in wrapped(step.difference, " " * 9):
                    show(line)
        outcome = "equal" if report.equal else "NOT equal"
        show(f"{outcome}: job {job_id} recomputed, compared to {report.digits} digits")
    raise typer.Exit(0 if report.equal else REPLAY_DIFFERS)
