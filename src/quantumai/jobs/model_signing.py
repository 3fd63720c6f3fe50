"""Signing the models of a run in the format of OpenSSF model signing, with a key of the home.

An addition for those who get a model without the run: the format is classical. The evidence is the
run's manifest, whose artefacts are all files of each model and this signature beside them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import PurePosixPath

from quantumai.canonical import sha256_hex
from quantumai.errors import ArtefactError
from quantumai.harness.run_folder import RunFolder
from quantumai.jobs.desk import Desk
from quantumai.keys.algorithms import PublicKey
from quantumai.keys.management.built_in import MODEL
from quantumai.keys.management.internal_keys import InternalKeys
from quantumai.keys.management.states import KeyState
from quantumai.mitigation.ml_qem.onnx_model import CARD
from quantumai.provenance.statements.dsse import parse_envelope
from quantumai.provenance.statements.model_signature import (
    SIGNATURE_FILE,
    model_statement,
    write_model_signature,
)
from quantumai.provenance.verification.model_signature import verify_model
from quantumai.provenance.verification.report import Outcome


def sign_models(desk: Desk, run: RunFolder) -> None:
    """Sign every model of a run that is not signed yet.

    Raises `ArtefactError` for one whose files are not those that were signed.
    """
    names = run.files()
    for folder in model_folders(names):
        prefix = f"{folder}/"
        files = {
            name.removeprefix(prefix): sha256_hex((run.path / name).read_bytes())
            for name in names
            if name.startswith(prefix)
        }
        if SIGNATURE_FILE in files:
            del files[SIGNATURE_FILE]
            _require_signed(desk, folder, (run.path / folder / SIGNATURE_FILE).read_bytes(), files)
        else:
            bundle = sign_model(desk, PurePosixPath(folder).name, files)
            run.write(f"{folder}/{SIGNATURE_FILE}", bundle)


def model_folders(names: Iterable[str]) -> list[str]:
    """Folders of the models among a run's files, sorted."""
    return sorted(name.removesuffix(f"/{CARD}") for name in names if name.endswith(f"/{CARD}"))


def sign_model(desk: Desk, model: str, files: Mapping[str, str]) -> bytes:
    """The signature's file for a model's `files` (name -> SHA-256 hex), by the key `MODEL`."""
    sealer = desk.open_sealer()
    envelope = parse_envelope(sealer.sign_with((MODEL,), model_statement(model, files)))
    # In the overlap of a rotation two versions sign, the newest first; a bundle has one signature.
    newest = envelope.signatures[0]
    public = next(k for k in sealer.signer.public_keys(MODEL) if k.key_id == newest.key_id)
    return write_model_signature(replace(envelope, signatures=(newest,)), public)


def model_keys(keys: InternalKeys) -> tuple[PublicKey, ...]:
    """The keys that sign models, of all versions whose signatures still count."""
    void = (KeyState.PRE_ACTIVE, KeyState.DISABLED, KeyState.COMPROMISED)
    return tuple(
        key.public_key
        for key in keys.every_version()
        if key.name == MODEL and key.public_key
        if key.state not in void and key.compromised_from is None
    )


def _require_signed(desk: Desk, folder: str, bundle: bytes, files: Mapping[str, str]) -> None:
    report = verify_model(bundle, files, model_keys(desk.open_sealer().keys))
    for check in report.checks:
        if check.status is not Outcome.OK:
            raise ArtefactError(
                f"{folder} of the run does not verify: {check.name}: {check.detail}",
                hint=f"restore the folder, or delete its {SIGNATURE_FILE} to have it signed again",
            )
