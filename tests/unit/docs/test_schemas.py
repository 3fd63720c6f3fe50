"""The published JSON Schemas: the newest are fresh, the old ones as they were, all are true."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from quantumai.provenance.manifest.json_schema import newest_schemas
from quantumai.provenance.manifest.run_manifest import RunManifest
from quantumai.provenance.manifest.views import ViewFormat, read_view, write_view
from quantumai.strict_yaml import parse_strict_yaml
from tests.vectors.manifest_goldens import Golden, goldens

FOLDER = Path(__file__).parents[3] / "docs" / "reference" / "schemas"
_OPTIONAL = {"evidence", "witnesses", "root", "tenants"}  # with defaults, for the parser too
COMMITTED = {path.name: path for path in FOLDER.glob("*.json")}
NEWEST = newest_schemas()
# SHA-256 of the versions that are no longer the newest: published, so never changed.
OLD = {
    "run-manifest-1.json": "2a0c3eceb1adc612a556a7b381e670bf0a11f5b911e2c94807dc19df04aebac4",
    "run-manifest-view-1.json": "7ba17b27b366099173b2f0164c36b3cedd24e18409611c80d4e264b064d3d731",
    "trust-file-1.json": "497e95b7a2b9db6faa5ae8579f8e9933cec4e01de56b72f610ac08cd384655a0",
}


def documents(golden: Golden) -> list[tuple[str, Any]]:
    """What a golden holds, and the name of the schema that it names itself."""
    envelope = read_view(golden.read("manifest.json"))
    statement, trust = json.loads(envelope.payload), json.loads(golden.read("trust.json"))
    version = statement["predicate"]["schema_version"]
    flat_yaml = parse_strict_yaml(write_view(envelope, ViewFormat.YAML), "it")
    return [
        ("dsse-envelope-1.json", json.loads(golden.read("manifest.json"))),
        (f"run-manifest-{version}.json", statement),
        (f"run-manifest-view-{version}.json", json.loads(write_view(envelope, ViewFormat.JSON))),
        (f"run-manifest-view-{version}.json", flat_yaml),
        (f"trust-file-{trust['schema_version']}.json", trust),
    ]


GOLDEN_DOCUMENTS = [
    pytest.param(schema, document, id=f"{name}-{schema}-{number}")
    for name, golden in goldens().items()
    for number, (schema, document) in enumerate(documents(golden))
]


def validator(name: str) -> Draft202012Validator:
    schema = json.loads(COMMITTED[name].read_bytes())
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def test_old_versions_never_change_and_new_ones_are_fresh() -> None:
    actual = {name: path.read_text(encoding="utf-8") for name, path in COMMITTED.items()}
    fresh = {name: json.dumps(schema, indent=2) + "\n" for name, schema in NEWEST.items()}
    old = {n: hashlib.sha256(t.encode()).hexdigest() for n, t in actual.items() if n not in fresh}
    assert old == OLD, "a published schema was changed: make the next version instead"
    assert {n: actual.get(n) for n in fresh} == fresh, "run .venv/bin/python scripts/reference"


@pytest.mark.parametrize("name", COMMITTED)
def test_each_is_a_schema_of_its_name(name: str) -> None:
    schema = validator(name).schema
    kind, version = name.removesuffix(".json").rsplit("-", 1)
    assert schema["$id"] == f"urn:quantumai:schema:{kind}:{version}"


@pytest.mark.parametrize(("schema", "document"), GOLDEN_DOCUMENTS)
def test_goldens_are_as_their_schema_says(schema: str, document: Any) -> None:
    validator(schema).validate(document)


def _spoilt(document: Any) -> list[Any]:
    """Copies of `document`, each with one member missing, added or of another type."""
    found = [{**document, "surprise": 1}]
    for name in document:
        if name not in _OPTIONAL:
            found.append({n: v for n, v in document.items() if n != name})
        found.append(document | {name: 1.5})
    if "predicate" in document:
        found += [document | {"predicate": inner} for inner in _spoilt(document["predicate"])]
    return found


@pytest.mark.parametrize(("schema", "document"), GOLDEN_DOCUMENTS)
def test_what_is_spoilt_is_refused(schema: str, document: Any) -> None:
    check = validator(schema)
    accepted = [spoilt for spoilt in _spoilt(document) if check.is_valid(spoilt)]
    assert accepted == []


def test_schema_and_parser_know_the_same_fields() -> None:
    newest = NEWEST[max(name for name in NEWEST if name.startswith("run-manifest-view-"))]
    assert set(RunManifest.__struct_fields__) <= set(newest["properties"])
    assert len(newest["properties"]) == len(RunManifest.__struct_fields__) + 6
