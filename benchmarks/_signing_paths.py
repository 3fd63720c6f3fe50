"""The ways to a signature that `keys.py` compares, all to one key in one token of one home.

Every way signs the same messages with the same fixed key, deterministically, so that all make the
same candidates (`_rejection_counts`). The product refuses keys that were not made in the token and
signs hedged; `fix_the_key` switches both off in this process, and nothing else. Run as a script,
with a home, this is the service in a process of its own.
"""

from __future__ import annotations

import struct
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from _rejection_counts import SEED, CountingSigner

from quantumai.keys.management.kms import Kms
from quantumai.keys.management.records import Caller, KeyPurpose
from quantumai.keys.parameters import ML_DSA_65
from quantumai.keys.providers import pkcs11 as provider_module
from quantumai.keys.providers import pkcs11_objects
from quantumai.keys.providers.pkcs11_library import library_in_use
from quantumai.keys.providers.pkcs11_numbers import SET_NUMBERS, attribute_mapper
from quantumai.keys.providers.pkcs11_objects import new_object_id
from quantumai.keys.providers.token_pin import PinSource
from quantumai.keys.providers.token_settings import read_settings
from quantumai.keys.signatures import verify_signature
from quantumai.keys.spki import spki_of_raw
from quantumai.services.home_token import FOLDER, init_home_token
from quantumai.services.wiring import open_home, utc_now

NAME, SUFFIX = "bench", "imported"
HANDLE = f"{NAME}-{SUFFIX}/1"
CALLER = Caller("local", "bench")
_BUILD_TOKEN = Path(__file__).resolve().parents[1] / "scripts" / "token"  # only if it is missing
# CK_SIGN_ADDITIONAL_CONTEXT: CKH_DETERMINISTIC_REQUIRED, no context.
_DETERMINISTIC = struct.pack("LPL", 2, 0, 0)

Sign = Callable[[bytes], bytes]


@dataclass(frozen=True)
class Way:
    """A way to a signature; `callers` are used by one thread each. `service` is its process."""

    name: str
    callers: Sequence[Sign]
    service: int | None = None


class _NoAudit:
    """Stands where the audit log stands and keeps nothing; uses are not counted either."""

    def append(self, *records: Any) -> None:
        """Do nothing."""

    append_within = append


def fix_the_key() -> None:
    """Let the provider use an imported key, and sign deterministically."""

    def sign_with(private: Any, entry: Any, message: bytes, context: bytes) -> bytes:
        return _deterministic(private, message)

    provider_module.sign_with = sign_with  # type: ignore[attr-defined]
    pkcs11_objects.require_sealed = lambda *_, **__: None  # type: ignore[attr-defined]


@contextmanager
def open_ways(root: Path, slots: int, callers: int) -> Iterator[list[Way]]:
    """All ways to the key in a new home `root` whose token has `slots`.

    The bare way has one caller for each slot, the others have `callers` for each.
    """
    library = subprocess.run([_BUILD_TOKEN], check=True, stdout=subprocess.PIPE, text=True).stdout
    init_home_token(root, Path(library.strip()), slots=slots)
    fix_the_key()
    with ExitStack() as stack:
        bare = stack.enter_context(_bare(root))
        home = stack.enter_context(open_home(root))
        kms = home.open_kms()
        # The register then names the key that was imported, and the provider finds it there.
        kms.parts.register._new_suffix = lambda: SUFFIX
        kms.of(CALLER).create(NAME, ML_DSA_65, KeyPurpose.RAW)
        unaudited = Kms(replace(kms.parts, audit=_NoAudit()))  # type: ignore[arg-type]
        service, over_http = stack.enter_context(_service(root))
        many = slots * callers
        yield [
            Way("bare PKCS#11", bare),
            Way("bare, verified", [_verified(sign) for sign in bare]),
            Way("port without audit", [_in_process(unaudited)] * many),
            Way("port", [_in_process(kms)] * many),
            Way("HTTP", [over_http] * many, service),
        ]


def _verified(sign: Sign) -> Sign:
    """What the least port would be: the bare call, and the check that no token is believed."""
    spki_der = spki_of_raw(ML_DSA_65, CountingSigner().public_key)

    def verified(message: bytes) -> bytes:
        signature = sign(message)
        assert verify_signature(ML_DSA_65, spki_der, message, signature)
        return signature

    return verified


def _in_process(kms: Kms) -> Sign:
    keys = kms.of(CALLER)
    return lambda message: keys.sign(NAME, message).signature


@contextmanager
def _bare(root: Path) -> Iterator[list[Sign]]:
    """A session of python-pkcs11 in each slot, with the fixed key, which is imported first."""
    folder = root / FOLDER
    settings = read_settings(folder)
    with library_in_use(settings) as library, ExitStack() as stack:
        tokens = library.tokens(settings.label)
        sessions = []
        for token in tokens:
            library.log_in(token, PinSource(settings.pin, folder))
            session = token.open(rw=True, attribute_mapper=attribute_mapper())
            sessions.append(stack.enter_context(session))
        _import_key(sessions[0])
        yield [_bare_caller(session) for session in sessions]


def _bare_caller(session: Any) -> Sign:
    from pkcs11 import Attribute, ObjectClass

    wanted = {Attribute.CLASS: ObjectClass.PRIVATE_KEY, Attribute.LABEL: HANDLE}
    (private,) = list(session.get_objects(wanted))
    return lambda message: _deterministic(private, message)


def _import_key(session: Any) -> None:
    from pkcs11 import Attribute, KeyType, ObjectClass

    both: dict[Any, Any] = {
        Attribute.KEY_TYPE: KeyType.ML_DSA,
        Attribute.PARAMETER_SET: SET_NUMBERS[ML_DSA_65],
        Attribute.TOKEN: True,
        Attribute.LABEL: HANDLE,
        Attribute.ID: new_object_id(utc_now()),
    }
    private: dict[Any, Any] = {
        Attribute.PRIVATE: True,
        Attribute.SENSITIVE: True,
        Attribute.EXTRACTABLE: False,
    }
    private |= {Attribute.CLASS: ObjectClass.PRIVATE_KEY, Attribute.SIGN: True}
    public = {Attribute.CLASS: ObjectClass.PUBLIC_KEY, Attribute.VERIFY: True}
    session.create_object(both | private | {Attribute.SEED: SEED})
    session.create_object(both | public | {Attribute.VALUE: CountingSigner().public_key})


def _deterministic(private: Any, message: bytes) -> bytes:
    from pkcs11 import Mechanism

    return bytes(private.sign(message, mechanism=Mechanism.ML_DSA, mechanism_param=_DETERMINISTIC))


@contextmanager
def _service(root: Path) -> Iterator[tuple[int, Sign]]:
    from quantumai.services.kms.client import HttpKeyManagement

    command = [sys.executable, __file__, str(root)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        url, token = process.stdout.readline().split()
        keys = HttpKeyManagement(url, token)
        yield process.pid, lambda message: keys.sign(NAME, message).signature
    finally:
        process.stdin.close()
        process.wait(30)


def _serve(root: Path) -> None:
    """Serve the home until stdin ends."""
    import threading

    from quantumai.services.kms.app import create_app, service_of
    from quantumai.services.kms.principals import Principals, new_token
    from quantumai.services.kms.server import listen, make_server

    fix_the_key()
    token = new_token()
    with listen("127.0.0.1", 0) as listener, open_home(root) as home:
        service = service_of(home.open_kms(), Principals.of({token: CALLER}))
        service.check()
        server = make_server(create_app(service))
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        print(f"http://127.0.0.1:{listener.getsockname()[1]}", token, flush=True)
        sys.stdin.read()
        server.should_exit = True
        thread.join()


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    _serve(Path(sys.argv[1]))
