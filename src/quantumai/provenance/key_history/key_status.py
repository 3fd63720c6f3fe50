"""Key status: from which ledger leaf to which a key's signatures count, signed by the authority."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from quantumai.errors import BadInputError
from quantumai.provenance.statements.dsse import Envelope
from quantumai.provenance.statements.statement import KEY_STATUS, build_statement, parse_predicate


class KeyStatus(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Status of a key in the ledger of `tree_size` leaves with `root_hash` (hex).

    A signature counts if its leaf index i has `active_from_index` <= i, and i <
    `retired_at_index` and i < `compromised_from_index` where those are given.
    """

    key_id: str
    tree_size: int
    root_hash: str
    active_from_index: int | None
    retired_at_index: int | None
    compromised_from_index: int | None
    provider: str = ""  # where the private key is, and the validation behind that, as it said
    validation: str = ""

    @property
    def ends_at_index(self) -> int | None:
        """First leaf index from which signatures no longer count, or None."""
        ends = [self.retired_at_index, self.compromised_from_index]
        return earliest(end for end in ends if end is not None)

    def problem_at(self, index: int) -> str:
        """Why a signature logged at leaf `index` does not count; empty if it does."""
        if self.active_from_index is None or index < self.active_from_index:
            return f"the key was not yet active at leaf {index}"
        if self.compromised_from_index is not None and index >= self.compromised_from_index:
            return f"the key counts as compromised from leaf {self.compromised_from_index}"
        if self.retired_at_index is not None and index >= self.retired_at_index:
            return f"the key was retired at leaf {self.retired_at_index}"
        return ""


def build_key_status(status: KeyStatus) -> bytes:
    """Statement bytes of a key status; its subject is the key, whose id is its SHA-256."""
    return build_statement({"key": status.key_id}, KEY_STATUS, msgspec.to_builtins(status))


def parse_key_status(envelope: Envelope) -> KeyStatus:
    """Read a key status; its signature is not checked here. Raises `BadInputError`."""
    statement, status = parse_predicate(envelope.payload, KEY_STATUS, KeyStatus, "a key status")
    if statement.digests != {"key": status.key_id}:
        raise BadInputError("the key status is about another key than its subject")
    return status


def earliest(indices: Iterable[int]) -> int | None:
    """The smallest index, or None without any."""
    return min(indices, default=None)
