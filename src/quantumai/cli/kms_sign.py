"""`qai kms sign` and `verify`: signatures over files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from quantumai.bounded_reading import shown_path
from quantumai.cli.kms_caller import As, KeyName, OpenedKeys, bytes_of_hex, opened_keys
from quantumai.cli.options import AsJson
from quantumai.cli.terminal import show, show_json
from quantumai.errors import BadInputError, ConflictError

if TYPE_CHECKING:
    from quantumai.keys.management.records import Signed
    from quantumai.provenance.statements.dsse import Envelope

SIGNATURE_INVALID = 1
# The longest signature (SLH-DSA-SHA2-256f) has 49,856 bytes, the longest key in PEM 3,700.
_MAX_SMALL_FILE_BYTES = 2**16
_IN_ONE_PIECE_BYTES = 8 << 20  # what the KMS takes as one message


def sign(
    name: KeyName,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What is signed, byte for byte.")],
    out: Annotated[
        Path | None,
        typer.Option(metavar="SIG", help="Where to write it; may be left out with --json."),
    ] = None,
    context: Annotated[
        str,
        typer.Option(metavar="HEX", help="ML-DSA and SLH-DSA keys for raw, at most 255 bytes."),
    ] = "",
    external_mu: Annotated[
        bool,
        typer.Option("--external-mu", help="FILE holds the 64-byte mu of FIPS 204; ML-DSA, raw."),
    ] = False,
    predicate_type: Annotated[
        str | None,
        typer.Option(metavar="URI", help="Statement keys; by default what the statement says."),
    ] = None,
    principal: As = None,
    as_json: AsJson = False,
) -> None:
    """Sign a file. A raw key signs its bytes, and SIG is the bare signature.

    A statement key signs canonical in-toto statements only, and SIG is their DSSE envelope (JSON).
    For ECDSA the signature is DER. Every signature is verified before it is written.
    """
    from quantumai.bounded_reading import open_regular
    from quantumai.cli.output_file import require_writable, write_file
    from quantumai.keys.management.records import KeyPurpose, check_name

    context_bytes = bytes_of_hex(context, "--context")
    check_name(name)
    if out is None and not as_json:
        raise BadInputError("say where the signature goes", hint="--out SIG, or --json")
    if external_mu and context:
        raise BadInputError("--context does not go with --external-mu", hint="mu has it inside")
    if out is not None:
        require_writable(out, "the signature", file)
    envelope: Envelope | None = None
    with open_regular(file, "the file") as stream, opened_keys(principal) as opened:
        if opened.purpose(name) is KeyPurpose.STATEMENT:
            if context or external_mu:
                raise BadInputError(
                    f"{name} signs statements: without --context and --external-mu",
                    hint="for raw bytes make a key of purpose raw",
                )
            signatures, envelope = _signed_statement(opened, name, stream, predicate_type)
        elif predicate_type is not None:
            raise BadInputError(f"{name} signs no statements", hint="leave --predicate-type out")
        elif external_mu:
            signatures = (opened.keys.sign_mu(name, _mu(stream)),)
        else:
            signatures = (_signed_bytes(opened, name, stream, context_bytes),)
    data = envelope.data if envelope else signatures[0].signature
    if out is not None:
        write_file(out, data, "the signature")
    _say(signatures, envelope, out, as_json)


def verify(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The message, byte for byte.")],
    algorithm: Annotated[
        str,
        typer.Option(metavar="A", help="Such as ML-DSA-65, SLH-DSA-SHA2-128s, ECDSA-P256."),
    ],
    public_key: Annotated[
        Path, typer.Option(metavar="PEM", help="The public key: a SubjectPublicKeyInfo in PEM.")
    ],
    signature: Annotated[
        Path,
        typer.Option(
            metavar="SIG", help="The signature's bytes as they are; for ECDSA they are its DER."
        ),
    ],
    context: Annotated[
        str,
        typer.Option(metavar="HEX", help="ML-DSA and SLH-DSA only, at most 255 bytes."),
    ] = "",
    second_opinion: Annotated[
        bool,
        typer.Option(
            "--second-opinion", help="Ask liboqs too (ML-DSA, SLH-DSA), if it is installed."
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Check a signature over a file: exit 0 if valid, 1 if not, 2 if it cannot be checked.

    Pure ML-DSA (FIPS 204) and SLH-DSA (FIPS 205), Ed25519, ECDSA-P256 with SHA-256, ECDSA-P384
    with SHA-384, RSA-3072-PSS with SHA-256 and 32 bytes of salt. If a second opinion differs, that
    is an error and exit 1.
    """
    from quantumai.bounded_reading import open_regular, read_bounded
    from quantumai.cli.second_opinion import both_verify
    from quantumai.keys.algorithms import key_id
    from quantumai.keys.signatures import verify_stream
    from quantumai.keys.spki import spki_of_pem

    spki_der = spki_of_pem(read_bounded(public_key, _MAX_SMALL_FILE_BYTES, "the public key"))
    signature_bytes = read_bounded(signature, _MAX_SMALL_FILE_BYTES, "the signature")
    context_bytes = bytes_of_hex(context, "--context")
    second = ""
    with open_regular(file, "the file") as stream:
        asked = (algorithm, spki_der, stream, signature_bytes, context_bytes)
        if second_opinion:
            valid, second = both_verify(*asked)
        else:
            valid = verify_stream(*asked)
    if as_json:
        found = {"valid": valid, "algorithm": algorithm, "key_id": key_id(spki_der)}
        show_json(found | ({"second_opinion": second} if second else {}))
    else:
        shown = "valid" if valid else "NOT valid"
        also = f"; {second} says so too" if second else ""
        show(f"{shown}: {algorithm} signature, key {key_id(spki_der)}{also}")
    raise typer.Exit(0 if valid else SIGNATURE_INVALID)


def _signed_statement(
    opened: OpenedKeys, name: str, stream: BinaryIO, predicate_type: str | None
) -> tuple[tuple[Signed, ...], Envelope]:
    from quantumai.keys.dsse_encoding import IN_TOTO_PAYLOAD_TYPE
    from quantumai.provenance.statements.dsse import envelope_of

    payload = stream.read(_IN_ONE_PIECE_BYTES + 1)
    kind = _predicate_type(payload) if predicate_type is None else predicate_type
    signatures = tuple(opened.keys.sign_statement(name, IN_TOTO_PAYLOAD_TYPE, kind, payload))
    return signatures, envelope_of(payload, signatures)


def _predicate_type(payload: bytes) -> str:
    """What the statement says of itself; "" where it is none, which the KMS then says better."""
    from quantumai.canonical import parse_canonical_json

    try:
        statement = parse_canonical_json(payload)
    except BadInputError:
        return ""
    return str(statement.get("predicateType", "")) if isinstance(statement, dict) else ""


def _signed_bytes(opened: OpenedKeys, name: str, stream: BinaryIO, context: bytes) -> Signed:
    """The signature over all of the file; a long one is brought to an ML-DSA key as its mu."""
    message = stream.read(_IN_ONE_PIECE_BYTES + 1)
    if len(message) <= _IN_ONE_PIECE_BYTES:
        return opened.keys.sign(name, message, context)
    from quantumai.keys.algorithms import raw_public_bytes
    from quantumai.keys.parameters import MAX_CONTEXT_BYTES
    from quantumai.keys.providers.port import Ability
    from quantumai.keys.signatures import ml_dsa_mu

    key = opened.keys.show(name)
    abilities = opened.kms.parts.provider(key.provider).abilities().get(key.algorithm, ())
    if Ability.EXTERNAL_MU not in abilities or key.public_key is None:
        raise BadInputError(
            f"key {name} signs files of at most {_IN_ONE_PIECE_BYTES >> 20} MiB",
            hint="sign a digest of the file",
        )
    if len(context) > MAX_CONTEXT_BYTES:
        raise BadInputError(f"the context has {len(context)} bytes, more than {MAX_CONTEXT_BYTES}")
    stream.seek(0)
    mu = ml_dsa_mu(raw_public_bytes(key.public_key.spki_der), stream, context)
    made = opened.keys.sign_mu(name, mu)
    if made.key_id != key.key_id:  # mu depends on the key
        raise ConflictError(f"key {name} was rotated meanwhile", hint="sign once more")
    return made


def _mu(stream: BinaryIO) -> bytes:
    from quantumai.keys.signatures import MU_BYTES

    mu = stream.read(MU_BYTES + 1)
    if len(mu) != MU_BYTES:
        raise BadInputError(
            f"an external mu has {MU_BYTES} bytes, and the file has not",
            hint="without --external-mu the file itself is signed",
        )
    return mu


def _say(
    signatures: tuple[Signed, ...], envelope: Envelope | None, out: Path | None, as_json: bool
) -> None:
    if as_json:
        import msgspec

        found = {
            "form": "dsse-envelope" if envelope else "bare",
            "signatures": [msgspec.to_builtins(signature) for signature in signatures],
            "out": str(out) if out else None,
        }
        show_json(found | ({"envelope": envelope.as_json()} if envelope else {}))
        return
    assert out is not None
    by = " and ".join(f"{s.name}/{s.version} ({s.algorithm}, id {s.key_id})" for s in signatures)
    bare = f"signature of {len(signatures[0].signature)} bytes"
    form = "DSSE envelope (JSON)" if envelope else bare
    show(f"{form} in {shown_path(out)}, by {by}")
