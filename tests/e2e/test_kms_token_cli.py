"""`qai kms` on a home with the development token: the fixed forms, and every algorithm once."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.e2e.kms_desk import MESSAGE, Desk, check_wrapping, verified_envelope
from tests.e2e.qai_command import Ended, qai_process
from tests.other_verifiers import library_verifies
from tests.tokens import token_library

pytestmark = [pytest.mark.integration, pytest.mark.slow]


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    made = Desk(tmp_path_factory.mktemp("kms-token"))
    made.ok("token", "init", "--library", token_library("kryoptic"))
    return made


def test_the_fixed_forms(desk: Desk) -> None:
    desk.create("release")
    signature, pem = desk.sign("release"), desk.pem("release")
    assert library_verifies("ML-DSA-65", pem, MESSAGE, signature)
    assert not library_verifies("ML-DSA-65", pem, MESSAGE + b".", signature)
    desk.create("builds", purpose="statement")
    assert verified_envelope(desk, "builds", desk.sign("builds", file="statement")) == [1]
    desk.ok("keys", "rotate", "builds")
    assert verified_envelope(desk, "builds", desk.sign("builds", file="statement")) == [2]
    assert {key["provider"] for key in desk.ok("keys", "list", "--json").json} == {"pkcs11"}
    assert not (desk.home / "keys").exists()  # where soft keys would be


def test_every_algorithm_of_the_token(desk: Desk) -> None:
    (provider,) = desk.ok("token", "status", "--json").json["providers"]
    assert "no" not in provider["capabilities"].values()
    for algorithm, can in provider["capabilities"].items():
        name = algorithm.lower()
        if can == "decapsulate":
            check_wrapping(desk, desk.create(name, algorithm, "wrap"), algorithm)
            continue
        desk.create(name, algorithm)
        pem = desk.pem(name)
        context = b"where" if "context" in can else b""
        signature = desk.sign(name, "--context", context.hex())
        assert library_verifies(algorithm, pem, MESSAGE, signature, context), algorithm
        assert not library_verifies(algorithm, pem, MESSAGE + b".", signature, context), algorithm


def test_what_the_token_cannot_do_is_said(desk: Desk) -> None:
    """Its PKCS#11 has no external mu, so neither 64 bytes of it nor a long file can be signed."""
    desk.create("limited")
    (desk.folder / "mu").write_bytes(bytes(64))
    (desk.folder / "long").write_bytes(bytes(9 << 20))
    for file, option in (("mu", ("--external-mu",)), ("long", ())):
        done = desk.kms("sign", "limited", desk.folder / file, "--out", desk.folder / "no", *option)
        assert (done.code, done.out) == (2, ""), done.err
    assert not (desk.folder / "no").exists()


def test_a_token_that_is_gone(desk: Desk) -> None:
    """Looking at the register still works; what needs the token fails, and nothing is written."""

    def kms(*arguments: object) -> Ended:
        return qai_process("kms", *arguments, environment={"QAI_HOME": str(desk.home)})

    sign = ("sign", desk.create("stays"), desk.folder / "file", "--out", desk.folder / "no")
    store = desk.home / "token" / "store"
    store.rename(store.with_name("elsewhere"))
    listed = kms("keys", "list", "--json")
    assert {key["state"] for key in listed.json if key["name"] == "stays"} == {"active"}
    for command in (sign, ("token", "status"), ("token", "bench")):
        done = kms(*command)
        assert (done.code, done.out) == (1, ""), done.err
        assert done.err.startswith("error: ")
    assert not (desk.folder / "no").exists()
    shutil.rmtree(store, ignore_errors=True)
    store.with_name("elsewhere").rename(store)
    assert kms(*sign).code == 0
    assert library_verifies("ML-DSA-65", desk.pem("stays"), MESSAGE, sign[-1].read_bytes())


def test_a_classical_token_signs_bytes_and_makes_no_statement_keys(tmp_path: Path) -> None:
    """A home that cannot seal post-quantum evidence has no use for a key that signs statements."""
    desk = Desk(tmp_path)
    desk.ok("token", "init", "--library", token_library("softhsm2"))
    desk.create("bytes", "ECDSA-P384")
    assert library_verifies("ECDSA-P384", desk.pem("bytes"), MESSAGE, desk.sign("bytes"))
    for algorithm, purpose in (("ML-DSA-65", "raw"), ("ECDSA-P384", "statement")):
        make = ("keys", "create", "more", "--algorithm", algorithm, "--purpose", purpose)
        done = desk.kms(*make)
        assert (done.code, done.out) == (2, "")
        assert "makes no ML-DSA" in done.err
    names = {key["name"] for key in desk.ok("keys", "list", "--json").json}
    assert "bytes" in names
    assert "more" not in names
