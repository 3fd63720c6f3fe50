"""The interface as a table: which request makes which call of the port, and what answers it.

Both the routes and their description in OpenAPI are made from it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from quantumai.keys.management.port import KeyManagement
from quantumai.keys.management.records import KeyPolicy, KeyVersion, Signed
from quantumai.services.kms import wire

Call = Callable[[KeyManagement, "Asked"], msgspec.Struct]


@dataclass(frozen=True)
class Asked:
    """What one request says: the key's name (or ""), the version, the body, what makes it once."""

    name: str
    version: int
    body: Any
    idempotency_key: str


@dataclass(frozen=True)
class Operation:
    """One method on one path. Without a type of body there is none."""

    method: str
    path: str
    summary: str
    body: type[msgspec.Struct] | None
    answer: type[msgspec.Struct]
    call: Call
    changes: bool = False
    by_version: bool = False  # takes the query parameter `version`
    status: int = 200

    @property
    def names_key(self) -> bool:
        """Whether a key's name stands in the path."""
        return "{name}" in self.path


def _change(
    verb: str, summary: str, body: type[msgspec.Struct], call: Callable[[Any, Asked], KeyVersion]
) -> Operation:
    return Operation("POST", f"/keys/{{name}}/{verb}", summary, body, KeyVersion, call, True)


def _use(
    verb: str, summary: str, body: type[msgspec.Struct], answer: type[msgspec.Struct], call: Call
) -> Operation:
    return Operation("POST", f"/keys/{{name}}/{verb}", summary, body, answer, call)


def _read(
    path: str, summary: str, answer: type[msgspec.Struct], call: Call, by_version: bool = False
) -> Operation:
    return Operation("GET", path, summary, None, answer, call, by_version=by_version)


# Routes are tried in this order, and signatures are asked for most.
OPERATIONS = (
    _use(
        "sign",
        "Sign bytes with a key of purpose raw.",
        wire.SignMessage,
        Signed,
        lambda kms, a: kms.sign(a.name, a.body.message, a.body.context),
    ),
    _use(
        "sign-mu",
        "Sign an external mu (FIPS 204) with a key of purpose raw.",
        wire.SignMu,
        Signed,
        lambda kms, a: kms.sign_mu(a.name, a.body.mu),
    ),
    _use(
        "sign-statement",
        "Sign an in-toto statement with every active version.",
        wire.SignStatement,
        wire.SignatureList,
        lambda kms, a: wire.SignatureList(
            tuple(
                kms.sign_statement(
                    a.name, a.body.payload_type, a.body.predicate_type, a.body.payload
                )
            )
        ),
    ),
    _use(
        "verify",
        "Verify a signature.",
        wire.VerifySignature,
        wire.Verdict,
        lambda kms, a: wire.Verdict(
            kms.verify(
                a.name,
                a.body.message,
                a.body.signature,
                version=a.body.version,
                context=a.body.context,
            )
        ),
    ),
    _use(
        "wrap",
        "Encrypt a data key of 16 to 64 bytes.",
        wire.WrapKey,
        wire.Wrapped,
        lambda kms, a: wire.Wrapped(kms.wrap(a.name, a.body.data_key, a.body.associated_data)),
    ),
    _use(
        "unwrap",
        "Decrypt a data key.",
        wire.UnwrapKey,
        wire.DataKey,
        lambda kms, a: wire.DataKey(kms.unwrap(a.name, a.body.wrapped, a.body.associated_data)),
    ),
    Operation(
        "POST",
        "/keys",
        "Make version 1 of a key.",
        wire.CreateKey,
        KeyVersion,
        lambda kms, a: kms.create(
            a.body.name,
            a.body.algorithm,
            a.body.purpose,
            policy=a.body.policy,
            idempotency_key=a.idempotency_key,
        ),
        changes=True,
        status=201,
    ),
    _read(
        "/keys",
        "List every version of every key of the tenant.",
        wire.KeyList,
        lambda kms, a: wire.KeyList(tuple(kms.list())),
    ),
    _read(
        "/keys/{name}",
        "Show a version, public key included; 0 is the current one.",
        KeyVersion,
        lambda kms, a: kms.show(a.name, a.version),
        by_version=True,
    ),
    _read(
        "/keys/{name}/usage",
        "Count the uses of each version.",
        wire.UsageList,
        lambda kms, a: wire.UsageList(tuple(kms.usage(a.name))),
    ),
    _read(
        "/keys/{name}/policy",
        "Show the policy of a key.",
        KeyPolicy,
        lambda kms, a: kms.policy(a.name),
    ),
    Operation(
        "PUT",
        "/keys/{name}/policy",
        "Two principals: replace the policy of all versions.",
        KeyPolicy,
        KeyPolicy,
        lambda kms, a: kms.set_policy(a.name, a.body, idempotency_key=a.idempotency_key),
        changes=True,
    ),
    _change(
        "rotate",
        "Make the next version.",
        wire.RotateKey,
        lambda kms, a: kms.rotate(
            a.name,
            provider=a.body.provider,
            overlap=a.body.overlap,
            idempotency_key=a.idempotency_key,
        ),
    ),
    _change(
        "retire",
        "Make an active version verify-only.",
        wire.RetireVersion,
        lambda kms, a: kms.retire(a.name, a.body.version, idempotency_key=a.idempotency_key),
    ),
    _change(
        "disable",
        "Forbid every use of a version.",
        wire.OneVersion,
        lambda kms, a: kms.disable(a.name, a.body.version, idempotency_key=a.idempotency_key),
    ),
    _change(
        "enable",
        "Take back `disable`.",
        wire.OneVersion,
        lambda kms, a: kms.enable(a.name, a.body.version, idempotency_key=a.idempotency_key),
    ),
    _change(
        "compromised",
        "Two principals: mark a version compromised.",
        wire.MarkCompromised,
        lambda kms, a: kms.mark_compromised(
            a.name,
            a.body.version,
            from_index=a.body.from_index,
            idempotency_key=a.idempotency_key,
        ),
    ),
    _change(
        "destroy",
        "Two principals: destroy a version after a waiting period.",
        wire.ScheduleDestruction,
        lambda kms, a: kms.schedule_destruction(
            a.name,
            a.body.version,
            waiting_days=a.body.waiting_days,
            idempotency_key=a.idempotency_key,
        ),
    ),
    _change(
        "cancel-destroy",
        "Take back a scheduled destruction.",
        wire.OneVersion,
        lambda kms, a: kms.cancel_destruction(
            a.name, a.body.version, idempotency_key=a.idempotency_key
        ),
    ),
)
