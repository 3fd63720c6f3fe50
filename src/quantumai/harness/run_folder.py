"""Where a run lies: plain files that appear whole or not at all, so that a run can go on.

plan.yaml                 the bytes that were given
run.json                  what was fixed when the run began: see `RunRecord`
calibrations/<sha256>.json
circuits/<sha256>.qasm    texts of imported circuits
cells.parquet             the expanded plan
features/part-*.parquet   what models learn from
models/<noise>-<variant>/ what they became, and the signature over that
results/date=<day>/backend_id=<id>/part-*.parquet
histograms/part-*.parquet
summary.json, report.html
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated

import msgspec

from quantumai.backends.calibration import CalibrationSnapshot
from quantumai.canonical import canonical_json, sha256_hex
from quantumai.errors import ArtefactError, BadInputError, ConflictError
from quantumai.harness.plan import Plan, parse_plan
from quantumai.storage.durable_files import create_file, make_folder, replace_file
from quantumai.storage.unwritable import cannot_write

if TYPE_CHECKING:
    import pyarrow as pa

PLAN, RECORD, CELLS = "plan.yaml", "run.json", "cells.parquet"
BATCH_FOLDERS = ("results", "histograms", "features")
RECORD_VERSION = 1

# Both become names of files.
_Name = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=200)]
_Day = Annotated[str, msgspec.Meta(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$")]


class RunRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a run fixed at its start and goes on with.

    `job_ids` and `calibrations` (SHA-256 of the snapshot's bytes, hex) are by backend; `date` is
    the day, UTC, that partitions the results; `versions` are those of the libraries that compute.
    The SHA-256 (hex) of plan and cells are filled in by `RunFolder.create`.
    """

    schema_version: int
    run_id: _Name
    plan_name: str
    created_at: str
    date: _Day
    job_ids: dict[str, str]
    calibrations: dict[str, str]
    versions: dict[str, str]
    plan_sha256: str = ""
    cells_sha256: str = ""


class RunFolder:
    """One run on disk. All methods raise `OSError` where the disk fails."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def create(
        cls,
        path: Path,
        plan: bytes,
        record: RunRecord,
        snapshots: dict[str, CalibrationSnapshot],
        cells: pa.Table,
        sources: Mapping[str, str] = MappingProxyType({}),
    ) -> RunFolder:
        """A new run; `sources` are texts of imported circuits by SHA-256.

        The record is written last, so a folder without one never began.
        """
        run = cls(path)
        make_folder(path / "calibrations")
        replace_file(path / PLAN, plan)
        for digest, snapshot in snapshots.items():
            replace_file(path / "calibrations" / f"{digest}.json", snapshot.to_bytes())
        for digest, source in sources.items():
            run.write(f"circuits/{digest}.qasm", source.encode())
        run.write_table(CELLS, cells)
        cells_sha256 = sha256_hex((path / CELLS).read_bytes())
        record = msgspec.structs.replace(
            record, plan_sha256=sha256_hex(plan), cells_sha256=cells_sha256
        )
        if not create_file(path / RECORD, canonical_json(msgspec.to_builtins(record))):
            raise ConflictError(f"a run has begun in {path.name} already", hint="choose another")
        return run

    def record(self) -> RunRecord:
        """What was fixed at the start. Raises `BadInputError` if this is no run's folder."""
        if not self.has(RECORD):  # nor is a pipe read, which would never end
            hint = "give the folder or the id of a run; `qai em list` shows them"
            raise BadInputError(f"{self.path.name!r} is no run of the harness", hint=hint)
        try:
            record = msgspec.json.decode((self.path / RECORD).read_bytes(), type=RunRecord)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise ArtefactError(
                f"{RECORD} of run {self.path.name} is damaged: {error}",
                hint="restore the file, or take the run's folder away",
            ) from None
        if record.schema_version != RECORD_VERSION or record.date != record.created_at[:10]:
            raise self._changed(RECORD)
        return record

    def _changed(self, name: str) -> ArtefactError:
        return ArtefactError(
            f"{name} of run {self.path.name} was changed after the run began",
            hint="restore the file; another plan is another run",
        )

    def plan(self) -> Plan:
        """The plan as it was given. Raises `ArtefactError` if it is not that any more."""
        record = self.record()
        plan = parse_plan(self._fixed(PLAN, record.plan_sha256), "the run's plan")
        if not set(plan.backends) == set(record.job_ids) == set(record.calibrations):
            raise self._changed(RECORD)
        return plan

    def cells(self) -> pa.Table:
        """The expanded plan. Raises `ArtefactError` if it is not that any more."""
        record = self.record()
        self._fixed(CELLS, record.cells_sha256)
        cells = self.table(CELLS)
        if not set(cells.column("backend_id").to_pylist()) <= set(record.job_ids):
            raise self._changed(CELLS)
        return cells

    def _fixed(self, name: str, digest: str) -> bytes:
        """What was fixed when the run began."""
        try:
            data = (self.path / name).read_bytes()
        except FileNotFoundError:
            raise ArtefactError(f"{name} of run {self.path.name} is gone") from None
        if sha256_hex(data) != digest:
            raise self._changed(name)
        return data

    def snapshots(self) -> dict[str, CalibrationSnapshot]:
        """The calibrations by SHA-256 (hex), checked. Raises `ArtefactError`."""
        files = self._by_content("calibrations/*.json", "calibration")
        found = {digest: CalibrationSnapshot.from_bytes(data) for digest, data in files}
        for digest in set(self.record().calibrations.values()) - set(found):
            raise ArtefactError(f"calibration {digest[:12]} of the run is gone")
        return found

    def sources(self) -> dict[str, str]:
        """Texts of imported circuits by SHA-256 (hex), checked. Raises `ArtefactError`."""
        files = self._by_content("circuits/*.qasm", "circuit")
        return {digest: data.decode() for digest, data in files}

    def _by_content(self, pattern: str, what: str) -> Iterator[tuple[str, bytes]]:
        """SHA-256 (hex) and bytes of files that are named by it."""
        for path in sorted(self.path.glob(pattern)):
            data = path.read_bytes()
            if sha256_hex(data) != path.stem:
                raise ArtefactError(f"{what} {path.stem[:12]} of the run is damaged")
            yield path.stem, data

    def has(self, name: str) -> bool:
        """Whether a file of the run is there; then it is whole."""
        return (self.path / name).is_file()

    def files(self) -> list[str]:
        """Names of all files, sorted; no temporary ones."""
        names = (p.relative_to(self.path) for p in self.path.rglob("*") if p.is_file())
        return sorted(name.as_posix() for name in names if not name.name.startswith(".tmp-"))

    def write(self, name: str, data: bytes) -> None:
        """Put a file in place, whole."""
        try:
            make_folder((self.path / name).parent)
            replace_file(self.path / name, data)
        except OSError as error:
            raise cannot_write(self.path / name, error) from error

    def write_table(self, name: str, table: pa.Table) -> None:
        """Put a table in place as Parquet; the same table gives the same bytes."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        sink = pa.BufferOutputStream()
        pq.write_table(table, sink, compression="zstd")
        self.write(name, bytes(sink.getvalue()))

    def table(self, name: str) -> pa.Table:
        """The table of a name or pattern, which has to be there. Raises `ArtefactError`."""
        found = self.read_table(name)
        if found is None:
            raise ArtefactError(f"{name} of the run is gone")
        return found

    def read_table(self, pattern: str) -> pa.Table | None:
        """All files of a pattern as one table, in the order of their names; None without any."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        tables = []
        # Read one by one: a folder name such as date=... would else become a column.
        for path in sorted(path for path in self.path.glob(pattern) if path.is_file()):
            try:
                tables.append(pq.ParquetFile(path).read())
            except (OSError, pa.ArrowException) as error:
                name = path.relative_to(self.path).as_posix()
                raise ArtefactError(
                    f"{name} of run {self.path.name} is damaged: {str(error).splitlines()[0][:160]}"
                ) from None
        try:
            return pa.concat_tables(tables) if tables else None
        except pa.ArrowException:
            raise ArtefactError(f"the tables {pattern} of run {self.path.name} differ") from None
