"""The life of a key version as one table: the code, the database and the tests all read it.

After NIST SP 800-57 part 1, section 7, with a waiting period before destruction. A compromise can
also be noted for a key that is destroyed, or whose waiting period is over: then the leaf index is
recorded and the state stays.
"""

from __future__ import annotations

from enum import StrEnum

from quantumai.errors import DeniedError


class KeyState(StrEnum):
    """What a key version may still do."""

    PRE_ACTIVE = "pre-active"  # being made, or made and not yet announced
    ACTIVE = "active"
    VERIFY_ONLY = "verify-only"  # after rotation: verifies and unwraps, no longer signs or wraps
    DISABLED = "disabled"
    COMPROMISED = "compromised"
    DESTROY_SCHEDULED = "destroy-scheduled"
    DESTROYED = "destroyed"


class KeyUse(StrEnum):
    """A use of a key, as states allow it and policies name it."""

    SIGN = "sign"
    VERIFY = "verify"
    WRAP = "wrap"
    UNWRAP = "unwrap"


_S = KeyState
TRANSITIONS: dict[KeyState, frozenset[KeyState]] = {
    _S.PRE_ACTIVE: frozenset({_S.ACTIVE, _S.DESTROYED}),
    _S.ACTIVE: frozenset({_S.VERIFY_ONLY, _S.DISABLED, _S.COMPROMISED, _S.DESTROY_SCHEDULED}),
    _S.VERIFY_ONLY: frozenset({_S.DISABLED, _S.COMPROMISED, _S.DESTROY_SCHEDULED}),
    _S.DISABLED: frozenset({_S.ACTIVE, _S.VERIFY_ONLY, _S.COMPROMISED, _S.DESTROY_SCHEDULED}),
    _S.COMPROMISED: frozenset({_S.DESTROY_SCHEDULED}),
    # Cancelled: back to disabled, or to compromised if that is where it came from.
    _S.DESTROY_SCHEDULED: frozenset({_S.DISABLED, _S.COMPROMISED, _S.DESTROYED}),
    _S.DESTROYED: frozenset(),
}

ALLOWED_USES: dict[KeyState, frozenset[KeyUse]] = {
    _S.PRE_ACTIVE: frozenset(),
    _S.ACTIVE: frozenset(KeyUse),
    _S.VERIFY_ONLY: frozenset({KeyUse.VERIFY, KeyUse.UNWRAP}),
    _S.DISABLED: frozenset(),
    _S.COMPROMISED: frozenset(),
    _S.DESTROY_SCHEDULED: frozenset(),
    _S.DESTROYED: frozenset(),
}


def require_transition(former: KeyState, wanted: KeyState, label: str) -> None:
    """Raise `DeniedError` unless a key may go from `former` to `wanted`."""
    if wanted not in TRANSITIONS[former]:
        after = ", ".join(sorted(TRANSITIONS[former])) or "nothing"
        raise DeniedError(
            f"key {label} is {former} and cannot become {wanted}", hint=f"from there: {after}"
        )


def require_use(state: KeyState, use: KeyUse, label: str) -> None:
    """Raise `DeniedError` unless a key in `state` may be used so."""
    if use not in ALLOWED_USES[state]:
        raise DeniedError(
            f"key {label} is {state}: it does not {use}",
            hint="sign with the current version" if state is _S.VERIFY_ONLY else "",
        )
