"""Options of commands that take two principals: sign what is asked for, or see what to sign."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from quantumai.bounded_reading import read_bounded
from quantumai.cli.output_file import require_writable, write_file
from quantumai.cli.terminal import show, show_json, visible
from quantumai.errors import BadInputError

if TYPE_CHECKING:
    from quantumai.keys.management.joint_calls import JointCall
    from quantumai.keys.management.parts import KmsParts
    from quantumai.keys.management.records import Caller

Approval = Annotated[
    Path | None,
    typer.Option(
        "--approval",
        metavar="SIG",
        help="Where approvers are enrolled: your signature of what --approval-request wrote.",
    ),
]
ApprovalRequest = Annotated[
    Path | None,
    typer.Option(
        "--approval-request",
        metavar="FILE",
        help="Only write the bytes that you have to sign, for --approval, today or tomorrow.",
    ),
]
_LONGEST_SIGNATURE = 2**16


@dataclass(frozen=True)
class Signing:
    """The two options of one command. Raises `BadInputError` if they cannot be used."""

    approval: Path | None
    request: Path | None

    def __post_init__(self) -> None:
        if self.approval and self.request:
            raise BadInputError("--approval does not go with --approval-request", hint="first sign")
        if self.request:
            require_writable(self.request, "what to sign", hint="give another --approval-request")

    def signature(self) -> bytes:
        """The caller's approval, empty if none is given. Raises `BadInputError`."""
        if self.approval is None:
            return b""
        found = read_bounded(self.approval, _LONGEST_SIGNATURE, "the approval")
        if not found:
            raise BadInputError("the approval is empty", hint="give the signature's bytes")
        return found

    def write_request(
        self, parts: KmsParts, caller: Caller, call: JointCall, as_json: bool
    ) -> bool:
        """Whether no more is asked for than what `caller` has to sign; it is then written."""
        if self.request is None:
            return False
        day = parts.now()[:10]
        write_file(self.request, call.to_sign(caller.tenant, caller.principal, day), "what to sign")
        if as_json:
            statement = json.loads(call.statement(caller.tenant, caller.principal, day))
            show_json({"approval_request": str(self.request), "statement": statement})
            return True
        show(f"to sign    {self.request}")
        show(f"operation  {call.operation} of {visible(call.target)}")
        show(f"arguments  {visible(json.dumps(call.arguments))}")
        show(f"approver   {caller.principal}, on {day} (UTC)")
        show("Sign it with an enrolled key, such as by `qai kms sign KEY FILE --out SIG` in a home")
        show("of your own, and run the same command with --approval SIG.")
        return True
