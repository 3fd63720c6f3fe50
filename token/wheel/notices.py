"""Writes NOTICE: what is compiled into the library, under which licence, with the texts.

Reads `cargo metadata` from stdin; the one argument is the folder that holds pyproject.toml, where
NOTICE goes. Refuses a crate without a licence text, or with one that pyproject.toml does not name.
"""

from __future__ import annotations

import json
import re
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_TEXTS = re.compile(r"(LICEN[CS]E|COPYING|COPYRIGHT|NOTICE|UNLICENSE)([-_.].*)?", re.IGNORECASE)
_HEAD = """\
This library is made of the parts below. Their licence texts follow, each once.
What Rust's standard library is made of stands in COPYRIGHT-library.html.
"""


@dataclass(frozen=True)
class Part:
    """Something linked in; `licence` is an SPDX expression."""

    name: str
    version: str
    licence: str
    texts: tuple[str, ...]


def linked_crates(metadata: dict[str, Any]) -> list[dict[str, Any]]:
    """The packages that end up in the library: no build scripts, no procedural macros."""
    packages = {package["id"]: package for package in metadata["packages"]}
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    found: dict[str, dict[str, Any]] = {}
    waiting = [metadata["resolve"]["root"]]
    while waiting:
        name = waiting.pop()
        kinds = {kind for target in packages[name]["targets"] for kind in target["kind"]}
        if name in found or "proc-macro" in kinds:
            continue
        found[name] = packages[name]
        waiting += [
            dependency["pkg"]
            for dependency in nodes[name]["deps"]
            if any(kind["kind"] is None for kind in dependency["dep_kinds"])
        ]
    return list(found.values())


def folder_of(package: dict[str, Any]) -> Path:
    """Where the sources of a crate lie."""
    return Path(package["manifest_path"]).parent


def texts_in(folder: Path) -> tuple[str, ...]:
    """The licence texts in a crate's folder, by name."""
    paths = sorted(path for path in folder.iterdir() if _TEXTS.fullmatch(path.name))
    # Line ends and margins differ where the words do not.
    return tuple(
        "\n".join(line.rstrip() for line in path.read_text("utf-8").splitlines()).strip("\n")
        for path in paths
    )


def c_parts(packages: list[dict[str, Any]]) -> list[Part]:
    """OpenSSL and SQLite, which crates carry as C sources."""
    folders = {package["name"]: folder_of(package) for package in packages}
    openssl = folders["openssl-src"] / "openssl"
    numbers = dict(re.findall(r"^(\w+)=(\d+)$", (openssl / "VERSION.dat").read_text(), re.M))
    header = (folders["libsqlite3-sys"] / "sqlite3" / "sqlite3.h").read_text("utf-8")
    sqlite = re.search(r'^#define SQLITE_VERSION +"([\d.]+)"$', header, re.M)
    if sqlite is None:
        raise SystemExit("notices: the SQLite sources do not say their version")
    version = ".".join(numbers[part] for part in ("MAJOR", "MINOR", "PATCH"))
    return [
        Part("OpenSSL", version, "Apache-2.0", texts_in(openssl)),
        Part("SQLite (public domain)", sqlite[1], "blessing", ()),
    ]


def covered(licence: str, allowed: set[str]) -> bool:
    """Whether `allowed` licences satisfy an SPDX expression; crates still write `/` for OR."""
    flat = licence.replace("/", " OR ").replace("(", "").replace(")", "")
    return all(
        any(choice.strip() in allowed for choice in term.split(" OR "))
        for term in flat.split(" AND ")
    )


def notice(parts: list[Part]) -> str:
    """The file: a table of the parts, then each text under the names of its parts."""
    owners: dict[str, list[str]] = {}
    for part in parts:
        for text in part.texts:
            owners.setdefault(text, []).append(f"{part.name} {part.version}")
    table = "\n".join(f"{part.name} {part.version}: {part.licence}" for part in parts)
    line = "=" * 78
    blocks = [f"{line}\n{', '.join(names)}\n{line}\n{text}\n" for text, names in owners.items()]
    return "\n".join([_HEAD, table + "\n", *blocks])


def main(stage: Path) -> None:
    """Write `stage`/NOTICE."""
    metadata = json.load(sys.stdin)
    declared = tomllib.loads((stage / "pyproject.toml").read_text())["project"]["license"]
    root = metadata["resolve"]["root"]
    crates = sorted(
        (
            Part(p["name"], p["version"], p["license"] or "none", texts_in(folder_of(p)))
            for p in linked_crates(metadata)
            if p["id"] != root
        ),
        key=lambda part: (part.name, part.version),
    )
    parts = c_parts(metadata["packages"]) + crates
    for part in parts:
        if not covered(part.licence, set(declared.split(" AND "))):
            raise SystemExit(f"notices: {part.name} is under {part.licence}, not {declared}")
        if not part.texts and part.licence != "blessing":
            raise SystemExit(f"notices: {part.name} {part.version} comes without a licence text")
    (stage / "NOTICE").write_text(notice(parts), "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
