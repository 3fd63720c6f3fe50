"""Using keys: sign, verify, wrap and unwrap, each under purpose, state, policy and rate."""

from __future__ import annotations

from collections.abc import Sequence

from quantumai.canonical import sha256_hex
from quantumai.errors import BadInputError, DeniedError
from quantumai.keys.algorithms import PublicKey
from quantumai.keys.dsse_encoding import pre_authentication_encoding, require_statement
from quantumai.keys.encapsulation import encapsulate
from quantumai.keys.management import data_keys
from quantumai.keys.management.audited_call import AuditedCall
from quantumai.keys.management.parts import KmsParts
from quantumai.keys.management.permission import require_grant, require_types
from quantumai.keys.management.records import Caller, KeyPurpose, KeyVersion, Signed
from quantumai.keys.management.states import KeyState, KeyUse, require_use
from quantumai.keys.providers.port import Ability
from quantumai.keys.signatures import MU_BYTES, verify_external_mu, verify_signature

_LONGEST_MESSAGE = 8 << 20


class KeyUser:
    """The part of `KeyManagement` that uses keys, for one caller."""

    def __init__(self, parts: KmsParts, caller: Caller) -> None:
        self._parts = parts
        self._caller = caller

    def sign(self, name: str, message: bytes, context: bytes = b"") -> Signed:
        """See `KeyManagement.sign`."""
        with self._use("sign", name, message) as call:
            if len(message) > _LONGEST_MESSAGE:
                raise BadInputError("the message is too long", hint="sign its digest or its mu")
            key = self._ready(call, name, KeyUse.SIGN, KeyPurpose.RAW)
            signature = self._parts.signed(key, public_half(key), message, context)
            self._require_still(KeyUse.SIGN, key)
            return signed(key, signature)

    def sign_mu(self, name: str, mu: bytes) -> Signed:
        """See `KeyManagement.sign_mu`."""
        with self._use("sign", name, mu) as call:
            if len(mu) != MU_BYTES:
                raise BadInputError(f"an external mu has {MU_BYTES} bytes, this has {len(mu)}")
            key = self._ready(call, name, KeyUse.SIGN, KeyPurpose.RAW)
            provider = self._parts.provider(key.provider)
            if Ability.EXTERNAL_MU not in provider.abilities().get(key.algorithm, ()):
                raise BadInputError(
                    f"provider {provider.name} signs no external mu with {key.algorithm}",
                    hint="hand in the message itself",
                )
            signature = provider.sign_mu(key.handle, mu)
            if not verify_external_mu(key.algorithm, public_half(key).spki_der, mu, signature):
                self._parts.refuse(provider, key)
            self._require_still(KeyUse.SIGN, key)
            return signed(key, signature)

    def sign_statement(
        self, name: str, payload_type: str, predicate_type: str, payload: bytes
    ) -> Sequence[Signed]:
        """See `KeyManagement.sign_statement`."""
        with self._use("sign", name, payload) as call:
            require_statement(payload_type, predicate_type, payload)
            key = self._ready(call, name, KeyUse.SIGN, KeyPurpose.STATEMENT)
            policy = self._parts.register.policy(self._caller.tenant, name)
            require_types(policy, payload_type, predicate_type, name)
            versions = self._active(key)
            call.about(*versions)
            message = pre_authentication_encoding(payload_type, payload)
            made = tuple(
                signed(version, self._parts.signed(version, public_half(version), message))
                for version in versions
            )
            self._require_still(KeyUse.SIGN, *versions)
            return made

    def verify(
        self, name: str, message: bytes, signature: bytes, *, version: int = 0, context: bytes = b""
    ) -> bool:
        """See `KeyManagement.verify`."""
        with self._use("verify", name, message) as call:
            key = self._permitted(call, name, "verify", version)
            require_use(key.state, KeyUse.VERIFY, key.label)
            public = public_half(key)
            return verify_signature(public.algorithm, public.spki_der, message, signature, context)

    def wrap(self, name: str, data_key: bytes, associated_data: bytes = b"") -> bytes:
        """See `KeyManagement.wrap`."""
        with self._use("wrap", name, b"") as call:
            data_keys.require_data_key(data_key)
            key = self._ready(call, name, KeyUse.WRAP, KeyPurpose.WRAP)
            made = encapsulate(key.algorithm, public_half(key).spki_der)
            wrapped = data_keys.seal(made, key.version, data_key, associated_data)
            # Of the wrapped form: the hash of a short data key would help to guess it.
            call.payload_sha256 = sha256_hex(wrapped)
            return wrapped

    def unwrap(self, name: str, wrapped: bytes, associated_data: bytes = b"") -> bytes:
        """See `KeyManagement.unwrap`."""
        with self._use("unwrap", name, wrapped) as call:
            version = data_keys.version_of(wrapped)
            key = self._ready(call, name, KeyUse.UNWRAP, KeyPurpose.WRAP, version)
            ciphertext = data_keys.ciphertext_of(key.algorithm, wrapped)
            provider = self._parts.provider(key.provider)
            shared_secret = provider.decapsulate(key.handle, ciphertext)
            self._require_still(KeyUse.UNWRAP, key)
            return data_keys.open_sealed(key.algorithm, shared_secret, wrapped, associated_data)

    def _active(self, newest: KeyVersion) -> tuple[KeyVersion, ...]:
        """The newest version and, in an overlap, the others that are active."""
        others = [
            version
            for version in self._parts.register.versions(newest.tenant, newest.name)
            if version.state is KeyState.ACTIVE and version.version != newest.version
        ]
        return (newest, *others)

    def _require_still(self, use: KeyUse, *keys: KeyVersion) -> None:
        """Look once more, after a token that may be slow: what was forbidden meanwhile stays in."""
        for key in keys:
            now = self._parts.register.version(key.tenant, key.name, key.version)
            require_use(now.state, use, key.label)

    def _use(self, operation: str, name: str, payload: bytes) -> AuditedCall:
        return AuditedCall(self._parts.audit, self._caller, operation, name, payload)

    def _permitted(
        self, call: AuditedCall, name: str, operation: str, version: int = 0
    ) -> KeyVersion:
        """The version that the call is about, if the policy lets the caller do this with it."""
        key = call.about(self._parts.register.version(self._caller.tenant, name, version))
        policy = self._parts.register.policy(self._caller.tenant, name)
        require_grant(policy, self._caller, operation, name)
        return key

    def _ready(
        self, call: AuditedCall, name: str, use: KeyUse, purpose: KeyPurpose, version: int = 0
    ) -> KeyVersion:
        """The version to use now; purpose, state, policy and rate allow it."""
        key = call.about(self._parts.register.version(self._caller.tenant, name, version))
        policy = self._parts.register.policy(self._caller.tenant, name)
        require_grant(policy, self._caller, str(use), name)
        if key.purpose is not purpose:
            raise DeniedError(
                f"key {name} is for {key.purpose}, not for {purpose}",
                hint="a key has one purpose for life; make another key",
            )
        require_use(key.state, use, key.label)
        if use in (KeyUse.SIGN, KeyUse.UNWRAP):
            self._parts.rates.take(f"{key.tenant}/{name}", policy.uses_per_minute)
        return key


def public_half(key: KeyVersion) -> PublicKey:
    """The public key of a version that may be used."""
    assert key.public_key is not None  # only a pre-active key has none, and it is never used
    return key.public_key


def signed(key: KeyVersion, signature: bytes) -> Signed:
    """The record of a signature."""
    return Signed(key.name, key.version, key.key_id, key.algorithm, signature)
