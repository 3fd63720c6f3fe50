"""Finding the token's library in an installed package."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from quantumai.errors import BadInputError
from quantumai.keys.providers.token_library import packaged_library

_MODULE = Path(__file__).parents[4] / "token" / "wheel" / "quantumai_token" / "__init__.py"


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The wheel's own module, importable, with nothing beside it yet."""
    folder = tmp_path / "quantumai_token"
    folder.mkdir()
    (folder / "__init__.py").write_text(_MODULE.read_text())
    monkeypatch.syspath_prepend(tmp_path)
    # Neither an installed package nor this one may be remembered.
    sys.modules.pop("quantumai_token", None)
    yield folder
    sys.modules.pop("quantumai_token", None)


def test_the_library_is_found_in_the_package(package: Path) -> None:
    library = package / "libkryoptic_pkcs11.so"
    library.touch()
    assert packaged_library() == library


def test_a_package_without_its_library_is_an_error(package: Path) -> None:
    with pytest.raises(BadInputError, match="without its library"):
        packaged_library()


def test_without_the_package_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    # None in sys.modules: importing it fails as if it were not installed.
    monkeypatch.setitem(sys.modules, "quantumai_token", None)
    assert packaged_library() is None
