"""`qai replay`: recompute a job from its evidence."""

from __future__ import annotations

import typer

from quantumai.cli.options import AsJson, JobId
from quantumai.cli.terminal import show, show_json, wrapped

REPLAY_DIFFERS = 10


def replay(job: JobId, as_json: AsJson = False) -> None:
    """Recompute features, policy, decision and result; exit 10 where they differ."""
    import msgspec

    from quantumai.jobs.history import find_job
    from quantumai.jobs.replay import replay_job
    from quantumai.services.existing_home import open_existing_home

    with open_existing_home() as home:
        desk = home.desk()
        report = replay_job(desk, find_job(desk, job).job_id)
    if as_json:
        show_json(msgspec.to_builtins(report))
    else:
        for step in report.steps:
            show(f"{'equal' if step.equal else 'DIFFERS':<8} {step.name}")
            if not step.equal:
                for line in wrapped(step.difference, " " * 9):
                    show(line)
        if report.bit_equal:
            show("equal, bit for bit")
        else:
            show(f"{'equal' if report.equal else 'NOT equal'} to {report.digits} digits")
    raise typer.Exit(0 if report.equal else REPLAY_DIFFERS)
