"""Keys in AWS KMS: made and used there, found by alias (`aws_kms_register`).

ML-DSA, ML-KEM, ECDSA, Ed25519 and RSA, as far as the installed boto3 knows their key specs; a
region may have fewer (those in China have no ML-KEM), and SLH-DSA has none. A context of ML-DSA
goes in through the external mu. "Destroyed" means here: at once unusable, and gone after seven
days, see `aws_kms_register`.

AWS KMS is eventually consistent: for seconds, a process may not see a key that another one made,
which is then a `NotFoundError`, or a `TokenBusyError` where we know better.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from quantumai.errors import (
    BadInputError,
    ConflictError,
    KeyUnavailableError,
    NotFoundError,
    TokenBusyError,
)
from quantumai.keys.algorithms import PublicKey
from quantumai.keys.encapsulation import Encapsulation
from quantumai.keys.providers.aws_kms_client import AwsKmsClient, AwsKmsSettings
from quantumai.keys.providers.aws_kms_errors import AwsKmsError
from quantumai.keys.providers.aws_kms_register import AwsKey, AwsKeyRegister, OrphanedKey
from quantumai.keys.providers.aws_kms_specs import (
    KEM_ALGORITHM,
    SPECS,
    ToSign,
    algorithm_of_spec,
    external_mu,
    to_sign,
)
from quantumai.keys.providers.port import Ability, ProviderKey, check_handle
from quantumai.keys.providers.request_checks import (
    require_ciphertext,
    require_made,
    require_mu,
    require_signing,
)

VALIDATION = (
    "AWS KMS: FIPS 140-3 level 3 HSMs according to AWS, not checked here; "
    "no certificate of our own is claimed"
)
UNKNOWN_ENDPOINT = "none known: the endpoint is not one of AWS KMS's own addresses"
_MAKER_WAIT_S = 0.3


@dataclass(frozen=True)
class _Located:
    """A key that was found: its AWS id is used from then on, its public half never changes."""

    key_id: str
    public: ProviderKey

    @property
    def algorithm(self) -> str:
        return self.public.public_key.algorithm


class AwsKmsKeys:
    """`KeyProvider` on AWS KMS; safe for several threads, processes and machines at once.

    `monotonic_s` is a clock that never goes back.
    """

    def __init__(
        self, settings: AwsKmsSettings, monotonic_s: Callable[[], float] = time.monotonic
    ) -> None:
        self._settings = settings
        self._client = AwsKmsClient(settings, monotonic_s)
        self._register = AwsKeyRegister(self._client, settings.prefix)
        self._located: dict[str, _Located] = {}
        self._making = threading.Lock()

    def __repr__(self) -> str:
        return f"AwsKmsKeys({self._settings!r})"

    @property
    def name(self) -> str:
        """Short name of the kind."""
        return "aws-kms"

    @property
    def validation(self) -> str:
        """What AWS says of its HSMs; nothing is known of an endpoint that is not AWS's."""
        return VALIDATION if self._client.is_aws() else UNKNOWN_ENDPOINT

    def abilities(self) -> Mapping[str, frozenset[Ability]]:
        """See `KeyProvider.abilities`: what the installed boto3 can ask for."""
        return {
            name: spec.abilities
            for name, spec in SPECS.items()
            if self._client.knows("KeySpec", spec.key_spec)
        }

    def generate(self, handle: str, algorithm: str) -> ProviderKey:
        """See `KeyProvider.generate`."""
        check_handle(handle)
        require_made(self.abilities(), algorithm)
        with self._one_maker():
            self._register.make(handle, algorithm)
        try:
            found = self.find(handle)
        except NotFoundError:
            raise TokenBusyError(f"AWS KMS does not show the key {handle} yet") from None
        if found.public_key.algorithm != algorithm:
            raise ConflictError(f"key {handle} exists with algorithm {found.public_key.algorithm}")
        return found

    def find(self, handle: str) -> ProviderKey:
        """See `KeyProvider.find`; AWS is asked each time."""
        return self._locate_now(handle).public

    def keys(self) -> tuple[ProviderKey, ...]:
        """See `KeyProvider.keys`."""
        found = []
        for handle in self._register.handles():
            # Its deletion is scheduled, or another process destroys it meanwhile.
            with contextlib.suppress(NotFoundError):
                found.append(self.find(handle))
        return tuple(found)

    def sign(self, handle: str, message: bytes, context: bytes = b"") -> bytes:
        """See `KeyProvider.sign`. Ed25519 signs 1 to 4,096 bytes."""
        located = self._locate(handle)
        require_signing(self.abilities(), located.algorithm, context)
        spki_der = located.public.public_key.spki_der
        return self._sign(handle, located, to_sign(located.algorithm, spki_der, message, context))

    def sign_mu(self, handle: str, mu: bytes) -> bytes:
        """See `KeyProvider.sign_mu`."""
        located = self._locate(handle)
        require_mu(self.abilities(), located.algorithm, mu)
        return self._sign(handle, located, external_mu(mu))

    def decapsulate(self, handle: str, ciphertext: bytes) -> bytes:
        """See `KeyProvider.decapsulate`."""
        located = self._locate(handle)
        require_ciphertext(self.abilities(), located.algorithm, ciphertext)
        answer = self._use(
            "decapsulate",
            handle,
            located,
            SharedSecretCiphertextBlob=ciphertext,
            EncapsulationAlgorithm=KEM_ALGORITHM,
        )
        return bytes(answer["SharedSecret"])

    def encapsulate(self, handle: str) -> Encapsulation:
        """Let AWS encapsulate to a key; `encapsulation` does the same without a call."""
        located = self._locate(handle)
        answer = self._use("encapsulate", handle, located, EncapsulationAlgorithm=KEM_ALGORITHM)
        return Encapsulation(
            bytes(answer["SharedSecret"]), bytes(answer["SharedSecretCiphertextBlob"])
        )

    def destroy(self, handle: str) -> None:
        """See `KeyProvider.destroy`: at once unusable, deleted by AWS after seven days."""
        self._register.release(handle)
        self._located.pop(handle, None)

    def check(self) -> None:
        """See `KeyProvider.check`."""
        self._client.call("list_aliases", Limit=1)

    def renew(self) -> None:
        """See `KeyProvider.renew`."""
        self._located.clear()
        self._client.renew()

    def orphans(self) -> tuple[OrphanedKey, ...]:
        """See `AwsKeyRegister.orphans`."""
        return self._register.orphans()

    def discard(self, orphan: OrphanedKey) -> None:
        """Schedule the deletion of an orphan. Raises `ConflictError` if its handle has it now."""
        if orphan in self._register.orphans():
            self._register.discard(orphan.key_id)
            return
        raise ConflictError(f"key {orphan.key_id} is no orphan any more")

    @contextlib.contextmanager
    def _one_maker(self) -> Iterator[None]:
        """Of two threads the second need not make a key only to throw it away; if the first one
        waits for AWS, it does: whoever stood in line would wait for each before it."""
        held = self._making.acquire(timeout=_MAKER_WAIT_S)
        try:
            yield
        finally:
            if held:
                self._making.release()

    def _sign(self, handle: str, located: _Located, what: ToSign) -> bytes:
        answer = self._use(
            "sign",
            handle,
            located,
            Message=what.message,
            MessageType=what.message_type,
            SigningAlgorithm=SPECS[located.algorithm].signing_algorithm,
        )
        return bytes(answer["Signature"])

    def _use(
        self, operation: str, handle: str, located: _Located, **parameters: Any
    ) -> dict[str, Any]:
        """Use a key by its AWS id; one that is refused is looked up again before we give up."""
        try:
            return self._client.call(operation, KeyId=located.key_id, **parameters)
        except NotFoundError:
            self._locate_now(handle)
            raise TokenBusyError(f"AWS KMS does not show the key {handle} yet") from None
        except AwsKmsError:
            self._locate_now(handle)
            raise

    def _locate(self, handle: str) -> _Located:
        return self._located.get(handle) or self._locate_now(handle)

    def _locate_now(self, handle: str) -> _Located:
        try:
            key = self._register.find(handle)
        except NotFoundError:
            self._located.pop(handle, None)
            raise
        known = self._located.get(handle)
        if known is None or known.key_id != key.key_id:
            known = _Located(key.key_id, self._public(handle, key))
            self._located[handle] = known
        return known

    def _public(self, handle: str, key: AwsKey) -> ProviderKey:
        answer = self._client.call("get_public_key", KeyId=key.key_id)
        try:
            public_key = PublicKey.of(algorithm_of_spec(key.key_spec), answer["PublicKey"]).check()
        except BadInputError as error:
            raise KeyUnavailableError(f"key {handle} in AWS KMS is none of ours: {error}") from None
        return ProviderKey(handle, key.created_at, public_key)
