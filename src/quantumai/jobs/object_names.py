"""The names of a job's stored objects: whose they are, and the digest of what is stored.

Where a tenant's data are encrypted that digest is the ciphertext's, so that names say nothing
about contents. Homes made before names carried the tenant are still read.
"""

from __future__ import annotations

import re

from quantumai.errors import BadInputError

# A tenant's name begins with a letter or digit, so it is never this one.
PUBLIC = "_public"
_TENANT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")


def check_tenant(tenant: str) -> str:
    """Return `tenant` if objects can be named after it, else raise `BadInputError`."""
    if not _TENANT.fullmatch(tenant):
        raise BadInputError(
            f"not the name of a tenant: {tenant[:80]!r}",
            hint="use letters, digits, '.', '_' and '-', 63 at most",
        )
    return tenant


def artefact_key(tenant: str, sha256: str) -> str:
    """Where an artefact of a tenant lies; `sha256` is that of the stored bytes."""
    return f"artefacts/{check_tenant(tenant)}/{sha256}"


def public_artefact_key(sha256: str) -> str:
    """Where an artefact lies that is no tenant's own: a device's calibration."""
    return f"artefacts/{PUBLIC}/{sha256}"


def manifest_key(tenant: str, job_id: str) -> str:
    """Where a job's manifest (DSSE envelope) lies."""
    return f"manifests/{check_tenant(tenant)}/{job_id}/manifest.json"


def proof_key(tenant: str, job_id: str) -> str:
    """Where a job's proof file lies."""
    return f"manifests/{check_tenant(tenant)}/{job_id}/proof.json"


def artefact_maps_prefix(tenant: str, job_id: str) -> str:
    """What the names of a job's maps begin with: from artefacts' digests to encrypted objects."""
    return f"manifests/{check_tenant(tenant)}/{job_id}/artefacts/"


def former_artefact_key(sha256: str) -> str:
    """Where an artefact lies in homes whose names carry no tenant."""
    return f"artefacts/{sha256}"


def former_manifest_key(job_id: str) -> str:
    """Where a job's manifest lies in homes whose names carry no tenant."""
    return f"manifests/{job_id}/manifest.json"


def former_proof_key(job_id: str) -> str:
    """Where a job's proof file lies in homes whose names carry no tenant."""
    return f"manifests/{job_id}/proof.json"
