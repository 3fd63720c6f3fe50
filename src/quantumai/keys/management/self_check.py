"""Whether every key is what the register says: nothing is repaired and nothing audited here."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

from quantumai.errors import QuantumAIError
from quantumai.keys.algorithms import verify_signature
from quantumai.keys.encapsulation import encapsulate
from quantumai.keys.management.built_in import BUILT_IN, BUILT_IN_POLICY
from quantumai.keys.management.parts import KmsParts
from quantumai.keys.management.reconciliation import find
from quantumai.keys.management.records import KeyPurpose, KeyVersion
from quantumai.keys.management.register import HOME_TENANT
from quantumai.keys.management.states import KeyState

HELD = frozenset(
    {KeyState.ACTIVE, KeyState.VERIFY_ONLY, KeyState.DISABLED, KeyState.DESTROY_SCHEDULED}
)
"""States of keys whose private half the provider keeps."""


def key_problems(parts: KmsParts) -> Iterator[str]:
    """What is wrong with register and keys; each key that is held is used once.

    A built-in key whose policy or algorithm was changed is a problem too: nobody may change those.
    """
    for finding in find(parts):
        yield f"{finding.provider} {finding.handle}: {finding.detail}".strip()
    for key in parts.register.all():
        if key.state in HELD:
            try:
                problem = _used(parts, key)
            except (QuantumAIError, ValueError) as error:
                problem = str(error)
            if problem:
                yield f"key {key.label}: {problem}"
    yield from _built_in_problems(parts)


def _used(parts: KmsParts, key: KeyVersion) -> str:
    public = key.public_key
    if public is None:
        return "it has no public key"
    public.check()
    if public.algorithm != key.algorithm:
        return f"it is noted as {key.algorithm} and is {public.algorithm}"
    provider = parts.provider(key.provider)
    if key.purpose is KeyPurpose.WRAP:
        made = encapsulate(key.algorithm, public.spki_der)
        if provider.decapsulate(key.handle, made.ciphertext) != made.shared_secret:
            return "what was encapsulated for it does not come out again"
        return ""
    message = b"quantumai self check " + secrets.token_bytes(16)
    signature = provider.sign(key.handle, message)
    if not verify_signature(public.algorithm, public.spki_der, message, signature):
        return "its signature does not hold under its public key"
    return ""


def _built_in_problems(parts: KmsParts) -> Iterator[str]:
    rows = parts.database.select("kms_names")
    for row in rows:
        wanted = BUILT_IN.get(row["name"]) if row["tenant"] == HOME_TENANT else None
        if row["name_ref"] != f"{row['tenant']}/{row['name']}":
            yield f"the name {row['name_ref']} contradicts itself"
        if wanted is None:
            continue
        if (row["algorithm"], row["purpose"]) != (wanted.algorithm, str(wanted.purpose)):
            yield f"the built-in key {row['name']} has another algorithm or purpose"
        if parts.register.policy(row["tenant"], row["name"]) != BUILT_IN_POLICY:
            yield f"the policy of the built-in key {row['name']} was changed"
    for key in parts.register.all():
        if not any(
            (row["tenant"], row["name"], row["algorithm"], row["purpose"])
            == (key.tenant, key.name, key.algorithm, str(key.purpose))
            for row in rows
        ):
            yield f"key {key.label} contradicts its name's algorithm or purpose"
