"""A small job, and how to lie about one while holding its keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from quantumai.circuits.loading import load_circuit
from quantumai.jobs.desk import Desk
from quantumai.jobs.evidence import Evidence
from quantumai.jobs.object_names import manifest_key, proof_key
from quantumai.jobs.request import PreparedJob, prepare_job
from quantumai.provenance.manifest.run_manifest import build_run_manifest
from quantumai.provenance.statements.statement import artifact_hash

CIRCUIT = load_circuit(
    "OPENQASM 2.0;\n"
    'include "qelib1.inc";\n'
    "qreg q[3];\n"
    "h q[0]; cx q[0],q[1]; rx(0.4) q[1]; cx q[1],q[2];\n",
    name="small",
)
OBSERVABLES = ("IIZ", "ZZI", "XXX")


def small_job(**changes: Any) -> PreparedJob:
    return prepare_job(CIRCUIT, OBSERVABLES, **({"shots": 600, "seed": "7"} | changes))


def silent(_: str) -> None:
    pass


def reseal(desk: Desk, job_id: str, artefacts: Mapping[str, bytes], **fields: Any) -> None:
    """Put changed artefacts and manifest fields in place, rightly signed, logged and proved."""
    evidence = Evidence(desk, job_id)
    digests = dict(evidence.digests) | evidence.objects.store(artefacts)
    manifest = msgspec.structs.replace(
        evidence.manifest, artifact_hash=artifact_hash(digests), **fields
    )
    sealer = desk.open_sealer()
    envelope = sealer.sign(build_run_manifest(manifest, digests))
    index = sealer.log("run-manifest", envelope)
    desk.objects.replace(proof_key("local", job_id), sealer.proof(index, envelope))
    desk.objects.replace(manifest_key("local", job_id), envelope)
