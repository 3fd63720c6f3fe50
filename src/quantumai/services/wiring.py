"""The composition root: reads the settings and constructs every adapter of a home.

Settings: QAI_HOME (state folder, default ~/.quantumai), QAI_ENV ("production" refuses insecure
stand-ins), QAI_PASSPHRASE_FILE (file with the passphrase of the soft keys). A home with a
`token/token.toml` keeps its keys in that token, one with an `aws-kms.toml` in AWS KMS, others keep
soft keys. A home with an `objects.toml` keeps its objects where that says, others in a folder.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from uuid import uuid4

from quantumai.bounded_reading import read_bounded
from quantumai.errors import (
    BadInputError,
    InsecureRefusedError,
    KeyUnavailableError,
    StorageError,
)
from quantumai.services.home_objects import read_home_objects
from quantumai.services.whole_home import require_database, require_same_protection
from quantumai.storage.file_lease import FileLease
from quantumai.storage.local_objects import LocalObjects
from quantumai.storage.migration import sqlite_url
from quantumai.storage.run_locks import RunLocks
from quantumai.storage.sql_database import SqlDatabase, open_database

if TYPE_CHECKING:
    from quantumai.backends.calibration import CalibrationSnapshot
    from quantumai.backends.simulator import Simulator
    from quantumai.backends.vendor import VendorBackend
    from quantumai.backends.vendor_entry import VendorEntry
    from quantumai.jobs.desk import Desk
    from quantumai.keys.management.kms import Kms
    from quantumai.keys.providers.pkcs11 import Pkcs11Keys
    from quantumai.keys.providers.port import KeyProvider
    from quantumai.provenance.sealing.sealer import Sealer
    from quantumai.provenance.sealing.tenant_cipher import TenantCipher
    from quantumai.scheduler.planner import FleetMember
    from quantumai.services.home_aws_kms import HomeAwsKms
    from quantumai.services.home_objects import HomeObjects
    from quantumai.storage.objects import ObjectStore

DEFAULT_HOME = "~/.quantumai"
_MAX_PASSPHRASE_BYTES = 4096


class _Closable(Protocol):
    def close(self) -> None: ...


@dataclass(frozen=True)
class Home:
    """One home's adapters; what costs time to open is opened at its first use."""

    root: Path
    database: SqlDatabase
    objects: ObjectStore
    encrypts: bool
    open_kms: Callable[[], Kms]
    open_sealer: Callable[[], Sealer]
    open_cipher: Callable[[], TenantCipher]
    to_close: list[_Closable]

    def desk(self, *, recovers: bool = True) -> Desk:
        """The ports for jobs; with `recovers` jobs of dead processes are marked failed first."""
        from quantumai.jobs.desk import Desk
        from quantumai.jobs.recovery import fail_interrupted
        from quantumai.services.home_witnesses import home_witnesses

        desk = Desk(
            database=self.database,
            objects=self.objects,
            run_locks=RunLocks(self.root / "running"),
            clock=utc_now,
            new_id=lambda: str(uuid4()),
            open_fleet=self.fleet,
            open_sealer=self.open_sealer,
            open_simulator=open_simulator,
            open_cipher=self.open_cipher,
            encrypts=self.encrypts,
            is_witnessed=bool(home_witnesses(self.root).witnesses),
        )
        if recovers:
            fail_interrupted(desk)
        return desk

    def fleet(self) -> tuple[FleetMember, ...]:
        """The catalogue's backends with their calibrations, ingested where they are new."""
        from quantumai.backends.catalogue import load_catalogue
        from quantumai.backends.ibm_fake import read_snapshot
        from quantumai.jobs.fleet import open_fleet

        catalogue = load_catalogue(catalogue_path(self.root))
        return open_fleet(catalogue, read_snapshot, self.database, self.objects)

    def look_at_sealer(self) -> Sealer | None:
        """What was sealed, to be read only: nothing is made or appended; None if nothing was."""
        from quantumai.jobs.history import leaves_handed_out
        from quantumai.provenance.sealing.opening import look_at_sealer
        from quantumai.services.home_witnesses import home_witnesses

        keys = self.open_kms().internal()
        least_size = leaves_handed_out(self.database)
        witnesses = home_witnesses(self.root).trust()
        return look_at_sealer(
            keys, self.objects, utc_now, least_size=least_size, witnesses=witnesses
        )

    def close(self) -> None:
        """Complete the ledger's caches and give the database connections back."""
        for opened in reversed(self.to_close):
            opened.close()

    def __enter__(self) -> Home:
        return self

    def __exit__(self, *unused: object) -> None:
        self.close()


def home_root(environment: Mapping[str, str] | None = None) -> Path:
    """The folder that QAI_HOME names; it need not exist."""
    settings = os.environ if environment is None else environment
    named = settings.get("QAI_HOME") or DEFAULT_HOME
    try:
        folder = Path(named).expanduser().absolute()
        folder.exists()
    except (OSError, RuntimeError, ValueError):
        raise BadInputError(
            f"QAI_HOME is no usable path: {named[:60]!r}", hint="set QAI_HOME to a folder"
        ) from None
    return folder


def catalogue_path(root: Path) -> Path | None:
    """The home's own catalogue file, or None for the packaged one."""
    path = root / "catalogue.toml"
    return path if path.exists() else None


def open_home(root: Path | None = None, environment: Mapping[str, str] | None = None) -> Home:
    """Open a home, making it where it does not exist."""
    settings = os.environ if environment is None else environment
    folder = home_root(settings) if root is None else root
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise StorageError(
            f"cannot make the home {folder}: {error.strerror}", hint="set QAI_HOME to a folder"
        ) from None
    database_path = folder / "quantumai.db"
    place = read_home_objects(folder)
    objects = open_objects(folder, place)
    require_database(folder, place, objects)
    database = open_database(sqlite_url(database_path))
    require_same_protection(database, place, objects)
    to_close: list[_Closable] = [database]

    @cache
    def open_home_kms() -> Kms:
        from quantumai.keys.management.kms import open_kms

        token_keys = database.select("kms_keys", {"provider": "pkcs11"}, limit=1)
        providers = open_providers(folder, settings, has_token_keys=bool(token_keys))
        to_close.append(audit := open_database(sqlite_url(database_path)))
        return open_kms(database, providers, utc_now, audit_database=audit)

    @cache
    def open_home_sealer() -> Sealer:
        from quantumai.jobs.history import leaves_handed_out
        from quantumai.provenance.sealing.opening import open_sealer
        from quantumai.services.home_witnesses import home_witnesses

        keys, least_size = open_home_kms().internal(), leaves_handed_out(database)
        # All who write to a home share its database, hence its machine.
        lease = FileLease(folder / "ledger.lease")
        witnesses = home_witnesses(folder).trust()
        sealer = open_sealer(
            keys, objects, utc_now, least_size=least_size, lease=lease, witnesses=witnesses
        )
        to_close.append(sealer.ledger)
        return sealer

    @cache
    def open_home_cipher() -> TenantCipher:
        from quantumai.provenance.sealing.tenant_cipher import TenantCipher

        return TenantCipher(objects, lambda tenant: open_home_kms().wrapping_key(tenant))

    return Home(
        root=folder,
        database=database,
        objects=objects,
        encrypts=place.encrypt,
        open_kms=open_home_kms,
        open_sealer=open_home_sealer,
        open_cipher=open_home_cipher,
        to_close=to_close,
    )


def open_objects(root: Path, place: HomeObjects) -> ObjectStore:
    """The objects of the home `root`, where its file says; nothing is asked of a bucket yet."""
    if place.kind == "local":
        return LocalObjects(root / "objects")
    from quantumai.storage.s3_objects import S3Objects

    return S3Objects(place.s3_settings(), utc_now)


def open_token_keys(root: Path) -> Pkcs11Keys:
    """The keys in the token of the home `root`; the token is opened at the first call."""
    from quantumai.keys.providers.pkcs11 import Pkcs11Keys
    from quantumai.keys.providers.pkcs11_token import Pkcs11Token
    from quantumai.keys.providers.token_settings import read_settings
    from quantumai.services.home_token import FOLDER, LOCK_FILE

    folder = root / FOLDER
    return Pkcs11Keys(Pkcs11Token(read_settings(folder), folder), utc_now, folder / LOCK_FILE)


def open_providers(
    root: Path, settings: Mapping[str, str], *, has_token_keys: bool = False
) -> tuple[KeyProvider, ...]:
    """Where the keys of the home `root` are; new keys are made in the first one.

    A home without a token has soft keys, unless it keeps its keys in AWS KMS from the beginning.
    A token that is away, though the register has keys in it (`has_token_keys`), is not replaced.
    """
    from quantumai.keys.providers.absent import AbsentProvider
    from quantumai.services.home_aws_kms import read_home
    from quantumai.services.home_token import FOLDER, has_token

    aws = read_home(root)
    found: list[KeyProvider] = []
    if has_token(root):
        try:
            found.append(open_token_keys(root))
        except KeyUnavailableError as error:
            found.append(AbsentProvider("pkcs11", error))
    elif has_token_keys:
        reason = KeyUnavailableError(
            f"this home's token is gone: there is no {FOLDER}/token.toml",
            hint=f"put the folder {FOLDER} back",
        )
        found.append(AbsentProvider("pkcs11", reason))
    elif aws is None or (root / "keys").exists():
        found.append(_open_soft_keys(root, settings))
    if aws is not None:
        found.insert(0 if aws.new_keys else len(found), open_aws_keys(aws))
    return tuple(found)


def open_aws_keys(place: HomeAwsKms) -> KeyProvider:
    """The keys of a home in AWS KMS; nothing is asked before the first call."""
    from quantumai.keys.providers.aws_kms import AwsKmsKeys

    return AwsKmsKeys(place.settings())


def _open_soft_keys(root: Path, settings: Mapping[str, str]) -> KeyProvider:
    from quantumai.keys.providers.soft import InsecureSoftKeys

    environment_name = settings.get("QAI_ENV", "")
    return InsecureSoftKeys(root / "keys", utc_now, _passphrase(settings), environment_name)


def open_simulator(engine: str) -> Simulator:
    """An engine by the name that a request carries."""
    if engine == "aer":
        from quantumai.backends.aer_simulator import AerSimulator

        return AerSimulator()
    if engine == "channel":
        from quantumai.backends.channel_simulator import ChannelSimulator

        return ChannelSimulator()
    raise BadInputError(f"unknown engine {engine!r}")


def open_vendor(
    entry: VendorEntry,
    environment: Mapping[str, str] | None = None,
    calibration: CalibrationSnapshot | None = None,
) -> VendorBackend:
    """The adapter for a vendor's backend; what needs credentials takes them from the environment.

    `calibration` is what Braket's local simulator and the mock imitate. A real device is asked for
    over the network at once (IBM) or at the first call (Braket).
    """
    settings = os.environ if environment is None else environment
    if entry.vendor == "ibm":
        return _open_ibm(entry, settings)
    if entry.vendor == "braket" and entry.device.startswith("arn:aws:braket:"):
        from quantumai.backends.braket.device import BraketDevice, connect

        return BraketDevice(entry, *connect(entry.device))
    if entry.vendor == "braket" and entry.device != "local":
        raise BadInputError(
            f"backend {entry.backend_id}: {entry.device[:60]!r} is no device of Amazon Braket",
            hint='give "local", or an ARN',
        )
    if calibration is None:
        raise BadInputError(
            f"backend {entry.backend_id}: {entry.device!r} imitates a device, and none is given",
            hint="give a calibration snapshot, or an ARN of Amazon Braket as device",
        )
    if entry.vendor == "braket":
        from quantumai.backends.braket.local import braket_local

        return braket_local(entry.backend_id, calibration, utc_now)
    return _open_mock(entry, settings, calibration)


def _open_ibm(entry: VendorEntry, settings: Mapping[str, str]) -> VendorBackend:
    from quantumai.backends.ibm.local import PREFIX, ibm_local

    if entry.device.startswith(PREFIX):
        return ibm_local(entry.backend_id, entry.device, utc_now)
    from quantumai.backends.credentials import Scrubber, Secret, read_secret
    from quantumai.backends.ibm.device import IbmDevice, connect

    given = Secret(settings.get("QISKIT_IBM_TOKEN", ""))
    token = read_secret(given, settings.get("QAI_IBM_TOKEN_FILE"), "the token of IBM Quantum")
    if token is None:
        raise BadInputError(
            f"backend {entry.backend_id} needs a token of IBM Quantum",
            hint="set QISKIT_IBM_TOKEN, or QAI_IBM_TOKEN_FILE to a file with it",
        )
    service = connect(token, settings.get("QISKIT_IBM_INSTANCE"))
    return IbmDevice(entry.backend_id, entry.device, service, entry.prices, Scrubber([token]))


def _open_mock(
    entry: VendorEntry, settings: Mapping[str, str], calibration: CalibrationSnapshot
) -> VendorBackend:
    from quantumai.backends.mock.vendor import MockVendor
    from quantumai.randomness import RootSeed

    if settings.get("QAI_ENV") == "production":
        raise InsecureRefusedError("a mock vendor makes its results up: not in production")
    seed = RootSeed.of(entry.backend_id)
    return MockVendor(entry.backend_id, [calibration], open_simulator("channel"), utc_now, seed)


def utc_now() -> datetime:
    """The clock that everything else is given."""
    return datetime.now(UTC)


def _passphrase(settings: Mapping[str, str]) -> bytes | None:
    name = settings.get("QAI_PASSPHRASE_FILE")
    if not name:
        return None
    return read_bounded(name, _MAX_PASSPHRASE_BYTES, "QAI_PASSPHRASE_FILE").rstrip(b"\n")
