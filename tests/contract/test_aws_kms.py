"""What the AWS KMS provider promises beside the contract, on an EMULATION, not on AWS."""

from __future__ import annotations

import base64
import logging
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import Any

import pytest

from quantumai.errors import (
    BadInputError,
    ConflictError,
    KeyUnavailableError,
    NotFoundError,
    TokenBusyError,
)
from quantumai.keys.providers import aws_kms_client
from quantumai.keys.providers.aws_kms import UNKNOWN_ENDPOINT, VALIDATION, AwsKmsKeys
from quantumai.keys.providers.aws_kms_client import MOST_WAIT_S, AwsKmsClient, AwsKmsSettings
from quantumai.keys.signatures import verify_signature
from quantumai.services.kms.limits import Limits
from tests.aws_emulation import (
    SECRET_ACCESS_KEY,
    WITHOUT_ML_KEM,
    AwsEmulation,
    running_aws_emulation,
)

pytestmark = pytest.mark.integration
_prefixes = count(1)


@pytest.fixture(scope="module")
def emulation() -> Iterator[AwsEmulation]:
    with running_aws_emulation() as running:
        yield running


@pytest.fixture
def prefix() -> str:
    return f"home-{next(_prefixes)}"


@pytest.fixture
def keys(emulation: AwsEmulation, prefix: str) -> AwsKmsKeys:
    emulation.forget()
    return AwsKmsKeys(emulation.settings(prefix))


def _asked(emulation: AwsEmulation, action: str) -> list[dict[str, object]]:
    return [body for name, body in emulation.requests if name == action]


def test_how_messages_are_put_to_aws(emulation: AwsEmulation, keys: AwsKmsKeys) -> None:
    for algorithm in ("ML-DSA-65", "ECDSA-P384", "RSA-3072-PSS"):
        keys.generate(f"{algorithm.lower()}/1", algorithm)
        for message in (b"x" * 4096, b"x" * 4097):
            keys.sign(f"{algorithm.lower()}/1", message)
    keys.sign("ml-dsa-65/1", b"short", b"a context")
    asked = _asked(emulation, "Sign")
    forms = [(a["MessageType"], len(base64.b64decode(str(a["Message"])))) for a in asked]
    assert forms == [
        *(("RAW", 4096), ("EXTERNAL_MU", 64)),
        *(("RAW", 4096), ("DIGEST", 48)),
        *(("RAW", 4096), ("DIGEST", 32)),
        ("EXTERNAL_MU", 64),
    ]
    assert all("alias" not in str(a["KeyId"]) for a in asked)


def test_a_key_is_looked_up_once_for_many_signatures(
    emulation: AwsEmulation, keys: AwsKmsKeys
) -> None:
    keys.generate("a/1", "ML-DSA-44")
    emulation.requests.clear()
    for _ in range(5):
        keys.sign("a/1", b"m")
    assert [action for action, _ in emulation.requests] == ["Sign"] * 5


def test_what_aws_encapsulates_it_decapsulates(keys: AwsKmsKeys) -> None:
    keys.generate("a/1", "ML-KEM-768")
    made = keys.encapsulate("a/1")
    assert keys.decapsulate("a/1", made.ciphertext) == made.shared_secret
    assert len(made.shared_secret) == 32


def test_homes_do_not_see_each_other(emulation: AwsEmulation, prefix: str) -> None:
    outer, inner = (AwsKmsKeys(emulation.settings(p)) for p in (prefix, f"{prefix}/inner"))
    outer.generate("a/1", "ECDSA-P256")
    inner.generate("a/1", "ECDSA-P256")
    assert outer.keys() != inner.keys()
    assert len(outer.keys()) == len(inner.keys()) == 1
    outer.destroy("a/1")
    assert inner.sign("a/1", b"m")
    assert inner.orphans() == outer.orphans() == ()


def test_of_two_makers_one_keeps_its_key(emulation: AwsEmulation, prefix: str) -> None:
    """The loser's key is scheduled for deletion, so that it is no orphan."""
    makers = [AwsKmsKeys(emulation.settings(prefix)) for _ in range(4)]
    start, made = threading.Barrier(len(makers)), []

    def make(keys: AwsKmsKeys) -> None:
        keys.check()
        start.wait()
        made.append(keys.generate("a/1", "ML-DSA-44"))

    emulation.requests.clear()
    threads = [threading.Thread(target=make, args=(keys,)) for keys in makers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 4
    assert len({key.public_key.key_id for key in made}) == 1
    created = len(_asked(emulation, "CreateKey"))
    assert len(_asked(emulation, "ScheduleKeyDeletion")) == created - 1
    assert makers[0].orphans() == ()


def test_a_lost_answer_to_the_alias_does_not_cost_the_key(
    emulation: AwsEmulation, keys: AwsKmsKeys
) -> None:
    """The second try is told that the alias exists: it is on our own key."""
    emulation.fail_next("CreateAlias", "lose-answer")
    key = keys.generate("a/1", "ML-DSA-44")
    assert len(_asked(emulation, "CreateAlias")) == 2
    assert _asked(emulation, "ScheduleKeyDeletion") == []
    assert keys.sign(key.handle, b"m")
    assert keys.orphans() == ()


def test_a_key_without_its_alias_is_found_and_discarded(
    emulation: AwsEmulation, keys: AwsKmsKeys, prefix: str
) -> None:
    for _ in range(2):  # each call is tried twice
        emulation.fail_next("CreateAlias", "KMSInternalException")
    with pytest.raises(TokenBusyError):
        keys.generate("a/1", "ML-DSA-44")
    with pytest.raises(NotFoundError):
        keys.find("a/1")
    [orphan] = AwsKmsKeys(emulation.settings(prefix)).orphans()
    assert orphan.handle == "a/1"
    # A retry makes a key of its own, and the orphan stays one until it is discarded.
    keys.generate("a/1", "ML-DSA-44")
    keys.generate("b/1", "ML-DSA-44")
    assert keys.orphans() == (orphan,)
    keys.discard(orphan)
    assert keys.orphans() == ()
    with pytest.raises(ConflictError):
        keys.discard(orphan)
    first, second = keys.keys()
    assert (first.handle, second.handle) == ("a/1", "b/1")


def test_an_alias_that_is_refused_leaves_no_key(emulation: AwsEmulation, keys: AwsKmsKeys) -> None:
    emulation.fail_next("CreateAlias", "LimitExceededException")
    with pytest.raises(KeyUnavailableError, match="LimitExceededException"):
        keys.generate("a/1", "ML-DSA-44")
    assert keys.orphans() == ()


def test_destruction_that_was_cut_short_is_finished(
    emulation: AwsEmulation, keys: AwsKmsKeys, prefix: str
) -> None:
    """Between its steps the key is scheduled for deletion and still has its alias."""
    keys.generate("a/1", "ML-DSA-44")
    other = AwsKmsKeys(emulation.settings(prefix))
    assert other.sign("a/1", b"m")
    for _ in range(2):
        emulation.fail_next("DeleteAlias", "KMSInternalException")
    with pytest.raises(TokenBusyError):
        keys.destroy("a/1")
    for provider in (keys, other):
        with pytest.raises(NotFoundError):
            provider.sign("a/1", b"m")
        with pytest.raises(NotFoundError):
            provider.find("a/1")
        assert provider.keys() == ()
    with pytest.raises(ConflictError, match="half destroyed"):
        keys.generate("a/1", "ML-DSA-44")
    keys.destroy("a/1")
    assert keys.generate("a/1", "ML-DSA-44")
    [asked] = _asked(emulation, "ScheduleKeyDeletion")
    assert asked["PendingWindowInDays"] == 7


def test_busy_and_silent_aws(emulation: AwsEmulation, prefix: str) -> None:
    keys = AwsKmsKeys(emulation.settings(prefix, read_timeout_s=0.2, attempts=1))
    keys.generate("a/1", "ML-DSA-44")
    for fault in ("ThrottlingException", "KMSInternalException", "DependencyTimeoutException"):
        emulation.fail_next("Sign", fault)
        with pytest.raises(TokenBusyError, match=fault) as caught:
            keys.sign("a/1", b"m")
        assert caught.value.retry_after_s > 0
    emulation.fail_next("Sign", "silence")
    began = time.monotonic()
    with pytest.raises(TokenBusyError, match="does not answer"):
        keys.sign("a/1", b"m")
    assert time.monotonic() - began < 5
    assert keys.sign("a/1", b"m")


def test_a_call_ends_before_the_service_gives_it_up(
    emulation: AwsEmulation, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the pauses are the longest, and whatever botocore would try again by itself."""
    assert AwsKmsSettings().longest_s < MOST_WAIT_S < Limits().deadline_s
    settings = emulation.settings(prefix, connect_timeout_s=0.2, read_timeout_s=0.2)
    assert settings.longest_s == pytest.approx(2 * 0.4 + aws_kms_client._MOST_PAUSE_S)
    monkeypatch.setattr(aws_kms_client.secrets, "randbelow", lambda end: end - 1)
    keys = AwsKmsKeys(settings)
    keys.generate("a/1", "ML-DSA-44")
    for fault in ("silence", "lose-answer", "ThrottlingException"):
        emulation.forget()
        for _ in range(4):
            emulation.fail_next("Sign", fault)
        began = time.monotonic()
        with pytest.raises(TokenBusyError):
            keys.sign("a/1", b"m")
        assert time.monotonic() - began < settings.longest_s + 0.5  # on a machine that is busy
        assert len(_asked(emulation, "Sign")) == settings.attempts == 2


def test_an_attempt_that_took_longer_than_it_should_is_the_last(
    emulation: AwsEmulation, prefix: str
) -> None:
    """So it is with an endpoint of many addresses: the time to connect counts for each."""
    now = count(0.0, 9.0)
    client = AwsKmsClient(emulation.settings(prefix), lambda: next(now), lambda: 0.0)
    emulation.forget()
    emulation.fail_next("ListAliases", "KMSInternalException")
    with pytest.raises(TokenBusyError):
        client.call("list_aliases")
    assert len(_asked(emulation, "ListAliases")) == 1


def test_an_aws_that_is_dead_keeps_nobody_waiting(emulation: AwsEmulation, prefix: str) -> None:
    now = [100.0]
    settings = emulation.settings(prefix, read_timeout_s=0.2, attempts=1)
    keys = AwsKmsKeys(settings, lambda: now[0])
    keys.generate("a/1", "ML-DSA-44")
    emulation.forget()
    emulation.fail_next("Sign", "ThrottlingException")  # an answer: AWS is alive
    with pytest.raises(TokenBusyError, match="is busy"):
        keys.sign("a/1", b"m")
    for _ in range(4):
        emulation.fail_next("Sign", "silence")
    for _ in range(2):
        with pytest.raises(TokenBusyError, match="AWS KMS does not answer: sign"):
            keys.sign("a/1", b"m")
    for call in (lambda: keys.sign("a/1", b"m"), lambda: keys.sign("a/1", b"m"), keys.check):
        with pytest.raises(TokenBusyError, match="AWS KMS failed 3 times in a row") as caught:
            call()
        assert caught.value.retry_after_s == 5.0
    assert len(emulation.requests) == 4
    now[0] += 5.0
    with pytest.raises(TokenBusyError, match="4 times in a row"):
        keys.sign("a/1", b"m")
    now[0] += 5.0
    assert keys.sign("a/1", b"m")
    keys.check()


def test_nobody_stands_in_line_behind_a_maker_who_waits_for_aws(keys: AwsKmsKeys) -> None:
    with ThreadPoolExecutor(1) as pool, keys._making:
        assert pool.submit(keys.generate, "a/1", "ML-DSA-44").result(timeout=30)


def test_nobody_listens(emulation: AwsEmulation) -> None:
    keys = AwsKmsKeys(emulation.settings("x", endpoint_url="http://127.0.0.1:9", attempts=1))
    for call in (keys.check, keys.keys, lambda: keys.sign("a/1", b"m")):
        with pytest.raises(TokenBusyError, match="does not answer"):
            call()


def test_errors_carry_the_code_and_no_credentials(
    emulation: AwsEmulation, keys: AwsKmsKeys
) -> None:
    keys.generate("a/1", "ML-DSA-44")
    for fault in ("AccessDeniedException", "InvalidSignatureException", "DisabledException"):
        emulation.fail_next("Sign", fault)
        with pytest.raises(KeyUnavailableError, match=f"refuses sign: {fault}") as caught:
            keys.sign("a/1", b"m")
        assert not isinstance(caught.value, TokenBusyError)
        error: BaseException | None = caught.value
        assert error is not None
        assert error.__cause__ is None
        assert error.__suppress_context__
        assert SECRET_ACCESS_KEY not in f"{error} {caught.value.hint} {keys!r}"


def test_secrets_do_not_reach_the_log(
    emulation: AwsEmulation, prefix: str, caplog: pytest.LogCaptureFixture
) -> None:
    """botocore logs whole answers at DEBUG, the shared secret of Decapsulate among them."""
    logger = logging.getLogger("botocore")
    former = logger.level
    logger.setLevel(logging.NOTSET)
    try:
        with caplog.at_level(logging.DEBUG):
            keys = AwsKmsKeys(emulation.settings(prefix))
            keys.generate("a/1", "ML-KEM-768")
            made = keys.encapsulate("a/1")
            secret = keys.decapsulate("a/1", made.ciphertext)
    finally:
        logger.setLevel(former)
    assert made.shared_secret == secret
    assert caplog.records  # others do log at DEBUG
    for shape in (base64.b64encode(secret).decode(), str(secret), secret.hex(), "Signature="):
        assert shape not in caplog.text


def test_without_credentials_or_region(
    emulation: AwsEmulation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(KeyUnavailableError, match="NoCredentialsError") as caught:
        AwsKmsKeys(emulation.settings("x")).check()
    assert "credentials" in caught.value.hint
    with pytest.raises(KeyUnavailableError, match="NoRegionError"):
        AwsKmsKeys(emulation.settings("x", region="", endpoint_url="")).check()


def test_a_region_without_ml_kem(emulation: AwsEmulation, prefix: str) -> None:
    keys = AwsKmsKeys(emulation.settings(prefix, region=WITHOUT_ML_KEM))
    with pytest.raises(BadInputError, match="makes no ML-KEM-768 keys in this region"):
        keys.generate("a/1", "ML-KEM-768")
    key = keys.generate("a/1", "ML-DSA-65")
    spki = key.public_key.spki_der
    assert verify_signature("ML-DSA-65", spki, b"m", keys.sign("a/1", b"m"))


def test_validation_is_claimed_of_awss_own_endpoints_only(emulation: AwsEmulation) -> None:
    assert AwsKmsKeys(emulation.settings("x")).validation == UNKNOWN_ENDPOINT
    for region in ("eu-central-1", "us-gov-west-1", "cn-north-1"):
        assert AwsKmsKeys(AwsKmsSettings(region=region)).validation == VALIDATION
    lookalike = AwsKmsSettings(
        region="eu-central-1", endpoint_url="https://kms.eu-central-1.amazonaws.com.example.org"
    )
    assert AwsKmsKeys(lookalike).validation == UNKNOWN_ENDPOINT


@pytest.mark.parametrize(
    "wrong",
    [
        {"prefix": "aws"},
        {"prefix": "aws/x"},
        {"prefix": ""},
        {"prefix": "a b"},
        {"prefix": "a/b/c"},
        {"endpoint_url": "http://kms.eu-central-1.amazonaws.com"},
        {"endpoint_url": "ftp://127.0.0.1.example.org"},
        {"attempts": 0},
        {"attempts": 3},
        {"read_timeout_s": 3.0},
        {"connect_timeout_s": float("nan")},
    ],
)
def test_settings_that_cannot_be(wrong: dict[str, Any]) -> None:
    with pytest.raises(BadInputError):
        AwsKmsSettings(**wrong)
