"""Stores that fail at a chosen call, and ledgers over them that are quick to make."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import TypeVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from quantumai.canonical import sha256_hex
from quantumai.errors import ConflictError, NotFoundError
from quantumai.provenance.ledger.checkpoint import TreeHead
from quantumai.provenance.ledger.commits import Leaf
from quantumai.provenance.ledger.note import TYPE_ED25519, NoteSignature, VerifierKey
from quantumai.provenance.ledger.run_ledger import Ledger
from quantumai.provenance.ledger.writer import WriterLimits
from quantumai.storage.objects import ObjectStore, check_key
from quantumai.storage.writer_lease import WriterLease

ORIGIN = "quantumai/ledger/test"
_T = TypeVar("_T")


class QuickSigner:
    """Signs with one Ed25519 key in memory, the same one always."""

    def __init__(self) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(b"ledger tests' own signing key!!!")
        public = self._key.public_key().public_bytes_raw()
        self._verifier = VerifierKey(ORIGIN, TYPE_ED25519, public)

    def sign(self, head: TreeHead, timestamp: int) -> tuple[NoteSignature, ...]:
        value = self._key.sign(head.text.encode())
        return (NoteSignature(ORIGIN, self._verifier.key_id, value),)

    def verifier_keys(self) -> tuple[VerifierKey, ...]:
        return (self._verifier,)


class MemoryObjects:
    """An object store that forgets; threads may share it."""

    def __init__(self) -> None:
        self.stored: dict[str, bytes] = {}
        self._lock = threading.Lock()

    def put_once(self, key: str, data: bytes) -> None:
        if not self.create(key, data) and self.get(key) != data:
            raise ConflictError(f"object {key} already exists with other content")

    def create(self, key: str, data: bytes) -> bool:
        with self._lock:
            if check_key(key) in self.stored:
                return False
            self.stored[key] = data
            return True

    def replace(self, key: str, data: bytes) -> None:
        self.stored[check_key(key)] = data

    def get(self, key: str) -> bytes:
        try:
            return self.stored[check_key(key)]
        except KeyError:
            raise NotFoundError(f"no object {key}") from None

    def exists(self, key: str) -> bool:
        return check_key(key) in self.stored

    def keys(self, prefix: str) -> Iterator[str]:
        with self._lock:
            return iter(sorted(key for key in self.stored if key.startswith(prefix)))

    def retain(self, key: str) -> None:
        self.get(key)

    def locate(self, key: str) -> str:
        return f"memory:{key}"


class PowerCutError(BaseException):
    """The process is gone: no handler of ours may catch it."""


class Faulty:
    """A store whose call number `at` fails, before or after it took effect.

    After a `PowerCutError` every later call fails too, in whatever thread: the process is dead.
    """

    def __init__(
        self,
        inner: ObjectStore,
        at: int = -1,
        effect: str = "",
        error: type[BaseException] = OSError,
    ) -> None:
        self._inner, self._at, self._effect, self._error = inner, at, effect, error
        self._lock = threading.Lock()
        self._dead = False
        self.calls = self.writes = self.reads = 0

    def _call(self, call: Callable[[], _T]) -> _T:
        with self._lock:
            self.calls += 1
            fails = self.calls == self._at
            dead, self._dead = self._dead, self._dead or (fails and self._error is PowerCutError)
        if dead:
            raise PowerCutError("dead already")
        if not fails:
            return call()
        if self._effect == "after":
            call()
        raise self._error("injected")

    def put_once(self, key: str, data: bytes) -> None:
        self.writes += 1
        self._call(lambda: self._inner.put_once(key, data))

    def create(self, key: str, data: bytes) -> bool:
        self.writes += 1
        return self._call(lambda: self._inner.create(key, data))

    def replace(self, key: str, data: bytes) -> None:
        self.writes += 1
        self._call(lambda: self._inner.replace(key, data))

    def retain(self, key: str) -> None:
        self._call(lambda: self._inner.retain(key))

    def get(self, key: str) -> bytes:
        self.reads += 1
        return self._call(lambda: self._inner.get(key))

    def exists(self, key: str) -> bool:
        return self._call(lambda: self._inner.exists(key))

    def keys(self, prefix: str) -> Iterator[str]:
        return self._call(lambda: self._inner.keys(prefix))

    def locate(self, key: str) -> str:
        return self._inner.locate(key)


def standing_clock() -> datetime:
    return datetime(2026, 1, 1, tzinfo=UTC)


def quick_ledger(objects: ObjectStore, lease: WriterLease | None = None, **limits: float) -> Ledger:
    """A ledger signed by `QuickSigner`; `limits` as for `WriterLimits`."""
    chosen = WriterLimits(**limits)  # type: ignore[arg-type]
    return Ledger(objects, ORIGIN, QuickSigner(), standing_clock, lease, chosen)


def leaves(count: int, name: str = "") -> list[Leaf]:
    return [Leaf("run-manifest", 1, sha256_hex(f"{name}{i}".encode())) for i in range(count)]
