"""Real servers for tests: found or installed, started on private sockets, ended with the tests."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

POSTGRES_BIN = Path("/usr/lib/postgresql/15/bin")
_START_TIMEOUT_S = 60
_LOCK = Path(tempfile.gettempdir()) / "quantumai-tests-apt.lock"


@contextmanager
def postgres_server() -> Iterator[str]:
    """A fresh PostgreSQL 15; yields the URL of its superuser on a Unix socket.

    It refuses to run as root, so root starts it as the user postgres. It ends with this process
    even if that is killed.
    """
    install_package("postgresql-15", POSTGRES_BIN / "postgres")
    folder = Path(tempfile.mkdtemp(prefix="qai-pg-"))
    prefix: list[str] = []
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres", "postgres")
        prefix = ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"]
    data = folder / "data"
    try:
        subprocess.run(
            [*prefix, POSTGRES_BIN / "initdb", "-D", data, "-U", "postgres", "-A", "trust",
             # A language that sorts unlike code points, as many real servers have.
             "-E", "UTF8", "--locale=C.UTF-8", "--locale-provider=icu", "--icu-locale=en-US",
             "--no-sync"],
            check=True, capture_output=True, cwd="/",
        )  # fmt: skip
        server = subprocess.Popen(
            [*(prefix or ["setpriv"]), "--pdeathsig", "QUIT",
             POSTGRES_BIN / "postgres", "-D", data, "-k", folder, "-h", "", "-F"],
            stdout=subprocess.DEVNULL, stderr=(folder / "log").open("wb"), cwd="/",
        )  # fmt: skip
        try:
            url = f"postgresql://postgres@/postgres?host={folder}"
            _wait_for(url, server, folder / "log")
            yield url
        finally:
            server.send_signal(signal.SIGQUIT)
            server.wait(timeout=_START_TIMEOUT_S)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _wait_for(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _START_TIMEOUT_S
    while True:
        try:
            psycopg.connect(url).close()
            return
        except psycopg.OperationalError:
            if server.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL did not start: {log.read_text()}") from None
            time.sleep(0.02)


def install_package(package: str, program: Path) -> None:
    """Install a Debian package unless its program is there; nothing is started by it."""
    if program.exists():
        return
    if os.geteuid() != 0:
        raise RuntimeError(f"{program} is missing: as root, apt-get install {package}")
    # Without this file the package makes and starts a cluster of its own.
    configuration = Path("/etc/postgresql-common/createcluster.conf")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    with _LOCK.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if program.exists():
            return
        if not configuration.exists():
            configuration.parent.mkdir(exist_ok=True)
            configuration.write_text("create_main_cluster = false\n")
        for command in (
            ["update", "-q"],
            ["install", "-q", "-y", "--no-install-recommends",
             "-o", "Dpkg::Options::=--force-confold", package],
        ):  # fmt: skip
            subprocess.run(["apt-get", *command], check=True, env=environment)
