"""Models in their folders: who signed them, by the keys of a home or one that is given."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from quantumai.bounded_reading import read_bounded, sha256_of_file, shown_path
from quantumai.errors import BadInputError
from quantumai.harness.plan import Plan
from quantumai.jobs.model_signing import model_keys
from quantumai.keys.algorithms import PublicKey, algorithm_of_spki
from quantumai.keys.spki import spki_of_pem
from quantumai.provenance.statements.model_signature import SIGNATURE_FILE
from quantumai.provenance.verification.model_signature import verify_model
from quantumai.provenance.verification.report import Outcome, VerificationReport
from quantumai.services.wiring import Home

_MOST_PEM_BYTES = 2**16
_MOST_BUNDLE_BYTES = 2**20


def verify_model_folder(folder: Path, keys: Iterable[PublicKey]) -> VerificationReport:
    """Verify the model in `folder` under `keys`; see `verify_model`.

    Raises `BadInputError` for a folder that cannot be read, or holds a link.
    """
    files, bundle = _files(folder), folder / SIGNATURE_FILE
    signed = files.pop(SIGNATURE_FILE, None) is not None
    data = read_bounded(bundle, _MOST_BUNDLE_BYTES, "the signature") if signed else None
    return verify_model(data, files, keys)


def home_model_keys(home: Home) -> tuple[PublicKey, ...]:
    """The keys that sign models in this home, as far as their signatures still count."""
    return model_keys(home.open_kms().internal())


def model_key(pem: Path) -> PublicKey:
    """The public key in a PEM file. Raises `BadInputError`."""
    spki_der = spki_of_pem(read_bounded(pem, _MOST_PEM_BYTES, "the public key"))
    return PublicKey.of(algorithm_of_spki(spki_der), spki_der)


def doubtful_models(home: Home, plan: Plan) -> Iterator[str]:
    """A line on each model that a plan uses and this home did not sign as it is now."""
    folders = [wanted.parameters.get("model") for wanted in plan.methods]
    for folder in dict.fromkeys(name for name in folders if isinstance(name, str)):
        if doubt := _doubt(Path(folder), home_model_keys(home)):
            yield f"model {shown_path(folder)}: {doubt}"


def _doubt(folder: Path, keys: Iterable[PublicKey]) -> str:
    """What keeps a model from being verified; empty if nothing does."""
    try:
        report = verify_model_folder(folder, keys)
    except BadInputError as error:
        return str(error)
    wrong = [check for check in report.checks if check.status is not Outcome.OK]
    return f"{wrong[0].name}: {wrong[0].detail}" if wrong else ""


def _files(folder: Path) -> dict[str, str]:
    """Names below `folder` -> SHA-256 hex."""
    if not folder.is_dir():
        raise BadInputError(f"{shown_path(folder)} is no folder", hint="give the folder of a model")
    digests = {}
    for path in sorted(folder.rglob("*")):
        if path.is_symlink():
            raise BadInputError(f"{shown_path(path)} is a link", hint="copy the file that it names")
        if not path.is_dir():
            digests[path.relative_to(folder).as_posix()] = sha256_of_file(path, "the model's file")
    return digests
