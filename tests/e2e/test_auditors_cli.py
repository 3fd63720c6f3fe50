"""What an auditor does at the command line beyond one manifest: trust, freshness, whole homes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.e2e.qai_command import TFIM, Ended, qai

pytestmark = pytest.mark.slow

RUN = ("run", TFIM, "--observable", "ZZIIII", "--shots", 200, "--json")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a job in each crypto mode."""
    folder = tmp_path_factory.mktemp("home") / "qai"
    for mode in ("classical", "hybrid", "pqc-preferred", "pqc-required"):
        done = qai(*RUN, "--crypto-mode", mode, home=folder)
        assert done.code == 0, done.err
    return folder


def job_in(home: Path, mode: str) -> str:
    for listed in qai("jobs", "list", "--json", home=home).json:
        job_id = str(listed["job_id"])
        if qai("manifest", "show", job_id, home=home).json["crypto_mode"] == mode:
            return job_id
    raise AssertionError(mode)


def trust_file(home: Path, to: Path, *options: object) -> Path:
    assert qai("trust", "export", "--out", to, *options, home=home).code == 0
    return to


def outcome(ended: Ended, name: str) -> str:
    return next(str(c["status"]) for c in ended.json["checks"] if c["name"] == name)


def test_each_mode_signs_with_what_it_says(home: Path) -> None:
    for mode, suite, signatures in (
        ("classical", "Ed25519", 1),
        ("hybrid", "ML-DSA-65:Ed25519", 2),
        ("pqc-preferred", "ML-DSA-65:Ed25519", 2),
        ("pqc-required", "ML-DSA-65", 1),
    ):
        view = qai("manifest", "show", job_in(home, mode), home=home).json
        assert (view["pqc_suite"], 1 + len(view["signatures"])) == (suite, signatures)


def test_a_stricter_mode_for_one_tenant(home: Path, tmp_path: Path) -> None:
    job = job_in(home, "hybrid")
    for tenant, code in (("local=pqc-required", 9), ("acme=pqc-required", 0)):
        file = trust_file(
            home, tmp_path / tenant, "--least-crypto-mode", "hybrid", "--tenant", tenant
        )
        assert qai("manifest", "verify", job, "--trust", file, home=home).code == code
    shown = qai("trust", "show", tmp_path / "acme=pqc-required", "--json", home=None).json
    assert shown["trust_file"]["tenants"] == {"acme": "pqc-required"}
    for bad in ("local", "=hybrid", "local=", "local=none"):
        assert qai("trust", "export", "--tenant", bad, home=home).code == 2
    assert qai("trust", "export", "--quorum", 1, home=home).code == 2


def test_a_classical_manifest_is_anchored_again(home: Path, tmp_path: Path) -> None:
    job = job_in(home, "classical")
    strict = trust_file(home, tmp_path / "trust.json")
    evidence = tmp_path / "evidence"
    assert qai("manifest", "export", job, evidence, home=home).code == 0
    command = ("manifest", "verify", evidence / "manifest.json", "--trust", strict)
    assert qai(*command, home=None).code == 5
    made = qai("manifest", "counter-sign", job, tmp_path / "later", home=home)
    assert made.code == 0, made.err
    counter = ("--counter-signature", tmp_path / "later" / "counter-signature.json")
    assert qai(*command, *counter, home=None).code == 0
    assert qai("manifest", "verify", job, "--trust", strict, *counter, home=home).code == 0
    # Of another job it says nothing.
    other = job_in(home, "pqc-required")
    assert qai("manifest", "verify", other, "--trust", strict, *counter, home=home).code == 3
    assert qai("manifest", "counter-sign", job, tmp_path / "later", home=home).code == 2


def test_freshness_by_a_checkpoint_that_was_kept(home: Path, tmp_path: Path) -> None:
    job = job_in(home, "pqc-required")
    strict = trust_file(home, tmp_path / "trust.json")
    kept = tmp_path / "checkpoint"
    shutil.copy(home / "objects/ledger/checkpoint", kept)
    plain = qai("manifest", "verify", job, "--trust", strict, "--json", home=home)
    assert (plain.code, outcome(plain, "freshness")) == (0, "not-checked")
    known = ("--trust", strict, "--remembered", kept, "--json")
    held = qai("manifest", "verify", job, *known, home=home)
    assert (held.code, outcome(held, "freshness")) == (0, "ok")
    # On another machine the ledger's tiles have to come along.
    evidence, log = tmp_path / "evidence", tmp_path / "log"
    assert qai("manifest", "export", job, evidence, home=home).code == 0
    assert qai("ledger", "export", log, home=home).code == 0
    file = evidence / "manifest.json"
    alone = qai("manifest", "verify", file, *known, home=None)
    assert (alone.code, outcome(alone, "freshness")) == (8, "not-checked")
    both = qai("manifest", "verify", file, *known, "--ledger", log, home=None)
    assert (both.code, outcome(both, "freshness")) == (0, "ok")
    kept.write_bytes(b"not a checkpoint")
    assert qai("manifest", "verify", file, *known, "--ledger", log, home=None).code == 6
    assert qai("manifest", "verify", file, "--ledger", log, home=None).code == 2


@pytest.mark.slow
def test_the_nightly_anchor(home: Path, tmp_path: Path) -> None:
    import sqlite3
    from contextlib import closing

    first = qai("ledger", "anchor", "--json", home=home)
    assert first.json["anchored"] is True
    assert qai("ledger", "anchor", "--json", home=home).json == {"anchored": False}
    # A nightly timer judges no job: that of a dead process is left to whoever looks at jobs.
    copy = tmp_path / "copy"
    shutil.copytree(home, copy)
    with closing(sqlite3.connect(copy / "quantumai.db")) as database:
        database.execute("UPDATE jobs SET state = 'running' WHERE rowid = 1")
        database.commit()
        assert qai("ledger", "anchor", home=copy).code == 0
        assert [*database.execute("SELECT state FROM jobs WHERE rowid = 1")] == [("running",)]
    assert qai("ledger", "verify", home=home).code == 0


def test_the_whole_home(home: Path, tmp_path: Path) -> None:
    trust = trust_file(home, tmp_path / "trust.json", "--least-crypto-mode", "classical")
    held = qai("verify-all", "--trust", trust, "--json", home=home)
    assert held.code == 0, held.out
    assert held.json["ok"] is True
    assert {part["name"] for part in held.json["parts"]} >= {"ledger", "keys", "audit", "jobs"}
    # A stricter auditor does not take the classical jobs.
    strict = trust_file(home, tmp_path / "strict.json")
    assert qai("verify-all", "--trust", strict, home=home).code == 3
    # Another home's trust file.
    other = tmp_path / "other"
    assert qai(*RUN, home=other).code == 0
    found = qai("verify-all", "--trust", trust, "--json", home=other)
    assert found.code == 3
    problems = {part["name"]: part["problems"] for part in found.json["parts"]}
    assert any("not the one" in problem for problem in problems["trust"])
    assert qai("verify-all", home=tmp_path / "none").code == 2


def test_a_home_whose_database_was_edited(home: Path, tmp_path: Path) -> None:
    import sqlite3
    from contextlib import closing

    trust = trust_file(home, tmp_path / "trust.json", "--least-crypto-mode", "classical")
    edits = {
        "UPDATE manifests SET backend_id = 'x'": "manifests.backend_id",
        "UPDATE em_results SET mitigated_fidelity = 0.999": "em_results.mitigated_fidelity",
        "UPDATE jobs SET decision_index = decision_index - 1": "jobs.decision_index",
        "UPDATE backends SET cost_per_shot = 0.001": "contradicts the catalogue",
        "UPDATE kms_names SET policy = json_set(policy, '$.rotate_after_days', 9)": "policy",
        "DELETE FROM em_results": "0 rows in em_results",
        "UPDATE jobs SET state = 'failed', failure_code = 'x' WHERE rowid = 1": "no finished job",
        "UPDATE kms_keys SET uses = uses + 1": "uses, the audit log",
        "UPDATE kms_keys SET activated_at = '2020-01-01T00:00:00.000000'": "was not activated when",
        "INSERT INTO kms_approvers VALUES ('local/eve/0', 'local', 'eve', '0', 'ML-DSA-65', '0', "
        "'2026-01-01T00:00:00Z', NULL)": "no enroll-approver was audited",
        "UPDATE kms_keys SET state = 'disabled', former_state = 'active' "
        "WHERE name = 'statement-ed25519'": "is disabled, by the audit log active",
        "DROP TRIGGER IF EXISTS kms_audit_no_delete": "",
        "DELETE FROM manifests WHERE crypto_mode = 'hybrid'": "0 rows in manifests",
    }
    for number, (sql, told) in enumerate(edits.items()):
        copy = tmp_path / str(number)
        shutil.copytree(home, copy)
        with closing(sqlite3.connect(copy / "quantumai.db")) as database:
            database.execute(sql)
            database.commit()
        found = qai("verify-all", "--trust", trust, "--json", home=copy)
        text = json.dumps(found.json["parts"])
        assert told in text, sql
        assert (found.code == 3) == bool(told), sql


def test_what_the_ledger_names_cannot_be_taken_away(home: Path, tmp_path: Path) -> None:
    """Whole jobs, envelopes of other leaves, and the whole home put back."""
    import sqlite3
    from contextlib import closing

    whole = tmp_path / "whole"
    shutil.copytree(home, whole)
    file = tmp_path / "weights.bin"
    file.write_bytes(b"weights")
    older = tmp_path / "older"
    shutil.copytree(whole, older)
    job = job_in(whole, "pqc-required")
    for command in (
        ("ledger", "attest", "--kind", "model", file, "--out", tmp_path / "attested"),
        ("manifest", "counter-sign", job, tmp_path / "counter"),
    ):
        done = qai(*command, home=whole)
        assert done.code == 0, done.err
    trust = trust_file(whole, tmp_path / "trust.json", "--least-crypto-mode", "classical")
    kept = tmp_path / "checkpoint"
    shutil.copy(whole / "objects/ledger/checkpoint", kept)
    known = ("verify-all", "--trust", trust, "--json")
    assert qai(*known, "--remembered", kept, home=whole).code == 0
    # An older copy agrees with itself, and not with what was kept.
    assert qai(*known, home=older).code == 0
    found = qai(*known, "--remembered", kept, home=older)
    assert found.code == 3
    assert "roll-back" in found.out
    for folder, told in (
        ("attestations", "the model of leaf"),
        ("counter-signatures", "the counter-signature of leaf"),
        ("audit-checkpoints", "audit-checkpoint"),
        ("key-events", "key event"),
    ):
        copy = tmp_path / folder
        shutil.copytree(whole, copy)
        next((copy / "objects" / folder).iterdir()).unlink()
        found = qai(*known, home=copy)
        assert (found.code, told in found.out) == (3, True), folder
    gone = tmp_path / "gone"
    shutil.copytree(whole, gone)
    shutil.rmtree(gone / "objects/manifests/local" / job)
    with closing(sqlite3.connect(gone / "quantumai.db")) as database:
        for table in ("em_results", "scheduler_decisions", "manifests", "jobs"):
            database.execute(f"DELETE FROM {table} WHERE job_id = ?", (job,))
        database.commit()
    found = qai(*known, home=gone)
    assert found.code == 3
    assert "stand for nothing that is there" in found.out
    # A job that failed may leave leaves; one that is made up for it has a decision of its own.
    with closing(sqlite3.connect(gone / "quantumai.db")) as database:
        database.execute(
            "INSERT INTO jobs (job_id, tenant, state, request, created_at, updated_at, "
            "failure_code, decision_index) SELECT ?, tenant, 'failed', request, created_at, "
            "updated_at, 'internal', decision_index FROM jobs WHERE decision_index > 0 LIMIT 1",
            ("00000000-0000-4000-8000-000000000000",),
        )
        database.commit()
    found = qai(*known, home=gone)
    assert found.code == 3
    assert "names a leaf that is not its decision" in found.out
    noted = tmp_path / "noted"
    shutil.copytree(whole, noted)
    (noted / "root.json").write_text("{}")
    assert qai(*known, home=noted).code == 3


def test_looking_at_a_whole_home_changes_nothing(home: Path, tmp_path: Path) -> None:
    import sqlite3
    from contextlib import closing

    copy = tmp_path / "copy"
    shutil.copytree(home, copy)
    with closing(sqlite3.connect(copy / "quantumai.db")) as database:
        # A job of a process that is gone: another command would mark it failed.
        database.execute("UPDATE jobs SET state = 'running' WHERE rowid = 1")
        database.commit()
    before = _content(copy)
    assert qai("verify-all", home=copy).code == 3
    assert _content(copy) == before


def _content(home: Path) -> object:
    import sqlite3
    from contextlib import closing

    with closing(sqlite3.connect(home / "quantumai.db")) as database:
        rows = list(database.iterdump())
    files = [path for path in home.rglob("*") if path.is_file() and "quantumai.db" not in path.name]
    return rows, {path.relative_to(home): path.read_bytes() for path in sorted(files)}


def test_what_would_leave_half_a_file_or_vouch_for_itself(home: Path, tmp_path: Path) -> None:
    """A command that cannot do all of it does nothing, and says so in one line."""
    a_file = tmp_path / "a file"
    a_file.write_bytes(b"mine")
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    trust = trust_file(home, tmp_path / "trust.json", "--least-crypto-mode", "classical")
    job = job_in(home, "pqc-required")
    own_key, own_pqc_key = json.loads(trust.read_text())["ledger"]["verifier_keys"]
    dangling = tmp_path / "dangling"
    dangling.symlink_to(tmp_path / "nowhere" / "x")
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "letter.txt").write_text("dear auditor")
    witness = "https://example.org/witness"
    too_long = tmp_path / ("x" * 300)
    watch = ("ledger", "watch", "--once", "--trust", trust, "--state")
    attest = ("ledger", "attest", "--kind", "model", a_file, "--out")
    refused: list[tuple[tuple[object, ...], str, int]] = [
        (("objects", "init", "--bucket", ""), "not the name of a bucket", 2),
        (("trust", "export", "--out", a_file / "x"), "cannot write the trust file", 2),
        (("manifest", "export", job, a_file / "x"), "cannot write to", 2),
        (("manifest", "counter-sign", job, a_file / "x"), "cannot write to", 2),
        (("objects", "init", "--bucket", " "), "not the name of a bucket", 2),
        *(((*watch, at), "the state file", 2) for at in (loop, too_long, a_file / "x", dangling)),
        *(((*attest, at), "cannot write to", 2) for at in (loop, too_long, a_file, dangling)),
        (("ledger", "export", a_file), "cannot write to", 2),
        (("ledger", "check-attestation", a_file), "is no attestation", 2),
        (("ledger", "cosign", "--witness", witness, "--key", own_pqc_key), "own ledger", 2),
        (("trust", "export", "--tenant", "a\x1b[2J=hybrid"), "not the name of a tenant", 2),
        (("witness", "init", "--store", too_long), "cannot write to", 2),
        (("witness", "init", "--store", tmp_path / "w", "--name", "a\x9bb"), "witness's name", 2),
        (("witness", "key", "--store", loop), "cannot read", 2),
        (("witness", "init", "--store", home), "no folder for a witness", 2),
        (("witness", "init", "--store", foreign), "no folder for a witness", 2),
        (("witness", "key", "--store", a_file), "no witness in", 2),
        (("witness", "add", witness, own_key), "of this home's own ledger", 2),
    ]
    before = sorted(tmp_path.rglob("*"))
    for words, told, code in refused:
        at = tmp_path / "new" if words[0] == "objects" else home
        found = qai(*words, home=at)
        assert (found.code, told in found.err) == (code, True), (words, found.err)
        told_lines = [line for line in found.err.splitlines() if not line.startswith("warning")]
        assert [line.split(":")[0] for line in told_lines] == ["error", "hint"], found.err
        shutil.rmtree(tmp_path / "new", ignore_errors=True)
    assert sorted(tmp_path.rglob("*")) == before
    assert a_file.read_bytes() == b"mine"


def test_what_an_auditor_is_sent_cannot_steer_the_terminal(home: Path, tmp_path: Path) -> None:
    sent = json.loads(trust_file(home, tmp_path / "trust.json").read_text())
    sent["tenants"] = {"a\x1b[2Jb\x9bc\u202ed": "hybrid"}
    (tmp_path / "trust.json").write_text(json.dumps(sent))
    told = qai("trust", "show", tmp_path / "trust.json", home=None)
    assert "a\\x1b[2Jb\\x9bc\\u202ed: hybrid" in told.out
    raw = qai("trust", "show", tmp_path / "trust.json", "--json", home=None)
    assert raw.json["trust_file"]["tenants"] == sent["tenants"]
    assert raw.out.replace("\n", "").isprintable()


def test_evidence_goes_into_the_folder_that_is_there(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be a mount, or where the auditor works: it is not replaced by another."""
    monkeypatch.chdir(tmp_path)
    node = tmp_path.stat().st_ino
    assert qai("manifest", "export", job_in(home, "pqc-required"), ".", home=home).code == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "artefacts",
        "manifest.json",
        "proof.json",
    ]
    assert tmp_path.stat().st_ino == node


def test_an_attestation_with_a_name_at_the_limit(home: Path, tmp_path: Path) -> None:
    """Its proof's name would be too long, so there is none."""
    file = tmp_path / "weights"
    file.write_bytes(b"weights")
    command = ("ledger", "attest", "--kind", "model", file, "--out", tmp_path)
    assert qai(*command, home=home).code == 0
    made = (tmp_path / "model.attestation.json").rename(tmp_path / ("x" * 252))
    assert qai("ledger", "check-attestation", made, file, home=None).code == 8
