"""The run-manifest: what was run, where, how and under which evidence (SPEC-001, data model)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum

import msgspec
from msgspec import UNSET, UnsetType

from quantumai.crypto_mode import CryptoMode
from quantumai.errors import BadInputError
from quantumai.provenance.statements.statement import (
    RUN_MANIFEST,
    Statement,
    artifact_hash,
    build_statement,
    is_sha256,
    parse_predicate,
)

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z")
# Names of families that the specification's example uses, and the algorithms each allows.
_FAMILIES = {
    "ML-DSA": "ML-DSA-",
    "ML-KEM": "ML-KEM-",
    "SLH-DSA": "SLH-DSA-",
    "SPHINCS+": "SLH-DSA-",
}
_SINGLE = re.compile(
    r"Ed25519|ECDSA-P256|ML-DSA-(44|65|87)|ML-KEM-(512|768|1024)|SLH-DSA-(SHA2|SHAKE)-(128|192|256)[sf]"
)


SCHEMA_VERSION = 2
_SINCE_2 = ("plugin_digests", "origin")


class Origin(StrEnum):
    """Who chose and ran: QuantumAI, or somebody whose run was only recorded."""

    SCHEDULED = "scheduled"
    RECORDED = "recorded"


class RunManifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The predicate of a run-manifest; the signature is the envelope's and not in here.

    `pqc_suite`: algorithms or families joined by ":". `seed`, `artifact_hash`: `sha256:<hex>`.
    `created_at`: ISO 8601 UTC ending in Z. `policy_digest`, `request_sha256` and the values of
    `evidence` and `plugin_digests`: SHA-256 hex, or "" where there is none. `library_versions`:
    name -> version. Version 1 had no `plugin_digests` and no `origin`.
    """

    job_id: str
    tenant: str
    backend_id: str
    pqc_suite: str
    crypto_mode: str
    calibration_snapshot_id: str
    em_method: str
    em_version: str
    seed: str
    created_at: str
    artifact_hash: str
    sdk_version: str
    library_versions: dict[str, str]
    policy_digest: str
    request_sha256: str
    evidence: dict[str, str] = {}
    plugin_digests: dict[str, str] | UnsetType = UNSET
    origin: Origin | UnsetType = UNSET
    schema_version: int

    def check(self) -> RunManifest:
        """Return self if every field is well formed, else raise `BadInputError`."""
        for name in ("job_id", "tenant", "backend_id", "calibration_snapshot_id", "em_method"):
            if not getattr(self, name):
                raise BadInputError(f"run-manifest field {name} is empty")
        if self.schema_version not in (1, SCHEMA_VERSION):
            raise BadInputError(f"run-manifest schema version {self.schema_version} is unknown")
        for name in _SINCE_2:
            if (getattr(self, name) is UNSET) is not (self.schema_version == 1):
                version = f"version {self.schema_version}"
                raise BadInputError(f"run-manifest field {name} does not fit schema {version}")
        for name in ("seed", "artifact_hash"):
            kind, _, digest = getattr(self, name).partition(":")
            if kind != "sha256" or not is_sha256(digest):
                raise BadInputError(f"run-manifest field {name} is not sha256:<64 hex digits>")
        if not _TIME.fullmatch(self.created_at):
            raise BadInputError("run-manifest field created_at is not a UTC time ending in Z")
        named = {"policy_digest": self.policy_digest, "request_sha256": self.request_sha256}
        plugins = {} if self.plugin_digests is UNSET else self.plugin_digests
        for name, digest in [*named.items(), *self.evidence.items(), *plugins.items()]:
            if digest and not is_sha256(digest):
                raise BadInputError(f"run-manifest field {name[:80]} is not a SHA-256 in hex")
        CryptoMode.parse(self.crypto_mode)
        suite_members(self.pqc_suite)
        return self


def build_run_manifest(manifest: RunManifest, subjects: Mapping[str, str]) -> bytes:
    """Statement bytes of a manifest about artefacts (name -> SHA-256 hex).

    Raises `BadInputError` for a malformed field, or if `artifact_hash` is not that of `subjects`.
    """
    if manifest.check().artifact_hash != artifact_hash(subjects):
        raise BadInputError("artifact_hash is not that of the subjects")
    return build_statement(subjects, RUN_MANIFEST, msgspec.to_builtins(manifest))


def parse_run_manifest(payload: bytes) -> tuple[Statement, RunManifest]:
    """Read a run-manifest statement strictly. Raises `BadInputError`.

    Whether `artifact_hash` fits the subjects is left to verification.
    """
    statement, manifest = parse_predicate(payload, RUN_MANIFEST, RunManifest, "a run-manifest")
    return statement, manifest.check()


def suite_members(pqc_suite: str) -> tuple[str, ...]:
    """Algorithms and families that a suite names. Raises `BadInputError` for an unknown one."""
    members = tuple(pqc_suite.split(":"))
    for member in members:
        if member not in _FAMILIES and not _SINGLE.fullmatch(member):
            raise BadInputError(f"pqc_suite names an unknown algorithm {member[:40]!r}")
    return members


def suite_allows(pqc_suite: str, algorithm: str) -> bool:
    """Whether the suite names `algorithm`, itself or by its family."""
    return any(
        member == algorithm or (member in _FAMILIES and algorithm.startswith(_FAMILIES[member]))
        for member in suite_members(pqc_suite)
    )
