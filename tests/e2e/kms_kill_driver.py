"""Makes one change of a key again and again in forked children, killed at the k-th step of it.

    kms_kill_driver.py KIND BASE FOLDER CHANGE

Each child works on a copy of BASE at FOLDER/<k> and dies by SIGKILL at step k, until one lives
through. Steps are before each row that the database writes, before and after each commit and each
call to the provider, and before each call that changes a file of the soft keys.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any

from quantumai.keys.management.kms import Kms, open_kms
from quantumai.keys.management.records import KeyPurpose
from quantumai.keys.providers.port import KeyProvider
from quantumai.keys.providers.token_settings import TokenSettings
from quantumai.storage.sql_database import SqlDatabase
from tests.key_management import ALICE, new_database, soft_keys, standing_clock

NAME = "k"
KEY = "once"
_FILE_CALLS = ("open", "write", "fsync", "link", "rename", "replace", "unlink", "mkdir")
_ROW_CALLS = ("insert", "upsert", "update")
_PROVIDER_CALLS = ("generate", "sign", "destroy")


def create(kms: Kms) -> Any:
    return kms.of(ALICE).create(NAME, "ML-DSA-44", KeyPurpose.STATEMENT, idempotency_key=KEY)


def rotate(kms: Kms) -> Any:
    return kms.of(ALICE).rotate(NAME, idempotency_key=KEY)


def destroy(kms: Kms) -> Any:
    return kms.destroy_due()


CHANGES: dict[str, Callable[[Kms], Any]] = {
    "create": create,
    "rotate": rotate,
    "destroy": destroy,
}


def later() -> Any:
    """When a destruction that was scheduled at the standing time is due."""
    return standing_clock() + timedelta(days=1)


def open_copy(kind: str, home: Path) -> tuple[Kms, KeyProvider]:
    """The KMS in a folder that was copied."""
    if kind == "soft":
        provider: KeyProvider = soft_keys(home / "keys", later)
    else:
        from tests.tokens import token_keys

        provider = token_keys(_settings_in(kind, home / "token"), home / "token")
    database, apart = (new_database(home / "kms.db") for _ in range(2))
    return open_kms(database, [provider], later, audit_database=apart), provider


def copy_home(base: Path, home: Path) -> None:
    """Copy a folder with a database and keys; the token's configuration names its own folder."""
    shutil.copytree(base, home)
    configuration = home / "token" / "conf"
    if configuration.exists():
        configuration.write_text(configuration.read_text().replace(str(base), str(home)))


def _settings_in(kind: str, folder: Path) -> TokenSettings:
    from quantumai.keys.providers.pkcs11_library import finalize_library
    from tests.tokens import LABEL, token_library

    library = str(token_library(kind))
    finalize_library(library)
    return TokenSettings(library, LABEL, "file:pin", {"KRYOPTIC_CONF": str(folder / "conf")})


def kill_at(number: int, provider: KeyProvider, kind: str) -> None:
    """From now on this process dies at its step `number`."""
    steps = count(1)

    def step() -> None:
        if next(steps) == number:
            os.kill(os.getpid(), signal.SIGKILL)

    def watch(owner: Any, name: str, *, after: bool) -> None:
        call = getattr(owner, name)

        def watched(*arguments: Any, **named: Any) -> Any:
            step()
            result = call(*arguments, **named)
            if after:
                step()
            return result

        setattr(owner, name, watched)

    for name in _PROVIDER_CALLS:
        watch(provider, name, after=True)
    for name in _ROW_CALLS:
        watch(SqlDatabase, name, after=False)
    watch(SqlDatabase, "_finish", after=True)
    if kind == "soft":
        for name in _FILE_CALLS:
            watch(os, name, after=False)
    else:
        _watch_objects(watch)


def _watch_objects(watch: Callable[..., None]) -> None:
    """The two objects of a pair go one after the other."""
    from quantumai.keys.providers import pkcs11

    class Watched:
        def __init__(self, found: Any) -> None:
            self.destroy = found.destroy
            watch(self, "destroy", after=True)

    objects_of = pkcs11.objects_of
    pkcs11.objects_of = lambda session, handle: [  # type: ignore[assignment]
        Watched(found) for found in objects_of(session, handle)
    ]


def drive(kind: str, base: Path, folder: Path, change: str) -> Iterator[int]:
    """The statuses of children, the last of which was not killed."""
    for number in count(1):
        home = folder / f"{number:04d}"
        copy_home(base, home)
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                kms, provider = open_copy(kind, home)
                kill_at(number, provider, kind)
                CHANGES[change](kms)
                code = 0
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(code)
        _, status = os.waitpid(pid, 0)
        yield status
        if not (os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL):
            return


if __name__ == "__main__":
    statuses = list(drive(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4]))
    sys.exit(os.waitstatus_to_exitcode(statuses[-1]))
