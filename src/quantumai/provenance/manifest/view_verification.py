"""Verification of a manifest in any of its views: all accept and reject alike."""

from __future__ import annotations

from collections.abc import Callable

from quantumai.errors import BadInputError
from quantumai.provenance.manifest.counter_signature import CounterEvidence
from quantumai.provenance.manifest.verification import verify_manifest
from quantumai.provenance.manifest.views import take_apart
from quantumai.provenance.verification.freshness import Remembered
from quantumai.provenance.verification.report import ExitCode, VerificationReport, failed
from quantumai.provenance.verification.trust import TrustFile

_FIELDS = "fields"


def verify_view(
    data: bytes,
    find_artefact: Callable[[str], bytes | None],
    proof: bytes | None,
    trust: TrustFile | None,
    *,
    allow_unchecked: frozenset[str] = frozenset(),
    remembered: Remembered | None = None,
    counter: CounterEvidence | None = None,
) -> VerificationReport:
    """As `verify_manifest`, from a manifest in any view.

    A flat view that contradicts its payload fails the check of fields, beside whatever the
    verification of the envelope within it says.
    """
    try:
        view = take_apart(data)
    except BadInputError as error:
        unreadable = failed("envelope", str(error), ExitCode.BAD_INPUT)
        return VerificationReport.of([unreadable], frozenset())
    report = verify_manifest(
        view.envelope.data,
        find_artefact,
        proof,
        trust,
        allow_unchecked=allow_unchecked,
        remembered=remembered,
        counter=counter,
    )
    if not view.contradiction or report.exit_code is ExitCode.BAD_INPUT:
        return report
    contradicted = failed(_FIELDS, view.contradiction, ExitCode.SIGNATURE)
    others = [check for check in report.checks if check.name != _FIELDS]
    return VerificationReport.of([contradicted, *others], frozenset(report.unchecked))
