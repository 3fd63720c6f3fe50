"""A transparency log, its tiles, signatures and witnesses, written straight from RFC 6962 and C2SP.

Nothing here uses the code that it is there to test, but for the trust file that is handed over.
"""

from __future__ import annotations

import base64
import hashlib
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ed25519, mldsa

from quantumai.crypto_mode import CryptoMode
from quantumai.keys.algorithms import ML_DSA_87, PublicKey
from quantumai.keys.software_keys import generate
from quantumai.provenance.verification.trust import LedgerTrust, TrustFile, WitnessTrust

ORIGIN = "log.example/runs"


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def mth(hashes: Sequence[bytes]) -> bytes:
    """MTH over leaf hashes, by the definition of RFC 6962, section 2.1, pairing from the left."""
    level = list(hashes)
    if not level:
        return sha256(b"")
    while len(level) > 1:
        pairs = [sha256(b"\x01" + a + b) for a, b in zip(level[::2], level[1::2], strict=False)]
        level = pairs + (level[-1:] if len(level) % 2 else [])
    return level[0]


def leaf(kind: str, text: str) -> bytes:
    digest = hashlib.sha256(text.encode()).hexdigest()
    return f'{{"sha256":"{digest}","type":"{kind}","version":1}}'.encode()


@dataclass(frozen=True)
class Signing:
    """Two keys under one name: note type `classical` (0x01 or 0x04) for Ed25519, and 0x06."""

    name: str
    classical: int = 0x01
    ed: ed25519.Ed25519PrivateKey = field(default_factory=ed25519.Ed25519PrivateKey.generate)
    ml: mldsa.MLDSA44PrivateKey = field(default_factory=mldsa.MLDSA44PrivateKey.generate)

    @property
    def vkeys(self) -> tuple[str, str]:
        """Verifier keys as signed-note has them: the classical one, the post-quantum one."""
        ed, ml = self._typed()
        return self._vkey(ed), self._vkey(ml)

    def lines(
        self, text: str, time: int = 1_800_000_000, kinds: Sequence[str] = ("ed", "ml")
    ) -> str:
        """Signature lines over a checkpoint's text."""
        ed, ml = self._typed()
        made = ""
        if "ed" in kinds and self.classical == 0x01:
            made += self._line(ed, self.ed.sign(text.encode()))
        elif "ed" in kinds:
            message = f"cosignature/v1\ntime {time}\n{text}".encode()
            made += self._line(ed, struct.pack(">Q", time) + self.ed.sign(message))
        if "ml" in kinds:
            origin, size, root = text.split("\n")[:3]
            name, log = self.name.encode(), origin.encode()
            message = b"subtree/v1\n\0" + bytes([len(name)]) + name + struct.pack(">Q", time)
            message += bytes([len(log)]) + log
            message += struct.pack(">QQ", 0, int(size)) + base64.b64decode(root)
            made += self._line(ml, struct.pack(">Q", time) + self.ml.sign(message))
        return made

    def _typed(self) -> tuple[bytes, bytes]:
        return (
            bytes([self.classical]) + self.ed.public_key().public_bytes_raw(),
            b"\x06" + self.ml.public_key().public_bytes_raw(),
        )

    def _id(self, typed: bytes) -> bytes:
        return sha256(self.name.encode() + b"\n" + typed)[:4]

    def _vkey(self, typed: bytes) -> str:
        return f"{self.name}+{self._id(typed).hex()}+{base64.b64encode(typed).decode()}"

    def _line(self, typed: bytes, signature: bytes) -> str:
        coded = base64.b64encode(self._id(typed) + signature).decode()
        return f"\u2014 {self.name} {coded}\n"


def new_witness(name: str) -> Signing:
    return Signing(name, classical=0x04)


def text_of(size: int, root: bytes, origin: str = ORIGIN) -> str:
    return f"{origin}\n{size}\n{base64.b64encode(root).decode()}\n"


@dataclass
class HandMadeLog:
    """Entries, and the tiles of the tree over them at any size."""

    entries: list[bytes]
    signing: Signing = field(default_factory=lambda: Signing(ORIGIN))

    def __post_init__(self) -> None:
        self.levels = [[sha256(b"\x00" + entry) for entry in self.entries]]
        while len(self.levels[-1]) >= 256:
            below = self.levels[-1]
            full = len(below) // 256
            self.levels.append([mth(below[i * 256 : (i + 1) * 256]) for i in range(full)])

    def root(self, size: int) -> bytes:
        return mth(self.levels[0][:size])

    def checkpoint(
        self,
        size: int,
        *witnesses: Signing,
        origin: str = ORIGIN,
        root: bytes = b"",
        kinds: Sequence[str] = ("ed", "ml"),
        time: int = 1_800_000_000,
    ) -> bytes:
        text = text_of(size, root or self.root(size), origin)
        lines = self.signing.lines(text, time, kinds)
        lines += "".join(witness.lines(text, time) for witness in witnesses)
        return (text + "\n" + lines).encode()

    def write(self, folder: Path, size: int, checkpoint: bytes = b"") -> None:
        """All tiles of the tree of `size` leaves, as tlog-tiles lays them out."""
        for index in range(-(-size // 256)):
            part = self.entries[index * 256 : min(size, (index + 1) * 256)]
            bundle = b"".join(struct.pack(">H", len(entry)) + entry for entry in part)
            _write(folder / "tile" / "entries" / _name(index, len(part)), bundle)
        for level, hashes in enumerate(self.levels):
            count = size // 256**level
            for index in range(-(-count // 256)):
                tile = hashes[index * 256 : min(count, (index + 1) * 256)]
                _write(folder / "tile" / str(level) / _name(index, len(tile)), b"".join(tile))
        _write(folder / "checkpoint", checkpoint or self.checkpoint(size))

    def trust(
        self,
        *witnesses: Signing,
        quorum: int = 0,
        mode: CryptoMode = CryptoMode.PQC_REQUIRED,
        vkeys: Sequence[str] = (),
    ) -> TrustFile:
        """What an auditor of this log has."""
        authority = PublicKey.of(ML_DSA_87, generate(ML_DSA_87).spki_der)
        texts = tuple(vkey for witness in witnesses for vkey in witness.vkeys)
        return TrustFile(
            ledger=LedgerTrust(ORIGIN, tuple(vkeys or self.signing.vkeys)),
            authority_keys=(authority,),
            statement_keys=(),
            least_crypto_mode=mode,
            schema_version=2,
            witnesses=WitnessTrust(texts, quorum),
        ).check()


def _name(index: int, width: int) -> str:
    assert index < 1000
    return f"{index:03d}" + ("" if width == 256 else f".p/{width}")


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)  # the folder may share its files with another by hard links
    path.write_bytes(data)
