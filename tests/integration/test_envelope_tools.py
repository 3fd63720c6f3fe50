"""Envelopes in tools that others wrote: securesystemslib, cosign, in-toto-attestation.

Each of them takes what we signed and refuses it when one byte is another.
"""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_public_key,
)

from tests.e2e.qai_command import TFIM, qai
from tests.servers import go_install

pytestmark = [pytest.mark.slow, pytest.mark.integration]

COSIGN = ("github.com/sigstore/cosign/v3/cmd/cosign", "v3.1.3")
_BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
# Nothing but this machine: a tool that asked anybody would fail.
_OFFLINE = ["unshare", "--net", "--map-root-user"]


@dataclass(frozen=True)
class Manifest:
    """An exported manifest as its readers see it: JSON, and the SPKIs of its keys by key id."""

    envelope: dict[str, Any]
    spkis: dict[str, bytes]
    artefacts: Path

    @property
    def payload(self) -> bytes:
        return base64.b64decode(self.envelope["payload"])

    @property
    def signed_bytes(self) -> bytes:
        """DSSE's pre-authentication encoding, as its protocol describes it."""
        kind = self.envelope["payloadType"].encode()
        return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(self.payload), self.payload)

    def signature(self, algorithm: str) -> tuple[str, bytes, bytes]:
        """Key id, SPKI and signature of the key whose SPKI holds an algorithm's identifier."""
        oid = {"Ed25519": "06032b6570", "ML-DSA-65": "0609608648016503040312"}[algorithm]
        (found,) = (s for s in self.envelope["signatures"] if self._is(s["keyid"], oid))
        return found["keyid"], self.spkis[found["keyid"]], base64.b64decode(found["sig"])

    def _is(self, key_id: str, oid: str) -> bool:
        return bytes.fromhex(oid) in self.spkis[key_id][:24]


@pytest.fixture(scope="module", params=["hybrid", "classical"])
def manifest(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    folder = tmp_path_factory.mktemp(request.param)
    home, evidence, trust = folder / "home", folder / "evidence", folder / "trust.json"
    mode = ("--crypto-mode", request.param)
    ran = qai("run", TFIM, "--observable", "ZZIIII", "--shots", 500, *mode, "--json", home=home)
    assert ran.code == 0, ran.err
    assert qai("manifest", "export", ran.json["job_id"], evidence, home=home).code == 0
    least = ("--least-crypto-mode", request.param)
    assert qai("trust", "export", *least, "--out", trust, home=home).code == 0
    keys = json.loads(trust.read_text())["statement_keys"]
    return Manifest(
        json.loads((evidence / "manifest.json").read_text()),
        {key["key_id"]: base64.b64decode(key["spki"]) for key in keys},
        evidence / "artefacts",
    )


def test_securesystemslib_verifies_the_classical_signature(manifest: Manifest) -> None:
    from securesystemslib.dsse import Envelope
    from securesystemslib.exceptions import VerificationError
    from securesystemslib.signer import SSlibKey

    key_id, spki, _ = manifest.signature("Ed25519")
    key = SSlibKey.from_crypto(load_der_public_key(spki), key_id)
    envelope = Envelope.from_dict(json.loads(json.dumps(manifest.envelope)))
    assert envelope.pae() == manifest.signed_bytes
    assert list(envelope.verify([key], threshold=1)) == [key_id]
    envelope.payload = _changed(envelope.payload)
    with pytest.raises(VerificationError):
        envelope.verify([key], threshold=1)
    wrong = json.loads(json.dumps(manifest.envelope))
    for signature in wrong["signatures"]:
        signature["sig"] = _b64(_changed(base64.b64decode(signature["sig"])))
    with pytest.raises(VerificationError):
        Envelope.from_dict(wrong).verify([key], threshold=1)


def test_cosign_verifies_the_same_bytes_as_a_blob(manifest: Manifest, tmp_path: Path) -> None:
    _, spki, signature = manifest.signature("Ed25519")
    (tmp_path / "key.pem").write_bytes(_pem(spki))
    (tmp_path / "signed").write_bytes(manifest.signed_bytes)
    changed = _changed(manifest.signed_bytes)
    (tmp_path / "changed").write_bytes(changed)

    def bundle(name: str, signed: bytes, by: bytes) -> str:
        digest = _b64(hashlib.sha256(signed).digest())
        return _bundle(
            tmp_path / name,
            messageSignature={
                "messageDigest": {"algorithm": "SHA2_256", "digest": digest},
                "signature": _b64(by),
            },
        )

    good = bundle("good.json", manifest.signed_bytes, signature)
    assert _cosign(tmp_path, "verify-blob", good, "signed") == "Verified OK"
    for wrong, blob in (
        (good, "changed"),
        (bundle("digest.json", changed, signature), "changed"),
        (bundle("signature.json", manifest.signed_bytes, _changed(signature)), "signed"),
    ):
        assert "failed to verify signature" in _cosign(tmp_path, "verify-blob", wrong, blob)


def test_cosign_verifies_the_envelope_as_an_attestation(manifest: Manifest, tmp_path: Path) -> None:
    """Of the envelope cosign takes one signature; the hint at its key, which is ours, it drops."""
    _, spki, signature = manifest.signature("Ed25519")
    (tmp_path / "key.pem").write_bytes(_pem(spki))
    statement = json.loads(manifest.payload)
    kind = ("--type", statement["predicateType"])

    def bundle(name: str, payload: bytes, by: bytes) -> str:
        envelope = manifest.envelope | {"payload": _b64(payload)}
        envelope["signatures"] = [{"sig": _b64(by)}]
        return _bundle(tmp_path / name, dsseEnvelope=envelope)

    def verify(bundled: str, blob: str | Path) -> str:
        return _cosign(tmp_path, "verify-blob-attestation", bundled, blob, *kind)

    good = bundle("good.json", manifest.payload, signature)
    for subject in statement["subject"]:
        blob = manifest.artefacts / subject["digest"]["sha256"]
        assert verify(good, blob) == "Verified OK"
    other = tmp_path / "other"
    other.write_bytes(_changed(blob.read_bytes()))
    assert "digests do not match" in verify(good, other)
    changed = manifest.payload.replace(b'"job_id":"', b'"job_id":"x')
    assert "Verified" not in verify(bundle("payload.json", changed, signature), blob)
    assert "Verified" not in verify(bundle("by.json", manifest.payload, _changed(signature)), blob)


def test_in_toto_attestation_parses_the_statement(manifest: Manifest) -> None:
    from google.protobuf import json_format
    from in_toto_attestation.v1.statement import Statement
    from in_toto_attestation.v1.statement_pb2 import Statement as Message

    parsed = Statement.copy_from_pb(json_format.Parse(manifest.payload, Message()))
    parsed.validate()
    again = json_format.MessageToDict(parsed.pb)
    assert again == json.loads(manifest.payload)


def _bundle(file: Path, **content: Any) -> str:
    material = {"verificationMaterial": {"publicKey": {"hint": "the key is given"}}}
    file.write_text(json.dumps({"mediaType": _BUNDLE} | material | content))
    return file.name


def _cosign(folder: Path, form: str, bundle: str, blob: str | Path, *more: str) -> str:
    """The last line that cosign printed. It is told to look for no transparency log of its own."""
    done = subprocess.run(
        [*_OFFLINE, go_install(*COSIGN), form, "--key", "key.pem", "--bundle", bundle,
         "--insecure-ignore-tlog", *more, blob],
        cwd=folder, env={"HOME": str(folder), "PATH": "/usr/bin:/bin"},
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    said = done.stderr.strip().splitlines()[-1]
    assert (done.returncode == 0) is (said == "Verified OK"), done.stderr
    return said


def _pem(spki: bytes) -> bytes:
    public = load_der_public_key(spki)
    return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def _changed(data: bytes) -> bytes:
    at = len(data) // 2
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()
