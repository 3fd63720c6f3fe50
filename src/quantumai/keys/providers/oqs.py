"""Open Quantum Safe: a second opinion on signatures by liboqs, under our algorithm names.

It verifies and does nothing else: OpenSSL carries these algorithms itself since 3.5, and keys
belong into a token. liboqs-python clones and builds liboqs when its import finds no library, so it
is imported only after the system's loader found one, by the very look-up that liboqs-python makes
first. ML-DSA is the final FIPS 204 since liboqs 0.12.0; SLH-DSA (FIPS 205) came with 0.15 under
names of its own. What older releases call SPHINCS+ is the third round's submission, whose
signatures FIPS 205 does not accept: it is never used here.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import io
import re
from collections.abc import Callable, Collection
from contextlib import redirect_stdout
from typing import Any

from quantumai.errors import BadInputError, KeyUnavailableError
from quantumai.keys.parameters import (
    MAX_CONTEXT_BYTES,
    PARAMETER_SETS,
    Family,
    ParameterSet,
    signature_set,
)
from quantumai.keys.spki import require_algorithm

FINAL_ML_DSA = (0, 12)


class OqsVerifier:
    """Verification by a loaded `oqs` module; `open_oqs` makes one."""

    def __init__(self, oqs: Any) -> None:
        self._oqs = oqs
        self._enabled: Collection[str] = oqs.get_enabled_sig_mechanisms()

    @property
    def version(self) -> str:
        """Version of liboqs."""
        return str(self._oqs.oqs_version())

    def algorithms(self) -> tuple[str, ...]:
        """Our names of what this library has in the final version of its standard."""
        return tuple(name for name, entry in PARAMETER_SETS.items() if self._has(entry))

    def verify(
        self,
        algorithm: str,
        spki_der: bytes,
        message: bytes,
        signature: bytes,
        context: bytes = b"",
    ) -> bool:
        """Whether `signature` over `message` is valid, like `signatures.verify_signature`.

        Raises `BadInputError` for a key of another algorithm, a context of more than 255 bytes and
        an algorithm that is not in `algorithms`.
        """
        entry = self._require(algorithm)
        public = require_algorithm(algorithm, spki_der)
        if len(context) > MAX_CONTEXT_BYTES:
            raise BadInputError(f"the context has {len(context)} bytes, at most 255 are allowed")
        if len(signature) != entry.output_bytes:
            return False
        with self._oqs.Signature(_mechanism(entry)) as verifier:
            if context:
                return bool(verifier.verify_with_ctx_str(message, signature, context, public))
            return bool(verifier.verify(message, signature, public))

    def _require(self, algorithm: str) -> ParameterSet:
        if algorithm.upper().startswith("SPHINCS"):
            raise BadInputError(
                "round-3 SPHINCS+ is not FIPS 205 and is not verified here",
                hint="name the SLH-DSA parameter set",
            )
        entry = signature_set(algorithm)
        if not self._has(entry):
            raise BadInputError(
                f"liboqs {self.version} has no final {algorithm}",
                hint=f"it has {', '.join(self.algorithms()) or 'none of our algorithms'}",
            )
        return entry

    def _has(self, entry: ParameterSet) -> bool:
        if entry.family is Family.ML_DSA and _release(self.version) < FINAL_ML_DSA:
            return False
        return entry.takes_context and _mechanism(entry) in self._enabled


def open_oqs(
    find_library: Callable[[str], str | None] = ctypes.util.find_library,
    load_library: Callable[[str], object] = ctypes.CDLL,
) -> OqsVerifier:
    """Open liboqs where the system's loader finds it.

    Raises `KeyUnavailableError` without the library or without liboqs-python, and never installs
    either. The parameters are for tests.
    """
    library = find_library("oqs")
    try:
        if library is None:
            raise OSError("not found")
        load_library(library)
    except OSError:
        raise KeyUnavailableError(
            "there is no liboqs library that the system's loader finds",
            hint="install liboqs 0.15 or later (ldconfig has to list it); it is not built here",
        ) from None
    return OqsVerifier(_import_oqs())


def _import_oqs() -> Any:
    # Its log goes to the standard output of the moment of its import, which is ours to keep clean.
    with redirect_stdout(io.StringIO()):
        try:
            import oqs
        except ImportError:
            raise KeyUnavailableError(
                "liboqs is there, liboqs-python is not", hint="pip install 'quantumai[oqs]'"
            ) from None
        except (AttributeError, RuntimeError):
            raise KeyUnavailableError(
                "liboqs and liboqs-python do not fit together",
                hint="install the same release of both, 0.15 or later",
            ) from None
    return oqs


def _mechanism(entry: ParameterSet) -> str:
    """Name in liboqs: "ML-DSA-65", "SLH_DSA_PURE_SHA2_128S"."""
    if entry.family is Family.ML_DSA:
        return entry.name
    return entry.name.replace("SLH-DSA", "SLH_DSA_PURE").replace("-", "_").upper()


def _release(version: str) -> tuple[int, int]:
    found = re.match(r"(\d+)\.(\d+)", version)
    return (int(found[1]), int(found[2])) if found else (0, 0)
