"""`qai kms verify` on files that other libraries made."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from quantumai.keys.spki import pem_of_spki, spki_of_raw
from tests.e2e.qai_command import Ended, qai

pytestmark = pytest.mark.slow

MESSAGE = bytes(range(256)) * 9000  # above one chunk of the reader
CONTEXT = b"a context"
PSS = padding.PSS(padding.MGF1(hashes.SHA256()), 32)


def _post_quantum(algorithm: str) -> tuple[str, Callable[[bytes], bytes]]:
    import pqcrypto.sign

    if algorithm.startswith("ML-DSA"):  # pqcrypto signs at most 1 MiB with ML-DSA
        key: Any = getattr(mldsa, algorithm.replace("-", "") + "PrivateKey").generate()
        pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        return pem.decode(), lambda message: bytes(key.sign(message, CONTEXT))
    module: Any = getattr(pqcrypto.sign, algorithm.lower().replace("-", "_"))
    public, private = module.keygen()
    pem = pem_of_spki(spki_of_raw(algorithm, bytes(public)))
    return pem, lambda message: bytes(module.sign(private, message, CONTEXT))


def _classical(algorithm: str) -> tuple[str, Callable[[bytes], bytes]]:
    key: Any
    arguments: tuple[Any, ...] = ()
    if algorithm == "Ed25519":
        key = ed25519.Ed25519PrivateKey.generate()
    elif algorithm == "RSA-3072-PSS":
        key, arguments = rsa.generate_private_key(65537, 3072), (PSS, hashes.SHA256())
    elif algorithm == "ECDSA-P256":
        key, arguments = ec.generate_private_key(ec.SECP256R1()), (ec.ECDSA(hashes.SHA256()),)
    else:
        key, arguments = ec.generate_private_key(ec.SECP384R1()), (ec.ECDSA(hashes.SHA384()),)
    pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return pem.decode(), lambda message: bytes(key.sign(message, *arguments))


class Case:
    def __init__(self, folder: Path, algorithm: str) -> None:
        self.algorithm, self.folder = algorithm, folder
        self.takes_context = "DSA-" in algorithm and not algorithm.startswith("EC")
        pem, sign = (_post_quantum if self.takes_context else _classical)(algorithm)
        for name, data in (("m", MESSAGE), ("sig", sign(MESSAGE)), ("pem", pem.encode())):
            (folder / name).write_bytes(data)

    def verify(self, *more: object, context: bytes | None = None, **replaced: object) -> Ended:
        folder = self.folder
        given = {"algorithm": self.algorithm, "file": folder / "m", "signature": folder / "sig"}
        given |= {"public_key": folder / "pem"} | replaced
        context = CONTEXT if context is None and self.takes_context else context
        extra = ["--context", context.hex()] if context else []
        return qai(
            "kms", "verify", "--algorithm", given["algorithm"], "--public-key",
            given["public_key"], "--signature", given["signature"], *extra, *more, given["file"],
            home=folder / "home",
        )  # fmt: skip


@pytest.mark.parametrize(
    "algorithm",
    ["ML-DSA-44", "ML-DSA-65", "ML-DSA-87", "SLH-DSA-SHA2-128f", "SLH-DSA-SHAKE-256f", "Ed25519",
     "ECDSA-P256", "ECDSA-P384", "RSA-3072-PSS"],
)  # fmt: skip
def test_valid_invalid_and_no_home(algorithm: str, tmp_path: Path) -> None:
    case = Case(tmp_path, algorithm)
    held = case.verify()
    assert (held.code, held.err) == (0, "")
    assert held.out.startswith(f"valid: {algorithm} signature, key ")
    assert case.verify("--json").json["valid"] is True

    (tmp_path / "other").write_bytes(MESSAGE + b".")
    failed = case.verify(file=tmp_path / "other")
    assert (failed.code, failed.err) == (1, "")
    assert failed.out.startswith("NOT valid")
    assert case.verify("--json", file=tmp_path / "other").json["valid"] is False
    (tmp_path / "short").write_bytes((tmp_path / "sig").read_bytes()[:-1])
    assert case.verify(signature=tmp_path / "short").code == 1
    (tmp_path / "empty").write_bytes(b"")
    assert case.verify(signature=tmp_path / "empty").code == 1
    if case.takes_context:
        assert case.verify(context=b"another").code == 1
    else:
        assert case.verify(context=b"one").code == 2
    assert not (tmp_path / "home").exists()


def test_bad_input_is_one_line_and_exit_code_2(tmp_path: Path) -> None:
    case = Case(tmp_path, "ML-DSA-65")
    (tmp_path / "long").write_bytes(bytes(2**16 + 1))
    (tmp_path / "private").write_text(
        "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----"
    )
    endings = [
        case.verify(algorithm="ML-DSA-44"),
        case.verify(algorithm="ML-KEM-768"),
        case.verify(algorithm="ML-DSA-66"),
        case.verify(context=bytes(256)),
        case.verify("--context", "0g"),
        case.verify("--context", "00 01"),
        case.verify(public_key=tmp_path / "m"),
        case.verify(public_key=tmp_path / "private"),
        case.verify(public_key=tmp_path / "absent"),
        case.verify(signature=tmp_path / "long"),
        case.verify(signature=tmp_path),
        case.verify(file=tmp_path / "absent"),
        case.verify(file=tmp_path),
    ]
    for ending in endings:
        assert (ending.code, ending.out) == (2, ""), ending
        assert [line.split(":")[0] for line in ending.err.splitlines()] == ["error", "hint"]
    assert not (tmp_path / "home").exists()


def test_what_must_lie_in_memory_has_a_limit(tmp_path: Path) -> None:
    case = Case(tmp_path, "Ed25519")
    with (tmp_path / "huge").open("wb") as file:
        os.truncate(file.fileno(), 256 * 2**20 + 1)
    ending = case.verify(file=tmp_path / "huge")
    assert ending.code == 2
    assert "256 MiB" in ending.err
