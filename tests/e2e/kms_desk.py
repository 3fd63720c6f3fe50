"""A home and files for `qai kms`, and checks of what it writes that share no code with it."""

from __future__ import annotations

import base64
import importlib
import json
import os
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from tests.e2e.qai_command import Ended, qai
from tests.other_verifiers import library_verifies, raw_of_pem

MESSAGE = b"what the file holds\n"
STATEMENT = (
    b'{"_type":"https://in-toto.io/Statement/v1","predicate":{"a":1},'
    b'"predicateType":"https://example.org/release/v1",'
    b'"subject":[{"digest":{"sha256":"' + b"ab" * 32 + b'"},"name":"release"}]}'
)


class Desk:
    """A home and a folder for files, and `qai kms` on them."""

    def __init__(self, folder: Path) -> None:
        self.home, self.folder = folder / "home", folder
        (folder / "file").write_bytes(MESSAGE)
        (folder / "statement").write_bytes(STATEMENT)

    def kms(self, *arguments: object) -> Ended:
        return qai("kms", *arguments, home=self.home)

    def ok(self, *arguments: object) -> Ended:
        done = self.kms(*arguments)
        assert done.code == 0, done.err
        return done

    def create(self, name: str, algorithm: str = "ML-DSA-65", purpose: str = "raw") -> str:
        self.ok("keys", "create", name, "--algorithm", algorithm, "--purpose", purpose)
        return name

    def sign(self, name: str, *options: object, file: str = "file") -> bytes:
        self.ok("sign", name, self.folder / file, "--out", self.folder / "sig", *options)
        return (self.folder / "sig").read_bytes()

    def pem(self, name: str, *options: object) -> bytes:
        self.ok("keys", "public", name, "--out", self.folder / "pem", *options)
        return (self.folder / "pem").read_bytes()

    def state(self, name: str, version: int = 1) -> str:
        shown = self.ok("keys", "show", name, "--version", version, "--json").json
        return str(shown["key"]["state"])

    def leaves(self) -> int:
        """Size of the run ledger, from its checkpoint (C2SP tlog-checkpoint: the second line).

        Read as a file: every command that opens the ledger logs what it does not know yet.
        """
        text = (self.home / "objects" / "ledger" / "checkpoint").read_text()
        return int(text.splitlines()[1])

    def calls(self, operation: str) -> list[dict[str, Any]]:
        """The audit entries of an operation, oldest first."""
        entries = self.ok("audit", "show", "--limit", 500, "--json").json
        return [entry for entry in entries if entry["operation"] == operation]


def check_wrapping(desk: Desk, name: str, algorithm: str) -> None:
    """Ours comes back; and what another program wraps, as it is documented, is unwrapped."""
    data_key, bound = os.urandom(32), b"row 7"
    (desk.folder / "data-key").write_bytes(data_key)
    wrapped, opened = desk.folder / "wrapped", desk.folder / "opened"
    with_data = ("--associated-data", bound.hex())
    desk.ok("wrap", name, desk.folder / "data-key", "--out", wrapped, *with_data)
    desk.ok("unwrap", name, wrapped, "--out", opened, *with_data)
    assert opened.read_bytes() == data_key
    assert opened.stat().st_mode & 0o077 == 0
    assert data_key not in wrapped.read_bytes()
    opened.unlink()
    assert desk.kms("unwrap", name, wrapped, "--out", opened).code == 2
    assert not opened.exists()

    kem: Any = importlib.import_module("pqcrypto.kem." + algorithm.lower().replace("-", "_"))
    ciphertext, secret = kem.encaps(raw_of_pem(desk.pem(name)))
    header = b"QAIW1" + (1).to_bytes(4, "big") + bytes(ciphertext)
    okm = HKDF(SHA256(), 44, None, b"quantumai data key v1" + header).derive(bytes(secret))
    wrapped.write_bytes(header + AESGCM(okm[:32]).encrypt(okm[32:], data_key, header + bound))
    desk.ok("unwrap", name, wrapped, "--out", opened, *with_data)
    assert opened.read_bytes() == data_key


def verified_envelope(desk: Desk, name: str, data: bytes) -> list[int]:
    """Check a DSSE envelope by hand; the versions of the keys that signed it, ascending."""
    envelope = json.loads(data)
    assert set(envelope) == {"payload", "payloadType", "signatures"}
    kind, payload = envelope["payloadType"], base64.b64decode(envelope["payload"])
    assert (kind, payload) == ("application/vnd.in-toto+json", STATEMENT)
    encoded = f"DSSEv1 {len(kind)} {kind} {len(payload)} ".encode() + payload
    versions = []
    for each in envelope["signatures"]:
        (version,) = [
            key["version"]
            for key in desk.ok("keys", "list", "--json").json
            if key["name"] == name and key["public_key"]["key_id"] == each["keyid"]
        ]
        pem = desk.pem(name, "--version", version)
        signature = base64.b64decode(each["sig"])
        assert library_verifies("ML-DSA-65", pem, encoded, signature)
        assert not library_verifies("ML-DSA-65", pem, payload, signature)
        versions.append(version)
    return sorted(versions)
