"""What is installed here, what works, and what to do about the rest.

Looking makes no home: keys and sealing are tried in a throw-away one. Nothing raises, since a
broken home is just what the doctor is asked about.
"""

from __future__ import annotations

import os
import platform
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from quantumai.backends.catalogue import load_catalogue
from quantumai.canonical import canonical_json
from quantumai.errors import KeyUnavailableError, QuantumAIError
from quantumai.services.existing_home import home_exists
from quantumai.services.home_aws_kms import read_home
from quantumai.services.home_objects import read_home_objects
from quantumai.services.home_token import has_token
from quantumai.services.wiring import (
    Home,
    catalogue_path,
    home_root,
    open_aws_keys,
    open_home,
    open_objects,
    open_token_keys,
)

if TYPE_CHECKING:
    from quantumai.provenance.sealing.sealer import Sealer


class State(StrEnum):
    """How a part is; only `broken` keeps the product from working."""

    OK = "ok"
    INFO = "info"
    ABSENT = "absent"
    BROKEN = "broken"


@dataclass(frozen=True)
class Finding:
    """One part, how it is, what was seen, and what to do about it (empty: nothing)."""

    subject: str
    state: State
    detail: str
    advice: str = ""


_SELF_TEST = "urn:quantumai:self-test:v1"
_NEEDED = ("quantumai", "qiskit", "numpy", "cryptography", "sqlalchemy", "alembic")


def examine(environment: Mapping[str, str]) -> tuple[Finding, ...]:
    """All findings, in the order of the list that people read."""
    root = home_root(environment)
    parts: tuple[Callable[[], Iterator[Finding]], ...] = (
        _python,
        _packages,
        _engines,
        lambda: _calibrations(root),
        lambda: _keys(environment),
        lambda: _objects(root),
        lambda: _home(root, environment),
    )
    return tuple(finding for part in parts for finding in part())


def _python() -> Iterator[Finding]:
    yield Finding("python", State.OK, f"{platform.python_version()} on {platform.platform()}")


def _packages() -> Iterator[Finding]:
    for name in _NEEDED:
        version = _version(name)
        if version:
            yield Finding(name, State.OK, version)
        elif name == "quantumai":
            yield Finding(name, State.INFO, "runs from source, not installed")
        else:
            yield Finding(name, State.BROKEN, "not installed", f"pip install {name}")


def _engines() -> Iterator[Finding]:
    yield Finding("engine channel", State.OK, "built in")
    aer = _version("qiskit-aer")
    if aer:
        yield Finding("engine aer", State.OK, f"qiskit-aer {aer}")
    else:
        advice = "pip install 'quantumai[aer]', if you want --engine aer"
        yield Finding("engine aer", State.ABSENT, "not installed", advice)


def _calibrations(root: Path) -> Iterator[Finding]:
    version = _version("qiskit-ibm-runtime")
    if version:
        detail = f"qiskit-ibm-runtime {version}"
        yield Finding("calibrations", State.OK, detail)
    else:
        advice = "pip install 'quantumai[ibm]'"
        yield Finding("calibrations", State.BROKEN, "IBM's fake devices are absent", advice)
    try:
        path = catalogue_path(root)
        entries = load_catalogue(path)
    except Exception as error:
        yield _broken("catalogue", error)
    else:
        where = path or "packaged; prices are illustrative"
        yield Finding("catalogue", State.OK, f"{len(entries)} backends, {where}")


def _keys(environment: Mapping[str, str]) -> Iterator[Finding]:
    mode = environment.get("QAI_ENV") or "not set (development)"
    yield Finding("QAI_ENV", State.INFO, mode)
    yield _soft_keys(environment)
    yield _token_keys(home_root(environment))
    yield _aws_keys(home_root(environment))


def _token_keys(root: Path) -> Finding:
    subject = "keys pkcs11"
    if not has_token(root):
        return Finding(subject, State.ABSENT, "this home has no token", "qai kms token init")
    try:
        found = open_token_keys(root).status()
    except QuantumAIError as error:
        return Finding(subject, State.BROKEN, str(error), error.hint)
    detail = f"{found.manufacturer} {found.model}, {found.keys} keys; {found.validation}"
    return Finding(subject, State.OK, detail)


def _aws_keys(root: Path) -> Finding:
    subject = "keys aws-kms"
    try:
        found = read_home(root)
        if found is None:
            detail = "this home keeps no keys there"
            return Finding(subject, State.ABSENT, detail, "qai kms aws-kms init")
        provider = open_aws_keys(found)
        provider.check()
    except QuantumAIError as error:
        return Finding(subject, State.BROKEN, str(error), error.hint)
    return Finding(subject, State.OK, f"aliases {found.prefix}; {provider.validation}")


def _objects(root: Path) -> Iterator[Finding]:
    try:
        place = read_home_objects(root)
        if place.kind == "s3":  # a folder is looked at with its home
            open_objects(root, place).exists("ledger/checkpoint")
    except QuantumAIError as error:
        yield _broken("objects", error)
    else:
        yield Finding("objects", State.OK, "; ".join(place.described().values()))


def _soft_keys(environment: Mapping[str, str]) -> Finding:
    subject = "keys soft"
    with tempfile.TemporaryDirectory(prefix="qai-doctor-") as folder:
        try:
            with _quiet(), open_home(Path(folder) / "home", environment) as home:
                sealer = home.open_sealer()
                validation = sealer.keys.validation(sealer.keys.ensure("statement"))
                sealer.export_trust()
                _try_signature(sealer)
        except Exception as error:
            return _broken(subject, error)
    detail = f"signs, verifies and logs; insecure: in software, FIPS validation: {validation}"
    return Finding(subject, State.OK, detail, "use it for development only")


def _home(root: Path, environment: Mapping[str, str]) -> Iterator[Finding]:
    if not os.path.lexists(root):
        yield Finding("home", State.INFO, f"{root} does not exist yet; the first job makes it")
        return
    if not _is_folder(root) or not os.access(root, os.R_OK | os.W_OK | os.X_OK):
        detail = f"{root} is not a directory that we may read and write"
        yield Finding("home", State.BROKEN, detail, "correct QAI_HOME or the permissions")
        return
    if not home_exists(root):
        yield Finding("home", State.INFO, f"{root} is no home yet; the first job makes it one")
        return
    try:
        with _quiet(), open_home(root, environment) as home:
            count = len(home.database.select("jobs"))
            yield Finding("home", State.OK, f"{root}, {count} jobs")
            yield from _ledger(home)
    except Exception as error:
        yield _broken("home", error, f"{root}: ")


def _ledger(home: Home) -> Iterator[Finding]:
    advice = "restore the home from a backup; see `qai ledger verify`"
    try:
        sealer = home.open_sealer()
        problems = sealer.verify_ledger()
        size = sealer.ledger.size()
    except KeyUnavailableError as error:
        yield _broken("home keys", error)
        return
    except Exception as error:
        yield _broken("ledger", error, advice=advice)
        return
    if problems:
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        yield Finding("ledger", State.BROKEN, problems[0] + more, advice)
    else:
        yield Finding("ledger", State.OK, f"{size} leaves, every root and signature holds")
    try:
        _try_signature(sealer)
    except Exception as error:
        yield _broken("home keys", error)
    else:
        yield Finding("home keys", State.OK, "a signature was made and verified, and thrown away")


def _try_signature(sealer: Sealer) -> None:
    """Sign something that is neither logged in the ledger nor kept; the KMS verifies it.

    Its predicate type is unknown to every verifier: nobody could take it for a manifest.
    """
    from quantumai.keys.dsse_encoding import IN_TOTO_PAYLOAD_TYPE, IN_TOTO_STATEMENT
    from quantumai.keys.management.built_in import STATEMENT

    statement = {"_type": IN_TOTO_STATEMENT, "predicateType": _SELF_TEST}
    payload = canonical_json(statement)
    sealer.keys.sign_statement(STATEMENT, IN_TOTO_PAYLOAD_TYPE, _SELF_TEST, payload)


def _broken(subject: str, error: Exception, where: str = "", advice: str = "") -> Finding:
    known = isinstance(error, QuantumAIError)
    detail = str(error) if known else f"{type(error).__name__}: {error}"
    hint = error.hint if isinstance(error, QuantumAIError) else ""
    return Finding(subject, State.BROKEN, where + detail, hint or advice)


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:
        return False


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def _quiet() -> warnings.catch_warnings[None]:
    """The findings say that soft keys are insecure; the warning need not."""
    return warnings.catch_warnings(action="ignore")
