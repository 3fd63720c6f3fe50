"""`qai ledger cosign`: have the newest checkpoint cosigned by witnesses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from quantumai.cli.options import AsJson
from quantumai.cli.terminal import show, show_json
from quantumai.errors import BadInputError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from quantumai.provenance.public_log.cosigning import Asked
    from quantumai.services.home_witnesses import HomeWitnesses

_CONTRADICTED, _TOO_FEW = 6, 13


def cosign(
    witness: Annotated[
        str | None,
        typer.Option(
            metavar="URL", help="Ask this one. Default: the home's, of `qai witness add`."
        ),
    ] = None,
    key: Annotated[
        list[str] | None,
        typer.Option(metavar="VKEY", help="Its verifier key. Repeatable, one of each kind."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Ask witnesses to cosign the ledger's newest checkpoint; each answer is verified and kept.

    Exit 6 if one knows another ledger than this; 13 if fewer than the quorum cosigned.
    """
    from quantumai.provenance.public_log.cosigning import ask_witnesses
    from quantumai.services.existing_home import open_existing_home
    from quantumai.services.wiring import utc_now
    from quantumai.services.witness.client import HttpWitness

    with open_existing_home() as home:
        known = _whom_to_ask(home.root, witness, key or [])
        ledger = (home.look_at_sealer() or home.open_sealer()).ledger
        asked = ask_witnesses(ledger, known.witnesses, HttpWitness, utc_now)
    if as_json:
        show_json({"quorum": known.quorum, "witnesses": [_record(each) for each in asked]})
    else:
        for each in asked:
            told = f": {each.detail}" if each.detail else ""
            show(f"{each.outcome:<12} {each.witness.name} at {each.size} leaves{told}")
    raise typer.Exit(_exit_code(asked, known.quorum))


def _whom_to_ask(root: Path, url: str | None, keys: list[str]) -> HomeWitnesses:
    from quantumai.provenance.ledger.note import VerifierKey
    from quantumai.provenance.public_log.cosigning import KnownWitness
    from quantumai.services.home_witnesses import HomeWitnesses, home_witnesses
    from quantumai.services.web_address import check_url

    if url is None:
        known = home_witnesses(root)
        if keys or not known.witnesses:
            raise BadInputError(
                "which witness?", hint="--witness URL --key VKEY, or list one: qai witness add"
            )
        return known
    verifier_keys = tuple(VerifierKey.parse(text) for text in keys)
    return HomeWitnesses((KnownWitness(check_url(url), verifier_keys).check(),))


def _record(asked: Asked) -> dict[str, object]:
    return {
        "name": asked.witness.name,
        "url": asked.witness.url,
        "outcome": str(asked.outcome),
        "size": asked.size,
        "timestamp": asked.timestamp or None,
        "detail": asked.detail,
    }


def _exit_code(asked: Sequence[Asked], quorum: int) -> int:
    from quantumai.provenance.public_log.cosigning import Outcome

    if any(each.outcome is Outcome.CONTRADICTED for each in asked):
        return _CONTRADICTED
    done = sum(each.outcome is Outcome.COSIGNED for each in asked)
    return 0 if done >= max(quorum, 1) else _TOO_FEW
