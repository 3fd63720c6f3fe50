"""A KMS under test with everything around it: a clock to turn, its provider, its audit log.

`WORLDS` are the providers, in process and over HTTP; the same tests run on all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from quantumai.keys.audit.entry import AuditEntry
from quantumai.keys.management.kms import Kms, open_kms
from quantumai.keys.management.port import KeyManagement
from quantumai.keys.management.reconciliation import find
from quantumai.keys.management.records import Caller, KeyPurpose, KeyVersion
from quantumai.keys.providers.port import KeyProvider
from quantumai.services.kms.client import HttpKeyManagement
from quantumai.services.kms.limits import Limits
from quantumai.storage.database import Database
from quantumai.storage.migration import ensure_schema
from tests.key_management import new_database, soft_keys
from tests.kms_service import running_service
from tests.servers import postgres_server

SERVED = "-http"
POSTGRES = "soft-postgresql"
_REAL = ("kryoptic", "softhsm2", "aws-kms")
WORLDS = ["soft", "soft" + SERVED] + [
    pytest.param(kind + served, marks=pytest.mark.integration)
    for kind in _REAL
    for served in ("", SERVED)
]
WORLDS.append(pytest.param(POSTGRES, marks=pytest.mark.integration))
_numbers = count(1)


@dataclass
class Clock:
    """A time that passes when the test says so; `monotonic_s` passes with it."""

    now: datetime = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
    monotonic_s: float = 1000.0

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **units: float) -> None:
        """Let time pass; `units` are those of `timedelta`."""
        step = timedelta(**units)
        self.now += step
        self.monotonic_s += step.total_seconds()


class Wrapped:
    """A provider of which a test may replace methods, to make it err."""

    def __init__(self, provider: KeyProvider) -> None:
        self._provider = provider

    def __getattr__(self, name: str) -> Any:
        return getattr(self._provider, name)


@dataclass
class World:
    """One KMS; key names are this world's own, since worlds share tokens."""

    kms: Kms
    provider: Any
    clock: Clock
    as_: Callable[[str], KeyManagement]
    prefix: str = field(default_factory=lambda: f"w{next(_numbers)}")

    def name(self, text: str) -> str:
        """The name of a key in this world."""
        return f"{self.prefix}-{text}"

    @cached_property
    def alice(self) -> KeyManagement:
        return self.as_("alice")

    @cached_property
    def bob(self) -> KeyManagement:
        return self.as_("bob")

    @cached_property
    def carol(self) -> KeyManagement:
        return self.as_("carol")

    @cached_property
    def signer(self) -> str:
        """A quick algorithm that the provider signs with: SoftHSM2 has no ML-DSA."""
        return "ML-DSA-44" if self.makes("ML-DSA-44") else "ECDSA-P256"

    def makes(self, algorithm: str) -> bool:
        """Whether the provider makes such keys."""
        return algorithm in self.provider.abilities()

    def make(self, purpose: str = "raw", text: str = "", algorithm: str = "", **more: Any) -> str:
        """Let alice make a key; its name."""
        name = self.name(text or purpose)
        made = algorithm or ("ML-KEM-768" if purpose == "wrap" else self.signer)
        self.alice.create(name, made, KeyPurpose(purpose), **more)
        return name

    def handle(self, name: str, version: int = 1) -> str:
        """What the provider calls a version of a key."""
        return self.kms.parts.register.version("local", name, version).handle

    def held(self) -> set[str]:
        """The key pairs in the provider that are this world's, by name and version."""
        listed = self.provider.keys()
        return {
            self._label(key.handle) for key in listed if key.handle.startswith(self.prefix + "-")
        }

    def _label(self, handle: str) -> str:
        rows = self.kms.parts.register.all()
        return {row.handle: row.label for row in rows}.get(handle, handle)

    def states(self, name: str) -> list[str]:
        """The states of all versions, without asking the KMS (which would be audited)."""
        return [str(v.state) for v in self.kms.parts.register.versions("local", name)]

    def pem(self, key: KeyVersion) -> bytes:
        """The public key as a file that any library reads."""
        assert key.public_key is not None
        spki = key.public_key.spki
        return f"-----BEGIN PUBLIC KEY-----\n{spki}\n-----END PUBLIC KEY-----\n".encode()

    def entries(self) -> list[AuditEntry]:
        """The audit log."""
        log = self.kms.parts.audit
        return [AuditEntry.parse(text) for _, text in log.entries(0, log.size() - 1)]

    def disagreements(self) -> list[str]:
        """What reconciliation finds about this world's keys."""
        return [
            f"{found.kind} {self._label(found.handle)}"
            for found in find(self.kms.parts)
            if found.handle.startswith(self.prefix)
        ]


@contextmanager
def open_world(
    kind: str,
    provider: KeyProvider,
    folder: Path,
    others: Sequence[Any] = (),
    limits: Limits | None = None,
    read_timeout_s: float = 20.0,
    open_database: Callable[[], Database] | None = None,
) -> Iterator[World]:
    """A new KMS over `provider` and others; over HTTP, with these limits, if `kind` says so."""
    clock, wrapped = Clock(), Wrapped(provider)
    providers: Any = (wrapped, *others)
    # Two connections, as a home opens them.
    opener = open_database or (lambda: new_database(folder / "kms.db"))
    database, apart = opener(), opener()
    kms = open_kms(database, providers, clock, lambda: clock.monotonic_s, apart)
    with ExitStack() as stack:
        stack.callback(database.close)
        stack.callback(apart.close)
        if kind.endswith(SERVED):
            service = stack.enter_context(running_service(kms.of, limits=limits))

            def as_(principal: str) -> KeyManagement:
                token = service.tokens[principal]
                return HttpKeyManagement(service.base_url, token, read_timeout_s=read_timeout_s)

        else:

            def as_(principal: str) -> KeyManagement:
                return kms.of(Caller("local", principal))

        yield World(kms, wrapped, clock, as_)
    for connection in (database, apart):
        connection.close()


@contextmanager
def postgres_databases() -> Iterator[Callable[[], str]]:
    """Makes new databases at the expected schema in one PostgreSQL; gives their URLs."""
    import psycopg

    names = count(1)
    with postgres_server() as url:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("CREATE DATABASE template_kms")
        ensure_schema(url.replace("/postgres?", "/template_kms?"))

        def new() -> str:
            name = f"kms_{next(names)}"
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute(f"CREATE DATABASE {name} TEMPLATE template_kms")
            return url.replace("/postgres?", f"/{name}?")

        yield new


@contextmanager
def open_provider(kind: str, folder: Path) -> Iterator[KeyProvider]:
    """The provider of a world, on a token or an emulation of its own."""
    kind = kind.removesuffix(SERVED)
    if kind in ("soft", POSTGRES):
        yield soft_keys(folder / "keys")
    elif kind == "aws-kms":
        from quantumai.keys.providers.aws_kms import AwsKmsKeys
        from tests.aws_emulation import running_aws_emulation

        with running_aws_emulation() as emulation:
            yield AwsKmsKeys(emulation.settings("worlds"))
    else:
        from tests.tokens import new_token, token_keys

        yield token_keys(new_token(kind, folder / "token"), folder / "token")
