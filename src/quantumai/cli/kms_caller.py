"""Calling the KMS of a home from the command line: who calls, and what has to follow a change."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from quantumai.bounded_reading import shown_path
from quantumai.cli.terminal import note
from quantumai.errors import ApprovalNeededError, BadInputError, NotFoundError, QuantumAIError

if TYPE_CHECKING:
    from quantumai.keys.management.caller_keys import CallerKeys
    from quantumai.keys.management.kms import Kms
    from quantumai.keys.management.records import Caller, KeyPurpose, KeyVersion
    from quantumai.services.wiring import Home

As = Annotated[
    str | None,
    typer.Option(
        "--as",
        metavar="PRINCIPAL",
        help="Who calls; by default QAI_PRINCIPAL, else the user of the operating system.",
    ),
]
KeyName = Annotated[str, typer.Argument(metavar="NAME", help="The key's name.")]
Version = Annotated[
    int | None,
    typer.Option(
        "--version", metavar="N", min=1, max=999_999, help="Of the key; by default the current one."
    ),
]
IdempotencyKey = Annotated[
    str,
    typer.Option(
        "--idempotency-key",
        metavar="TEXT",
        help="The same call under the same key, within a day, is done once.",
    ),
]
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9._@-]")
_LONGEST_NAME = 63


@dataclass(frozen=True)
class OpenedKeys:
    """A home, its KMS, and the keys as the caller may use them."""

    home: Home
    kms: Kms
    keys: CallerKeys
    caller: Caller

    def purpose(self, name: str) -> KeyPurpose | None:
        """What the key is for; None if there is none of that name. No call, so not audited."""
        found = self._versions(name)
        return found[0].purpose if found else None

    def current_version(self, name: str) -> int:
        """The number of the current version, 0 if there is no such key. Not audited either."""
        found = self._versions(name)
        return self.kms.parts.register.version(self.caller.tenant, name, 0).version if found else 0

    def require_version(self, name: str, version: int = 0) -> None:
        """Raise `NotFoundError` unless there is such a version, 0 for any. Not audited."""
        self.kms.parts.register.version(self.caller.tenant, name, version)

    def require_provider(self, name: str, provider: str) -> None:
        """Raise `BadInputError` unless `provider` is here and makes such keys. Not audited."""
        found, parts = self._versions(name), self.kms.parts
        if found:
            parts.provider_for(found[0].algorithm, provider)
        else:
            parts.provider(provider)

    def _versions(self, name: str) -> tuple[KeyVersion, ...]:
        return self.kms.parts.register.versions(self.caller.tenant, name)

    def tell_ledger(self, key: KeyVersion) -> None:
        """Log in the run ledger what happened to a key; keys that sign no statements stay out."""
        from quantumai.keys.management.records import KeyPurpose

        if key.purpose in (KeyPurpose.RAW, KeyPurpose.WRAP):
            return
        try:
            self.home.open_sealer().ensure_ready()
        except QuantumAIError:
            note(f"what happened to key {key.label} is done, but not in the run ledger yet")
            raise


def caller_named(principal: str | None, approval: bytes = b"") -> Caller:
    """The caller that `--as` names, with a fresh request id. Raises `BadInputError`."""
    import secrets

    from quantumai.keys.management.built_in import INTERNAL
    from quantumai.keys.management.records import Caller

    named = principal if principal is not None else os.environ.get("QAI_PRINCIPAL")
    name = named if named is not None else _system_user()
    if name == INTERNAL.principal:
        raise BadInputError(
            f"the principal {name} is the home itself", hint="say who calls: --as NAME"
        )
    return Caller(INTERNAL.tenant, name, secrets.token_hex(8), approval=approval)


@contextmanager
def opened_keys(
    principal: str | None, *, make: bool = False, approval: bytes = b""
) -> Iterator[OpenedKeys]:
    """The keys of the home for a principal; with `make` the home is made where there is none.

    What is due for destruction is destroyed first; if it cannot be, that is said, and left for the
    next call. Raises `NotFoundError` where there is no home.
    """
    caller = caller_named(principal, approval)
    with _home(make) as home:
        kms = home.open_kms()
        opened = OpenedKeys(home, kms, kms.of(caller), caller)
        try:
            for key in kms.destroy_due():
                note(f"key {key.label} is destroyed: its waiting period is over")
                opened.tell_ledger(key)
        except QuantumAIError as error:
            note(f"a key that is due cannot be destroyed now: {error}")
        yield opened


@contextmanager
def two_principals(caller: Caller, *command: str) -> Iterator[None]:
    """Around a call that a second principal has to make too: say how, if this one is the first."""
    try:
        yield
    except ApprovalNeededError as error:
        shown = shlex.join(["qai", "kms", *command]) + " --as OTHER"
        shown += " --approval SIG" if caller.approval else ""
        raise ApprovalNeededError(
            str(error), hint=f"within 24 hours another principal runs: {shown}"
        ) from None


def bytes_of_hex(text: str, option: str) -> bytes:
    """The bytes that an option has in hexadecimal. Raises `BadInputError`."""
    try:
        # bytes.fromhex alone would skip blanks.
        if text.split() == [text] or not text:
            return bytes.fromhex(text)
    except ValueError:
        pass
    raise BadInputError(f"{option} is not hexadecimal", hint=f"such as {option} 0a1b2c")


def _home(make: bool) -> Home:
    from quantumai.services.existing_home import home_exists
    from quantumai.services.home_token import has_token
    from quantumai.services.wiring import home_root, open_home, open_providers

    root = home_root()
    if home_exists(root):
        return open_home(root)
    if not make:
        raise NotFoundError(
            f"no home at {shown_path(root)}",
            hint="set QAI_HOME to the folder of a home; `qai kms keys create` makes one too",
        )
    if not has_token(root):
        open_providers(root, os.environ)  # refuses production before the home is made
    return open_home(root)


def _system_user() -> str:
    """The name of the effective user, with what no principal may have in it replaced by '-'."""
    import pwd

    try:
        user = pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        user = ""
    name = _NOT_IN_NAMES.sub("-", user).lstrip("._@-")[:_LONGEST_NAME]
    if not name:
        raise BadInputError(
            "the operating system has no usable name for you",
            hint="say who calls: --as NAME, or set QAI_PRINCIPAL",
        )
    return name
