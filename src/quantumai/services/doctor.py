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

from quantumai.backends.catalogue import load_catalogue
from quantumai.errors import QuantumAIError
from quantumai.services.wiring import catalogue_path, home_root, open_home


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
        entries = load_catalogue(catalogue_path(root))
    except QuantumAIError as error:
        yield Finding("catalogue", State.BROKEN, str(error), error.hint)
    else:
        where = catalogue_path(root) or "packaged; prices are illustrative"
        yield Finding("catalogue", State.OK, f"{len(entries)} backends, {where}")


def _keys(environment: Mapping[str, str]) -> Iterator[Finding]:
    mode = environment.get("QAI_ENV") or "not set (development)"
    yield Finding("QAI_ENV", State.INFO, mode)
    yield _soft_keys(environment)
    for name in ("pkcs11", "aws-kms"):
        yield Finding(f"keys {name}", State.ABSENT, "not in this release")


def _soft_keys(environment: Mapping[str, str]) -> Finding:
    subject = "keys soft"
    with tempfile.TemporaryDirectory(prefix="qai-doctor-") as folder:
        try:
            with _quiet(), open_home(Path(folder) / "home", environment) as home:
                validation = home.open_sealer().keys.validation
                home.open_sealer().export_trust()
        except QuantumAIError as error:
            return Finding(subject, State.BROKEN, str(error), error.hint)
        except Exception as error:
            return Finding(subject, State.BROKEN, f"{type(error).__name__}: {error}")
    detail = f"signs and logs; insecure: in software, FIPS validation: {validation}"
    return Finding(subject, State.OK, detail, "use it for development only")


def _home(root: Path, environment: Mapping[str, str]) -> Iterator[Finding]:
    if not root.exists():
        yield Finding("home", State.INFO, f"{root} does not exist yet; the first job makes it")
        return
    if not root.is_dir() or not os.access(root, os.R_OK | os.W_OK | os.X_OK):
        detail = f"{root} is not a directory that we may read and write"
        yield Finding("home", State.BROKEN, detail, "correct QAI_HOME or the permissions")
        return
    try:
        with _quiet(), open_home(root, environment) as home:
            count = len(home.database.select("jobs"))
            yield Finding("home", State.OK, f"{root}, {count} jobs")
            problems = home.open_sealer().ledger.verify()
            size = home.open_sealer().ledger.size()
    except QuantumAIError as error:
        yield Finding("home", State.BROKEN, f"{root}: {error}", error.hint)
    except Exception as error:
        yield Finding("home", State.BROKEN, f"{root}: {type(error).__name__}: {error}")
    else:
        if problems:
            advice = "restore the home from a backup; see `qai ledger verify`"
            yield Finding("ledger", State.BROKEN, problems[0], advice)
        else:
            yield Finding("ledger", State.OK, f"{size} leaves, every root and signature holds")


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def _quiet() -> warnings.catch_warnings[None]:
    """The findings say that soft keys are insecure; the warning need not."""
    return warnings.catch_warnings(action="ignore")
