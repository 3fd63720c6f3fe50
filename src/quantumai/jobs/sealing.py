"""Turning a finished computation into signed, logged statements."""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from quantumai.canonical import sha256_hex
from quantumai.crypto_mode import CryptoMode
from quantumai.jobs.desk import Desk
from quantumai.jobs.job_objects import JobObjects
from quantumai.jobs.request import JobRequest
from quantumai.mitigation.methods import find_method
from quantumai.provenance.manifest.run_manifest import (
    SCHEMA_VERSION,
    Origin,
    RunManifest,
    build_run_manifest,
)
from quantumai.provenance.statements.statement import (
    SCHEDULER_DECISION,
    artifact_hash,
    build_statement,
)
from quantumai.provenance.verification.mode_signatures import signature_suite
from quantumai.scheduler.decision import Decision

_LIBRARIES = ("qiskit", "numpy", "rustworkx", "cryptography")


def seal_decision(
    desk: Desk,
    request: JobRequest,
    decision: Decision,
    digests: Mapping[str, str],
    objects: JobObjects,
) -> tuple[str, int]:
    """Sign and log the decision before anything runs; returns its digest (hex) and leaf index.

    The envelope becomes an artefact of the manifest, so that both signatures cover the decision.
    It is stored in `objects` before it is logged: of a job that dies its leaf is known to be its.
    """
    statement = build_statement(digests, SCHEDULER_DECISION, decision.to_json())
    envelope, index = desk.open_sealer().seal(
        "scheduler-decision",
        statement,
        mode=request.crypto_mode,
        keep=lambda signed: objects.store({"signed-decision": signed}),
    )
    return sha256_hex(envelope), index


def seal_manifest(
    desk: Desk,
    request: JobRequest,
    decision: Decision,
    digests: Mapping[str, str],
) -> tuple[bytes, int]:
    """Sign and log the run-manifest, store it with its proof; returns envelope and leaf index."""
    method = find_method(decision.chosen.forecast.method)
    simulator = desk.open_simulator(request.engine)
    manifest = RunManifest(
        job_id=decision.job_id,
        tenant=request.tenant,
        backend_id=decision.chosen.backend_id,
        pqc_suite=signature_suite(request.crypto_mode),
        crypto_mode=request.crypto_mode,
        calibration_snapshot_id=decision.chosen.calibration_snapshot_id,
        em_method=decision.chosen.forecast.method,
        em_version=method.version,
        seed=request.seed,
        created_at=desk.now(),
        artifact_hash=artifact_hash(digests),
        sdk_version=sdk_version(),
        library_versions=_library_versions(decision.simulator),
        policy_digest=decision.policy_digest,
        request_sha256=request.sha256,
        plugin_digests={
            f"em-method/{method.name}": _source_digest(type(method).__module__),
            f"engine/{request.engine}": _source_digest(type(simulator).__module__),
        },
        origin=Origin.SCHEDULED,
        schema_version=SCHEMA_VERSION,
    )
    return seal_run(desk, manifest, digests)


def seal_run(
    desk: Desk,
    manifest: RunManifest,
    digests: Mapping[str, str],
    keep: Callable[[bytes], object] | None = None,
) -> tuple[bytes, int]:
    """Sign and log a run's manifest, whoever ran it; returns its envelope and leaf index.

    The one way to a stored manifest: it is stored with its proof, and only once it is logged.
    `keep` is called with the envelope before that.
    """
    sealer = desk.open_sealer()
    statement = build_run_manifest(manifest, digests)
    mode = CryptoMode.parse(manifest.crypto_mode)
    envelope, index = sealer.seal(
        "run-manifest", statement, mode=mode, keep=keep, anchor_audit=True
    )
    objects = desk.job_objects(manifest.tenant, manifest.job_id)
    objects.put_sealed(envelope, sealer.proof(index, envelope))
    return envelope, index


@cache
def _source_digest(module: str) -> str:
    """SHA-256 of the file that a plug-in's module comes from."""
    found = find_spec(module)
    if found is None or not found.origin:
        raise RuntimeError(f"the plug-in {module} has no file")
    return sha256_hex(Path(found.origin).read_bytes())


def sdk_version() -> str:
    """The version of this package."""
    try:
        return version("quantumai")
    except PackageNotFoundError:
        return "not installed"  # run from its source, which no version names


def _library_versions(simulator: str) -> dict[str, str]:
    libraries = (*_LIBRARIES, "qiskit-aer") if simulator == "aer" else _LIBRARIES
    return {name: version(name) for name in libraries} | {"python": platform.python_version()}
