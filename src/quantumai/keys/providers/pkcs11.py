"""Keys in a PKCS#11 token: the private halves are made there and never leave it.

The token itself is the record, so that all processes agree: a version is a public and a private
object with the label `alias/version` and one id, `created_at/random`. As with the soft provider
the state is derived: the highest version is active, the others are verify-only. A lock file
keeps makers of keys and everyone else apart, on one machine; PKCS#11 has no create-only.
"""

from __future__ import annotations

import fcntl
import os
import re
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from quantumai.errors import (
    BadInputError,
    ConflictError,
    KeyUnavailableError,
    NotFoundError,
    StorageError,
)
from quantumai.keys.algorithms import ALGORITHMS, PublicKey, verify_signature
from quantumai.keys.providers.pkcs11_keys import (
    generate_pair,
    probe_token,
    probe_unreadable,
    require_sealed,
    sign_with,
    spki_of_object,
    supported_algorithms,
)
from quantumai.keys.providers.pkcs11_token import Pkcs11Token
from quantumai.keys.port import KeyRecord, KeyState

if TYPE_CHECKING:
    from pkcs11 import Session

_T = TypeVar("_T")
_ALIAS = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_LABEL = re.compile(r"([a-z0-9][a-z0-9-]{0,62})/([1-9][0-9]{0,5})")
_OBJECT_ID = re.compile(rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)/[0-9a-f]{16}")
VALIDATION = (
    "none certified: FIPS 204 and FIPS 186-5 algorithms in a PKCS#11 token, tested with vectors; "
    "no CMVP certificate is claimed"
)


@dataclass(frozen=True)
class _Version:
    """One pair in the token, as far as it is public; its objects cannot be modified."""

    alias: str
    version: int
    object_id: bytes
    public: PublicKey

    @property
    def label(self) -> str:
        return f"{self.alias}/{self.version}"


@dataclass(frozen=True)
class TokenStatus:
    """What `qai kms token status` shows; `capabilities` says of each algorithm what it can do."""

    label: str
    manufacturer: str
    model: str
    library: str
    validation: str
    keys: int
    capabilities: dict[str, str]


class Pkcs11Keys:
    """`KeyProvider` on a token; safe for several processes of one machine at once.

    `clock` returns aware UTC times; `lock_file` is the same for all processes that use the token.
    """

    def __init__(self, token: Pkcs11Token, clock: Callable[[], datetime], lock_file: Path) -> None:
        self._token = token
        self._clock = clock
        self._lock_file = lock_file
        self._versions_by_id: dict[bytes, _Version] = {}
        self._examined: set[bytes] = set()
        self._supported: tuple[str, ...] | None = None

    def __repr__(self) -> str:
        return f"Pkcs11Keys({self._token!r})"

    @property
    def validation(self) -> str:
        """What stands behind the token's algorithms; no certificate."""
        return VALIDATION

    @property
    def supported(self) -> tuple[str, ...]:
        """The algorithms that this token can make keys for."""
        return self._serving()

    def create(self, alias: str, algorithm: str) -> KeyRecord:
        """See `KeyProvider.create`."""
        if not _ALIAS.fullmatch(alias):
            raise BadInputError(f"not a key alias: {alias[:80]!r}", hint="use a-z, 0-9 and '-'")
        if algorithm not in self._serving():
            known = "this token makes no" if algorithm in ALGORITHMS else "no provider makes"
            raise BadInputError(
                f"{known} {algorithm[:40]} keys", hint=f"it makes {', '.join(self._serving())}"
            )
        if not self._records(alias):
            with self._locked(fcntl.LOCK_EX):
                if not self._records_now(alias):
                    self._generate(alias, 1, algorithm)
        record = self.current(alias)
        if record.algorithm != algorithm:
            raise ConflictError(f"key {alias} exists with algorithm {record.algorithm}")
        return record

    def rotate(self, alias: str) -> KeyRecord:
        """See `KeyProvider.rotate`; of two rotations at once both return the one new version."""
        former = self.current(alias)
        with self._locked(fcntl.LOCK_EX):
            if self._records_now(alias)[-1] == former:
                self._generate(alias, former.version + 1, former.algorithm)
        return self.current(alias)

    def sign(self, key_id: str, message: bytes) -> bytes:
        """See `KeyProvider.sign`."""
        known = self._find(key_id)
        self._serving()
        signature = self._read(lambda session: self._sign_in(session, known, message))
        # Outside the token: an answer that is wrong must not leave, and tokens err.
        public = known.public
        if not verify_signature(public.algorithm, public.spki_der, message, signature):
            self._token.close()
            raise KeyUnavailableError(f"key {known.alias} made a signature that does not verify")
        return signature

    def public_key(self, key_id: str) -> PublicKey:
        """See `KeyProvider.public_key`."""
        return self._find(key_id).public

    def list(self) -> tuple[KeyRecord, ...]:
        """See `KeyProvider.list`."""
        self._serving()
        found = self._read(self._pairs)
        aliases = sorted({version.alias for version in found})
        return tuple(record for alias in aliases for record in _records_of(alias, found))

    def current(self, alias: str) -> KeyRecord:
        """See `KeyProvider.current`."""
        records = self._records(alias) if _ALIAS.fullmatch(alias) else ()
        if not records:
            raise NotFoundError(f"no key named {alias[:80]!r}", hint="create it first")
        return records[-1]

    def status(self) -> TokenStatus:
        """Describe the token, after probing it. Raises as `list` does."""
        supported = self._serving()
        label, manufacturer, model, _ = self._token.information()
        capabilities = {name: "sign" if name in supported else "no" for name in ALGORITHMS}
        return TokenStatus(
            label,
            manufacturer,
            model,
            self._token.settings.library,
            VALIDATION,
            len(self.list()),
            capabilities,
        )

    def _serving(self) -> tuple[str, ...]:
        """What the token can make, once it has been probed; a token that leaks is refused."""
        if self._supported is None:
            supported = supported_algorithms(self._token.information()[3])
            for kind in _one_of_each_kind(supported):
                with self._token.session() as session:
                    probe_token(session, kind)
                # The probe provokes errors on purpose: nothing else happens in that session.
                self._token.renew()
            self._supported = supported
        return self._supported

    def _records(self, alias: str) -> tuple[KeyRecord, ...]:
        self._serving()
        with self._locked(fcntl.LOCK_SH):
            return self._records_now(alias)

    def _records_now(self, alias: str) -> tuple[KeyRecord, ...]:
        return _records_of(alias, self._token.read(self._pairs))

    def _read(self, action: Callable[[Session], _T]) -> _T:
        with self._locked(fcntl.LOCK_SH):
            return self._token.read(action)

    def _find(self, key_id: str) -> _Version:
        for version in tuple(self._versions_by_id.values()):
            if version.public.key_id == key_id:
                return version
        self._serving()
        for version in self._read(self._pairs):
            if version.public.key_id == key_id:
                return version
        raise NotFoundError(f"no key {key_id[:16]!r}")

    def _pairs(self, session: Session, label: str | None = None) -> tuple[_Version, ...]:
        """Our key versions in the token, or those with one label; halves of pairs do not count."""
        from pkcs11 import Attribute, ObjectClass

        wanted: dict[Attribute, Any] = {} if label is None else {Attribute.LABEL: label}
        private = {
            bytes(each[Attribute.ID])
            for each in [*session.get_objects(wanted | {Attribute.CLASS: ObjectClass.PRIVATE_KEY})]
        }
        found = []
        for each in [*session.get_objects(wanted | {Attribute.CLASS: ObjectClass.PUBLIC_KEY})]:
            object_id = bytes(each[Attribute.ID])
            if object_id not in private or not _OBJECT_ID.fullmatch(object_id):
                continue
            if object_id not in self._versions_by_id:
                match = _LABEL.fullmatch(each[Attribute.LABEL])
                if match is None:
                    continue
                public = PublicKey.of(*spki_of_object(each))  # type: ignore[arg-type]
                self._versions_by_id[object_id] = _Version(
                    match[1], int(match[2]), object_id, public
                )
            found.append(self._versions_by_id[object_id])
        return tuple(found)

    def _sign_in(self, session: Session, known: _Version, message: bytes) -> bytes:
        from pkcs11 import Attribute, ObjectClass

        if self._pairs(session, f"{known.alias}/{known.version + 1}"):
            raise KeyUnavailableError(
                f"key {known.alias} version {known.version} is verify-only",
                hint="sign with the current version",
            )
        wanted: dict[Attribute, Any] = {
            Attribute.CLASS: ObjectClass.PRIVATE_KEY,
            Attribute.ID: known.object_id,
            Attribute.LABEL: known.label,
        }
        # Looked up each time: another process may have destroyed it.
        objects = [*session.get_objects(wanted)]
        if len(objects) != 1:
            raise KeyUnavailableError(f"key {known.label} is no longer in the token")
        private: Any = objects[0]
        if known.object_id not in self._examined:
            require_sealed(private)
            probe_unreadable(private)
            self._examined.add(known.object_id)
        return sign_with(private, known.public.algorithm, message)

    def _generate(self, alias: str, version: int, algorithm: str) -> None:
        created_at = self._clock().strftime("%Y-%m-%dT%H:%M:%SZ")
        object_id = f"{created_at}/{secrets.token_hex(8)}".encode()
        with self._token.session() as session:
            generate_pair(session, algorithm, f"{alias}/{version}", object_id)

    @contextmanager
    def _locked(self, kind: int) -> Iterator[None]:
        """Hold the lock file: exclusively to make a key, shared to look.

        Looking needs it too: while another process adds an object SoftHSM2 does not find others.
        """
        try:
            descriptor = os.open(self._lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StorageError(f"cannot lock the token: {error.strerror}") from error
        try:
            fcntl.flock(descriptor, kind)
            yield
        finally:
            os.close(descriptor)


def _records_of(alias: str, found: tuple[_Version, ...]) -> tuple[KeyRecord, ...]:
    versions = sorted((v for v in found if v.alias == alias), key=lambda v: v.version)
    if [v.version for v in versions] != list(range(1, len(versions) + 1)):
        raise KeyUnavailableError(f"versions of key {alias} are missing or doubled in the token")
    return tuple(
        KeyRecord(
            key_id=v.public.key_id,
            alias=v.alias,
            version=v.version,
            algorithm=v.public.algorithm,
            state=KeyState.ACTIVE if v is versions[-1] else KeyState.VERIFY_ONLY,
            created_at=v.object_id[:20].decode(),
            public_key=v.public,
        )
        for v in versions
    )


def _one_of_each_kind(supported: tuple[str, ...]) -> tuple[str, ...]:
    """One algorithm for each kind of key object; the parameter sets of one kind are alike."""
    kinds = {
        name.rsplit("-", 1)[0] if name.startswith("ML-DSA") else name: name for name in supported
    }
    return tuple(kinds.values())
