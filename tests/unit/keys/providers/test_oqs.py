"""liboqs: never imported without its library, and never used for what is not the final standard."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import ClassVar

import pytest

from quantumai.errors import BadInputError, KeyUnavailableError
from quantumai.keys.parameters import SIGNATURE_ALGORITHMS
from quantumai.keys.providers.oqs import OqsVerifier, open_oqs
from quantumai.keys.software_keys import generate

ML_DSA = ("ML-DSA-44", "ML-DSA-65", "ML-DSA-87")
SLH_DSA = tuple(name for name in SIGNATURE_ALGORITHMS if name.startswith("SLH-DSA"))


class _Signature:
    """Stands for `oqs.Signature`; accepts signatures that start with a 1."""

    calls: ClassVar[list[tuple[object, ...]]] = []

    def __init__(self, mechanism: str) -> None:
        self.mechanism = mechanism

    def __enter__(self) -> _Signature:
        return self

    def __exit__(self, *_: object) -> None:
        self.calls.append(("free",))

    def verify(self, message: bytes, signature: bytes, public: bytes) -> bool:
        self.calls.append((self.mechanism, message, b"", len(public)))
        return signature[0] == 1

    def verify_with_ctx_str(
        self, message: bytes, signature: bytes, context: bytes, public: bytes
    ) -> bool:
        self.calls.append((self.mechanism, message, context, len(public)))
        return signature[0] == 1


class _Oqs:
    """Stands for the module `oqs` of some release; names as liboqs 0.15 has them."""

    Signature = _Signature

    def __init__(self, version: str, mechanisms: tuple[str, ...]) -> None:
        self._version = version
        self._mechanisms = mechanisms

    def oqs_version(self) -> str:
        return self._version

    def get_enabled_sig_mechanisms(self) -> tuple[str, ...]:
        return self._mechanisms


_ROUND_3 = ("SPHINCS+-SHA2-128s-simple", "Falcon-512")
_FINAL = tuple(
    f"SLH_DSA_PURE_{hash_name}_{size}{kind}"
    for hash_name in ("SHA2", "SHAKE")
    for size in (128, 192, 256)
    for kind in "SF"
)


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package `oqs` that is found first; its import leaves a mark and prints, as the real one."""
    mark = tmp_path / "imported"
    text = f"""
import pathlib
pathlib.Path({str(mark)!r}).touch()
print("liboqs-python faulthandler is disabled")
oqs_version = lambda: "0.15.0"
get_enabled_sig_mechanisms = lambda: ("ML-DSA-44",)
"""
    (tmp_path / "oqs.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "oqs", raising=False)
    return mark


@pytest.mark.parametrize("library", [None, "liboqs.so.9"])
def test_without_a_library_that_loads_oqs_is_not_imported(
    stand_in: Path, library: str | None
) -> None:
    """liboqs-python would clone and build it."""

    def load(name: str) -> object:
        raise OSError(f"{name}: cannot open shared object file")

    with pytest.raises(KeyUnavailableError, match="no liboqs") as caught:
        open_oqs(lambda _: library, load)
    assert "not built here" in caught.value.hint
    assert not stand_in.exists()


def test_with_a_library_it_is_imported_and_says_nothing(
    stand_in: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    verifier = open_oqs(lambda _: "liboqs.so.9", lambda _: object())
    assert stand_in.exists()
    assert capsys.readouterr() == ("", "")
    assert (verifier.version, verifier.algorithms()) == ("0.15.0", ("ML-DSA-44",))
    monkeypatch.setitem(sys.modules, "oqs", None)  # type: ignore[arg-type]  # not installed
    with pytest.raises(KeyUnavailableError, match="liboqs-python is not"):
        open_oqs(lambda _: "liboqs.so.9", lambda _: object())


@pytest.mark.parametrize(
    ("version", "mechanisms", "has"),
    [
        ("0.11.0", ("ML-DSA-44", *_ROUND_3), ()),  # ML-DSA before the final FIPS 204
        ("0.12.0", ("ML-DSA-44", *_ROUND_3), ("ML-DSA-44",)),
        ("0.14.0", (*ML_DSA, *_ROUND_3), ML_DSA),
        ("0.15.0", (*ML_DSA, *_FINAL, *_ROUND_3), (*ML_DSA, *SLH_DSA)),
        ("1.0.0", ("ML-DSA-65", "SLH_DSA_PURE_SHA2_128S"), ("ML-DSA-65", "SLH-DSA-SHA2-128s")),
        ("main", ("ML-DSA-44",), ()),
    ],
)
def test_only_final_standards_are_offered(
    version: str, mechanisms: tuple[str, ...], has: tuple[str, ...]
) -> None:
    verifier = OqsVerifier(_Oqs(version, mechanisms))
    assert verifier.algorithms() == has
    for algorithm in set(SIGNATURE_ALGORITHMS) - set(has):
        with pytest.raises(BadInputError, match=f"liboqs {version} has no final {algorithm}"):
            verifier.verify(algorithm, b"", b"m", b"")


@pytest.mark.parametrize("name", ["SPHINCS+-SHA2-128s-simple", "sphincs+", "SPHINCS+-128s"])
def test_round_3_is_refused_by_name(name: str) -> None:
    with pytest.raises(BadInputError, match=r"SPHINCS\+ is not FIPS 205"):
        OqsVerifier(_Oqs("0.13.0", _ROUND_3)).verify(name, b"", b"m", b"")


def test_what_reaches_the_library() -> None:
    verifier = OqsVerifier(_Oqs("0.15.0", (*ML_DSA, *_FINAL)))
    spki = generate("SLH-DSA-SHAKE-192f").spki_der
    good, bad = (bytes([first]) * 35664 for first in (1, 2))
    _Signature.calls.clear()
    assert verifier.verify("SLH-DSA-SHAKE-192f", spki, b"m", good)
    assert not verifier.verify("SLH-DSA-SHAKE-192f", spki, b"m", bad, b"ctx")
    assert _Signature.calls == [
        ("SLH_DSA_PURE_SHAKE_192F", b"m", b"", 48),
        ("free",),
        ("SLH_DSA_PURE_SHAKE_192F", b"m", b"ctx", 48),
        ("free",),
    ]
    _Signature.calls.clear()
    assert not verifier.verify("SLH-DSA-SHAKE-192f", spki, b"m", good[:-1])
    with pytest.raises(BadInputError, match="no SLH-DSA-SHA2-192f key"):
        verifier.verify("SLH-DSA-SHA2-192f", spki, b"m", good)
    with pytest.raises(BadInputError, match="256 bytes"):
        verifier.verify("SLH-DSA-SHAKE-192f", spki, b"m", good, bytes(256))
    assert _Signature.calls == []
