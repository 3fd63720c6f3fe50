"""Run-manifests: fields, views, schemas, verification; counter-signatures, attestations."""
