"""Golden evidence: one folder per version of the manifest, made once and never touched again.

A folder has manifest.json (the DSSE envelope), proof.json, artefacts/<sha256> and trust.json, the
trust file that an auditor kept. `scripts/golden` makes the one of the present version.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from quantumai.canonical import canonical_json, sha256_hex

FOLDER = Path(__file__).parent / "manifests"


@dataclass(frozen=True)
class Golden:
    """The evidence in one folder."""

    folder: Path

    def read(self, name: str) -> bytes:
        """One of its files."""
        return (self.folder / name).read_bytes()

    def artefact(self, sha256: str) -> bytes | None:
        """The artefact under a hash, or None."""
        path = self.folder / "artefacts" / sha256
        return path.read_bytes() if path.is_file() else None

    def contents(self) -> str:
        """One SHA-256 over all names and bytes."""
        files = [path for path in self.folder.rglob("*") if path.is_file()]
        names = {path.relative_to(self.folder).as_posix(): path for path in files}
        return sha256_hex(canonical_json({n: sha256_hex(p.read_bytes()) for n, p in names.items()}))


def goldens() -> dict[str, Golden]:
    """All golden evidence, by the name of its folder: v1 and on."""
    return {path.name: Golden(path) for path in sorted(FOLDER.iterdir()) if path.is_dir()}
