"""Reading a manifest back: typed fields, signatures, artefacts, and its verification."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

from quantumai.bounded_reading import read_bounded
from quantumai.canonical import sha256_hex
from quantumai.errors import ArtefactError, BadInputError
from quantumai.jobs.run_data import Histogram, RunResult, read_histograms, read_result
from quantumai.provenance.manifest.run_manifest import RunManifest, parse_run_manifest
from quantumai.provenance.manifest.view_verification import verify_view
from quantumai.provenance.manifest.views import LONGEST_VIEW, read_view
from quantumai.provenance.statements.dsse import Signature
from quantumai.provenance.verification.trust import TrustFile
from quantumai.sdk.arguments import check_names, file_or_bytes, home_folder, shown

if TYPE_CHECKING:
    from quantumai.provenance.verification.report import VerificationReport
    from quantumai.services.wiring import Home

_MOST_BYTES = 8 << 20
_MOST_ARTEFACT_BYTES = 64 << 20
_FindArtefact = Callable[[str], bytes | None]


@dataclass(frozen=True)
class _Evidence:
    """Where a manifest's proof, its artefacts and its trust come from unless others are given."""

    proof: Callable[[], bytes | None]
    artefact: _FindArtefact
    trust: Callable[[], TrustFile | None]


@dataclass(frozen=True)
class Manifest:
    """A run-manifest that was read; nothing in it is verified before `verify` says so.

    `fields` are the specification's, `subjects` map an artefact's name to its SHA-256 (hex).
    """

    fields: RunManifest
    subjects: Mapping[str, str]
    signatures: tuple[Signature, ...] = field(repr=False)
    data: bytes = field(repr=False)
    _evidence: _Evidence = field(repr=False, compare=False)

    @property
    def job_id(self) -> str:
        """The job's id."""
        return self.fields.job_id

    def verify(
        self,
        *,
        trust: TrustFile | Path | bytes | None = None,
        proof: Path | bytes | None = None,
        artefacts: Path | Mapping[str, bytes] | None = None,
        allow_unchecked: frozenset[str] = frozenset(),
    ) -> VerificationReport:
        """Verify offline, as `qai manifest verify` does.

        `trust`: the keys to believe; for a job of a home the home's own. `proof`: the proof file;
        `artefacts`: a folder of them or SHA-256 (hex) -> bytes. Both are looked for beside a file
        and in the home of a job. A check without evidence fails unless `allow_unchecked` names it.
        """
        return verify_view(
            self.data,
            self._evidence.artefact if artefacts is None else _finder(artefacts),
            self._evidence.proof() if proof is None else _bytes_of(proof, "the proof"),
            self._evidence.trust() if trust is None else _trust_of(trust),
            allow_unchecked=check_names(allow_unchecked),
        )

    def artefact(self, name: str) -> bytes:
        """An artefact's bytes, which have the SHA-256 that the manifest names.

        Raises `BadInputError` for a name that is no subject, `ArtefactError` where it is not at
        hand or was changed.
        """
        digest = next((digest for known, digest in self.subjects.items() if known == name), None)
        if digest is None:
            raise BadInputError(
                f"the manifest has no artefact {shown(name)}",
                hint=f"it has: {', '.join(sorted(self.subjects))}",
            )
        data = self._evidence.artefact(digest)
        if data is None or sha256_hex(data) != digest:
            raise ArtefactError(
                f"artefact {name!r} of job {self.job_id} is missing or damaged",
                hint="put it back as artefacts/<SHA-256> beside the manifest",
            )
        return data

    def circuit(self) -> str:
        """The (first) circuit's OpenQASM text."""
        return self.artefact("circuit").decode()

    def histograms(self) -> tuple[Histogram, ...]:
        """All histograms; none where the run had only expectation values."""
        if "histograms" not in self.subjects:
            return ()
        return read_histograms(self.artefact("histograms"))

    def result(self) -> RunResult:
        """Expectation values and whatever else came of the run."""
        return read_result(self.artefact("result"))


def read_manifest(source: Path | bytes | str, *, home: Path | str | None = None) -> Manifest:
    """Read a manifest: a file in any view, its bytes, or a finished job's id in `home`.

    Raises `BadInputError` for what is no manifest, and `NotFoundError` for an unknown job.
    """
    if isinstance(source, bytes):
        return _read(source, _Evidence(_nothing, _no_artefact, _nothing))
    if isinstance(source, str) and (job_id := _as_job_id(source)):
        return _of_job(job_id, home_folder(home))
    if not isinstance(source, str | Path):
        raise BadInputError(
            f"a {type(source).__name__} is no manifest", hint="give a path or bytes"
        )
    path = Path(source)
    return _read(
        read_bounded(path, LONGEST_VIEW, "the manifest"),
        _Evidence(
            lambda: _beside(path.with_name("proof.json"), _MOST_BYTES, "the proof"),
            _finder(path.with_name("artefacts")),
            _nothing,
        ),
    )


def _read(data: bytes, evidence: _Evidence) -> Manifest:
    envelope = read_view(data)
    statement, fields = parse_run_manifest(envelope.payload)
    return Manifest(fields, statement.digests, envelope.signatures, data, evidence)


def _of_job(job_id: str, home: Path | None) -> Manifest:
    from quantumai.crypto_mode import CryptoMode
    from quantumai.jobs.evidence import Evidence, proof_bytes, sealed_objects
    from quantumai.services.existing_home import open_existing_home

    def opened() -> Home:
        return open_existing_home(home)

    def proof() -> bytes:
        with opened() as at:
            return proof_bytes(at.desk(), job_id)

    def artefact(sha256: str) -> bytes | None:
        with opened() as at:
            return sealed_objects(at.desk(), job_id).artefact(sha256)

    def trust() -> TrustFile:
        with opened() as at:
            return at.open_sealer().export_trust(CryptoMode.CLASSICAL)

    with opened() as at:
        envelope = Evidence(at.desk(), job_id).envelope
    return _read(envelope, _Evidence(proof, artefact, trust))


def _as_job_id(text: str) -> str:
    try:
        return str(UUID(text))
    except ValueError:
        return ""


def _nothing() -> None:
    return None


def _no_artefact(_: str) -> None:
    return None


def _finder(artefacts: Path | Mapping[str, bytes]) -> _FindArtefact:
    if isinstance(artefacts, Mapping):
        if not all(isinstance(data, bytes) for data in artefacts.values()):
            raise BadInputError("the artefacts are no bytes by SHA-256", hint="or give a folder")
        return artefacts.get
    if not isinstance(artefacts, str | Path):
        raise BadInputError(
            f"the artefacts are no {type(artefacts).__name__}", hint="give a folder of them"
        )
    folder = Path(artefacts)
    return lambda sha256: _beside(folder / sha256, _MOST_ARTEFACT_BYTES, "the artefact")


def _beside(path: Path, most: int, what: str) -> bytes | None:
    return read_bounded(path, most, what) if path.exists() else None


def _bytes_of(source: Path | bytes, what: str) -> bytes:
    given = file_or_bytes(source, what)
    return given if isinstance(given, bytes) else read_bounded(given, _MOST_BYTES, what)


def _trust_of(source: TrustFile | Path | bytes) -> TrustFile:
    if isinstance(source, TrustFile):
        return source
    return TrustFile.parse(_bytes_of(source, "the trust file"))
