"""What changes keys, each change in one transaction with its audit entry and its answer.

The token cannot take part in a transaction. So a key pair is noted in the register before it is
made and struck out after it is destroyed; making and destroying can both be done again. Killed
anywhere in between, the next call under the same key, or `reconciliation`, completes the change.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from quantumai.errors import BadInputError, ConflictError, DeniedError
from quantumai.keys.management.announcement import Vouch, announce
from quantumai.keys.management.idempotency import Request
from quantumai.keys.management.parts import KmsParts
from quantumai.keys.management.records import KeyPolicy, KeyPurpose, KeyVersion
from quantumai.keys.management.states import KeyState
from quantumai.keys.parameters import parameter_set
from quantumai.keys.providers.port import ProviderKey

# States from which a version can become active again, but not once another has taken over.
_MAY_COME_BACK = (KeyState.DISABLED, KeyState.DESTROY_SCHEDULED)
# What the caller adds to the transaction of a change: its answer and its audit entry.
Seal = Callable[[KeyVersion], None]


def require_fit(algorithm: str, purpose: KeyPurpose) -> None:
    """Raise `BadInputError` unless keys of the algorithm can serve the purpose."""
    signs = parameter_set(algorithm).signs
    if signs is (purpose is KeyPurpose.WRAP):
        raise BadInputError(
            f"{algorithm} keys do not serve the purpose {purpose}",
            hint="ML-KEM is for wrap; all others sign",
        )


def create(
    parts: KmsParts,
    tenant: str,
    name: str,
    algorithm: str,
    purpose: KeyPurpose,
    policy: KeyPolicy,
    seal: Seal,
    request: Request | None = None,
) -> KeyVersion:
    """Make the first version of a key, or finish making it.

    Raises `ConflictError` if it is there; a version that was given up before it was ever active
    does not count.
    """
    provider = parts.provider_for(algorithm)
    with parts.database.transaction():
        versions = parts.register.versions(tenant, name)
        found = [v for v in versions if v.activated_at or v.state is not KeyState.DESTROYED]
        if not found:
            now = parts.now()
            parts.register.set_name(tenant, name, algorithm, purpose, policy, now)
            number = len(versions) + 1
            parts.register.add_version(
                tenant, name, number, algorithm, purpose, provider.name, now, _asked(request)
            )
            found = [parts.register.version(tenant, name, number)]
    key = found[0]
    if (key.algorithm, key.purpose) != (algorithm, purpose):
        raise ConflictError(f"key {name} exists: {key.algorithm}, for {key.purpose}")
    if len(found) > 1 or key.state is not KeyState.PRE_ACTIVE:
        raise ConflictError(f"key {name} exists", hint="rotate it, or choose another name")
    made = make_pair(parts, key)
    with parts.database.transaction():
        # Another caller may have begun it: who finishes it says how it may be used.
        parts.register.set_policy(tenant, name, policy)
        return activate(parts, key, made, seal)


def activate(parts: KmsParts, key: KeyVersion, made: ProviderKey, seal: Seal) -> KeyVersion:
    """Note the public half of a key that was made; from now on it may be used."""
    public = made.public_key.check()
    with parts.database.transaction():
        active = parts.register.move(
            key,
            KeyState.ACTIVE,
            key_id=public.key_id,
            spki=public.spki,
            activated_at=parts.now(),
        )
        seal(active)
    return active


def rotate(
    parts: KmsParts,
    tenant: str,
    name: str,
    provider_name: str,
    overlap: bool,
    seal: Seal,
    vouch: Vouch | None = None,
    request: Request | None = None,
) -> KeyVersion:
    """Make the next version, or finish making it; see `KeyManagement.rotate`."""
    former = former_of_next(parts, tenant, name)
    parts.provider_for(former.algorithm, provider_name or former.provider)
    with parts.database.transaction():
        # From here on another rotation meets the version that is noted, and not a former one.
        if request is not None:
            request.require_open()
        former = former_of_next(parts, tenant, name)
        wanted = provider_name or former.provider
        newest = parts.register.versions(tenant, name)[-1]
        if newest.state is not KeyState.PRE_ACTIVE or newest.provider != wanted:
            if newest.state is KeyState.PRE_ACTIVE:
                raise ConflictError(
                    f"key {newest.label} is being made in {newest.provider}",
                    hint=f"finish that first: rotate with provider {newest.provider}",
                )
            now = parts.now()
            parts.register.add_version(
                tenant,
                name,
                newest.version + 1,
                former.algorithm,
                former.purpose,
                wanted,
                now,
                _asked(request, overlap, vouch is not None),
            )
            newest = parts.register.versions(tenant, name)[-1]
    return finish_rotation(parts, former, newest, overlap, seal, vouch)


def finish_rotation(
    parts: KmsParts,
    former: KeyVersion,
    following: KeyVersion,
    overlap: bool,
    seal: Seal,
    vouch: Vouch | None = None,
) -> KeyVersion:
    """Make the following version's key pair, announce it, and let it take over.

    The former key vouches for it, or whatever `vouch` signs with where that one cannot.
    """
    made = make_pair(parts, following)
    public = made.public_key.check()
    values: dict[str, Any] = {"key_id": public.key_id, "spki": public.spki}
    if former.purpose is KeyPurpose.STATEMENT and (vouch or former.state is KeyState.ACTIVE):
        by = vouch or (lambda message: parts.sign_as(former, message))
        values["announcement"] = announce(parts, former, following, made, by)
    with parts.database.transaction():
        now = parts.now()
        _require_unchanged(parts, former)
        active = parts.register.move(following, KeyState.ACTIVE, activated_at=now, **values)
        for other in () if overlap else parts.register.versions(former.tenant, former.name):
            if other.state is KeyState.ACTIVE and other.version != active.version:
                parts.register.move(other, KeyState.VERIFY_ONLY, retired_at=now)
            elif other.state in _MAY_COME_BACK and not other.retired_at:
                parts.register.set(other, retired_at=now)
        seal(active)
    return active


def retire(parts: KmsParts, key: KeyVersion, seal: Seal) -> KeyVersion:
    """Make an active version verify-only. Raises `DeniedError` if no other one is active."""
    if key.state is not KeyState.ACTIVE:
        raise DeniedError(f"key {key.label} is {key.state}, not active")
    with parts.database.transaction():
        others = [
            v
            for v in parts.register.versions(key.tenant, key.name)
            if v.state is KeyState.ACTIVE and v.version != key.version
        ]
        if not others:
            raise DeniedError(
                f"no other version of key {key.name} is active", hint="rotate or disable it"
            )
        retired = parts.register.move(key, KeyState.VERIFY_ONLY, retired_at=parts.now())
        seal(retired)
    return retired


def disable(parts: KmsParts, key: KeyVersion, seal: Seal) -> KeyVersion:
    """Forbid every use until `enable`."""
    if key.state is KeyState.DESTROY_SCHEDULED:
        # To the table it is the way of a cancellation, which asks whether it is too late.
        raise DeniedError(f"key {key.label} is {key.state} and does nothing already")
    with parts.database.transaction():
        disabled = parts.register.move(key, KeyState.DISABLED)
        seal(disabled)
    return disabled


def enable(parts: KmsParts, key: KeyVersion, seal: Seal) -> KeyVersion:
    """Take back a disabling."""
    wanted = KeyState.VERIFY_ONLY if key.retired_at else KeyState.ACTIVE
    if key.state is not KeyState.DISABLED:
        raise DeniedError(f"key {key.label} is {key.state}, not disabled")
    with parts.database.transaction():
        enabled = parts.register.move(key, wanted)
        seal(enabled)
    return enabled


def is_due(parts: KmsParts, key: KeyVersion) -> bool:
    """Whether the policy wants an active version rotated, by its age or its uses."""
    policy = parts.register.policy(key.tenant, key.name)
    if policy.rotate_after_days is not None and key.activated_at:
        age = parts.clock() - datetime.fromisoformat(key.activated_at)
        if age >= timedelta(days=policy.rotate_after_days):
            return True
    if policy.rotate_after_uses is None:
        return False
    uses = parts.register.row(key.tenant, key.name, key.version)["uses"]
    return bool(uses >= policy.rotate_after_uses)


def make_pair(parts: KmsParts, key: KeyVersion) -> ProviderKey:
    """Make the key pair of a version that was noted; one that is there already is that one.

    A version that the provider refuses to make is given up: it will refuse again.
    """
    try:
        return parts.provider(key.provider).generate(key.handle, key.algorithm)
    except BadInputError:
        with suppress(ConflictError):
            parts.register.move(key, KeyState.DESTROYED)
        raise


def former_of_next(parts: KmsParts, tenant: str, name: str) -> KeyVersion:
    """The version that the next one of a key follows on. Raises `DeniedError` if none is left."""
    current = parts.register.version(tenant, name, 0)
    return current if current.state is KeyState.ACTIVE else _usable(parts, tenant, name)


def _usable(parts: KmsParts, tenant: str, name: str) -> KeyVersion:
    """The newest version that a rotation can follow on: disabled or compromised ones too."""
    made = [
        v
        for v in parts.register.versions(tenant, name)
        if v.state not in (KeyState.PRE_ACTIVE, KeyState.DESTROYED)
    ]
    if not made:
        raise DeniedError(f"no version of key {name} is left to rotate", hint="create a new key")
    return made[-1]


def _require_unchanged(parts: KmsParts, former: KeyVersion) -> None:
    state = parts.register.version(former.tenant, former.name, former.version).state
    if state is not former.state:
        raise ConflictError(
            f"key {former.label} became {state} in the meantime", hint="look at it, then try again"
        )


def _asked(request: Request | None, overlap: bool = False, vouched: bool = False) -> dict[str, Any]:
    scope = request.scope if request else ""
    return {"scope": scope, "overlap": overlap, "vouched": vouched}
