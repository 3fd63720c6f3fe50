"""The decision: every backend and method considered, what each would give, and who won why."""

from __future__ import annotations

from typing import Any

import msgspec

from quantumai.circuits.features import CircuitFeatures
from quantumai.policy.engine import Forecast
from quantumai.scheduler.score import ScoreFactors

FORMULA = "spec-001-v1"


class Candidate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One backend with one method; `refused` says why it may not win, or is empty."""

    backend_id: str
    forecast: Forecast
    factors: ScoreFactors
    refused: str


class Consideration(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One backend: what was known of it, and why it was left out (`refused`, else empty).

    `physical_qubits[i]` is the device qubit of compact qubit i and `positions[q]` the compact qubit
    that ends as logical qubit q; these, the mapped features and the hash of the transpiled text are
    absent where the backend was refused before transpiling.
    """

    backend_id: str
    calibration_snapshot_id: str
    calibration_sha256: str
    calibration_age_s: float
    availability: float
    refused: str
    physical_qubits: tuple[int, ...] | None = None
    positions: tuple[int, ...] | None = None
    mapped_features: CircuitFeatures | None = None
    transpiled_sha256: str | None = None


class Choice(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The winner, as the specification's policy answer, and why it won."""

    backend_id: str
    calibration_snapshot_id: str
    forecast: Forecast
    factors: ScoreFactors
    reason: str


class Decision(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All that the scheduler saw and did; canonical JSON of it is signed.

    `candidates` are sorted by falling score, refused ones last.
    """

    schema_version: int
    job_id: str
    created_at: str
    request_sha256: str
    formula: str
    policy_digest: str
    simulator: str
    features: CircuitFeatures
    backends: tuple[Consideration, ...]
    candidates: tuple[Candidate, ...]
    chosen: Choice

    def to_json(self) -> dict[str, Any]:
        """Plain JSON data, ready to be canonicalised."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        return plain

    @classmethod
    def from_json(cls, plain: Any) -> Decision:
        """Read what `to_json` gave."""
        return msgspec.convert(plain, cls)
