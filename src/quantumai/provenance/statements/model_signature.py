"""Signatures over a model's files in the format of OpenSSF model signing, version 1.0.

A Sigstore bundle (v0.3, JSON) with a public key's hint, around a DSSE envelope, around an in-toto
statement that lists every file's SHA-256. `model_signing verify key` reads it. Format:
https://github.com/ossf/model-signing-spec; https://docs.sigstore.dev/about/bundle/. It knows
elliptic curves only: what withstands a quantum computer signs the same files elsewhere.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from quantumai.canonical import canonical_json, sha256_hex
from quantumai.errors import BadInputError
from quantumai.keys.algorithms import PublicKey
from quantumai.keys.dsse_encoding import IN_TOTO_PAYLOAD_TYPE
from quantumai.keys.spki import pem_of_spki
from quantumai.provenance.statements.dsse import Envelope, envelope_from_json
from quantumai.provenance.statements.statement import STATEMENT_TYPE, is_sha256
from quantumai.provenance.statements.strict_json import parse_strict_json

SIGNATURE_FILE = "model.sig"
"""The name that the public tool gives a signature, and leaves out when it hashes a model."""

MODEL_SIGNATURE = "https://model_signing/signature/v1.0"
_BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
_SERIALIZATION = {
    "method": "files",
    "hash_type": "sha256",
    "allow_symlinks": False,
    "ignore_paths": [SIGNATURE_FILE],
}


class _Resource(msgspec.Struct, frozen=True):
    name: str
    algorithm: str
    digest: str


class _Serialization(msgspec.Struct, frozen=True):
    method: str
    hash_type: str


class _Predicate(msgspec.Struct, frozen=True):
    resources: tuple[_Resource, ...]
    serialization: _Serialization


class _Subject(msgspec.Struct, frozen=True):
    name: str
    digest: dict[str, str]


class _Statement(msgspec.Struct, frozen=True):
    type: str = msgspec.field(name="_type")
    subject: tuple[_Subject, ...]
    predicate_type: str = msgspec.field(name="predicateType")
    predicate: _Predicate


class _KeyHint(msgspec.Struct, frozen=True):
    hint: str


class _Material(msgspec.Struct, frozen=True, rename="camel"):
    public_key: _KeyHint


class _Bundle(msgspec.Struct, frozen=True, rename="camel"):
    media_type: str
    verification_material: _Material
    dsse_envelope: dict[str, Any]


@dataclass(frozen=True)
class ModelSignature:
    """A signature that was read; nothing in it is verified. `files`: name -> SHA-256 hex."""

    hint: str
    envelope: Envelope
    model: str
    files: Mapping[str, str]


def model_statement(model: str, files: Mapping[str, str]) -> bytes:
    """Canonical bytes of the statement about a model's `files` (name -> SHA-256 hex)."""
    resources = [
        {"name": name, "algorithm": "sha256", "digest": digest}
        for name, digest in sorted(files.items())
    ]
    return canonical_json(
        {
            "_type": STATEMENT_TYPE,
            "subject": [{"name": model, "digest": {"sha256": _root(files)}}],
            "predicateType": MODEL_SIGNATURE,
            "predicate": {"serialization": _SERIALIZATION, "resources": resources},
        }
    )


def write_model_signature(envelope: Envelope, public: PublicKey) -> bytes:
    """The bundle's bytes; the envelope has one signature, made by `public`'s private half."""
    if [signature.key_id for signature in envelope.signatures] != [public.key_id]:
        raise BadInputError("a model's signature is one, by the key that it names")
    return canonical_json(
        {
            "mediaType": _BUNDLE,
            "verificationMaterial": {
                "publicKey": {"hint": key_hint(public)},
                "tlogEntries": [],
            },
            "dsseEnvelope": envelope.as_json(),
        }
    )


def read_model_signature(data: bytes) -> ModelSignature:
    """Read a bundle. Raises `BadInputError` for one of another form, or signed in another way."""
    what = "the model's signature"
    try:
        bundle = msgspec.convert(parse_strict_json(data, what), _Bundle)
        envelope = envelope_from_json(bundle.dsse_envelope)
        statement = msgspec.convert(parse_strict_json(envelope.payload, what), _Statement)
    except msgspec.ValidationError as error:
        raise _unreadable(str(error)) from None
    kinds = (bundle.media_type, envelope.payload_type, statement.type, statement.predicate_type)
    if kinds != (_BUNDLE, IN_TOTO_PAYLOAD_TYPE, STATEMENT_TYPE, MODEL_SIGNATURE):
        raise _unreadable("it is of another version")
    serialization, resources = statement.predicate.serialization, statement.predicate.resources
    files = {each.name: each.digest for each in resources}
    if (serialization.method, serialization.hash_type) != ("files", "sha256"):
        raise _unreadable("it is not over the SHA-256 of whole files")
    if len(files) != len(resources) or not all(map(is_sha256, files.values())):
        raise _unreadable("a file stands twice, or without its SHA-256")
    if [each.digest for each in statement.subject] != [{"sha256": _root(files)}]:
        raise _unreadable("its digest over all files is not that of the files")
    hint = bundle.verification_material.public_key.hint
    return ModelSignature(hint, envelope, statement.subject[0].name, files)


def key_hint(public: PublicKey) -> str:
    """How a bundle names its key: SHA-256 (hex) of the key's PEM text."""
    return sha256_hex(pem_of_spki(public.spki_der).encode())


def _root(files: Mapping[str, str]) -> str:
    """SHA-256 (hex) over the files' digests in the order of their names."""
    digest = hashlib.sha256()
    for _, each in sorted(files.items()):
        digest.update(bytes.fromhex(each))
    return digest.hexdigest()


def _unreadable(why: str) -> BadInputError:
    return BadInputError(
        f"not a model's signature that this release reads: {why}",
        hint="ask the tool that made it: model_signing verify",
    )
