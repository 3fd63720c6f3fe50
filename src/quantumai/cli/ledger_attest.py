"""`qai ledger attest` and `check-attestation`: signed, logged statements about files."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from quantumai.bounded_reading import sha256_of_file, shown_path
from quantumai.cli.auditors_files import is_there, read_evidence, trust_file
from quantumai.cli.options import AsJson
from quantumai.cli.statement_files import statement_files, write_statement
from quantumai.cli.terminal import show, show_json
from quantumai.cli.verification_report import show_report, unreadable
from quantumai.errors import BadInputError

Files = Annotated[list[Path], typer.Argument(metavar="FILE...", help="The files themselves.")]


def attest(
    files: Files,
    kind: Annotated[str, typer.Option(metavar="KIND", help="model, nightly-snapshot or release.")],
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Where the attestation and its proof go.")
    ] = Path(),
    crypto_mode: Annotated[
        str, typer.Option(metavar="MODE", help="The crypto mode to sign in.")
    ] = "pqc-required",
    as_json: AsJson = False,
) -> None:
    """Sign and log the SHA-256 of files; their names are signed, their contents stay here."""
    from quantumai.crypto_mode import CryptoMode
    from quantumai.jobs.attesting import attest_files
    from quantumai.provenance.manifest.attestation import KINDS
    from quantumai.services.wiring import open_home

    mode = CryptoMode.parse(crypto_mode)
    if kind not in KINDS:
        raise BadInputError(f"unknown kind {kind[:40]!r}", hint=f"use one of: {', '.join(KINDS)}")
    digests = _digests(files)
    targets = statement_files(out, f"{kind}.attestation")
    with open_home() as home:
        made = attest_files(home.desk(), kind, digests, mode)
    write_statement(targets, made.envelope, made.proof, "the attestation")
    if as_json:
        written = [str(path) for path in targets]
        show_json({"kind": kind, "files": digests, "leaf_index": made.index, "written": written})
        return
    show(f"{len(digests)} files attested as {kind}: leaf {made.index} of the ledger")
    show(f"verify with: qai ledger check-attestation {shown_path(targets[0])} --trust FILE")


def check_attestation(
    attestation: Annotated[Path, typer.Argument(metavar="ATTESTATION", help="Its JSON file.")],
    files: Annotated[
        list[Path] | None,
        typer.Argument(metavar="FILE...", help="Default: those beside it that it names."),
    ] = None,
    trust: Annotated[Path | None, typer.Option(metavar="FILE", help="The keys to believe.")] = None,
    proof: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Default: the .proof beside it.")
    ] = None,
    allow_unchecked: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="A check that may lack evidence. Repeatable."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check an attestation offline: files, signature, ledger; exit codes as of manifest verify."""
    from quantumai.provenance.manifest.attestation import verify_attestation

    envelope = read_evidence(attestation, "the attestation")
    sibling = attestation.with_suffix(".proof")
    proof = proof or (sibling if is_there(sibling) else None)
    report = verify_attestation(
        envelope,
        _digests(files or _named_beside(attestation, envelope)),
        read_evidence(proof, "the proof") if proof else None,
        trust_file(trust) if trust else None,
        allow_unchecked=frozenset(allow_unchecked or ()),
    )
    if reason := unreadable(report):
        raise BadInputError(
            f"{shown_path(attestation)} is no attestation: {reason}",
            hint="give one that `qai ledger attest` wrote",
        )
    show_report(report, as_json)
    raise typer.Exit(int(report.exit_code))


def _digests(files: Sequence[Path]) -> dict[str, str]:
    """File name -> SHA-256 hex; a file of any size is read in pieces."""
    digests: dict[str, str] = {}
    for file in files:
        name = unicodedata.normalize("NFC", file.name)
        if name in digests:
            raise BadInputError(
                f"two files are called {shown_path(name)}", hint="rename one: names are signed"
            )
        digests[name] = sha256_of_file(file, "the file")
    return digests


def _named_beside(attestation: Path, envelope: bytes) -> list[Path]:
    """The attested files that lie beside the attestation; a name that is a path is not followed."""
    from quantumai.provenance.manifest.attestation import parse_attestation
    from quantumai.provenance.statements.dsse import parse_envelope

    try:
        statement, _ = parse_attestation(parse_envelope(envelope))
    except BadInputError:
        return []  # the verification says what is wrong with it
    plain = [name for name in statement.digests if name and Path(name).name == name]
    return [path for path in map(attestation.with_name, plain) if is_there(path)]
