"""What a recorded run came to, read back from its sealed evidence and verified on the way."""

from __future__ import annotations

from typing import Any

import msgspec

from quantumai.jobs.desk import Desk
from quantumai.jobs.evidence import Evidence, verify_job
from quantumai.jobs.history import JobSummary
from quantumai.jobs.run_data import Histogram, RunResult, read_histograms, read_result
from quantumai.provenance.manifest.run_manifest import Origin


class RecordedReport(msgspec.Struct, frozen=True, kw_only=True):
    """A recorded run. `told` is what its maker said of it; `subjects`: artefact -> SHA-256 hex."""

    job_id: str
    state: str
    origin: Origin
    created_at: str
    circuit_name: str
    backend_id: str
    calibration_snapshot_id: str
    em_method: str
    crypto_mode: str
    library_versions: dict[str, str]
    told: dict[str, Any]
    histograms: tuple[Histogram, ...]
    result: RunResult
    subjects: dict[str, str]
    manifest_path: str
    proof_path: str
    verified: bool
    checks: tuple[dict[str, Any], ...]


def load_recorded_report(desk: Desk, summary: JobSummary) -> RecordedReport:
    """Read, verify and report one recorded run that is done."""
    job_id = summary.job_id
    evidence = Evidence(desk, job_id)
    verification = verify_job(desk, job_id)
    manifest = evidence.manifest
    counted = "histograms" in evidence.digests
    return RecordedReport(
        job_id=job_id,
        state=summary.state,
        origin=Origin.RECORDED,
        created_at=manifest.created_at,
        circuit_name=summary.circuit_name,
        backend_id=manifest.backend_id,
        calibration_snapshot_id=manifest.calibration_snapshot_id,
        em_method=manifest.em_method,
        crypto_mode=manifest.crypto_mode,
        library_versions=manifest.library_versions,
        told=evidence.json("record")["told"],
        histograms=read_histograms(evidence.artefact("histograms")) if counted else (),
        result=read_result(evidence.artefact("result")),
        subjects=dict(evidence.digests),
        manifest_path=desk.objects.locate(evidence.objects.manifest_key),
        proof_path=desk.objects.locate(evidence.objects.proof_key),
        verified=verification.verified,
        checks=tuple(verification.as_json()["checks"]),
    )
