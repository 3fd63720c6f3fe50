"""What register and providers say of each other, where they differ, and how that is mended.

The token cannot take part in a transaction of the database, so a process that dies in between
leaves one side ahead. The register notes first what is about to be made and strikes out last what
is destroyed. So whatever was begun is found here, and can be done again to its end.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, runtime_checkable

from quantumai.errors import NotFoundError, QuantumAIError
from quantumai.keys.management import ending
from quantumai.keys.management.parts import KmsParts
from quantumai.keys.management.records import KeyVersion
from quantumai.keys.management.states import KeyState
from quantumai.keys.providers.port import KeyProvider, ProviderKey


class FindingKind(StrEnum):
    """How register and provider differ."""

    UNFINISHED = "unfinished"  # a key or a version of it is being made, or its maker died
    OVERDUE = "overdue"  # the waiting period is over and the key is not destroyed
    NOT_DESTROYED = "not destroyed"  # the register says destroyed, the provider has it
    ORPHAN = "orphan"  # the provider has a key that the register does not know
    LOST = "lost"  # the register has a key that the provider does not know
    MISMATCH = "mismatch"  # both have it, with different public keys
    UNREACHABLE = "unreachable"  # the provider does not answer, or this home has it no more


@dataclass(frozen=True)
class Finding:
    """One difference. `handle` is empty where it is about the whole provider.

    `provider_id` is the provider's own name of an orphan that has no handle to reach it by.
    """

    kind: FindingKind
    provider: str
    handle: str
    detail: str
    advice: str
    provider_id: str = ""


class UnnamedKey(Protocol):
    """A key pair that was made for a handle and cannot be reached by it."""

    @property
    def key_id(self) -> str:
        """The provider's own name for it, not the SHA-256 of its public key."""
        ...

    @property
    def handle(self) -> str:
        """What it was made for."""
        ...

    @property
    def created_at(self) -> str:
        """ISO 8601 UTC."""
        ...


@runtime_checkable
class MakesUnnamedKeys(Protocol):
    """A provider in which making and naming a key are two steps, such as AWS KMS."""

    def orphans(self) -> Sequence[UnnamedKey]:
        """Key pairs that were made and never named."""
        ...

    def discard(self, orphan: UnnamedKey) -> None:
        """Destroy one. Raises `ConflictError` if it has its name by now."""
        ...


def find(parts: KmsParts) -> list[Finding]:
    """Every difference between the register and the providers; changes nothing.

    Safe beside calls that are under way: what they are doing may show as unfinished.
    """
    # The providers first: what they list then was noted in the register before.
    held = {name: _held(provider) for name, provider in parts.providers.items()}
    rows = parts.register.all()
    known = {(row.provider, row.handle) for row in rows}
    return [
        *_unreachable(parts, held, rows),
        *(finding for row in rows for finding in _of_row(parts, held, row)),
        *_orphans(parts, held, known),
    ]


_Held = Mapping[str, Mapping[str, ProviderKey] | QuantumAIError]


def _held(provider: KeyProvider) -> Mapping[str, ProviderKey] | QuantumAIError:
    try:
        found = provider.keys()
    except QuantumAIError as error:
        return error
    return {key.handle: key for key in found}


def _unreachable(parts: KmsParts, held: _Held, rows: Sequence[KeyVersion]) -> Iterator[Finding]:
    for name, answer in held.items():
        if isinstance(answer, QuantumAIError):
            advice = answer.hint or "see `qai kms token status`"
            yield Finding(FindingKind.UNREACHABLE, name, "", str(answer), advice)
    for name in sorted({row.provider for row in rows if row.state is not KeyState.DESTROYED}):
        if name not in held:
            detail = "this home does not have this provider, but keys in it"
            yield Finding(FindingKind.UNREACHABLE, name, "", detail, "set it up again")


def _of_row(parts: KmsParts, held: _Held, row: KeyVersion) -> Iterator[Finding]:
    handle, answer = row.handle, held.get(row.provider)
    if row.state is KeyState.PRE_ACTIVE:
        yield _unfinished(parts, row)
    elif ending.is_overdue(parts, row):
        detail = f"the waiting period of key {row.label} was over at {row.destroy_at}"
        yield Finding(FindingKind.OVERDUE, row.provider, handle, detail, "--repair destroys it")
    elif answer is None or isinstance(answer, QuantumAIError):
        return
    elif row.state is KeyState.DESTROYED:
        if handle in answer and _has(parts, row):
            detail = f"the provider has key {row.label} still, or again"
            yield Finding(
                FindingKind.NOT_DESTROYED, row.provider, handle, detail, "--repair destroys it"
            )
    elif handle not in answer:
        if not _has(parts, row) and not _has_changed(parts, row):
            yield Finding(
                FindingKind.LOST,
                row.provider,
                handle,
                f"key {row.label} is {row.state}, and the provider does not have it",
                "restore the provider from a backup; else rotate the key and destroy this version",
            )
    elif answer[handle].public_key != row.public_key:
        detail = f"in place of key {row.label} is another one, whose signatures are refused"
        yield Finding(
            FindingKind.MISMATCH,
            row.provider,
            handle,
            detail,
            "find out who made it; rotate the key and destroy this version, which is both",
        )


def _unfinished(parts: KmsParts, row: KeyVersion) -> Finding:
    what = "creation" if is_creation(parts, row) else "rotation"
    advice = f"--repair completes the {what}"
    if is_vouched(parts, row):
        advice = "the root has to vouch for it: repeat the emergency rotation"
    detail = f"the {what} of key {row.label}, begun at {row.created_at}, did not come to its end"
    return Finding(FindingKind.UNFINISHED, row.provider, row.handle, detail, advice)


def is_creation(parts: KmsParts, row: KeyVersion) -> bool:
    """Whether a version that is being made is the first, apart from any that were given up."""
    others = parts.register.versions(row.tenant, row.name)
    return not any(other.activated_at for other in others)


def is_vouched(parts: KmsParts, row: KeyVersion) -> bool:
    """Whether a version that is being made needs somebody else than the former key to vouch."""
    request = parts.register.row(row.tenant, row.name, row.version)["request"]
    return bool(request and request["vouched"])


def _has(parts: KmsParts, row: KeyVersion) -> bool:
    """Whether the provider has a key now, some time after it listed them all."""
    try:
        parts.provider(row.provider).find(row.handle)
    except NotFoundError:
        return False
    return True


def _has_changed(parts: KmsParts, row: KeyVersion) -> bool:
    """Whether a key went by the book since the register was read."""
    return parts.register.version(row.tenant, row.name, row.version).state is not row.state


def _orphans(parts: KmsParts, held: _Held, known: set[tuple[str, str]]) -> Iterator[Finding]:
    advice = "if no other home uses this provider, --destroy-orphans destroys it"
    for name, answer in held.items():
        if isinstance(answer, QuantumAIError):
            continue
        for handle, key in answer.items():
            if (name, handle) not in known:
                detail = f"no key of this home; made at {key.created_at}"
                yield Finding(FindingKind.ORPHAN, name, handle, detail, advice)
        provider = parts.provider(name)
        if isinstance(provider, MakesUnnamedKeys):
            for orphan in provider.orphans():
                detail = f"{orphan.key_id} was made at {orphan.created_at} and not named"
                yield Finding(
                    FindingKind.ORPHAN, name, orphan.handle, detail, advice, orphan.key_id
                )
