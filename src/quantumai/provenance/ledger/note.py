"""Signed notes and verifier keys (C2SP signed-note, https://c2sp.org/signed-note).

Signature types known here: 0x01 Ed25519 over the note text, and the two timestamped cosignatures of
C2SP tlog-cosignature: 0x04 Ed25519 over the note text, 0x06 ML-DSA-44 over the head of a log.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass

from quantumai.errors import BadInputError, LedgerError
from quantumai.keys.algorithms import ED25519, ML_DSA_44, spki_of_raw

TYPE_ED25519 = 0x01
TYPE_COSIGNATURE_ED25519 = 0x04
TYPE_ML_DSA_44 = 0x06
ALGORITHM_OF_TYPE = {
    TYPE_ED25519: ED25519,
    TYPE_COSIGNATURE_ED25519: ED25519,
    TYPE_ML_DSA_44: ML_DSA_44,
}
# Types whose signature begins with a timestamp: those that a witness makes.
COSIGNATURE_TYPES = (TYPE_COSIGNATURE_ED25519, TYPE_ML_DSA_44)
_LONGEST_NOTE = 1 << 20
_MOST_SIGNATURES = 64
_NAME = re.compile(r"[^\s+]+")


@dataclass(frozen=True)
class VerifierKey:
    """A vkey: key name, signature type byte, bare public key."""

    name: str
    signature_type: int
    public: bytes

    @property
    def key_id(self) -> bytes:
        """The 4-byte id: SHA-256(name || newline || type || public key)[:4]."""
        typed = bytes([self.signature_type]) + self.public
        return hashlib.sha256(self.name.encode() + b"\n" + typed).digest()[:4]

    @property
    def algorithm(self) -> str:
        """Name of the signature algorithm."""
        return ALGORITHM_OF_TYPE[self.signature_type]

    @property
    def cosigns(self) -> bool:
        """Whether its signatures carry a timestamp, as a witness's must."""
        return self.signature_type in COSIGNATURE_TYPES

    @property
    def spki_der(self) -> bytes:
        """The public key as SubjectPublicKeyInfo."""
        return spki_of_raw(self.algorithm, self.public)

    @property
    def text(self) -> str:
        """`name+hex id+base64(type || public key)`."""
        typed = bytes([self.signature_type]) + self.public
        return f"{self.name}+{self.key_id.hex()}+{base64.b64encode(typed).decode()}"

    @classmethod
    def parse(cls, text: str) -> VerifierKey:
        """Read a vkey of a known type. Raises `BadInputError`."""
        parts = text.split("+", 2)
        if len(parts) != 3 or not _NAME.fullmatch(parts[0]):
            raise BadInputError("not a verifier key", hint="it looks like name+hexid+base64")
        typed = _decode(parts[2])
        if not typed or typed[0] not in ALGORITHM_OF_TYPE:
            raise BadInputError(f"verifier key {parts[0]!r} has an unknown signature type")
        key = cls(parts[0], typed[0], typed[1:])
        if key.text != text:
            raise BadInputError(f"verifier key {parts[0]!r} does not match its key id")
        spki_of_raw(key.algorithm, key.public)
        return key


_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")


@dataclass(frozen=True)
class NoteSignature:
    """One signature line: key name, 4-byte key id, signature bytes."""

    name: str
    key_id: bytes
    signature: bytes

    @property
    def line(self) -> str:
        """The line as it stands in a note, with its newline."""
        return f"\u2014 {self.name} {base64.b64encode(self.key_id + self.signature).decode()}\n"


@dataclass(frozen=True)
class Note:
    """Text (ending in a newline) and its signatures, none of them verified."""

    text: str
    signatures: tuple[NoteSignature, ...]

    @property
    def data(self) -> bytes:
        """The whole note."""
        return (self.text + "\n" + "".join(s.line for s in self.signatures)).encode()

    def by(self, key: VerifierKey) -> tuple[NoteSignature, ...]:
        """The signatures that claim to be by `key` (same name and id)."""
        return tuple(s for s in self.signatures if (s.name, s.key_id) == (key.name, key.key_id))

    @classmethod
    def parse(cls, data: bytes) -> Note:
        """Read a note strictly. Raises `LedgerError`; nothing is verified."""
        if len(data) > _LONGEST_NOTE:
            raise LedgerError("signed note is too long")
        try:
            whole = data.decode()
        except UnicodeDecodeError:
            raise LedgerError("signed note is not UTF-8") from None
        if _CONTROL.search(whole):
            raise LedgerError("signed note has control characters")
        text, blank, signed = whole.rpartition("\n\n")
        if not blank or not signed.endswith("\n"):
            raise LedgerError("not a signed note")
        signatures = _signatures(signed)
        if len({(s.name, s.key_id) for s in signatures}) != len(signatures):
            raise LedgerError("signed note has two signatures by the same key")
        return cls(text + "\n", signatures)


def parse_signature_lines(data: bytes) -> tuple[NoteSignature, ...]:
    """Read signature lines that stand alone, such as a witness's answer. Raises `LedgerError`."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise LedgerError("the signature lines are not UTF-8") from None
    if len(data) > _LONGEST_NOTE or not text.endswith("\n") or _CONTROL.search(text):
        raise LedgerError("not signature lines of a signed note")
    return _signatures(text)


def _signatures(text: str) -> tuple[NoteSignature, ...]:
    lines = text[:-1].split("\n")
    if len(lines) > _MOST_SIGNATURES:
        raise LedgerError("signed note has too many signatures")
    return tuple(_signature(line) for line in lines)


def _signature(line: str) -> NoteSignature:
    parts = line.split(" ")
    if len(parts) != 3 or parts[0] != "\u2014" or not _NAME.fullmatch(parts[1]):
        raise LedgerError("signed note has a malformed signature line")
    try:
        blob = _decode(parts[2])
    except BadInputError:
        blob = b""
    if len(blob) < 5:
        raise LedgerError("signed note has a malformed signature line")
    return NoteSignature(parts[1], blob[:4], blob[4:])


def _decode(text: str) -> bytes:
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise BadInputError("not base64") from None
    # Python ignores spare bits and lets padding vary; a signed form must have one spelling only.
    if base64.b64encode(data).decode() != text:
        raise BadInputError("not base64 in its one form")
    return data
