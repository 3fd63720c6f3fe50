"""A job's stored objects, in clear or encrypted: the one way to its artefacts and its manifest.

Whether a job is encrypted is decided when it is stored, and seen from its manifest when it is
read. Of an encrypted job each artefact is a ciphertext under the ciphertext's own digest; maps from
the artefacts' digests to those lie, encrypted too, beside the manifest. Proofs stay in clear: they
hold nothing of the tenant.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cached_property

import msgspec

from quantumai.canonical import canonical_json, parse_canonical_json, sha256_hex
from quantumai.errors import ArtefactError, BadInputError, NotFoundError
from quantumai.jobs.object_names import (
    artefact_key,
    artefact_maps_prefix,
    former_artefact_key,
    former_manifest_key,
    former_proof_key,
    manifest_key,
    proof_key,
    public_artefact_key,
)
from quantumai.provenance.sealing.tenant_cipher import TenantCipher, is_encrypted
from quantumai.storage.objects import ObjectStore

_ARTEFACT = "artefact"


class _ArtefactMap(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """SHA-256 of artefacts -> SHA-256 of the ciphertexts, which name the objects."""

    schema_version: int
    artefacts: dict[str, str]


class JobObjects:
    """The objects of one job of one tenant; what is stored is encrypted if `encrypts`.

    Everything raises `StorageError` when the store fails, and `ErasedError` where the tenant's
    data were erased.
    """

    def __init__(
        self,
        objects: ObjectStore,
        open_cipher: Callable[[], TenantCipher],
        tenant: str,
        job_id: str,
        *,
        encrypts: bool,
    ) -> None:
        self._objects = objects
        self._open_cipher = open_cipher
        self._tenant = tenant
        self._job_id = job_id
        self._encrypts = encrypts
        # Of what was stored through this object: SHA-256 of the artefact -> of the stored bytes.
        self._stored: dict[str, str] = {}

    def make_ready(self) -> None:
        """Make the keys that storing needs, before there is a job to be stored."""
        if self._encrypts:
            self._open_cipher().make_ready(self._tenant)

    def store(self, artefacts: Mapping[str, bytes]) -> dict[str, str]:
        """Write each artefact once; returns name -> SHA-256 of the artefact."""
        digests = {name: sha256_hex(data) for name, data in artefacts.items()}
        if self._encrypts:
            self._store_encrypted({sha256_hex(data): data for data in artefacts.values()})
        else:
            for name, data in artefacts.items():
                self._objects.put_once(artefact_key(self._tenant, digests[name]), data)
                self._stored[digests[name]] = digests[name]
        return digests

    def artefact_key(self, sha256: str) -> str:
        """Name of the object of one of the tenant's artefacts; `sha256` is the artefact's."""
        if sha256 in self._stored:
            return artefact_key(self._tenant, self._stored[sha256])
        key = artefact_key(self._tenant, self._map.get(sha256, sha256))
        former = former_artefact_key(sha256)
        return former if self._is_former and not self._objects.exists(key) else key

    def artefact(self, sha256: str) -> bytes | None:
        """The artefact with this SHA-256, or None. What was changed comes out as something else:
        the caller hashes it anyway."""
        stored = self._map.get(sha256)
        if stored is not None:
            data = self._find(artefact_key(self._tenant, stored))
            return None if data is None else self._opened(data)
        for key in (
            artefact_key(self._tenant, sha256),
            public_artefact_key(sha256),
            former_artefact_key(sha256),
        ):
            data = self._find(key)
            if data is not None:
                return data
        return None

    def put_sealed(self, envelope: bytes, proof: bytes) -> None:
        """Store the manifest with its proof, the proof first: what has a manifest is provable."""
        self._objects.put_once(proof_key(self._tenant, self._job_id), proof)
        if self._encrypts:
            envelope = self._open_cipher().encrypt(self._tenant, self._manifest_purpose, envelope)
        self._objects.put_once(manifest_key(self._tenant, self._job_id), envelope)

    def manifest(self) -> bytes:
        """The manifest's envelope. Raises `NotFoundError`, `ArtefactError` if it does not open."""
        data = self._raw_manifest[1]
        if not is_encrypted(data):
            return data
        return self._open_cipher().decrypt(self._tenant, self._manifest_purpose, data)

    def require_readable(self) -> None:
        """Raise `ErasedError` if anything of the job was erased, also of one that has failed."""
        prefix = artefact_maps_prefix(self._tenant, self._job_id)
        for key in (manifest_key(self._tenant, self._job_id), *self._objects.keys(prefix)):
            stored = self._find(key)
            if stored is not None and is_encrypted(stored):
                with suppress(ArtefactError):  # damaged is not erased
                    self._open_cipher().require_opens(self._tenant, stored)

    def proof(self) -> bytes:
        """The proof file. Raises `NotFoundError`."""
        return self._objects.get(self.proof_key)

    @property
    def manifest_key(self) -> str:
        """Name of the manifest's object. Raises `NotFoundError` if there is none."""
        return self._raw_manifest[0]

    @property
    def proof_key(self) -> str:
        """Name of the proof's object, which need not exist."""
        key = proof_key(self._tenant, self._job_id)
        former = former_proof_key(self._job_id)
        return former if not self._objects.exists(key) and self._objects.exists(former) else key

    @property
    def _is_former(self) -> bool:
        """Whether the job lies where names carried no tenant; no job that has not finished does."""
        try:
            return self.manifest_key == former_manifest_key(self._job_id)
        except NotFoundError:
            return False

    @cached_property
    def _raw_manifest(self) -> tuple[str, bytes]:
        key = manifest_key(self._tenant, self._job_id)
        data = self._find(key)
        if data is not None:
            return key, data
        former = former_manifest_key(self._job_id)
        return former, self._objects.get(former)

    @cached_property
    def _map(self) -> dict[str, str]:
        """All maps of the job in one; empty for a job in clear. One that is damaged is left out:
        its artefacts are then missing. A job that has not finished may have maps already."""
        found: dict[str, str] = {}
        with suppress(NotFoundError):
            if not is_encrypted(self._raw_manifest[1]):
                return found
        for key in self._objects.keys(artefact_maps_prefix(self._tenant, self._job_id)):
            stored = self._find(key)
            try:
                data = self._open_cipher().decrypt(self._tenant, self._map_purpose, stored or b"")
                found |= msgspec.convert(parse_canonical_json(data), _ArtefactMap).artefacts
            except (ArtefactError, BadInputError, msgspec.ValidationError):
                continue
        return found

    @property
    def _manifest_purpose(self) -> str:
        return f"manifest {self._job_id}"

    @property
    def _map_purpose(self) -> str:
        return f"artefact map {self._job_id}"

    def _store_encrypted(self, artefacts: Mapping[str, bytes]) -> None:
        """The ciphertexts, and after them the map that finds them."""
        cipher, made = self._open_cipher(), {}
        for digest, data in artefacts.items():
            sealed = cipher.encrypt(self._tenant, _ARTEFACT, data)
            made[digest] = sha256_hex(sealed)
            self._objects.put_once(artefact_key(self._tenant, made[digest]), sealed)
        plain = canonical_json(msgspec.to_builtins(_ArtefactMap(1, made)))
        sealed = cipher.encrypt(self._tenant, self._map_purpose, plain)
        prefix = artefact_maps_prefix(self._tenant, self._job_id)
        self._objects.put_once(prefix + sha256_hex(sealed), sealed)
        self._stored |= made

    def _opened(self, stored: bytes) -> bytes:
        try:
            return self._open_cipher().decrypt(self._tenant, _ARTEFACT, stored)
        except ArtefactError:
            return stored

    def _find(self, key: str) -> bytes | None:
        try:
            return self._objects.get(key)
        except NotFoundError:
            return None
