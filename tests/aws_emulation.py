"""An EMULATION of AWS KMS on loopback: moto's server, extended in test code. It is not AWS.

moto 5.2 has no ML-DSA, ML-KEM and Ed25519 keys, hashes digests again, salts PSS with the maximal
length, signs with keys whose deletion is scheduled, never pages, and lets two callers have one
alias. All that is replaced here after AWS's API reference. It also makes faults: a lost answer,
throttling, silence. It runs in a thread of this process and ends with it.
"""

from __future__ import annotations

import base64
import json
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from moto.core.exceptions import JsonRESTError
from moto.kms import models, responses, utils
from moto.kms.exceptions import InvalidCiphertextException, ValidationException
from moto.moto_server.threaded_moto_server import ThreadedMotoServer

from quantumai.keys.providers.aws_kms_client import AwsKmsSettings
from tests.aws_emulated_keys import KEY_SPECS, EmulatedKey, MlKem

PAGE = 3  # AWS gives 50 aliases a page; so few are enough to see whether pages are turned
WITHOUT_ML_KEM = "cn-north-1"
SECRET_ACCESS_KEY = "emulated-secret-access-key"
_GOING = "PendingDeletion"
_FAULTS_OF_AWS = ("KMSInternalException", "DependencyTimeoutException", "KeyUnavailableException")


class AwsEmulation:
    """The running emulation: where it listens, what it was asked, and the faults it makes."""

    def __init__(self) -> None:
        self.endpoint_url = ""
        self.requests: list[tuple[str, dict[str, Any]]] = []
        self._faults: list[tuple[str, str]] = []
        self._lock = threading.RLock()
        self._silence = threading.Event()

    def settings(self, prefix: str, **changes: Any) -> AwsKmsSettings:
        """Settings for a provider on the emulation."""
        given = {"region": "eu-central-1", "endpoint_url": self.endpoint_url} | changes
        return AwsKmsSettings(prefix=prefix, **given)

    def fail_next(self, action: str, fault: str) -> None:
        """Make the next `action` fail: "lose-answer" (it is done all the same), "silence", or the
        name of an AWS exception."""
        self._faults.append((action, fault))

    def forget(self) -> None:
        """Forget what was asked and faults that were not made."""
        self.requests.clear()
        self._faults.clear()

    def stop(self) -> None:
        """Let go of callers that are still waiting."""
        self._silence.set()

    def answer(self, response: responses.KmsResponse, proceed: Callable[[], Any]) -> Any:
        """One request, alone: moto's look-ups and changes are not atomic."""
        action = response._get_action()
        with self._lock:
            self.requests.append((action, json.loads(response.body)))
            fault = next((f for f in self._faults if f[0] == action), None)
            if fault is None:
                return proceed()
            self._faults.remove(fault)
            if fault[1] == "lose-answer":
                proceed()
                return 500, {"status": "500"}, json.dumps({"__type": "KMSInternalException"})
        if fault[1] == "silence":
            self._silence.wait(30)
            return 500, {"status": "500"}, "{}"
        # AWS quotes the canonical request in some errors, session token included.
        body = {"__type": fault[1], "message": f"key {SECRET_ACCESS_KEY}"}
        status = 500 if fault[1] in _FAULTS_OF_AWS else 400
        return status, {"status": str(status)}, json.dumps(body)


@contextmanager
def running_aws_emulation() -> Iterator[AwsEmulation]:
    """Start the emulation and give this process credentials for it."""
    emulation = AwsEmulation()
    with pytest.MonkeyPatch.context() as patch:
        _extend_moto(patch, emulation)
        for name, value in {
            "AWS_ACCESS_KEY_ID": "emulated",
            "AWS_SECRET_ACCESS_KEY": SECRET_ACCESS_KEY,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        }.items():
            patch.setenv(name, value)
        patch.setattr(logging.getLogger("werkzeug"), "disabled", True)
        server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
        server.start()
        emulation.endpoint_url = "http://{}:{}".format(*server.get_host_and_port())
        try:
            yield emulation
        finally:
            emulation.stop()
            server.stop()


def _extend_moto(patch: pytest.MonkeyPatch, emulation: AwsEmulation) -> None:
    known = utils.KeySpec.key_specs()
    patch.setattr(utils.KeySpec, "key_specs", lambda: sorted({*known, *KEY_SPECS}))
    made = models.generate_private_key
    patch.setattr(
        models, "generate_private_key", lambda spec: KEY_SPECS.get(spec, lambda: made(spec))()
    )
    patch.setattr(models.Key, "signing_algorithms", property(_signing_algorithms))
    kms = responses.KmsResponse
    ordinary = kms.call_action
    patch.setattr(kms, "call_action", lambda self: emulation.answer(self, lambda: ordinary(self)))
    patch.setattr(kms, "sign", _sign)
    patch.setattr(kms, "get_public_key", _get_public_key)
    patch.setattr(kms, "encapsulate", _encapsulate, raising=False)
    patch.setattr(kms, "decapsulate", _decapsulate, raising=False)
    patch.setattr(kms, "schedule_key_deletion", _schedule_key_deletion)
    patch.setattr(kms, "create_key", _create_key(kms.create_key))
    for name, field in (
        ("list_aliases", "Aliases"),
        ("list_keys", "Keys"),
        ("list_resource_tags", "Tags"),
    ):
        patch.setattr(kms, name, _paged(getattr(kms, name), field))


def _signing_algorithms(key: models.Key) -> list[str]:
    return list(getattr(key.private_key, "algorithms", ()))


def _key(response: responses.KmsResponse, usage: str = "") -> models.Key:
    """The key that a request names, if it can be used now and is for that use."""
    response._validate_key_id(response._get_param("KeyId"))
    backend = response.kms_backend
    key: models.Key = backend.describe_key(response._get_param("KeyId"))
    if key.key_state == _GOING:
        raise JsonRESTError("KMSInvalidStateException", f"{key.arn} is pending deletion.")
    if not key.enabled:
        raise JsonRESTError("DisabledException", f"{key.arn} is disabled.")
    if usage and key.key_usage != usage:
        raise JsonRESTError("InvalidKeyUsageException", f"{key.arn} is for {key.key_usage}")
    return key


def _sign(response: responses.KmsResponse) -> str:
    key = _key(response, "SIGN_VERIFY")
    message: bytes = response._get_param("Message")
    algorithm = response._get_param("SigningAlgorithm")
    if not 1 <= len(message) <= 4096:
        raise ValidationException("Value at 'message' must have length between 1 and 4096")
    if algorithm not in key.signing_algorithms:
        raise JsonRESTError("InvalidKeyUsageException", f"{algorithm} is not for this key")
    try:
        pair: EmulatedKey = key.private_key
        signature = pair.sign(message, response._get_param("MessageType", "RAW"))
    except ValueError as error:
        raise ValidationException(str(error)) from None
    answer = {"KeyId": key.arn, "Signature": _text(signature), "SigningAlgorithm": algorithm}
    return json.dumps(answer)


def _get_public_key(response: responses.KmsResponse) -> str:
    key = _key(response)
    answer = {
        "KeyId": key.arn,
        "KeySpec": key.key_spec,
        "KeyUsage": key.key_usage,
        "PublicKey": _text(key.private_key.public_key()),
    }
    return json.dumps(answer)


def _encapsulate(response: responses.KmsResponse) -> str:
    key = _key(response, MlKem.usage)
    secret, ciphertext = key.private_key.encapsulate()
    return json.dumps(
        {
            "KeyId": key.arn,
            "SharedSecret": _text(secret),
            "SharedSecretCiphertextBlob": _text(ciphertext),
            "EncapsulationAlgorithm": response._get_param("EncapsulationAlgorithm"),
        }
    )


def _decapsulate(response: responses.KmsResponse) -> str:
    key = _key(response, MlKem.usage)
    try:
        ciphertext = base64.b64decode(response._get_param("SharedSecretCiphertextBlob"))
        secret = key.private_key.decapsulate(ciphertext)
    except ValueError:
        raise InvalidCiphertextException() from None
    return json.dumps({"KeyId": key.arn, "SharedSecret": _text(secret)})


def _schedule_key_deletion(response: responses.KmsResponse) -> str:
    key_id, days = response._get_param("KeyId"), response._get_param("PendingWindowInDays")
    response._validate_cmk_id(key_id)
    if not 7 <= days <= 30:
        raise ValidationException("a waiting period has 7 to 30 days")
    key = response.kms_backend.describe_key(key_id)
    if key.key_state == _GOING:
        raise JsonRESTError("KMSInvalidStateException", f"{key.arn} is pending deletion.")
    date = response.kms_backend.schedule_key_deletion(key.id, days)
    answer = {"KeyId": key.arn, "DeletionDate": date, "KeyState": key.key_state}
    return json.dumps(answer)


def _create_key(ordinary: Callable[..., str]) -> Callable[[responses.KmsResponse], str]:
    def create_key(response: responses.KmsResponse) -> str:
        spec, usage = response._get_param("KeySpec"), response._get_param("KeyUsage")
        wanted = "ENCAPSULATE_DECAPSULATE" if spec.startswith("ML_KEM") else "SIGN_VERIFY"
        if usage != wanted:
            raise ValidationException(f"KeyUsage of {spec} must be {wanted}")
        if spec.startswith("ML_KEM") and response.region == WITHOUT_ML_KEM:
            raise JsonRESTError("UnsupportedOperationException", "not available in this region")
        return ordinary(response)

    return create_key


def _paged(ordinary: Callable[..., str], field: str) -> Callable[[responses.KmsResponse], str]:
    def listing(response: responses.KmsResponse) -> str:
        answer = json.loads(ordinary(response))
        start = int(response._get_param("Marker") or 0)
        end = start + min(PAGE, response._get_param("Limit") or PAGE)
        more = end < len(answer[field])
        answer |= {field: answer[field][start:end], "Truncated": more}
        answer["NextMarker"] = str(end) if more else None
        return json.dumps({name: value for name, value in answer.items() if value is not None})

    return listing


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
