"""One run while it is being recorded: what was handed in so far, and how it is sealed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from quantumai.canonical import sha256_hex
from quantumai.crypto_mode import CryptoMode
from quantumai.errors import BadInputError
from quantumai.jobs.evidence import CALIBRATION_PREFIX
from quantumai.jobs.recorded_run import NO_CALIBRATION, RecordedRun, seal_recorded_run
from quantumai.jobs.run_data import (
    ExpectationValue,
    Histogram,
    OtherValue,
    RunResult,
    write_histograms,
    write_result,
)
from quantumai.randomness import RootSeed
from quantumai.sdk.manifest import Manifest, read_manifest
from quantumai.sdk.record_arguments import (
    checked_details,
    checked_name,
    checked_seed,
    checked_shots,
)
from quantumai.sdk.recorded_backend import (
    backend_name,
    calibration_of,
    environment,
    library_versions,
)
from quantumai.sdk.recorded_circuit import MAX_TEXT_BYTES, CircuitText, circuit_text
from quantumai.sdk.recorded_observables import check_unmitigated, check_widths
from quantumai.sdk.recorded_result import PLAIN_VALUES, ResultParts, result_parts


class RunRecord:
    """What `with quantumai.record(...) as run` hands out; everything is checked as it is given.

    Not made by users. Calls may be repeated: circuits and results are numbered in their order.
    """

    def __init__(
        self,
        *,
        backend: Any,
        shots: int | None,
        crypto_mode: str,
        em_method: str,
        em_version: str,
        seed: str | int | None,
        details: dict[str, Any],
        home: Path | None,
    ) -> None:
        self._backend_id = backend_name(backend)
        self._backend = backend
        self._shots = checked_shots(shots)
        self._crypto_mode = CryptoMode.parse(crypto_mode)
        self._em_method = checked_name("em_method", em_method)
        self._em_version = checked_name("em_version", em_version, empty=True)
        self._seed = checked_seed(seed)
        self._details = checked_details(details)
        self._home = home
        self._circuits: list[CircuitText] = []
        self._transpiled: list[CircuitText] = []
        self._results: list[ResultParts] = []
        self._manifest: Manifest | None = None

    @property
    def manifest(self) -> Manifest:
        """The sealed manifest; there is one after the block has ended."""
        if self._manifest is None:
            raise BadInputError("the run is not sealed yet", hint="its `with` block has to end")
        return self._manifest

    def circuit(self, *circuits: Any) -> None:
        """Hand in the circuits that you ran: Qiskit's, Braket's, or OpenQASM text.

        Raises `BadInputError` for what is no circuit.
        """
        self._circuits += self._texts(circuits)

    def transpiled(self, *circuits: Any) -> None:
        """Hand in the circuits as they ran on the device, in the order of the circuits."""
        self._transpiled += self._texts(circuits)

    def result(self, result: Any, *, observables: Sequence[Any] | None = None) -> None:
        """Hand in a result: Qiskit's `Result` or `PrimitiveResult`, a Braket task's, or counts.

        Counts are a dict (or a list of them) from bit string to number. `observables` name the
        expectation values of an estimator, or those of plain numbers. Raises `BadInputError`.
        """
        self._require_open()
        parts = result_parts(result, observables)
        if observables is not None and not parts.values:
            raise BadInputError(
                "observables go with expectation values, and the result has none",
                hint="leave them out, or hand in the values",
            )
        # A vendor's estimator may mitigate without being told to; plain numbers are their maker's.
        if self._em_method == "none" and parts.source == PLAIN_VALUES:
            check_unmitigated(parts.values)
        for histogram in parts.histograms:
            if self._shots is not None and histogram.shots != self._shots:
                raise BadInputError(
                    f"a histogram has {histogram.shots} shots, but shots={self._shots} was told",
                    hint="leave out shots where the runs differ or outcomes were discarded",
                )
        self._results.append(parts)

    def detail(self, name: str, value: Any) -> None:
        """Sign a further fact, such as parameter values, as plain JSON data under `name`.

        Raises `BadInputError` for a name that was told already.
        """
        self._require_open()
        told = checked_details({name: value})
        if known := told.keys() & self._details.keys():
            raise BadInputError(f"the detail {min(known)[:40]!r} was told already")
        self._details |= told

    def require_sealable(self) -> None:
        """Open the home's keys, so that a run that cannot be sealed is not paid for."""
        from quantumai.services.wiring import open_home

        with open_home(self._home) as home:
            home.open_sealer()

    def seal(self) -> Manifest:
        """Store, sign and log what was handed in; `record` calls it when the block has ended."""
        from quantumai.services.wiring import open_home

        self._require_open()
        run = self._recorded()
        with open_home(self._home) as home:
            job_id = seal_recorded_run(home.desk(), run)
        self._manifest = read_manifest(job_id, home=self._home)
        return self._manifest

    def _recorded(self) -> RecordedRun:
        if not self._circuits:
            raise BadInputError(
                "the recorded run has no circuit", hint="call run.circuit(circuit) in the block"
            )
        if not self._results:
            raise BadInputError(
                "the recorded run has no result", hint="call run.result(result) in the block"
            )
        calibration = calibration_of(self._backend)
        artefacts = self._artefacts(calibration)
        for name, data in artefacts.items():
            if len(data) > MAX_TEXT_BYTES:
                raise BadInputError(f"the artefact {name} is larger than {MAX_TEXT_BYTES} bytes")
        return RecordedRun(
            backend_id=self._backend_id,
            crypto_mode=self._crypto_mode,
            em_method=self._em_method,
            em_version=self._em_version,
            # Without a seed it is that of the empty text, which a replay can draw nothing from.
            seed=RootSeed.of(self._seed).text,
            calibration_snapshot_id=(
                f"sha256:{sha256_hex(calibration)}" if calibration else NO_CALIBRATION
            ),
            circuit_name=self._circuits[0].name,
            artefacts=artefacts,
            told=self._told(),
            library_versions=library_versions(),
        )

    def _artefacts(self, calibration: bytes | None) -> dict[str, bytes]:
        result, histograms = _joined(self._results, len(self._circuits))
        check_widths(result.expectation_values, [each.num_qubits for each in self._circuits])
        artefacts = {
            **_numbered("circuit", self._circuits),
            **_numbered("transpiled-circuit", self._transpiled),
            "environment": environment(),
            "result": write_result(result),
        }
        if histograms:
            artefacts["histograms"] = write_histograms(histograms)
        if calibration:
            artefacts[CALIBRATION_PREFIX + self._backend_id] = calibration
        return artefacts

    def _told(self) -> dict[str, Any]:
        """What the run's maker told of it, in so many words."""
        return {
            "shots": self._shots,
            "seed": self._seed or None,
            "circuit_names": [each.name for each in self._circuits],
            "details": self._details,
        }

    def _texts(self, circuits: Sequence[Any]) -> list[CircuitText]:
        self._require_open()
        if not circuits:
            raise BadInputError("no circuit was given")
        return [circuit_text(each) for each in circuits]

    def _require_open(self) -> None:
        if self._manifest is not None:
            raise BadInputError("the run is sealed already", hint="record the next one anew")


def _joined(results: Sequence[ResultParts], num_circuits: int) -> tuple[RunResult, list[Histogram]]:
    """All results as one. Those of a single circuit are all of it; else they are numbered on."""
    from msgspec.structs import replace

    offset = 0
    histograms: list[Histogram] = []
    values: list[ExpectationValue] = []
    others: list[OtherValue] = []
    for parts in results:

        def numbered(circuit: int, first: int = offset) -> int:
            return circuit + first if num_circuits > 1 else 0

        histograms += [replace(h, circuit=numbered(h.circuit)) for h in parts.histograms]
        values += [replace(v, circuit=numbered(v.circuit)) for v in parts.values]
        others += [replace(o, circuit=numbered(o.circuit)) for o in parts.others]
        offset += parts.circuits
    if num_circuits > 1 and offset != num_circuits:
        raise BadInputError(
            f"{num_circuits} circuits do not go with results of {offset}",
            hint="hand in one circuit for each, in the same order, or record them one by one",
        )
    result = RunResult(
        source=", ".join(dict.fromkeys(parts.source for parts in results)),
        shots_spent=sum(parts.shots for parts in results) or None,
        expectation_values=tuple(values),
        other_values=tuple(others),
        vendor_job_ids=tuple(parts.vendor_job_id for parts in results if parts.vendor_job_id),
    )
    return result, histograms


def _numbered(name: str, circuits: Sequence[CircuitText]) -> dict[str, bytes]:
    """The first one under the name itself, as a scheduled job has it; others as name/1, name/2."""
    return {
        f"{name}/{number}" if number else name: circuit.text.encode()
        for number, circuit in enumerate(circuits)
    }
