"""Recording a run: what is sealed, what is refused, and what a raising body leaves behind."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from qiskit import QuantumCircuit, qasm3, transpile
from qiskit.providers.basic_provider import BasicSimulator
from qiskit.providers.fake_provider import GenericBackendV2
from qiskit.result import Result

import quantumai
from quantumai.canonical import parse_canonical_json
from quantumai.errors import BadInputError, NotFoundError, StorageError
from quantumai.jobs import recorded_run
from quantumai.jobs.history import find_row, list_jobs
from quantumai.jobs.row_check import job_row_problems
from quantumai.services.wiring import open_home

pytestmark = pytest.mark.slow

SHOTS = 50


def bell() -> QuantumCircuit:
    circuit = QuantumCircuit(2, name="bell")
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.measure_all()
    return circuit


def ran(circuit: Any, shots: int = SHOTS) -> Result:
    return BasicSimulator().run(circuit, shots=shots).result()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("recorded") / "home"


@pytest.fixture
def rows(home: Path) -> Callable[[], tuple[int, int, int]]:
    """Number of rows in `jobs` and `manifests`, and of leaves."""

    def count() -> tuple[int, int, int]:
        with open_home(home, {}) as opened:
            tables = (len(opened.database.select(name)) for name in ("jobs", "manifests"))
            return (*tables, opened.open_sealer().ledger.size())  # type: ignore[return-value]

    with open_home(home, {}) as opened:
        opened.open_sealer()
    return count


def record(home: Path, handed_in: Callable[[Any], object], **options: Any) -> quantumai.Manifest:
    with quantumai.record(**({"backend": "lab", "home": home} | options)) as run:
        handed_in(run)
    return run.manifest


def test_a_recorded_run_says_that_it_was_only_recorded_and_verifies(home: Path) -> None:
    circuit, backend = bell(), BasicSimulator()
    result = ran(circuit)
    with quantumai.record(backend=backend, shots=SHOTS, seed=7, home=home) as run:
        run.circuit(circuit)
        run.transpiled(transpile(circuit, backend))
        run.result(result)
        run.detail("theta", (0.5, 2**60))
    manifest = run.manifest
    fields = manifest.fields
    assert fields.origin == "recorded"
    assert fields.schema_version == 2
    assert (fields.backend_id, fields.em_method) == ("basic_simulator", "none")
    assert fields.calibration_snapshot_id == "none"
    assert (fields.policy_digest, fields.request_sha256) == ("", "")
    assert fields.seed == "sha256:" + hashlib.sha256(b"7").hexdigest()
    assert set(manifest.subjects) == {
        "circuit",
        "transpiled-circuit",
        "environment",
        "record",
        "histograms",
        "result",
    }
    assert manifest.verify().verified
    assert qasm3.loads(manifest.circuit()).count_ops() == circuit.count_ops()
    (histogram,) = manifest.histograms()
    assert histogram.counts == result.get_counts()
    assert manifest.result().shots_spent == SHOTS
    assert manifest.result().vendor_job_ids == (result.job_id,)
    told = parse_canonical_json(manifest.artefact("record"))["told"]
    assert told["details"] == {"theta": [0.5, str(2**60)]}
    assert (told["seed"], told["shots"]) == ("7", SHOTS)


def test_a_recorded_run_stands_in_the_tables(home: Path) -> None:
    with quantumai.record(backend="lab 7", em_method="zne", em_version="mitiq 1", home=home) as run:
        run.circuit(bell())
        run.result({"00": 3, "11": 4})
    with open_home(home, {}) as opened:
        job = next(j for j in list_jobs(opened.desk()) if j.job_id == run.manifest.job_id)
        (row,) = opened.database.select("manifests", {"job_id": job.job_id})
    assert (job.state, job.origin) == ("done", "recorded")
    assert (job.backend_id, job.em_method, job.circuit_name) == ("lab 7", "zne", "bell")
    assert (row["backend_id"], row["em_method"]) == ("lab 7", "zne")


@pytest.mark.parametrize("name", ["circuit_name", "backend", "em", "tenant", "created_at"])
def test_a_changed_row_contradicts_the_evidence(home: Path, name: str) -> None:
    def body(run: Any) -> None:
        run.circuit(bell())
        run.result({"00": 1})

    job_id = record(home, body).job_id
    with open_home(home, {}) as opened:
        desk = opened.desk()
        row = find_row(desk, job_id)
        assert list(job_row_problems(desk, row)) == []
        changed = {"request": row["request"] | {name: "another"}}
        opened.database.update("jobs", {"job_id": job_id}, changed)
        assert list(job_row_problems(desk, find_row(desk, job_id))) == [
            f"job {job_id}: jobs.request contradicts the evidence"
        ]


def test_the_calibration_that_the_backend_tells_of_is_an_artefact(home: Path) -> None:
    backend = GenericBackendV2(2, seed=3)
    with quantumai.record(backend=backend, home=home) as run:
        run.circuit(bell())
        run.result({"00": 1})
    manifest = run.manifest
    calibration = manifest.artefact("calibration/generic_backend_2q")
    digest = hashlib.sha256(calibration).hexdigest()
    assert manifest.fields.calibration_snapshot_id == f"sha256:{digest}"


@pytest.mark.parametrize("mode", ["classical", "hybrid", "pqc-preferred"])
def test_the_crypto_mode_decides_who_signs(home: Path, mode: str) -> None:
    with quantumai.record(backend="lab", crypto_mode=mode, home=home) as run:
        run.circuit(bell())
        run.result({"0": 1})
    manifest = run.manifest
    assert manifest.fields.crypto_mode == mode
    assert manifest.verify().verified
    assert len(manifest.signatures) == (1 if mode == "classical" else 2)


def test_a_body_that_raises_seals_nothing_and_its_error_passes(
    home: Path, rows: Callable[[], tuple[int, int, int]]
) -> None:
    begun: list[Any] = []

    def body(run: Any) -> None:
        begun.append(run)
        run.circuit(bell())
        run.result({"0": 1})
        _ = 1 / 0

    before = rows()
    with pytest.raises(ZeroDivisionError):
        record(home, body)
    assert rows() == before
    with pytest.raises(BadInputError, match="not sealed yet"):
        _ = begun[0].manifest


def test_a_record_without_circuit_or_result_is_refused_at_its_end(
    home: Path, rows: Callable[[], tuple[int, int, int]]
) -> None:
    before = rows()
    with pytest.raises(BadInputError, match="has no circuit"):
        record(home, lambda run: run.result({"0": 1}))
    with pytest.raises(BadInputError, match="has no result"):
        record(home, lambda run: run.circuit(bell()))
    assert rows() == before


@pytest.mark.parametrize("broken", ["seal_run", "index_manifest"])
def test_a_seal_that_fails_half_way_is_not_believed(
    home: Path, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    def fail(*_: Any) -> Any:
        raise StorageError("the disk is full")

    monkeypatch.setattr(recorded_run, broken, fail)

    def body(run: Any) -> None:
        run.circuit(bell())
        run.result({"0": 1})

    with pytest.raises(StorageError, match="the disk is full"):
        record(home, body, backend=f"lost in {broken}")
    with open_home(home, {}) as opened:
        job = next(j for j in list_jobs(opened.desk()) if j.backend_id == f"lost in {broken}")
        assert opened.database.select("manifests", {"job_id": job.job_id}) == []
    assert (job.state, job.failure_reason) == ("failed", "the disk is full")
    with pytest.raises(NotFoundError, match="has no manifest"):
        quantumai.read_manifest(job.job_id, home=home)


def test_shots_that_were_told_have_to_be_those_of_the_histogram(home: Path) -> None:
    with pytest.raises(BadInputError, match="has 50 shots, but shots=400 was told"):
        record(home, lambda run: run.result(ran(bell())), shots=400)


def test_circuits_and_results_are_numbered_in_their_order(home: Path) -> None:
    flipped = QuantumCircuit(1)
    flipped.x(0)
    flipped.measure_all()
    with quantumai.record(backend="lab", home=home) as run:
        run.circuit(bell(), flipped)
        run.result(ran(bell()))
        run.result(ran(flipped, 8))
    assert [h.circuit for h in run.manifest.histograms()] == [0, 1]
    assert run.manifest.histograms()[1].counts == {"1": 8}
    assert b"x q[0]" in run.manifest.artefact("circuit/1")

    def too_many(run: Any) -> None:
        run.circuit(bell(), bell(), bell())
        run.result(ran([bell(), bell()]))

    with pytest.raises(BadInputError, match="3 circuits do not go with results of 2"):
        record(home, too_many)


def test_two_results_of_one_circuit_are_both_its_own(home: Path) -> None:
    with quantumai.record(backend="lab", home=home) as run:
        run.circuit(bell())
        run.result({"00": 2})
        run.result([0.25], observables=["ZZ"])
    assert run.manifest.histograms()[0].circuit == 0
    (value,) = run.manifest.result().expectation_values
    assert (value.circuit, value.observable, value.value) == (0, "ZZ", 0.25)


def test_no_secret_of_a_backend_or_circuit_reaches_the_home(home: Path) -> None:
    secret = "tok-5e3c-very-secret"

    class Backend(BasicSimulator):
        token = secret

        def __init__(self) -> None:
            super().__init__()
            self._session = {"Authorization": secret}

        def __repr__(self) -> str:
            return secret

    circuit = bell()
    circuit.metadata = {"token": secret}
    backend = Backend()
    with quantumai.record(backend=backend, home=home) as run:
        run.circuit(circuit)
        run.result(backend.run(circuit, shots=10).result())
    files = [path for path in home.rglob("*") if path.is_file()]
    assert len(files) > 10
    assert not [path for path in files if secret.encode() in path.read_bytes()]


def test_a_decorated_function_is_recorded_and_its_result_passes_through(home: Path) -> None:
    sealed: list[quantumai.Manifest] = []

    @quantumai.record(backend="lab", shots=SHOTS, on_sealed=sealed.append, home=home)
    def run_it(circuit: QuantumCircuit, shots: int) -> Result:
        """Runs it."""
        return ran(circuit, shots)

    first, second = run_it(bell(), SHOTS), run_it(shots=SHOTS, circuit=bell())
    assert isinstance(first, Result)
    assert run_it.__doc__ == "Runs it."
    assert [m.histograms()[0].counts for m in sealed] == [first.get_counts(), second.get_counts()]
    assert sealed[0].job_id != sealed[1].job_id


def test_a_method_and_a_coroutine_can_be_decorated(home: Path) -> None:
    sealed: list[quantumai.Manifest] = []
    recording = quantumai.record(backend="lab", on_sealed=sealed.append, home=home)

    class Lab:
        @recording
        def run(self, *circuits: QuantumCircuit) -> dict[str, int]:
            return {"0": 1}

    @recording
    async def run_later(circuit: QuantumCircuit) -> dict[str, int]:
        await asyncio.sleep(0)
        return {"1": 2}

    Lab().run(bell())
    assert asyncio.run(run_later(bell())) == {"1": 2}
    assert [m.histograms()[0].counts for m in sealed] == [{"0": 1}, {"1": 2}]


def test_what_is_no_circuit_costs_no_run(home: Path) -> None:
    runs = []

    @quantumai.record(backend="lab", home=home)
    def run_it(circuit: Any = None) -> dict[str, int]:
        runs.append(circuit)
        return {"0": 1}

    with pytest.raises(BadInputError, match="a int is no circuit"):
        run_it(3)
    with pytest.raises(BadInputError, match="was given no circuit"):
        run_it()
    assert runs == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"backend": None}, "names no backend"),
        ({"shots": 0}, "shots must be"),
        ({"shots": True}, "shots must be"),
        ({"crypto_mode": "none"}, "unknown crypto mode"),
        ({"em_method": ""}, "em_method must be"),
        ({"em_version": "x" * 61}, "em_version must be"),
        ({"seed": ""}, "seed must be"),
        ({"seed": 1.5}, "seed must be"),
        ({"seed": 10**5000}, "seed must be"),
        ({"seed": "a\x1b[2J"}, "seed must be"),
        ({"shots": -(10**5000)}, "shots must be"),
        ({"em_method": "rem\x1b[2J"}, "em_method must be"),
        ({"details": {"x\n": 1}}, "the name of a detail must be"),
        ({"details": {"x": object()}}, "is of type object"),
        ({"details": ["x"]}, "details are a dict"),
        ({"details": {1: "x"}}, "details are a dict"),
        ({"on_sealed": 5}, "on_sealed is a function"),
        ({"home": 10**5000}, "a home is the path"),
    ],
)
def test_bad_options_leave_no_home(tmp_path: Path, options: Any, message: str) -> None:
    home = tmp_path / "home"
    with pytest.raises(BadInputError, match=message):
        quantumai.record(**({"backend": "lab", "home": home} | options))
    assert not home.exists()


def test_misuse_is_told_in_one_line(home: Path) -> None:
    recording = quantumai.record(backend="lab", home=home)
    with recording as run:
        with pytest.raises(BadInputError, match="has begun already"), recording:
            pass
        with pytest.raises(BadInputError, match="observables are a list"):
            run.result([1.0], observables="Z")
        with pytest.raises(BadInputError, match="no circuit was given"):
            run.circuit()
        run.detail("angle", 0.5)
        with pytest.raises(BadInputError, match="'angle' was told already"):
            run.detail("angle", 0.6)
        with pytest.raises(BadInputError, match="the result has none"):
            run.result({"0": 1}, observables=["Z"])
        with pytest.raises(BadInputError, match=r"ZZ is 1\.02, which lies outside"):
            run.result([1.02], observables=["ZZ"])
        run.circuit(bell())
        run.result({"0": 1})
    with pytest.raises(BadInputError, match="no function that can be recorded"):
        recording(5)
    with pytest.raises(BadInputError, match="sealed already"):
        run.result({"0": 1})
    with pytest.raises(BadInputError, match="returns its result"):

        @recording
        def generator(circuit: Any) -> Iterator[int]:
            yield 1


def test_a_pauli_string_leaves_no_qubit_of_its_circuit_out(home: Path) -> None:
    def body(run: Any) -> None:
        run.circuit(bell())
        run.result([1.02], observables=["Z"])

    with pytest.raises(BadInputError, match="Z has 1 letters, its circuit has 2 qubits"):
        record(home, body, em_method="zne")
    with quantumai.record(backend="lab", em_method="zne", home=home) as run:
        run.circuit(bell())
        run.result([1.02, 3.5], observables=["IZZ", "energy"])  # laid out on three qubits
    assert [v.value for v in run.manifest.result().expectation_values] == [1.02, 3.5]


def test_a_home_may_be_named_by_text(home: Path) -> None:
    with quantumai.record(backend="lab", home=str(home)) as run:
        run.circuit(bell())
        run.result({"00": 1, "11": 1})
    job_id = run.manifest.job_id
    assert quantumai.verify(job_id, home=str(home)).verified
    assert quantumai.read_manifest(job_id, home=str(home)).job_id == job_id
