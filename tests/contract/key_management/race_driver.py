"""One of several processes that make the same calls at the same time, each in some threads.

    race_driver.py FOLDER THREADS

Says "ready", waits for a line, and prints as JSON what each call was answered.
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from quantumai.errors import StorageError
from quantumai.keys.management.kms import open_kms
from quantumai.keys.management.port import KeyManagement
from quantumai.keys.management.records import KeyPurpose
from tests.key_management import ALICE, new_database, soft_keys, standing_clock

NAMES = [f"k-{number}" for number in range(8)]
# A key that bob has asked to destroy is there before.
DOOMED = "k-doomed"
CALLS: dict[str, Callable[[KeyManagement, str], Any]] = {
    "create": lambda k, n: k.create(n, "Ed25519", KeyPurpose.STATEMENT, idempotency_key=n),
    "rotate": lambda k, n: k.rotate(n, idempotency_key=n),
    "disable": lambda k, n: k.disable(n, 2, idempotency_key=n),
    "destroy": lambda k, n: k.schedule_destruction(DOOMED, idempotency_key="d"),
}


def again(call: Callable[[KeyManagement, str], Any], keys: KeyManagement, name: str) -> Any:
    """Repeat a call while the database is busy, as a client would."""
    while True:
        try:
            return msgspec.to_builtins(call(keys, name))
        except StorageError:
            continue


def drive(folder: Path, threads: int) -> None:
    database, apart = (new_database(folder / "kms.db") for _ in range(2))
    providers = [soft_keys(folder / "keys")]
    kms = open_kms(database, providers, standing_clock, audit_database=apart)
    keys = kms.of(ALICE)
    answers: list[dict[str, Any]] = [{} for _ in range(threads)]
    print("ready", flush=True)
    sys.stdin.readline()

    def work(answered: dict[str, Any]) -> None:
        for name in NAMES:
            for operation, call in CALLS.items():
                answered[f"{operation} {name}"] = again(call, keys, name)

    workers = [threading.Thread(target=work, args=(answered,)) for answered in answers]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    print(json.dumps(answers))


if __name__ == "__main__":
    drive(Path(sys.argv[1]), int(sys.argv[2]))
