"""Turning a finished computation into signed, logged statements."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version

from quantumai.jobs.desk import Desk, manifest_key, proof_key
from quantumai.jobs.request import JobRequest
from quantumai.keys.algorithms import ML_DSA_65
from quantumai.mitigation.methods import find_method
from quantumai.provenance.run_manifest import RunManifest, build_run_manifest
from quantumai.provenance.statement import SCHEDULER_DECISION, artifact_hash, build_statement
from quantumai.scheduler.decision import Decision

_LIBRARIES = ("qiskit", "numpy", "rustworkx", "cryptography")


def seal_decision(desk: Desk, decision: Decision, digests: Mapping[str, str]) -> tuple[bytes, int]:
    """Sign and log the decision before anything runs; returns its envelope and leaf index.

    The envelope becomes an artefact of the manifest, so that both signatures cover the decision.
    """
    sealer = desk.open_sealer()
    statement = build_statement(digests, SCHEDULER_DECISION, decision.to_json())
    return sealer.seal("scheduler-decision", statement)


def seal_manifest(
    desk: Desk,
    request: JobRequest,
    decision: Decision,
    digests: Mapping[str, str],
) -> tuple[bytes, int]:
    """Sign and log the run-manifest, store it with its proof; returns envelope and leaf index."""
    sealer = desk.open_sealer()
    manifest = RunManifest(
        job_id=decision.job_id,
        tenant=request.tenant,
        backend_id=decision.chosen.backend_id,
        pqc_suite=ML_DSA_65,
        crypto_mode=request.crypto_mode,
        calibration_snapshot_id=decision.chosen.calibration_snapshot_id,
        em_method=decision.chosen.forecast.method,
        em_version=find_method(decision.chosen.forecast.method).version,
        seed=request.seed,
        created_at=desk.now(),
        artifact_hash=artifact_hash(digests),
        sdk_version=_sdk_version(),
        library_versions=_library_versions(decision.simulator),
        policy_digest=decision.policy_digest,
        request_sha256=request.sha256,
    )
    statement = build_run_manifest(manifest, digests)
    envelope, index = sealer.seal("run-manifest", statement, anchor_audit=True)
    desk.objects.put_once(proof_key(decision.job_id), sealer.proof(index, envelope))
    desk.objects.put_once(manifest_key(decision.job_id), envelope)
    return envelope, index


def _sdk_version() -> str:
    try:
        return version("quantumai")
    except PackageNotFoundError:
        return "not installed"  # run from its source, which no version names


def _library_versions(simulator: str) -> dict[str, str]:
    libraries = (*_LIBRARIES, "qiskit-aer") if simulator == "aer" else _LIBRARIES
    return {name: version(name) for name in libraries} | {"python": platform.python_version()}
