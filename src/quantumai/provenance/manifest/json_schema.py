"""JSON Schemas (2020-12) of the formats that other people's programs read.

They are made from the records that parse these formats, and what a type cannot say is added here.
A schema says less than our parsers: no schema sees that `artifact_hash` is that of the subjects, or
that a flat view tells what its payload says.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from quantumai.crypto_mode import CryptoMode
from quantumai.keys.dsse_encoding import IN_TOTO_PAYLOAD_TYPE
from quantumai.provenance.manifest.run_manifest import SCHEMA_VERSION, RunManifest
from quantumai.provenance.manifest.views import Enclosed
from quantumai.provenance.statements.statement import RUN_MANIFEST, STATEMENT_TYPE, Subject
from quantumai.provenance.verification.trust import TrustFile

_DRAFT = "https://json-schema.org/draft/2020-12/schema"
_SHA256 = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
_SHA256_OR_NONE = {"type": "string", "pattern": "^([0-9a-f]{64})?$"}
_PREFIXED = {"type": "string", "pattern": "^sha256:[0-9a-f]{64}$"}
_FILLED = {"type": "string", "minLength": 1}
_BASE64 = {
    "type": "string",
    "pattern": "^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$",
    "contentEncoding": "base64",
}
_PAYLOAD_TYPE = {"const": IN_TOTO_PAYLOAD_TYPE}
_MANIFEST_FIELDS: Mapping[str, Any] = {
    "job_id": _FILLED,
    "tenant": _FILLED,
    "backend_id": _FILLED,
    "calibration_snapshot_id": _FILLED,
    "em_method": _FILLED,
    "crypto_mode": {"enum": [str(mode) for mode in CryptoMode]},
    "seed": _PREFIXED,
    "artifact_hash": _PREFIXED,
    "created_at": {
        "type": "string",
        "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\\.[0-9]{1,9})?Z$",
    },
    "policy_digest": _SHA256_OR_NONE,
    "request_sha256": _SHA256_OR_NONE,
    "evidence": {"type": "object", "additionalProperties": _SHA256_OR_NONE},
    "plugin_digests": {"type": "object", "additionalProperties": _SHA256_OR_NONE},
    "schema_version": {"const": SCHEMA_VERSION},
}
_ALWAYS_THERE = ("plugin_digests", "origin")  # optional for the parser, which reads version 1 too


def newest_schemas() -> dict[str, dict[str, Any]]:
    """The newest version of each schema, by the name of its published file."""
    made: dict[tuple[str, int], Callable[[], dict[str, Any]]] = {
        ("run-manifest", SCHEMA_VERSION): _statement,
        ("run-manifest-view", SCHEMA_VERSION): _flat_view,
        ("dsse-envelope", 1): _envelope,
        ("trust-file", 2): _trust_file,
    }
    return {
        f"{name}-{version}.json": {
            "$schema": _DRAFT,
            "$id": f"urn:quantumai:schema:{name}:{version}",
            **make(),
        }
        for (name, version), make in made.items()
    }


def _statement() -> dict[str, Any]:
    components = _components(Subject)
    components["Digest"]["properties"]["sha256"] = _SHA256
    return {
        "title": "Run-manifest",
        "description": "An in-toto Statement v1: the decoded payload of a manifest's envelope.",
        **_closed(
            {
                "_type": {"const": STATEMENT_TYPE},
                "subject": {"type": "array", "minItems": 1, "items": _ref("Subject")},
                "predicateType": {"const": RUN_MANIFEST},
                "predicate": _ref("RunManifest"),
            }
        ),
        "$defs": components | _manifest(),
    }


def _flat_view() -> dict[str, Any]:
    components = _manifest() | _components(Enclosed)
    manifest, enclosed = components.pop("RunManifest"), components.pop("Enclosed")
    further = components["FurtherSignature"]
    further["properties"] = {"key_id": {"type": "string"}, "signature": _BASE64}
    own = enclosed["properties"] | {
        "subjects": {"type": "object", "minProperties": 1, "additionalProperties": _PREFIXED},
        "payload_type": _PAYLOAD_TYPE,
        "payload": _BASE64,
        "signature": _BASE64,
    }
    return {
        "title": "Run-manifest, flat",
        "description": "The view that people read, as JSON or YAML.",
        "type": "object",
        "properties": manifest["properties"] | own,
        "required": [*manifest["required"], *own],
        "additionalProperties": False,
        "$defs": components,
    }


def _envelope() -> dict[str, Any]:
    signature = _closed({"keyid": {"type": "string"}, "sig": _BASE64})
    return {
        "title": "DSSE envelope",
        "description": "In RFC 8785 form, which a schema cannot ask for.",
        **_closed(
            {
                "payload": _BASE64,
                "payloadType": _PAYLOAD_TYPE,
                "signatures": {
                    "type": "array",
                    "minItems": 1,
                    "maxItems": 16,
                    "items": signature,
                },
            }
        ),
    }


def _trust_file() -> dict[str, Any]:
    components = _components(TrustFile)
    trust = components.pop("TrustFile")
    trust["properties"]["schema_version"] = {"const": 2}
    for key in ("PublicKey", "StatementKey"):
        components[key]["properties"] |= {"key_id": _SHA256, "spki": _BASE64}
    return {
        **trust,
        "title": "Trust file",
        "description": "What an auditor believes, kept out of band.",
        "$defs": components,
    }


def _manifest() -> dict[str, Any]:
    components = _components(RunManifest)
    manifest = components["RunManifest"]
    manifest["properties"] |= _MANIFEST_FIELDS
    manifest["required"] = [*manifest["required"], *_ALWAYS_THERE]
    return components


def _components(record: type) -> dict[str, Any]:
    """The schemas of a record and of those in it; descriptions are for our own code."""
    _, components = msgspec.json.schema_components([record], ref_template="#/$defs/{name}")
    for component in components.values():
        component.pop("description", None)
    return dict(components)


def _closed(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/$defs/{name}"}
