"""One call to the KMS: whatever happens to it, it leaves one entry in the audit log.

A call that changed something has written its entry in the transaction of the change. Every other
call writes it here, before the caller sees the answer; if that fails there is no answer.
"""

from __future__ import annotations

from types import TracebackType

from quantumai.canonical import sha256_hex
from quantumai.errors import (
    ApprovalNeededError,
    DeniedError,
    QuantumAIError,
    RateLimitedError,
)
from quantumai.keys.audit.entry import AuditRecord, Outcome
from quantumai.keys.audit.log import AuditLog
from quantumai.keys.management.records import Caller, KeyVersion

_UNKNOWN = 48


class AuditedCall:
    """A context around a call; `with` it everything that can go wrong is put down."""

    def __init__(
        self, log: AuditLog, caller: Caller, operation: str, name: str, payload: bytes
    ) -> None:
        self._log = log
        self.caller = caller
        self._operation = operation
        # What a caller names may be anything; an entry has room for a name.
        self._name = name.encode("ascii", "backslashreplace").decode()[:_UNKNOWN]
        self.payload_sha256 = sha256_hex(payload)
        self.outcome = Outcome.OK
        self._keys: tuple[KeyVersion | None, ...] = (None,)
        self._written = False

    def about(self, key: KeyVersion, *others: KeyVersion) -> KeyVersion:
        """Note which key version the call is about (there may be several); return the first."""
        self._keys = (key, *others)
        return key

    def records(self, outcome: Outcome, error: str = "") -> list[AuditRecord]:
        """One record for each version that the call is about."""
        return [
            AuditRecord(
                tenant=self.caller.tenant,
                principal=self.caller.principal,
                request_id=self.caller.request_id,
                tls_group=self.caller.tls_group,
                operation=self._operation,
                key=key.name if key else self._name,
                version=key.version if key else None,
                key_id=key.key_id if key else "",
                payload_sha256=self.payload_sha256,
                outcome=outcome,
                error=error,
            )
            for key in self._keys
        ]

    def write_within(self, outcome: Outcome = Outcome.OK, error: str = "") -> None:
        """Write the entry inside the caller's transaction, which has to commit after it."""
        self._log.append_within(*self.records(outcome, error))
        self._written = True

    def withdraw(self) -> None:
        """Leave no entry: there was nothing to do, or another process has done and audited it."""
        self._written = True

    def __enter__(self) -> AuditedCall:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            if self._written:
                self._log.committed()
            else:
                self._log.append(*self.records(self.outcome))
        elif isinstance(error, ApprovalNeededError) and self._written:
            return
        elif isinstance(error, Exception):
            code = error.code if isinstance(error, QuantumAIError) else QuantumAIError.code
            denied = isinstance(error, (DeniedError, RateLimitedError))
            outcome = Outcome.DENIED if denied else Outcome.FAILED
            self._log.append(*self.records(outcome, code))
