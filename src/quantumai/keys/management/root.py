"""The root: an SLH-DSA key in a token of its own that is normally off line.

It vouches for the next version of a key whose present one can no longer be believed. That takes
the root's token and two principals, and voids the present versions in the same step.
"""

from __future__ import annotations

from quantumai.canonical import canonical_json
from quantumai.errors import (
    BadInputError,
    ConflictError,
    DeniedError,
    KeyUnavailableError,
    NotFoundError,
)
from quantumai.keys.algorithms import PublicKey
from quantumai.keys.audit.entry import Outcome
from quantumai.keys.management import lifecycle
from quantumai.keys.management.approvals import approval_needed, confirm_or_propose
from quantumai.keys.management.audited_call import AuditedCall
from quantumai.keys.management.built_in import BUILT_IN
from quantumai.keys.management.joint_calls import emergency_rotation
from quantumai.keys.management.parts import KmsParts
from quantumai.keys.management.permission import require_grant
from quantumai.keys.management.records import Caller, KeyVersion, check_name
from quantumai.keys.management.states import TRANSITIONS, KeyState
from quantumai.keys.providers.port import KeyProvider
from quantumai.keys.signatures import verify_signature

# The category of the authority's ML-DSA-87; small and slow suits a key that is hardly used.
ROOT_ALGORITHM = "SLH-DSA-SHA2-256s"
ROOT_HANDLE = "root/1"


class RootKey:
    """The root in its provider; `public` is what the home noted when it was made."""

    def __init__(self, provider: KeyProvider, public: PublicKey) -> None:
        self._provider = provider
        self.public = public

    def vouch(self, message: bytes) -> tuple[str, bytes]:
        """Key id and signature, verified before it is used. Raises `KeyUnavailableError`."""
        signature = self._provider.sign(ROOT_HANDLE, message)
        public = self.public
        if not verify_signature(public.algorithm, public.spki_der, message, signature):
            raise KeyUnavailableError(
                "this token does not hold the root of this home",
                hint="give the folder in which `qai kms root init` made it",
            )
        return public.key_id, signature


def make_root(provider: KeyProvider) -> PublicKey:
    """Make the root's key pair. Raises `ConflictError` if the token has one."""
    try:
        provider.find(ROOT_HANDLE)
    except NotFoundError:
        return provider.generate(ROOT_HANDLE, ROOT_ALGORITHM).public_key.check()
    raise ConflictError("this token holds a root already", hint="a root is made once")


def emergency_rotate(
    parts: KmsParts, caller: Caller, root: RootKey, name: str, from_index: int | None
) -> KeyVersion:
    """Void every version of a key, and let the root vouch for a new one.

    Signatures from the ledger leaf `from_index` on are void (None: from now on). Raises
    `ApprovalNeededError` until a second principal has made the same call. Killed after the voiding,
    it is finished by the same two calls again: there is then nothing left to void.
    """
    arguments = {"name": name[:80], "from_index": from_index}
    payload = canonical_json(arguments)
    _void(parts, caller, root, name, from_index, payload)
    with AuditedCall(parts.audit, caller, "emergency-rotate", name, payload) as call:

        def seal(changed: KeyVersion) -> None:
            call.about(changed)
            call.write_within()

        return lifecycle.rotate(parts, caller.tenant, name, "", False, seal, root.vouch)


def _void(
    parts: KmsParts,
    caller: Caller,
    root: RootKey,
    name: str,
    from_index: int | None,
    payload: bytes,
) -> None:
    """Void all versions in one transaction with its entry, if two principals asked for it."""
    asked = emergency_rotation(name, from_index)
    with AuditedCall(parts.audit, caller, "emergency-void", name, payload) as call:
        check_name(name)
        if from_index is not None and not 0 <= from_index < 2**53:
            raise BadInputError(f"leaf index {from_index} is out of range")
        key = call.about(parts.register.version(caller.tenant, name, 0))
        policy = parts.register.policy(caller.tenant, name)
        require_grant(policy, caller, "manage", name)
        if name in BUILT_IN and not BUILT_IN[name].rotates:
            raise DeniedError(f"{name} is not rotated: a ledger with new keys is a new ledger")
        # The root signs once before anything is void: a wrong token must not cost the key.
        root.vouch(b"quantumai root check")
        with parts.database.transaction():
            if confirm_or_propose(parts.database, policy, caller, asked, parts.now()):
                call.about(key, *_voided(parts, key, from_index))
                call.write_within()
                return
            call.write_within(Outcome.APPROVAL_NEEDED, "approval-needed")
        raise approval_needed(caller, asked)


def _voided(parts: KmsParts, key: KeyVersion, from_index: int | None) -> list[KeyVersion]:
    """The other versions than `key`, once all that could still be believed are void."""
    others = []
    for version in parts.register.versions(key.tenant, key.name):
        if KeyState.COMPROMISED in TRANSITIONS[version.state]:
            parts.register.move(
                version, KeyState.COMPROMISED, compromised_from=from_index, destroy_at=None
            )
            others += [version] if version.version != key.version else []
    return others
