"""`qai jobs`: what was run here."""

from __future__ import annotations

from quantumai.cli.options import AsJson, JobId, group
from quantumai.cli.terminal import show, show_json, table, visible

app = group("List jobs and show one.")


@app.command("list")
def list_all(as_json: AsJson = False) -> None:
    """All jobs, newest first."""
    import msgspec

    from quantumai.jobs.history import list_jobs
    from quantumai.services.existing_home import open_existing_home

    with open_existing_home() as home:
        jobs = list_jobs(home.desk())
    if as_json:
        show_json([msgspec.to_builtins(job) for job in jobs])
        return
    if not jobs:
        show("No jobs yet. Start one with `qai run`.")
        return
    rows = [
        (
            job.job_id,
            job.created_at,
            str(job.state),
            visible(job.backend_id or "-"),
            visible(job.em_method or "-"),
            str(job.origin),
            visible(job.failure_reason or ""),
        )
        for job in jobs
    ]
    headers = ("job", "created", "state", "backend", "method", "origin", "failure")
    if not any(row[-1] for row in rows):
        headers, rows = headers[:-1], [row[:-1] for row in rows]  # type: ignore[assignment, misc]
    for line in table(headers, rows):
        show(line)


@app.command("show")
def show_one(job: JobId, as_json: AsJson = False) -> None:
    """One job: everything that was considered, the answer, and what was verified.

    Of a run that was only recorded: what its maker handed in, and what was verified.
    """
    import msgspec

    from quantumai.cli.page import job_page
    from quantumai.cli.recorded_page import recorded_page
    from quantumai.jobs.history import find_job
    from quantumai.jobs.recorded_report import load_recorded_report
    from quantumai.jobs.report import load_report
    from quantumai.services.existing_home import open_existing_home

    with open_existing_home() as home:
        desk = home.desk()
        summary = find_job(desk, job)
        if summary.state != "done":
            if as_json:
                show_json(msgspec.to_builtins(summary))
                return
            show(f"Job {summary.job_id} is {summary.state}, created {summary.created_at}.")
            if summary.failure_reason:
                show(f"Reason: {summary.failure_reason} ({summary.failure_code})")
            return
        if summary.origin == "recorded":
            recorded = load_recorded_report(desk, summary)
            page = recorded_page(recorded)
            plain = msgspec.to_builtins(recorded)
        else:
            report = load_report(desk, summary.job_id)
            page = job_page(report, everything=True)
            plain = msgspec.to_builtins(report)
    if as_json:
        show_json(plain)
    else:
        show(page)
