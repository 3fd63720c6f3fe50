"""The object store in S3: Object Lock, lost answers, a bucket that is away, nothing told."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from botocore.exceptions import ClientError

from quantumai.errors import BadInputError, ConflictError, NotFoundError, StorageError
from quantumai.storage.s3_check import require_fit
from quantumai.storage.s3_client import S3Settings
from quantumai.storage.s3_objects import S3Objects
from tests.lossy_proxy import LossyProxy, lossy_proxy
from tests.servers import S3_REGION, S3Server, versitygw_server

pytestmark = pytest.mark.integration

DAYS = 30
EVIDENCE = (
    "artefacts/local/" + "0" * 64,
    "manifests/local/11111111-1111-1111-1111-111111111111/manifest.json",
    "ledger/commits/00000000000000000001",
    "ledger/tile/0/000",
    "ledger/tile/entries/000",
    "key-events/" + "1" * 64,
)
CACHES = ("ledger/checkpoint", "ledger/tile/0/000.p/7", "ledger/tile/entries/x001/067.p/9")


@pytest.fixture(scope="module")
def server() -> Iterator[S3Server]:
    with versitygw_server() as started:
        started.make_bucket("locked")
        started.make_bucket("unlocked", lock=False)
        yield started


@pytest.fixture
def settings(server: S3Server) -> S3Settings:
    return S3Settings("locked", uuid4().hex, S3_REGION, server.endpoint_url, DAYS)


@pytest.fixture
def proxy(server: S3Server) -> Iterator[LossyProxy]:
    with lossy_proxy(server.endpoint_url) as running:
        yield running


def _open(settings: S3Settings, **changes: Any) -> S3Objects:
    return S3Objects(replace(settings, **changes), lambda: datetime.now(UTC), lambda: 0)


def _through(proxy: LossyProxy, settings: S3Settings) -> S3Objects:
    return _open(settings, endpoint_url=proxy.endpoint_url, read_timeout_s=1.0)


@pytest.mark.parametrize("key", EVIDENCE)
@pytest.mark.parametrize("write", ["create", "put_once", "replace"])
def test_evidence_cannot_be_deleted_or_let_go(
    server: S3Server, settings: S3Settings, key: str, write: str
) -> None:
    getattr(_open(settings), write)(key, b"evidence")
    client, where = server.client(), {"Bucket": "locked", "Key": f"{settings.prefix}/{key}"}
    found = client.head_object(**where)
    version = {"VersionId": found["VersionId"]}
    assert found["ObjectLockMode"] == "COMPLIANCE"
    left = found["ObjectLockRetainUntilDate"] - datetime.now(UTC)
    assert timedelta(days=DAYS, minutes=-5) < left <= timedelta(days=DAYS)
    with pytest.raises(ClientError):
        client.delete_object(**where, **version, BypassGovernanceRetention=True)
    for mode in ("COMPLIANCE", "GOVERNANCE"):
        shorter = {"Mode": mode, "RetainUntilDate": datetime.now(UTC) + timedelta(days=1)}
        with pytest.raises(ClientError):
            client.put_object_retention(
                **where, **version, Retention=shorter, BypassGovernanceRetention=True
            )
    assert client.get_object(**where, **version)["Body"].read() == b"evidence"


@pytest.mark.parametrize("key", CACHES)
@pytest.mark.parametrize("write", ["create", "replace"])
def test_caches_are_free(server: S3Server, settings: S3Settings, key: str, write: str) -> None:
    store = _open(settings)
    getattr(store, write)(key, b"one")
    client, where = server.client(), {"Bucket": "locked", "Key": f"{settings.prefix}/{key}"}
    assert "ObjectLockMode" not in client.head_object(**where)
    store.retain(key)
    assert "ObjectLockMode" not in client.head_object(**where)
    store.replace(key, b"two")
    assert store.get(key) == b"two"
    client.delete_object(**where, VersionId=client.head_object(**where)["VersionId"])


def test_retention_begins_anew_with_a_later_use(server: S3Server, settings: S3Settings) -> None:
    key, now = EVIDENCE[0], datetime.now(UTC)
    S3Objects(settings, lambda: now).put_once(key, b"x")
    later = now + timedelta(days=10)
    S3Objects(settings, lambda: later).put_once(key, b"x")
    found = server.client().head_object(Bucket="locked", Key=f"{settings.prefix}/{key}")
    left = found["ObjectLockRetainUntilDate"] - (later + timedelta(days=DAYS))
    assert abs(left) < timedelta(seconds=2)


def test_without_retention_nothing_is_locked(server: S3Server, settings: S3Settings) -> None:
    free = _open(settings, bucket="unlocked", retention_days=0)
    free.put_once(EVIDENCE[0], b"x")
    free.retain(EVIDENCE[0])
    found = server.client().head_object(Bucket="unlocked", Key=f"{settings.prefix}/{EVIDENCE[0]}")
    assert "ObjectLockMode" not in found


@pytest.mark.parametrize("fault", ["lose-request", "lose-answer", "late", "500", "503"])
def test_a_create_whose_answer_was_lost_is_found_out(
    proxy: LossyProxy, settings: S3Settings, fault: str
) -> None:
    store = _through(proxy, settings)
    proxy.faults = [fault]
    assert store.create("a", b"ours") is True
    assert store.create("a", b"ours") is False
    assert _open(settings).get("a") == b"ours"


@pytest.mark.parametrize("theirs", [b"theirs", b"ours"])
def test_a_lost_answer_makes_nobody_elses_object_ours(
    proxy: LossyProxy, settings: S3Settings, theirs: bytes
) -> None:
    """Not even one with the same bytes: one creates, whoever it was."""
    _open(settings).create("a", theirs)
    proxy.faults = ["lose-answer"]
    assert _through(proxy, settings).create("a", b"ours") is False
    assert _open(settings).get("a") == theirs


def test_when_all_answers_are_lost_it_is_looked_up(proxy: LossyProxy, settings: S3Settings) -> None:
    proxy.faults = ["lose-answer"] * 3
    assert _through(proxy, settings).create("a", b"ours") is True
    proxy.faults = ["lose-answer"] * 10
    with pytest.raises(StorageError, match="object b: bucket locked does not answer"):
        _through(proxy, settings).create("b", b"ours")
    assert _open(settings).get("b") == b"ours"  # complete all the same, as the port says


@pytest.mark.parametrize("fault", ["lose-request", "lose-answer", "half", "500"])
def test_reading_and_replacing_are_tried_again(
    proxy: LossyProxy, settings: S3Settings, fault: str
) -> None:
    store = _through(proxy, settings)
    store.put_once("a", b"data")
    for call, wanted in (
        (lambda: store.get("a"), b"data"),
        (lambda: store.exists("a"), True),
        (lambda: list(store.keys("")), ["a", "ledger/checkpoint"]),
    ):
        _open(settings).replace("ledger/checkpoint", b"x")
        proxy.faults = [fault]
        assert call() == wanted
    if fault != "half":
        proxy.faults = [fault]
        store.replace("ledger/checkpoint", b"new")
        assert store.get("ledger/checkpoint") == b"new"


def test_what_is_refused_is_not_tried_again(proxy: LossyProxy, settings: S3Settings) -> None:
    store = _through(proxy, settings)
    with pytest.raises(NotFoundError):
        store.get("a")
    store.put_once("a", b"x")
    with pytest.raises(ConflictError):
        store.put_once("a", b"y")
    assert len([r for r in proxy.requests if r[0] == "PUT"]) == 2
    assert len(proxy.requests) == 4


def test_a_bucket_that_is_not_there_is_no_absence(settings: S3Settings) -> None:
    store = _open(settings, bucket="nowhere")
    for call in (
        lambda: store.exists("a"),
        lambda: store.get("a"),
        lambda: store.create("a", b""),
        lambda: list(store.keys("")),
        lambda: store.replace("ledger/checkpoint", b""),
        lambda: store.retain("a"),
    ):
        with pytest.raises(StorageError, match="there is no bucket nowhere") as caught:
            call()
        assert caught.value.retryable


def test_a_server_that_is_away_is_a_storage_error(settings: S3Settings) -> None:
    store = _open(settings, endpoint_url="http://127.0.0.1:9", connect_timeout_s=0.5)
    for call in (lambda: store.exists("a"), lambda: store.get("a"), lambda: store.create("a", b"")):
        with pytest.raises(StorageError, match="does not answer"):
            call()


@pytest.mark.parametrize("wrong", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"])
def test_errors_and_logs_tell_no_credential(
    settings: S3Settings,
    wrong: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv(wrong, "must-not-be-told")
    caplog.set_level(logging.DEBUG)
    with pytest.raises(StorageError) as caught:
        _open(settings).get("a")
    told = f"{caught.value!r} {caught.value.hint} {caught.value.__cause__!r} {caplog.text}"
    assert caught.value.__suppress_context__
    assert "must-not-be-told" not in told
    assert "Signature=" not in told


def test_a_fit_bucket_is_left_as_it_was(server: S3Server, settings: S3Settings) -> None:
    require_fit(settings)
    listed = server.client().list_object_versions(Bucket="locked", Prefix=settings.prefix)
    assert not listed.get("Versions")
    assert not listed.get("DeleteMarkers")


def test_an_unfit_bucket_is_refused(server: S3Server, settings: S3Settings) -> None:
    with pytest.raises(BadInputError, match="no Object Lock"):
        require_fit(replace(settings, bucket="unlocked"))
    require_fit(replace(settings, bucket="unlocked", retention_days=0))
    with pytest.raises(StorageError, match="there is no bucket"):
        require_fit(replace(settings, bucket="nowhere"))
    _open(settings).put_once("a", b"x")
    with pytest.raises(ConflictError, match="objects in s3://locked/"):
        require_fit(settings)
    bucket = server.make_bucket("retaining")
    server.client().put_object_lock_configuration(
        Bucket=bucket,
        ObjectLockConfiguration={
            "ObjectLockEnabled": "Enabled",
            "Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 1}},
        },
    )
    with pytest.raises(BadInputError, match="retains by default"):
        require_fit(replace(settings, bucket=bucket))
