"""Statements and the run-manifest's fields."""

from __future__ import annotations

import hashlib
import json

import msgspec
import pytest

from quantumai.errors import BadInputError
from quantumai.provenance.manifest.run_manifest import (
    RunManifest,
    build_run_manifest,
    parse_run_manifest,
    suite_allows,
)
from quantumai.provenance.statements.statement import (
    RUN_MANIFEST,
    artifact_hash,
    artifact_index,
    build_statement,
    parse_statement,
)

DIGEST = hashlib.sha256(b"r").hexdigest()


def _manifest(**changes: object) -> RunManifest:
    fields = {
        "job_id": "j",
        "tenant": "t",
        "backend_id": "b",
        "pqc_suite": "ML-DSA-65",
        "crypto_mode": "pqc-required",
        "calibration_snapshot_id": "c",
        "em_method": "zne",
        "em_version": "1",
        "seed": "sha256:" + "0" * 64,
        "created_at": "2026-01-01T00:00:00Z",
        "artifact_hash": artifact_hash({"result": b"r"}),
        "sdk_version": "1",
        "library_versions": {"qiskit": "2"},
        "policy_digest": "",
        "request_sha256": DIGEST,
        "plugin_digests": {"engine/channel": DIGEST},
        "origin": "scheduled",
        "schema_version": 2,
    }
    return msgspec.convert(fields | changes, RunManifest)


def test_the_statement_is_plain_in_toto() -> None:
    value = json.loads(build_run_manifest(_manifest(), {"result": DIGEST}))
    assert value["_type"] == "https://in-toto.io/Statement/v1"
    assert value["subject"] == [{"name": "result", "digest": {"sha256": DIGEST}}]
    assert value["predicateType"] == "urn:quantumai:run-manifest:v1"
    assert value["predicate"]["job_id"] == "j"


def test_round_trip() -> None:
    statement, manifest = parse_run_manifest(build_run_manifest(_manifest(), {"result": DIGEST}))
    assert manifest == _manifest()
    assert statement.digests == {"result": DIGEST}


def test_artifact_index_by_hand() -> None:
    by_hand = b'{"artefacts":{"a":"sha256:%s","b":"sha256:%s"},"schema":1}' % (
        DIGEST.encode(),
        DIGEST.encode(),
    )
    assert artifact_index({"b": b"r", "a": DIGEST}) == by_hand
    assert artifact_hash({"b": b"r", "a": DIGEST}) == (
        "sha256:" + hashlib.sha256(by_hand).hexdigest()
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"job_id": ""},
        {"crypto_mode": "quantum"},
        {"seed": "7"},
        {"created_at": "2026-01-01"},
        {"artifact_hash": DIGEST},
        {"artifact_hash": "sha256:" + DIGEST},
        {"pqc_suite": ""},
        {"pqc_suite": "ML-DSA-65:ROT13"},
        {"schema_version": 3},
        {"schema_version": 1},  # which had no plug-in digests and no origin
        {"plugin_digests": {"engine/channel": "nope"}},
        {"evidence": {"circuit": "nope"}},
        {"tenant": "e\u0301"},  # not in normal form C
    ],
)
def test_malformed_fields_are_refused(changes: dict[str, object]) -> None:
    with pytest.raises(BadInputError):
        build_run_manifest(_manifest(**changes), {"result": DIGEST})


def test_unknown_forms_are_refused() -> None:
    good = build_run_manifest(_manifest(), {"result": DIGEST})
    value = json.loads(good)
    for bad in (
        good.replace(b'"job_id":"j"', b'"extra":1,"job_id":"j"'),
        good.replace(b"run-manifest:v1", b"run-manifest:v9"),
        good.replace(b"Statement/v1", b"Statement/v2"),
        good + b" ",
        json.dumps(value | {"subject": []}, sort_keys=True, separators=(",", ":")).encode(),
        json.dumps(value | {"subject": value["subject"] * 2}, sort_keys=True).encode(),
    ):
        with pytest.raises(BadInputError):
            parse_run_manifest(bad)
    with pytest.raises(BadInputError):
        build_statement({"a": "00"}, RUN_MANIFEST, {})
    with pytest.raises(BadInputError):
        parse_run_manifest(
            build_statement({"a": DIGEST}, "urn:quantumai:scheduler-decision:v1", {})
        )
    assert parse_statement(good).predicate_type == RUN_MANIFEST


def test_suites_name_algorithms_or_families() -> None:
    assert suite_allows("ML-DSA-65", "ML-DSA-65")
    assert suite_allows("ML-KEM:ML-DSA:SPHINCS+", "ML-DSA-65")  # the specification's example
    assert not suite_allows("ML-KEM:SPHINCS+", "ML-DSA-65")
    assert not suite_allows("ML-DSA-87", "ML-DSA-65")
