"""A home that keeps its objects in a bucket, as its user meets it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from quantumai.storage.retention import is_retained
from tests.e2e.qai_command import TFIM, qai, qai_process
from tests.servers import S3_REGION, S3Server, versitygw_server

pytestmark = [pytest.mark.integration, pytest.mark.slow]
BUCKET, DAYS = "evidence", 3


@pytest.fixture(scope="module")
def server() -> Iterator[S3Server]:
    with versitygw_server() as started:
        started.make_bucket(BUCKET)
        yield started


@dataclass(frozen=True)
class Bucketed:
    """A home in a bucket with one finished job, that job's --json and all that was printed."""

    root: Path
    prefix: str
    job: Any
    printed: str


@pytest.fixture(scope="module", params=["clear", "encrypted"])
def home(
    request: pytest.FixtureRequest, server: S3Server, tmp_path_factory: pytest.TempPathFactory
) -> Bucketed:
    root, prefix = tmp_path_factory.mktemp("s3") / "home", f"team/{request.param}"
    place = ("--bucket", BUCKET, "--prefix", prefix, "--endpoint", server.endpoint_url)
    how = ("--region", S3_REGION, "--retention-days", DAYS)
    encrypt = ("--encrypt",) if request.param == "encrypted" else ()
    made = qai("objects", "init", *place, *how, *encrypt, home=root)
    assert made.code == 0, made.err
    # From a process of its own, with nothing but credentials in its environment.
    aws = {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
    options = ("--observable", "ZZIIII", "--shots", 500, "--json")
    done = qai_process("run", TFIM, *options, environment={"QAI_HOME": str(root)} | aws)
    assert done.code == 0, done.err
    return Bucketed(root, prefix, done.json, made.out + made.err + done.out + done.err)


def test_the_whole_job(home: Bucketed, tmp_path: Path) -> None:
    job_id = home.job["job_id"]
    assert home.job["manifest_path"].startswith(f"s3://{BUCKET}/{home.prefix}/manifests/local/")
    for command in (
        ("manifest", "verify", job_id),
        ("replay", job_id),
        ("ledger", "verify"),
        ("jobs", "show", job_id),
        ("verify-all",),
    ):
        done = qai(*command, home=home.root)
        assert done.code == 0, (command, done.out, done.err)
    assert qai("manifest", "export", job_id, tmp_path / "e", home=home.root).code == 0
    trust = tmp_path / "trust.json"
    trust.write_text(qai("trust", "export", home=home.root).out)
    alone = qai("manifest", "verify", tmp_path / "e/manifest.json", "--trust", trust, home=None)
    assert alone.code == 0, alone.out


def test_the_home_itself_has_no_objects(home: Bucketed) -> None:
    assert not (home.root / "objects").exists()


def test_all_evidence_is_retained_and_no_cache(home: Bucketed, server: S3Server) -> None:
    client, seen = server.client(), set()
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=home.prefix)
    for entry in (entry for page in pages for entry in page["Contents"]):
        key = entry["Key"].removeprefix(f"{home.prefix}/")
        mode = client.head_object(Bucket=BUCKET, Key=entry["Key"]).get("ObjectLockMode")
        assert (mode == "COMPLIANCE") is is_retained(key), key
        seen.add((key.split("/")[0], mode))
    kinds = {"artefacts", "manifests", "key-events", "audit-checkpoints", "ledger"}
    assert {(kind, "COMPLIANCE") for kind in kinds} <= seen
    assert ("ledger", None) in seen


def test_no_credential_is_written_or_told(home: Bucketed, server: S3Server) -> None:
    secret = os.environ["AWS_SECRET_ACCESS_KEY"]
    client = server.client()
    told = [home.printed.encode()]
    told += [path.read_bytes() for path in home.root.rglob("*") if path.is_file()]
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=home.prefix)
    for entry in (entry for page in pages for entry in page["Contents"]):
        told.append(client.get_object(Bucket=BUCKET, Key=entry["Key"])["Body"].read())
    assert not [data for data in told if secret.encode() in data]


def test_while_the_bucket_is_away_nothing_is_kept_elsewhere(
    home: Bucketed, server: S3Server
) -> None:
    jobs = qai("jobs", "list", "--json", home=home.root).json
    server.stop()
    try:
        run = qai("run", TFIM, "--observable", "ZZIIII", "--shots", 500, home=home.root)
        verify = qai("manifest", "verify", home.job["job_id"], home=home.root)
    finally:
        server.start()
    for ended in (run, verify):
        assert ended.code == 1
        assert f"bucket {BUCKET} does not answer" in ended.err
        assert ended.out == ""
    assert not (home.root / "objects").exists()
    assert qai("jobs", "list", "--json", home=home.root).json == jobs
    assert qai("manifest", "verify", home.job["job_id"], home=home.root).code == 0


def test_a_bucket_without_its_database_makes_no_new_home(home: Bucketed, tmp_path: Path) -> None:
    (tmp_path / "objects.toml").write_bytes((home.root / "objects.toml").read_bytes())
    done = qai("run", TFIM, "--observable", "ZZIIII", "--shots", 500, home=tmp_path)
    assert done.code == 1
    assert "its database quantumai.db is gone" in done.err
    assert not (tmp_path / "quantumai.db").exists()


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("--bucket", BUCKET), "objects in s3://evidence/"),
        (("--bucket", "nowhere", "--prefix", "p"), "there is no bucket nowhere"),
        (("--bucket", "Not_A_Bucket", "--prefix", "p"), "not the name of a bucket"),
        (("--bucket", BUCKET, "--prefix", "../p"), "not an object name"),
        (("--bucket", BUCKET, "--prefix", "p", "--retention-days", -1), "retention is from 0"),
        (("--prefix", "p"), "a bucket's settings go with a bucket"),
    ],
)
def test_a_place_that_will_not_do_leaves_no_home(
    home: Bucketed, server: S3Server, tmp_path: Path, options: tuple[object, ...], reason: str
) -> None:
    where = ("--endpoint", server.endpoint_url, "--region", S3_REGION)
    given = (*options, *where) if options[0] == "--bucket" else options
    done = qai("objects", "init", *given, home=tmp_path / "home")
    assert done.code in (1, 2)
    assert reason in done.err
    assert len(done.err.splitlines()) == 2
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize(
    "endpoint",
    ["http://s3.example", "ftp://127.0.0.1", "https://user:word@s3.example", "https://x/?key=word"],
)
def test_an_endpoint_that_tells_too_much_is_refused(tmp_path: Path, endpoint: str) -> None:
    options = ("--bucket", "bucket", "--prefix", "p", "--endpoint", endpoint)
    done = qai("objects", "init", *options, home=tmp_path / "home")
    assert done.code == 2
    assert "word" not in done.err


def test_show_says_where(home: Bucketed, server: S3Server) -> None:
    shown = qai("objects", "show", home=home.root)
    assert shown.code == 0
    assert f"s3://{BUCKET}/{home.prefix}" in shown.out
    assert f"{DAYS} days" in shown.out
    plain = qai("objects", "show", "--json", home=home.root).json
    assert plain["endpoint"] == server.endpoint_url
    assert plain["encrypt"] is home.prefix.endswith("encrypted")
