"""`qai kms verify --second-opinion`, with a stand-in for liboqs: no registry of ours has one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import mldsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from quantumai.errors import KeyUnavailableError
from quantumai.keys.providers import oqs
from tests.e2e.qai_command import Ended, qai

MESSAGE, CONTEXT = b"the message", b"a context"


def _module(algorithms: tuple[str, ...], verdict: Callable[[bool], bool]) -> Any:
    """A module `oqs` that has these algorithms and turns the truth into its verdict."""

    class Signature:
        def __init__(self, mechanism: str) -> None:
            assert mechanism == "ML-DSA-65"

        def __enter__(self) -> Signature:
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def verify_with_ctx_str(self, message: bytes, sig: bytes, ctx: bytes, key: bytes) -> bool:
            try:
                mldsa.MLDSA65PublicKey.from_public_bytes(key).verify(sig, message, ctx)
            except InvalidSignature:
                return verdict(False)
            return verdict(True)

    return type(
        "oqs",
        (),
        {
            "Signature": Signature,
            "oqs_version": staticmethod(lambda: "0.15.0"),
            "get_enabled_sig_mechanisms": staticmethod(lambda: algorithms),
        },
    )


Verify = Callable[..., Ended]


@pytest.fixture
def verify(tmp_path: Path) -> Verify:
    key = mldsa.MLDSA65PrivateKey.generate()
    pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    good = key.sign(MESSAGE, CONTEXT)
    for name, data in (("m", MESSAGE), ("wrong", b"."), ("sig", good), ("pem", pem)):
        (tmp_path / name).write_bytes(data)

    def run(file: str, *more: object) -> Ended:
        return qai(
            "kms", "verify", "--algorithm", "ML-DSA-65", "--public-key", tmp_path / "pem",
            "--signature", tmp_path / "sig", "--context", CONTEXT.hex(), *more, tmp_path / file,
            home=tmp_path / "home",
        )  # fmt: skip

    return run


def _installed(
    monkeypatch: pytest.MonkeyPatch,
    verdict: Callable[[bool], bool] = bool,
    algorithms: tuple[str, ...] = ("ML-DSA-65",),
) -> None:
    verifier = oqs.OqsVerifier(_module(algorithms, verdict))
    monkeypatch.setattr(oqs, "open_oqs", lambda: verifier)


def test_two_that_agree(verify: Verify, monkeypatch: pytest.MonkeyPatch) -> None:
    _installed(monkeypatch)
    held, failed = (verify(file, "--second-opinion") for file in ("m", "wrong"))
    assert (held.code, failed.code) == (0, 1)
    assert held.out.startswith("valid: ML-DSA-65")
    assert held.out.endswith("; liboqs 0.15.0 says so too\n")
    assert failed.out.startswith("NOT valid: ML-DSA-65")
    told = verify("m", "--second-opinion", "--json").json
    assert (told["valid"], told["second_opinion"]) == (True, "liboqs 0.15.0")
    alone = verify("m", "--json")
    assert "second_opinion" not in alone.json
    assert "liboqs" not in verify("m").out


@pytest.mark.parametrize(
    ("file", "ours", "theirs"), [("m", "valid", "NOT valid"), ("wrong", "NOT valid", "valid")]
)
def test_two_that_differ(
    verify: Verify, monkeypatch: pytest.MonkeyPatch, file: str, ours: str, theirs: str
) -> None:
    _installed(monkeypatch, lambda truth: not truth)
    for more in ((), ("--json",)):
        done = verify(file, "--second-opinion", *more)
        assert (done.code, done.out) == (1, "")
        assert f"ours says {ours}, liboqs 0.15.0 says {theirs}\n" in done.err
    assert verify(file).code == (ours != "valid")


def test_without_liboqs_or_the_algorithm(verify: Verify, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent() -> None:
        raise KeyUnavailableError("there is no liboqs library", hint="install it")

    monkeypatch.setattr(oqs, "open_oqs", absent)
    none = verify("m", "--second-opinion")
    assert (none.code, none.out) == (2, "")
    assert none.err == "error: no second opinion: there is no liboqs library\nhint: install it\n"
    _installed(monkeypatch, algorithms=("ML-DSA-44",))
    lacks = verify("m", "--second-opinion")
    assert (lacks.code, lacks.out) == (2, "")
    assert lacks.err.startswith("error: liboqs 0.15.0 has no final ML-DSA-65\n")
