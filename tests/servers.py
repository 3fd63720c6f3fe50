"""Real servers for tests: found or installed, started on private sockets, ended with the tests."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

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


def cache_folder() -> Path:
    """Where programs that tests build are kept from one run to the next."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "quantumai"


def go_install(package: str, version: str) -> Path:
    """A Go program of other people, built from its module at `version` unless it is there."""
    name = package.rsplit("/", 1)[-1]
    command = ["go", "install", f"{package}@{version}"]
    return _built(cache_folder() / f"{name}-{version}" / name, command, Path("/"))


def go_build(module: Path, package: str) -> Path:
    """A Go program of ours, built from `package` (such as ./check) of the module in a folder.

    The committed go.mod and go.sum are held: nothing that they do not name can be built in.
    """
    sources = sorted(path for path in module.rglob("*") if path.suffix in {".go", ".mod", ".sum"})
    digest = hashlib.sha256(run_go(["version"]).encode())
    for path in sources:
        digest.update(f"{path.relative_to(module)}\n{path.read_text()}\n".encode())
    name = package.removeprefix("./").strip(".") or module.name
    folder = cache_folder() / f"{module.name}-{digest.hexdigest()[:16]}"
    return _built(folder / name, ["go", "install", "-mod=readonly", package], module)


def _built(program: Path, command: list[str], cwd: Path) -> Path:
    """`program` after `go install` made it; two tests at once build it once."""
    if program.exists():
        return program
    program.parent.mkdir(parents=True, exist_ok=True)
    with (program.parent / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not program.exists():
            partial = program.parent / "partial"
            run_go(command[1:], cwd, GOBIN=str(partial))
            (made,) = partial.iterdir()
            made.rename(program)
            partial.rmdir()
    return program


def run_go(arguments: list[str], cwd: Path = Path("/"), **environment: str) -> str:
    """What `go` prints; `RuntimeError` with its complaint where it fails."""
    if shutil.which("go") is None:
        raise RuntimeError("Go is missing: install a Go toolchain, 1.26 or newer")
    done = subprocess.run(
        ["nice", "-n", "5", "go", *arguments],
        cwd=cwd,
        env={**os.environ, "GOFLAGS": "", "GOWORK": "off", **environment},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise RuntimeError(f"go {' '.join(arguments)} failed:\n{done.stderr[-4000:]}")
    return done.stdout


VERSITYGW = ("github.com/versity/versitygw/cmd/versitygw", "v1.8.0")
S3_REGION = "us-east-1"
_S3_ACCESS_KEY, _S3_SECRET_KEY = "tests", "tests-secret-key"


@dataclass
class S3Server:
    """A running versitygw: where it listens, and a client with its root's credentials."""

    endpoint_url: str
    folder: Path
    process: subprocess.Popen[bytes] | None = None

    def client(self) -> Any:
        """A plain boto3 client."""
        import boto3

        return boto3.session.Session().client(
            "s3",
            region_name=S3_REGION,
            endpoint_url=self.endpoint_url,
            aws_access_key_id=_S3_ACCESS_KEY,
            aws_secret_access_key=_S3_SECRET_KEY,
        )

    def make_bucket(self, name: str, *, lock: bool = True) -> str:
        """A new bucket, with Object Lock enabled unless told otherwise; returns its name."""
        self.client().create_bucket(Bucket=name, ObjectLockEnabledForBucket=lock)
        return name

    def start(self) -> None:
        """Start it, also after `stop`: on the same port, over the same files."""
        program = go_install(*VERSITYGW)
        for part in ("objects", "versions"):
            (self.folder / part).mkdir(exist_ok=True)
        address = self.endpoint_url.removeprefix("http://")
        self.process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL",
             program, "--port", address, "--region", S3_REGION, "--quiet", "--keep-alive",
             "posix", "--versioning-dir", self.folder / "versions", self.folder / "objects"],
            env=os.environ | {"ROOT_ACCESS_KEY": _S3_ACCESS_KEY, "ROOT_SECRET_KEY": _S3_SECRET_KEY},
            stdout=subprocess.DEVNULL, stderr=(self.folder / "log").open("wb"), cwd="/",
        )  # fmt: skip
        host, port = address.split(":")
        deadline = time.monotonic() + _START_TIMEOUT_S
        while True:
            try:
                socket.create_connection((host, int(port)), timeout=1).close()
                return
            except OSError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    log = (self.folder / "log").read_text()
                    raise RuntimeError(f"versitygw did not start: {log}") from None
                time.sleep(0.02)

    def stop(self) -> None:
        """End it; its files stay."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(timeout=_START_TIMEOUT_S)
            self.process = None


@contextmanager
def versitygw_server() -> Iterator[S3Server]:
    """A fresh S3 server (versitygw over a folder) on loopback, built on first use.

    While it runs, this process has its credentials in the environment, as boto3 looks for them.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder = Path(tempfile.mkdtemp(prefix="qai-s3-"))
    server = S3Server(f"http://127.0.0.1:{port}", folder)
    settings = {
        "AWS_ACCESS_KEY_ID": _S3_ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": _S3_SECRET_KEY,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in settings.items():
            patch.setenv(name, value)
        try:
            server.start()
            yield server
        finally:
            server.stop()
            shutil.rmtree(folder, ignore_errors=True)
