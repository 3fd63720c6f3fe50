"""The token's wheel: installed without Rust, it is the library that was built."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from packaging.tags import sys_tags
from packaging.utils import parse_wheel_filename

from tests.tokens import token_library

pytestmark = [pytest.mark.slow, pytest.mark.integration]

_ROOT = Path(__file__).parents[2]
_LIBRARY = "quantumai_token/libkryoptic_pkcs11.so"
# What a caller does first: every symbol resolved, then the function list, which starts with the
# version of PKCS#11 (two bytes).
_LOAD = """
import ctypes, os
from quantumai.keys.providers.token_library import packaged_library
path = packaged_library()
library = ctypes.CDLL(str(path), mode=os.RTLD_NOW)
functions = ctypes.POINTER(ctypes.c_ubyte * 2)()
library.C_GetFunctionList.restype = ctypes.c_ulong
print(path, library.C_GetFunctionList(ctypes.byref(functions)), *functions.contents)
"""


def _build(umask: int = 0o022, **surroundings: str) -> Path:
    environment = {**os.environ, **surroundings}
    environment.pop("SOURCE_DATE_EPOCH", None)
    made = subprocess.run(
        [_ROOT / "scripts" / "token-wheel"],
        env=environment, umask=umask, check=True,
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    return Path(made.stdout.removesuffix("\n"))


@pytest.fixture(scope="module")
def wheel() -> Path:
    token_library("kryoptic")
    return _build()


def test_an_installed_wheel_serves_the_library_that_was_built(wheel: Path, tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
         "--no-index", "--no-deps", "--target", tmp_path, wheel],
        check=True,
    )  # fmt: skip
    answer = subprocess.run(
        [sys.executable, "-c", _LOAD], env={**os.environ, "PYTHONPATH": str(tmp_path)},
        check=True, capture_output=True, text=True,
    ).stdout.split()  # fmt: skip
    assert answer == [str(tmp_path / _LIBRARY), "0", "2", "40"]
    assert (tmp_path / _LIBRARY).read_bytes() == token_library("kryoptic").read_bytes()


def test_the_same_library_gives_the_same_bytes(wheel: Path) -> None:
    first = wheel.read_bytes()
    again = _build(umask=0o077, TZ="Asia/Tokyo", LC_ALL="C", PYTHONHASHSEED="7")
    assert again == wheel
    assert again.read_bytes() == first


def test_the_tag_promises_what_the_library_needs(wheel: Path) -> None:
    name, _, _, tags = parse_wheel_filename(wheel.name)
    assert name == "quantumai-token"
    assert tags & set(sys_tags())
    (tag,) = tags
    with zipfile.ZipFile(wheel) as archive:
        # Read from the bytes, not through objdump as the build does.
        symbols = re.findall(rb"\0GLIBC_(\d+)\.(\d+)(?:\.\d+)?(?=\0)", archive.read(_LIBRARY))
    newest = max((int(major), int(minor)) for major, minor in symbols)
    assert re.fullmatch(rf"manylinux_{newest[0]}_{newest[1]}_\w+", tag.platform)


def test_the_notices_name_what_is_linked_in_and_no_machine(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        texts = {name: archive.read(name) for name in archive.namelist() if name != _LIBRARY}
        library = archive.read(_LIBRARY)
    (notice,) = (text.decode() for name, text in texts.items() if name.endswith("/NOTICE"))
    # The compiler names a source file wherever code may panic. Those under /rust/deps belong to
    # the standard library.
    pattern = rb"(?<!/rust/deps)/([a-z0-9_-]+-\d+\.\d+\.\d+[\w.+-]*)/src/[\w/]+\.rs"
    linked = {crate.decode() for crate in re.findall(pattern, library)}
    assert any(crate.startswith("kryoptic-lib-1.5.") for crate in linked)
    assert linked <= {"-".join(row) for row in re.findall(r"^(\S+) (\S+): ", notice, re.MULTILINE)}
    versions = re.findall(r"^(?:OpenSSL|SQLite \(.*\)) (\S+): ", notice, re.MULTILINE)
    assert len(versions) == 2
    assert all(f"{version}\0".encode() in library for version in versions)
    assert "Permission is hereby granted" in notice
    assert "Apache License" in notice
    for name, data in (texts | {_LIBRARY: library}).items():
        for place in (Path.home(), _ROOT, wheel.parent):
            assert str(place).encode() not in data, name
