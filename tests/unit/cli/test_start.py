from __future__ import annotations

import subprocess
import sys

HEAVY = ("qiskit", "numpy", "sqlalchemy", "alembic", "cryptography", "msgspec", "pydantic", "rich")


def loaded_by(code: str) -> set[str]:
    listed = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    return {name.partition(".")[0] for name in listed.stdout.split()}


def test_the_command_line_starts_without_anything_heavy() -> None:
    assert loaded_by("import quantumai.cli.main").isdisjoint(HEAVY)


def test_importing_the_package_is_free_and_names_its_functions() -> None:
    loaded = loaded_by("import quantumai; dir(quantumai); quantumai.record")
    assert loaded.isdisjoint({*HEAVY, "braket"})
    import quantumai

    assert {"run", "verify", "replay", "record", "read_manifest"} <= set(dir(quantumai))
    assert callable(quantumai.run)
