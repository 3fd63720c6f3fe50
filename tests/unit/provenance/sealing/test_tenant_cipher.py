"""Tenants' data at rest: what opens where, what shows, and what a destroyed key leaves."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from quantumai.errors import ApprovalNeededError, ArtefactError, DeniedError, ErasedError
from quantumai.keys.management.built_in import TENANT_DATA
from quantumai.keys.management.records import Caller, KeyPurpose
from quantumai.provenance.sealing.tenant_cipher import TenantCipher, is_encrypted
from quantumai.storage.local_objects import LocalObjects
from tests.key_management import soft_kms

A, B = "tenant-a", "tenant.b"


@dataclass
class World:
    """A KMS with a clock, a store, and ciphers over them as processes would open them."""

    folder: Path
    now: datetime = field(default_factory=lambda: datetime(2026, 3, 4, tzinfo=UTC))

    def __post_init__(self) -> None:
        self.kms = soft_kms(self.folder / "kms", lambda: self.now)
        self.objects = LocalObjects(self.folder / "objects")

    def cipher(self) -> TenantCipher:
        return TenantCipher(self.objects, self.kms.wrapping_key)

    def schedule(self, tenant: str, version: int = 0) -> None:
        for principal in ("alice", "bob"):
            keys = self.kms.of(Caller(tenant, principal))
            with suppress(ApprovalNeededError):
                keys.schedule_destruction(TENANT_DATA, version, waiting_days=1)

    def destroy_scheduled(self) -> None:
        self.now += timedelta(days=2)
        self.kms.destroy_due()


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@given(data=st.binary(max_size=300))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
def test_what_was_encrypted_comes_back(world: World, data: bytes) -> None:
    stored = world.cipher().encrypt(A, "artefact", data)
    assert is_encrypted(stored)
    assert len(data) < 16 or data not in stored  # short ones stand in any bytes
    assert world.cipher().decrypt(A, "artefact", stored) == data


def test_equal_plaintexts_show_nowhere(world: World) -> None:
    cipher = world.cipher()
    stored = [cipher.encrypt(tenant, "artefact", b"same") for tenant in (A, A, B, B)]
    parts = [data[i : i + 12] for data in stored for i in range(9, len(data) - 11)]
    assert len(set(parts)) == len(parts)  # no twelve bytes after the header come twice


def test_it_opens_for_its_tenant_and_purpose_alone(world: World) -> None:
    cipher = world.cipher()
    stored = cipher.encrypt(A, "manifest 1", b"data")
    cipher.encrypt(B, "manifest 1", b"data")
    for tenant, purpose in ((B, "manifest 1"), (A, "manifest 2"), (A, "artefact"), (A, "")):
        with pytest.raises(ArtefactError):
            cipher.decrypt(tenant, purpose, stored)


def test_every_changed_byte_is_found(world: World) -> None:
    cipher = world.cipher()
    stored = cipher.encrypt(A, "artefact", b"data")
    for place in range(len(stored)):
        changed = bytearray(stored)
        changed[place] ^= 1
        with pytest.raises(ArtefactError):
            cipher.decrypt(A, "artefact", bytes(changed))
    for cut in range(len(stored)):
        with pytest.raises(ArtefactError):
            cipher.decrypt(A, "artefact", stored[:cut])


def test_it_is_aes_gcm_as_documented(world: World) -> None:
    """Opened by hand, with the data key that the KMS unwraps."""
    stored = world.cipher().encrypt(A, "artefact", b"data")
    wrapped = world.objects.get(f"data-keys/{A}/0000000001")
    prefix = f"quantumai tenant data v1\0{A}\0".encode()
    key = world.kms.wrapping_key(A).unwrap(wrapped, prefix + b"data key 1")
    assert stored[:9] == b"QAIE1" + (1).to_bytes(4, "big")
    opened = AESGCM(key).decrypt(stored[9:21], stored[21:], prefix + b"artefact")
    assert opened == b"data"
    with pytest.raises(InvalidTag):
        AESGCM(key).decrypt(stored[9:21], stored[21:], None)


def test_a_damaged_or_lost_data_key_is_told(world: World) -> None:
    stored = world.cipher().encrypt(A, "artefact", b"data")
    (path,) = (world.folder / "objects" / "data-keys" / A).iterdir()
    whole = path.read_bytes()
    for damaged in (b"", whole[:-1], whole[:30] + b"\1" + whole[31:], b"{}"):
        path.write_bytes(damaged)
        with pytest.raises(ArtefactError, match="data key 1 of tenant tenant-a is damaged"):
            world.cipher().decrypt(A, "artefact", stored)
    path.unlink()
    with pytest.raises(ArtefactError, match="is missing"):
        world.cipher().decrypt(A, "artefact", stored)


def test_processes_share_one_data_key(world: World) -> None:
    first, second = world.cipher(), world.cipher()
    stored = [cipher.encrypt(A, "artefact", b"x") for cipher in (first, second, first)]
    assert list(world.objects.keys("data-keys/")) == [f"data-keys/{A}/0000000001"]
    assert [second.decrypt(A, "artefact", data) for data in stored] == [b"x"] * 3


def test_who_loses_the_race_for_a_data_key_takes_the_winners(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    late = world.cipher()
    create = world.objects.create

    def after_another(key: str, data: bytes) -> bool:
        monkeypatch.undo()
        world.cipher().make_ready(A)
        return create(key, data)

    monkeypatch.setattr(world.objects, "create", after_another)
    stored = late.encrypt(A, "artefact", b"x")
    assert world.cipher().decrypt(A, "artefact", stored) == b"x"
    assert len(list(world.objects.keys("data-keys/"))) == 1


@pytest.mark.parametrize("same_process", [True, False])
def test_a_destroyed_key_erases_one_tenant(world: World, same_process: bool) -> None:
    cipher = world.cipher()
    stored = {tenant: cipher.encrypt(tenant, "artefact", b"data") for tenant in (A, B)}
    world.schedule(A)
    with pytest.raises(DeniedError, match="are to be erased"):
        cipher.decrypt(A, "artefact", stored[A])
    world.destroy_scheduled()
    after = cipher if same_process else world.cipher()
    with pytest.raises(ErasedError, match="data of tenant tenant-a were erased") as caught:
        after.decrypt(A, "artefact", stored[A])
    assert len(str(caught.value).splitlines()) == 1
    with pytest.raises(ErasedError):
        after.encrypt(A, "artefact", b"more")
    assert after.decrypt(B, "artefact", stored[B]) == b"data"
    left = world.kms.parts.provider("soft").keys()
    assert len(left) == 1  # that of the other tenant


def test_a_destruction_can_be_taken_back_in_time(world: World) -> None:
    stored = world.cipher().encrypt(A, "artefact", b"data")
    world.schedule(A)
    keys = world.kms.of(Caller(A, "alice"))
    keys.cancel_destruction(TENANT_DATA)
    keys.enable(TENANT_DATA)
    assert world.cipher().decrypt(A, "artefact", stored) == b"data"


def test_after_a_rotation_the_former_data_can_be_erased_alone(world: World) -> None:
    cipher = world.cipher()
    old = cipher.encrypt(A, "artefact", b"old")
    world.kms.of(Caller(A, "alice")).rotate(TENANT_DATA)
    new = cipher.encrypt(A, "artefact", b"new")
    assert len(list(world.objects.keys(f"data-keys/{A}/"))) == 2
    assert cipher.decrypt(A, "artefact", old) == b"old"
    world.schedule(A, version=1)
    world.destroy_scheduled()
    for after in (cipher, world.cipher()):
        with pytest.raises(ErasedError):
            after.decrypt(A, "artefact", old)
        assert after.decrypt(A, "artefact", new) == b"new"
        assert after.decrypt(A, "artefact", after.encrypt(A, "artefact", b"more")) == b"more"


def test_nobody_else_wraps_unwraps_or_makes_the_key(world: World) -> None:
    world.cipher().make_ready(A)
    wrapped = world.objects.get(f"data-keys/{A}/0000000001")
    keys = world.kms.of(Caller(A, "alice"))
    calls: list[Callable[[], object]] = [
        lambda: keys.unwrap(TENANT_DATA, wrapped),
        lambda: keys.wrap(TENANT_DATA, b"x" * 32),
        lambda: keys.create(TENANT_DATA, "ML-KEM-768", KeyPurpose.WRAP),
    ]
    for call in calls:
        with pytest.raises(DeniedError):
            call()
