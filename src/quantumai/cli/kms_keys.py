"""`qai kms keys`: make keys, look at them, hand out public halves, set policies."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from quantumai.bounded_reading import read_bounded, shown_path
from quantumai.cli.kms_approval import Approval, ApprovalRequest, Signing
from quantumai.cli.kms_caller import (
    As,
    IdempotencyKey,
    KeyName,
    Version,
    opened_keys,
    two_principals,
)
from quantumai.cli.options import AsJson, group
from quantumai.cli.terminal import show, show_json, table
from quantumai.errors import BadInputError

if TYPE_CHECKING:
    from quantumai.keys.algorithms import PublicKey
    from quantumai.keys.management.records import KeyPolicy, KeyPurpose, KeyVersion

app = group("Keys: make, look at, rotate, disable and destroy them.")

_MAX_POLICY_BYTES = 2**16
_STDOUT = Path("-")


@app.command("create")
def create(
    name: KeyName,
    algorithm: Annotated[
        str,
        typer.Option(metavar="A", help="Such as ML-DSA-65, SLH-DSA-SHA2-128s, ML-KEM-768."),
    ],
    purpose: Annotated[
        str, typer.Option(metavar="P", help="For life: raw, statement, or wrap (ML-KEM).")
    ],
    policy: Annotated[
        Path | None, typer.Option(metavar="FILE", help="JSON, as `keys policy` prints it.")
    ] = None,
    principal: As = None,
    idempotency_key: IdempotencyKey = "",
    as_json: AsJson = False,
) -> None:
    """Make version 1 of a key. A raw key signs any bytes, a statement key in-toto statements."""
    from quantumai.keys.management.built_in import BUILT_IN
    from quantumai.keys.management.lifecycle import require_fit
    from quantumai.keys.management.records import KeyPurpose, check_name

    # All that can be wrong with the words is found before a home is made.
    wanted = _purpose(purpose)
    if check_name(name) in BUILT_IN:
        raise BadInputError(f"{name} is a key of the home itself", hint="choose another name")
    require_fit(algorithm, wanted)
    rules = _read_policy(policy) if policy else None
    with opened_keys(principal, make=True) as opened:
        if wanted is KeyPurpose.STATEMENT:
            opened.home.open_sealer()  # a home that cannot seal makes no keys for statements
        key = opened.keys.create(
            name, algorithm, wanted, policy=rules, idempotency_key=idempotency_key
        )
        opened.tell_ledger(key)
    show_key(key, as_json)


@app.command("list")
def list_all(principal: As = None, as_json: AsJson = False) -> None:
    """Every version of every key, those of the home itself included."""
    import msgspec

    with opened_keys(principal) as opened:
        keys = opened.keys.list()
    if as_json:
        show_json([msgspec.to_builtins(key) for key in keys])
        return
    if not keys:
        show("No keys yet. Make one with `qai kms keys create`.")
        return
    rows = [
        (key.label, key.algorithm, str(key.purpose), str(key.state), key.provider, key.created_at)
        for key in keys
    ]
    for line in table(("key", "algorithm", "purpose", "state", "provider", "created"), rows):
        show(line)


@app.command("show")
def show_one(
    name: KeyName, version: Version = None, principal: As = None, as_json: AsJson = False
) -> None:
    """One version of a key, and how often it was used."""
    import msgspec

    with opened_keys(principal) as opened:
        key = opened.keys.show(_checked(name), version or 0)
        used = next(u for u in opened.keys.usage(name) if u.version == key.version)
    if as_json:
        show_json({"key": msgspec.to_builtins(key), "usage": msgspec.to_builtins(used)})
        return
    show_key(key, as_json=False)
    last = f", last at {used.last_used_at}" if used.uses else ""
    show(f"uses       {used.uses}{last}")


@app.command("public")
def public(
    name: KeyName,
    out: Annotated[
        Path | None, typer.Option(metavar="PEM", help="Write to a file instead of stdout.")
    ] = None,
    version: Version = None,
    jwk: Annotated[
        bool, typer.Option("--jwk", help="A JSON Web Key instead of SubjectPublicKeyInfo in PEM.")
    ] = False,
    principal: As = None,
    as_json: AsJson = False,
) -> None:
    """The public half of a key."""
    from quantumai.cli.output_file import require_writable, write_file

    file = None if out == _STDOUT else out
    if file:
        require_writable(file, "the public key")
    with opened_keys(principal) as opened:
        key = opened.keys.show(_checked(name), version or 0)
    if key.public_key is None:
        raise BadInputError(
            f"key {key.label} is being made", hint="make the call again that made it"
        )
    text = _form(key.public_key, jwk)
    if file:
        write_file(file, text.encode(), "the public key")
    if as_json:
        printed = {"out": str(file)} if file else {"jwk" if jwk else "pem": text}
        show_json(_head(key) | printed)
    elif file:
        show(f"public key of {key.label} ({key.algorithm}), id {key.key_id}, in {file}")
    else:
        show(text.rstrip("\n"))


@app.command("policy")
def policy(
    name: KeyName,
    new: Annotated[
        Path | None,
        typer.Option("--set", metavar="FILE", help="Two principals: replace it by this JSON."),
    ] = None,
    principal: As = None,
    idempotency_key: IdempotencyKey = "",
    approval: Approval = None,
    approval_request: ApprovalRequest = None,
    as_json: AsJson = False,
) -> None:
    """A key's policy as JSON, with or without --json: who may do what with it, and how often."""
    import msgspec

    from quantumai.keys.management.joint_calls import policy_change

    wanted = _read_policy(new) if new else None
    signing = Signing(approval, approval_request)
    if wanted is None and (approval or approval_request):
        raise BadInputError("only --set takes an approval", hint="give --set FILE too")
    with opened_keys(principal, approval=signing.signature()) as opened:
        if wanted is None:
            found = opened.keys.policy(_checked(name))
        else:
            if signing.request:
                opened.require_version(_checked(name))
            call = policy_change(_checked(name), wanted)
            if signing.write_request(opened.kms.parts, opened.caller, call, as_json):
                return
            with two_principals(opened.caller, "keys", "policy", name, "--set", str(new)):
                found = opened.keys.set_policy(
                    _checked(name), wanted, idempotency_key=idempotency_key
                )
    show_json(msgspec.to_builtins(found))


def show_key(key: KeyVersion, as_json: bool) -> None:
    """Print one key version."""
    import msgspec

    if as_json:
        show_json(msgspec.to_builtins(key))
        return
    show(f"key        {key.label}")
    show(f"algorithm  {key.algorithm}")
    show(f"purpose    {key.purpose}")
    show(f"state      {key.state}")
    show(f"provider   {key.provider}")
    show(f"key id     {key.key_id or 'not made yet'}")
    for word, time in (
        ("created", key.created_at),
        ("active", key.activated_at),
        ("retired", key.retired_at),
        ("destroy", key.destroy_at),
    ):
        if time:
            show(f"{word:<9}  {time}")
    if key.compromised_from is not None:
        show(f"void       from leaf {key.compromised_from} of the run ledger on")


def _head(key: KeyVersion) -> dict[str, Any]:
    return {
        "name": key.name,
        "version": key.version,
        "algorithm": key.algorithm,
        "key_id": key.key_id,
    }


def _form(key: PublicKey, jwk: bool) -> str:
    if jwk:
        import json

        from quantumai.keys.jwk import public_jwk

        return json.dumps(public_jwk(key), indent=2) + "\n"
    from quantumai.keys.spki import pem_of_spki

    return pem_of_spki(key.spki_der)


def _purpose(text: str) -> KeyPurpose:
    from quantumai.keys.management.records import KeyPurpose

    purposes = {str(p): p for p in (KeyPurpose.RAW, KeyPurpose.STATEMENT, KeyPurpose.WRAP)}
    if text not in purposes:
        raise BadInputError(
            f"unknown purpose {text[:60]!r}", hint="use raw, statement, or wrap (ML-KEM)"
        )
    return purposes[text]


def _read_policy(path: Path) -> KeyPolicy:
    import msgspec

    from quantumai.keys.management.records import KeyPolicy

    data = read_bounded(path, _MAX_POLICY_BYTES, "the policy")
    try:
        return msgspec.json.decode(data, type=KeyPolicy).check()
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadInputError(
            f"{shown_path(path)} is no policy: {error}",
            hint="`qai kms keys policy NAME` prints one",
        ) from None


def _checked(name: str) -> str:
    from quantumai.keys.management.records import check_name

    return check_name(name)
