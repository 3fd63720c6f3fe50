"""Attestations: signed, logged statements about files, such as a model, a snapshot or a release.

Who has the file, the attestation, its proof and a trust file can tell offline that the file is the
one that was attested, by whom, and that it stands in the ledger where everybody sees it.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from quantumai.crypto_mode import CryptoMode
from quantumai.errors import BadInputError
from quantumai.provenance.statements.dsse import Envelope
from quantumai.provenance.statements.statement import (
    ATTESTATION,
    Statement,
    build_statement,
    parse_predicate,
)
from quantumai.provenance.verification.freshness import Remembered
from quantumai.provenance.verification.report import (
    Check,
    ExitCode,
    VerificationReport,
    failed,
    not_checked,
    passed,
)
from quantumai.provenance.verification.sealed_statement import SealedStatement, verify_sealed
from quantumai.provenance.verification.trust import StatementKey, TrustFile

KINDS = ("model", "nightly-snapshot", "release")
"""What can be attested; each is the type of its leaf in the ledger."""

_NO_TENANT = ""  # a file of the house is nobody's: the least mode for everybody counts


class Attestation(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The predicate: what kind of files, when (ISO 8601 UTC), and by which version of the SDK."""

    kind: str
    created_at: str
    sdk_version: str
    crypto_mode: CryptoMode
    schema_version: int = 1

    def check(self) -> Attestation:
        """Return self if it is of a known kind and version, else raise `BadInputError`."""
        if self.kind not in KINDS:
            raise BadInputError(
                f"unknown kind of attestation {self.kind[:40]!r}",
                hint=f"use one of: {', '.join(KINDS)}",
            )
        if self.schema_version != 1:
            raise BadInputError(f"attestation schema version {self.schema_version} is unknown")
        return self


def build_attestation(attestation: Attestation, files: Mapping[str, str]) -> bytes:
    """Statement bytes about `files` (name -> SHA-256 hex). Raises `BadInputError`."""
    return build_statement(files, ATTESTATION, msgspec.to_builtins(attestation.check()))


def parse_attestation(envelope: Envelope) -> tuple[Statement, Attestation]:
    """Read an attestation; its signatures are not checked here. Raises `BadInputError`."""
    statement, attestation = parse_predicate(
        envelope.payload, ATTESTATION, Attestation, "an attestation"
    )
    return statement, attestation.check()


def verify_attestation(
    envelope: bytes,
    files: Mapping[str, str],
    proof: bytes | None,
    trust: TrustFile | None,
    *,
    allow_unchecked: frozenset[str] = frozenset(),
    remembered: Remembered | None = None,
) -> VerificationReport:
    """Verify an attestation offline against the files at hand (name -> SHA-256 hex).

    The checks are those of a run-manifest, and so is what becomes of missing evidence: a file that
    is attested but not at hand leaves `artefacts` unchecked, one that is not attested fails it.
    """
    sealed = SealedStatement(envelope, proof, trust, remembered)

    def checks(
        content: tuple[Statement, Attestation], holding: list[StatementKey], signed: list[Check]
    ) -> list[Check]:
        statement, attestation = content
        return [
            *signed,
            passed("fields", f"a {attestation.kind} attested at {attestation.created_at}"),
            _check_files(statement.digests, files),
            *sealed.seal_checks(attestation.kind, attestation.crypto_mode, _NO_TENANT, holding),
        ]

    return verify_sealed(sealed, parse_attestation, checks, allow_unchecked=allow_unchecked)


def _check_files(attested: Mapping[str, str], files: Mapping[str, str]) -> Check:
    if strange := files.keys() - attested.keys():
        return failed("artefacts", f"{min(strange)[:80]!r} is not attested", ExitCode.ARTEFACT)
    if changed := [name for name, digest in files.items() if attested[name] != digest]:
        return failed("artefacts", f"{min(changed)[:80]!r} was changed", ExitCode.ARTEFACT)
    if missing := attested.keys() - files.keys():
        return not_checked("artefacts", f"not at hand: {', '.join(sorted(missing))[:200]}")
    return passed("artefacts", f"{len(attested)} files have the signed SHA-256")
