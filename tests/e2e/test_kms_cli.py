"""`qai kms` on a home with soft keys: the fixed forms, and what others verify of them."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shlex
from collections.abc import Iterator
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from quantumai.keys import signatures
from quantumai.services import wiring
from tests.e2e.kms_desk import MESSAGE, STATEMENT, Desk, check_wrapping, verified_envelope
from tests.e2e.qai_command import Ended, qai
from tests.other_verifiers import key_id_of_pem, library_verifies, raw_of_pem

pytestmark = pytest.mark.slow

APPROVAL_NEEDED = 11


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """One home for tests that add keys of their own names."""
    return Desk(tmp_path_factory.mktemp("kms"))


@pytest.fixture
def fresh(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_the_fixed_forms(desk: Desk) -> None:
    desk.create("release")
    signature, pem = desk.sign("release"), desk.pem("release")
    assert len(signature) == 3309
    assert library_verifies("ML-DSA-65", pem, MESSAGE, signature)
    assert not library_verifies("ML-DSA-65", pem, MESSAGE + b".", signature)
    verified = desk.ok(
        "verify", "--algorithm", "ML-DSA-65", "--public-key", desk.folder / "pem",
        "--signature", desk.folder / "sig", desk.folder / "file",
    )  # fmt: skip
    assert verified.out.startswith("valid")
    assert desk.ok("keys", "public", "release").out.encode() == pem
    assert desk.ok("keys", "public", "release", "--out", "-").out.encode() == pem
    jwk = desk.ok("keys", "public", "release", "--jwk").json
    assert base64.urlsafe_b64decode(jwk["pub"] + "==") == raw_of_pem(pem)
    with_json = desk.ok("sign", "release", desk.folder / "file", "--json").json
    assert with_json["form"] == "bare"
    (made,) = with_json["signatures"]
    assert library_verifies("ML-DSA-65", pem, MESSAGE, base64.b64decode(made["signature"]))
    assert made["key_id"] == key_id_of_pem(pem)


@pytest.mark.slow
def test_every_algorithm_of_the_home(desk: Desk) -> None:
    """Signatures with and without context by libraries; data keys wrapped by hand and by us."""
    (provider,) = desk.ok("token", "status", "--json").json["providers"]
    assert len(provider["capabilities"]) == 22
    for algorithm, can in provider["capabilities"].items():
        name = algorithm.lower()
        if can == "decapsulate":
            check_wrapping(desk, desk.create(name, algorithm, "wrap"), algorithm)
            continue
        desk.create(name, algorithm)
        pem = desk.pem(name)
        assert library_verifies(algorithm, pem, MESSAGE, desk.sign(name)), algorithm
        if "context" in can:
            signature = desk.sign(name, "--context", b"where".hex())
            assert library_verifies(algorithm, pem, MESSAGE, signature, b"where"), algorithm
            assert not library_verifies(algorithm, pem, MESSAGE, signature), algorithm
        if "external-mu" in can:
            mu = hashlib.shake_256(
                hashlib.shake_256(raw_of_pem(pem)).digest(64) + b"\0\x05where" + MESSAGE
            ).digest(64)
            (desk.folder / "mu").write_bytes(mu)
            signature = desk.sign(name, "--external-mu", file="mu")
            assert library_verifies(algorithm, pem, MESSAGE, signature, b"where"), algorithm


def test_a_file_too_long_for_one_message(desk: Desk) -> None:
    """ML-DSA signs it by its mu, so the signature is over the file; Ed25519 says that it cannot."""
    name, long = desk.create("long"), bytes(9 << 20)
    (desk.folder / "long").write_bytes(long)
    signature = desk.sign(name, "--context", "00ff", file="long")
    assert library_verifies("ML-DSA-65", desk.pem(name), long, signature, b"\x00\xff")
    desk.create("long-ed", "Ed25519")
    refused = desk.kms("sign", "long-ed", desk.folder / "long", "--out", desk.folder / "no")
    assert (refused.code, (desk.folder / "no").exists()) == (2, False)
    assert "8 MiB" in refused.err


def test_a_key_that_is_rotated_while_a_long_file_is_read(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mu was that of the former key: no signature is handed out, and the next try is good."""
    name, long = desk.create("turning"), bytes(9 << 20)
    (desk.folder / "long").write_bytes(long)
    real = signatures.ml_dsa_mu

    def rotating(*arguments: Any) -> bytes:
        desk.ok("keys", "rotate", name)
        return real(*arguments)

    monkeypatch.setattr(signatures, "ml_dsa_mu", rotating)
    done = desk.kms("sign", name, desk.folder / "long", "--out", desk.folder / "not-made")
    assert (done.code, done.out) == (1, "")
    assert "was rotated meanwhile" in done.err
    assert not (desk.folder / "not-made").exists()
    monkeypatch.setattr(signatures, "ml_dsa_mu", real)
    assert library_verifies("ML-DSA-65", desk.pem(name), long, desk.sign(name, file="long"))


def test_a_statement_key_signs_envelopes(desk: Desk) -> None:
    name = desk.create("builds", purpose="statement")
    assert verified_envelope(desk, name, desk.sign(name, file="statement")) == [1]
    typed = ("--predicate-type", "https://example.org/release/v1")
    assert verified_envelope(desk, name, desk.sign(name, *typed, file="statement")) == [1]
    desk.ok("keys", "rotate", name, "--overlap")
    assert verified_envelope(desk, name, desk.sign(name, file="statement")) == [1, 2]
    desk.ok("keys", "retire", name, "--version", 1)
    assert verified_envelope(desk, name, desk.sign(name, file="statement")) == [2]
    said = desk.ok("sign", name, desk.folder / "statement", "--out", desk.folder / "sig")
    assert "DSSE envelope" in said.out
    shown = desk.ok("sign", name, desk.folder / "statement", "--json").json
    assert shown["form"] == "dsse-envelope"
    assert base64.b64decode(shown["envelope"]["payload"]) == STATEMENT


def test_the_run_ledger_knows_statement_keys_and_no_others(fresh: Desk) -> None:
    fresh.create("raw-one")
    fresh.create("wrap-one", "ML-KEM-768", "wrap")
    assert not (fresh.home / "objects" / "ledger").exists()
    name = fresh.create("builds", purpose="statement")
    leaves = [fresh.leaves()]
    for change in (
        ("keys", "rotate", name),  # activation, retirement and announcement
        ("keys", "rotate", name, "--overlap"),  # activation and announcement
        ("keys", "retire", name, "--version", 2),
    ):
        fresh.ok(*change)
        leaves.append(fresh.leaves())
    both = ("keys", "compromised", name, "--from-index", 3)
    assert fresh.kms(*both, "--as", "alice").code == APPROVAL_NEEDED
    leaves.append(fresh.leaves())
    fresh.ok(*both, "--as", "bob")
    leaves.append(fresh.leaves())
    # Anchors of the audit log may come in between, so at least this much.
    grown = [after - before for before, after in pairwise(leaves)]
    least = (3, 2, 1, 0, 1)
    assert [max(pair) for pair in zip(grown, least, strict=True)] == grown
    fresh.ok("keys", "rotate", "raw-one")
    assert fresh.leaves() == leaves[-1]
    assert qai("ledger", "verify", home=fresh.home).code == 0


@pytest.mark.parametrize(
    ("command", "after"),
    [
        (("destroy", "{}", "--waiting-days", 3), "destroy-scheduled"),
        (("compromised", "{}"), "compromised"),
        (("compromised", "{}", "--from-index", 7), "compromised"),
        (("policy", "{}", "--set", "{policy}"), "active"),
    ],
    ids=lambda value: " ".join(map(str, value)) if isinstance(value, tuple) else value,
)
def test_two_principals(command: tuple[object, ...], after: str, desk: Desk) -> None:
    """The first is told what the second runs, and that is what does it."""
    name = desk.create("two-" + hashlib.sha256(repr(command).encode()).hexdigest()[:8])
    policy = desk.folder / "policy.json"
    policy.write_text('{"uses_per_minute": 5}')
    words = [str(word).format(name, policy=policy) for word in command]
    for _ in range(2):  # asking twice is not asking as two
        first = desk.kms("keys", *words, "--as", "alice")
        assert (first.code, first.out) == (APPROVAL_NEEDED, "")
        assert "noted for alice: nothing is done yet" in first.err
        assert desk.state(name) == "active"
    hint = next(line for line in first.err.splitlines() if line.startswith("hint: "))
    assert "another principal" in hint
    told = shlex.split(hint.partition(" runs: ")[2])
    assert told[0] == "qai"
    assert told[-2:] == ["--as", "OTHER"]
    if command[0] != "policy":
        desk.ok("keys", "rotate", name)  # the first one meant the version that was current then
    second = qai(*told[1:-1], "bob", home=desk.home)
    assert second.code == 0, second.err
    assert desk.state(name) == after
    if command[0] == "policy":
        assert desk.ok("keys", "policy", name).json["uses_per_minute"] == 5
    operation = str(command[0]).replace("policy", "set-policy")
    entries = [entry for entry in desk.calls(operation) if entry["key"] == name]
    assert [(e["principal"], e["outcome"]) for e in entries] == [
        ("alice", "approval-needed"),
        ("alice", "approval-needed"),
        ("bob", "ok"),
    ]


def test_a_destroyed_key_is_gone_after_its_waiting_period(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, gone = desk.create("kept"), desk.create("gone")
    for name in (kept, gone):
        for principal in ("alice", "bob"):
            desk.kms("keys", "destroy", name, "--waiting-days", 1, "--as", principal)
        assert desk.state(name) == "destroy-scheduled"
        assert desk.kms("sign", name, desk.folder / "file", "--out", desk.folder / "s").code == 12
    desk.ok("keys", "cancel-destroy", kept)
    assert desk.state(kept) == "disabled"
    desk.ok("keys", "enable", kept)
    files = [path for path in desk.home.rglob("*") if path.parent.name.startswith(f"{gone}-")]
    assert len(files) == 1
    real = wiring.utc_now
    monkeypatch.setattr(wiring, "utc_now", lambda: real() + timedelta(days=1, minutes=1))
    listed = desk.ok("keys", "list", "--json")
    assert f"key {gone}/1 is destroyed" in listed.err
    states = {key["name"]: key["state"] for key in listed.json}
    assert (states[kept], states[gone]) == ("active", "destroyed")
    assert not files[0].exists()
    assert desk.pem(gone).startswith(b"-----BEGIN PUBLIC KEY-----")


def test_a_key_lives(desk: Desk) -> None:
    name = desk.create("life")
    first = desk.pem(name)
    signature = desk.sign(name)
    desk.ok("keys", "rotate", name)
    assert (desk.state(name, 1), desk.state(name, 2)) == ("verify-only", "active")
    assert desk.pem(name, "--version", 1) == first != desk.pem(name)
    assert library_verifies("ML-DSA-65", first, MESSAGE, signature)
    assert not library_verifies("ML-DSA-65", first, MESSAGE, desk.sign(name))
    desk.ok("keys", "disable", name)
    refused = desk.kms("sign", name, desk.folder / "file", "--out", desk.folder / "never")
    assert (refused.code, (desk.folder / "never").exists()) == (12, False)
    desk.ok("keys", "enable", name, "--version", 2)
    usage = desk.ok("keys", "show", name, "--json").json["usage"]
    assert (usage["version"], usage["uses"]) == (2, 1)
    assert usage["last_used_at"]


def test_rotation_when_the_policy_says_so(desk: Desk) -> None:
    policy = desk.folder / "often.json"
    policy.write_text('{"rotate_after_uses": 2}')
    make = ("keys", "create", "often", "--algorithm", "Ed25519", "--purpose", "raw")
    desk.ok(*make, "--policy", policy)
    desk.sign("often")
    assert desk.ok("keys", "rotate", "--due", "--json").json == []
    desk.sign("often")
    due = desk.ok("keys", "rotate", "--due", "--json").json
    assert [(key["name"], key["version"]) for key in due] == [("often", 2)]


def test_the_same_call_once(desk: Desk) -> None:
    make = ("keys", "create", "once", "--algorithm", "ML-DSA-44", "--purpose", "raw", "--json")
    made = desk.ok(*make, "--idempotency-key", "k-1").json
    assert desk.ok(*make, "--idempotency-key", "k-1").json == made
    assert desk.kms(*make, "--idempotency-key", "k-2").code == 1
    turn = ("keys", "rotate", "once", "--json", "--idempotency-key", "k-3")
    assert desk.ok(*turn).json == desk.ok(*turn).json
    assert [e["outcome"] for e in desk.calls("rotate") if e["key"] == "once"] == ["ok", "replayed"]


def test_who_calls(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    import pwd

    user = pwd.getpwuid(os.geteuid())
    show = ("keys", "show", desk.create("called"))

    def caller() -> str:
        return str(desk.calls("show")[-1]["principal"])

    desk.ok(*show, "--as", "carol@example.org")
    assert caller() == "carol@example.org"
    desk.ok(*show)
    assert caller() == user.pw_name
    monkeypatch.setenv("QAI_PRINCIPAL", "dave")
    desk.ok(*show)
    assert caller() == "dave"
    desk.ok(*show, "--as", "erin")
    assert caller() == "erin"
    monkeypatch.delenv("QAI_PRINCIPAL")
    for found, name in (("CORP\\jo smith", "CORP-jo-smith"), ("_svc", "svc"), ("x" * 80, "x" * 63)):
        entry = pwd.struct_passwd((found, *tuple(user)[1:]))
        monkeypatch.setattr(pwd, "getpwuid", lambda _, entry=entry: entry)
        desk.ok(*show)
        assert caller() == name
    for found in ("quantumai", "$%"):
        entry = pwd.struct_passwd((found, *tuple(user)[1:]))
        monkeypatch.setattr(pwd, "getpwuid", lambda _, entry=entry: entry)
        _assert_refused(desk.kms(*show))


def test_a_policy_binds_the_command_line_too(desk: Desk) -> None:
    policy = desk.folder / "grants.json"
    grant = {"principals": ["ci"], "operations": ["sign"]}
    policy.write_text(json.dumps({"grants": [grant]}))
    make = ("keys", "create", "granted", "--algorithm", "Ed25519", "--purpose", "raw")
    desk.ok(*make, "--policy", policy)
    sign = ("sign", "granted", desk.folder / "file", "--out", desk.folder / "sig")
    desk.ok(*sign, "--as", "ci")
    assert desk.kms(*sign, "--as", "alice").code == 12
    assert desk.kms("keys", "show", "granted", "--as", "ci").code == 12
    assert [e["outcome"] for e in desk.calls("sign") if e["key"] == "granted"] == ["ok", "denied"]


def test_output_files_are_whole_or_as_they_were(desk: Desk) -> None:
    name, out = desk.create("writer"), desk.folder / "out"
    out.mkdir()
    target = out / "sig"
    target.write_bytes(b"former")
    desk.ok("keys", "disable", name)
    assert desk.kms("sign", name, desk.folder / "file", "--out", target).code == 12
    assert target.read_bytes() == b"former"
    desk.ok("keys", "enable", name)
    link = out / "link"
    link.symlink_to("sig")
    desk.ok("sign", name, desk.folder / "file", "--out", link)
    assert link.is_symlink()
    assert len(target.read_bytes()) == 3309
    full = desk.kms("sign", name, desk.folder / "file", "--out", "/dev/full")
    assert (full.code, full.out) == (1, "")
    assert Path("/dev/full").is_char_device()
    assert sorted(path.name for path in out.iterdir()) == ["link", "sig"]


def test_the_bench_leaves_no_key(desk: Desk) -> None:
    before = desk.ok("token", "status", "--json").json["providers"][0]["keys"]
    found = desk.ok("token", "bench", "--seconds", 0.2, "--algorithm", "Ed25519", "--json").json
    assert found["signatures"] == pytest.approx(found["per_second"] * found["seconds"])
    assert 0.2 <= found["seconds"] < 30
    assert 0 < found["p50_ms"] <= found["p99_ms"] <= 1000 * found["seconds"]
    assert desk.ok("token", "status", "--json").json["providers"][0]["keys"] == before
    assert desk.kms("token", "bench", "--algorithm", "ML-KEM-768").code == 2
    assert "no CMVP certificate claimed" in desk.ok("token", "status").out


@pytest.mark.parametrize(
    "command",
    [
        ("keys", "list"),
        ("keys", "show", "a"),
        ("keys", "public", "a"),
        ("keys", "rotate", "a"),
        ("keys", "rotate", "--due"),
        ("keys", "destroy", "a"),
        ("keys", "policy", "a"),
        ("sign", "a", "/etc/hostname", "--json"),
        ("token", "status"),
        ("token", "bench"),
        ("audit", "show"),
    ],
    ids=" ".join,
)
def test_only_create_and_token_init_make_a_home(command: tuple[str, ...], fresh: Desk) -> None:
    done = fresh.kms(*command)
    _assert_refused(done)
    assert "no home at" in done.err
    assert not fresh.home.exists()


CREATE = ("keys", "create")
ED25519 = (*CREATE, "a", "--algorithm", "Ed25519", "--purpose", "raw")
BAD_CREATE: dict[str, tuple[str, ...]] = {
    "no such algorithm": (*CREATE, "a", "--algorithm", "ML-DSA-66", "--purpose", "raw"),
    "another spelling": (*CREATE, "a", "--algorithm", "ml-dsa-65", "--purpose", "raw"),
    "an algorithm of bytes": (*CREATE, "a", "--algorithm", "\udcff", "--purpose", "raw"),
    "no such purpose": (*CREATE, "a", "--algorithm", "ML-DSA-65", "--purpose", "all"),
    "a purpose of the home": (*CREATE, "a", "--algorithm", "ML-DSA-65", "--purpose", "audit"),
    "ML-KEM cannot sign": (*CREATE, "a", "--algorithm", "ML-KEM-768", "--purpose", "raw"),
    "ML-DSA cannot wrap": (*CREATE, "a", "--algorithm", "ML-DSA-65", "--purpose", "wrap"),
    "capital letters": (*CREATE, "Abc", "--algorithm", "ML-DSA-65", "--purpose", "raw"),
    "a path": (*CREATE, "../a", "--algorithm", "ML-DSA-65", "--purpose", "raw"),
    "an empty name": (*CREATE, "", "--algorithm", "ML-DSA-65", "--purpose", "raw"),
    "a long name": (*CREATE, "a" * 64, "--algorithm", "ML-DSA-65", "--purpose", "raw"),
    "a name of the home": (*CREATE, "audit", "--algorithm", "ML-DSA-65", "--purpose", "raw"),
    "no purpose": (*CREATE, "a", "--algorithm", "ML-DSA-65"),
    "no policy": (*ED25519, "--policy", "absent"),
    "a bad policy": (*ED25519, "--policy", "file"),
    "a reserved principal": (*ED25519, "--as", "quantumai"),
    "a bad principal": (*ED25519, "--as", "a b"),
}  # fmt: skip
SIGN = ("sign", "good")
STAT = ("sign", "stat", "--out", "new")
BAD_CALLS: dict[str, tuple[str, ...]] = {
    "no such key": ("sign", "nobody", "file", "--out", "new"),
    "no such key to show": ("keys", "show", "nobody"),
    "no such version": ("keys", "show", "good", "--version", "9"),
    "version 0": ("keys", "show", "good", "--version", "0"),
    "no such key to destroy": ("keys", "destroy", "nobody"),
    "no such key to rotate": ("keys", "rotate", "nobody"),
    "no such provider": ("keys", "rotate", "good", "--provider", "\udcff"),
    "a provider that has no such keys": ("keys", "rotate", "good", "--provider", "aws-cloudhsm"),
    "a provider without an adapter": ("keys", "rotate", "ed", "--provider", "azure-managed-hsm"),
    "a name and --due": ("keys", "rotate", "good", "--due"),
    "neither name nor --due": ("keys", "rotate"),
    "--due with a provider": ("keys", "rotate", "--due", "--provider", "soft"),
    "waiting 0 days": ("keys", "destroy", "good", "--waiting-days", "0"),
    "waiting 91 days": ("keys", "destroy", "good", "--waiting-days", "91"),
    "a negative leaf": ("keys", "compromised", "good", "--from-index", "-1"),
    "no such file": (*SIGN, "absent", "--out", "new"),
    "a directory": (*SIGN, ".", "--out", "new"),
    "a FIFO": (*SIGN, "fifo", "--out", "new"),
    "a device": (*SIGN, "/dev/zero", "--out", "new"),
    "a name too long": (*SIGN, "a" * 5000, "--out", "new"),
    "no output": (*SIGN, "file"),
    "output over the input": (*SIGN, "file", "--out", "file"),
    "output over the input by a link": (*SIGN, "file", "--out", "file-link"),
    "output into no directory": (*SIGN, "file", "--out", "no/such/new"),
    "output is a directory": (*SIGN, "file", "--out", "."),
    "output is a FIFO": (*SIGN, "file", "--out", "fifo"),
    "output of a name too long": (*SIGN, "file", "--out", "a" * 5000),
    "public key into no directory": ("keys", "public", "good", "--out", "no/such/new"),
    "context that is no hex": (*SIGN, "file", "--out", "new", "--context", "xy"),
    "context with a blank": (*SIGN, "file", "--out", "new", "--context", "0a 0b"),
    "context of 256 bytes": (*SIGN, "file", "--out", "new", "--context", "00" * 256),
    "a long file with a long context": (*SIGN, "huge", "--out", "new", "--context", "00" * 256),
    "Ed25519 with context": ("sign", "ed", "file", "--out", "new", "--context", "00"),
    "Ed25519 with mu": ("sign", "ed", "mu", "--out", "new", "--external-mu"),
    "a huge file and Ed25519": ("sign", "ed", "huge", "--out", "new"),
    "mu with context": (*SIGN, "mu", "--out", "new", "--external-mu", "--context", "00"),
    "no mu": (*SIGN, "file", "--out", "new", "--external-mu"),
    "raw with a predicate type": (*SIGN, "file", "--out", "new", "--predicate-type", "a"),
    "statement: text": (*STAT, "file"),
    "statement: a huge file": (*STAT, "huge"),
    "statement: not canonical": (*STAT, "loose"),
    "statement: a JSON list": (*STAT, "list"),
    "statement: another type": (*STAT, "statement", "--predicate-type", "a"),
    "statement: with context": (*STAT, "statement", "--context", "00"),
    "statement: as mu": (*STAT, "mu", "--external-mu"),
    "wrap: a long data key": ("wrap", "wr", "huge", "--out", "new"),
    "wrap: a short data key": ("wrap", "wr", "list", "--out", "new"),
    "wrap: a bad name": ("wrap", "W", "mu", "--out", "new"),
    "unwrap: no wrapped key": ("unwrap", "wr", "file", "--out", "new"),
    "unwrap: huge": ("unwrap", "wr", "huge", "--out", "new"),
    "unwrap: no such file": ("unwrap", "wr", "absent", "--out", "new"),
    "wrap: associated data": ("wrap", "wr", "mu", "--out", "new", "--associated-data", "0"),
    "policy: no JSON": ("keys", "policy", "good", "--set", "file"),
    "policy: unknown field": ("keys", "policy", "good", "--set", "list"),
    "policy: unknown operation": ("keys", "policy", "good", "--set", "odd-policy"),
    "policy: absent": ("keys", "policy", "good", "--set", "absent"),
    "idempotency key": ("keys", "disable", "good", "--idempotency-key", "é"),
    "a long idempotency key": ("keys", "disable", "good", "--idempotency-key", "a" * 256),
    "an empty principal": ("keys", "list", "--as", ""),
    "bench of nothing": ("token", "bench", "--algorithm", "RSA"),
    "bench for no time": ("token", "bench", "--seconds", "0"),
}  # fmt: skip


def _bad_files(folder: Path) -> None:
    (folder / "mu").write_bytes(bytes(64))
    with (folder / "huge").open("wb") as file:
        os.truncate(file.fileno(), 9 << 20)
    (folder / "loose").write_bytes(STATEMENT + b"\n")
    (folder / "list").write_text("[1]")
    (folder / "odd-policy").write_text('{"grants": [{"operations": ["dance"]}]}')
    os.mkfifo(folder / "fifo")
    (folder / "file-link").symlink_to("file")


@pytest.mark.parametrize("case", BAD_CREATE)
def test_a_bad_creation_makes_no_home(
    case: str, fresh: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(fresh.folder)
    _assert_refused(fresh.kms(*BAD_CREATE[case]))
    assert not fresh.home.exists()


@pytest.fixture(scope="module")
def bad_input(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """A home that no call of the table changes."""
    desk = Desk(tmp_path_factory.mktemp("bad"))
    _bad_files(desk.folder)
    desk.create("good")
    desk.create("ed", "Ed25519")
    desk.create("stat", purpose="statement")
    desk.create("wr", "ML-KEM-768", "wrap")
    yield desk
    assert {key["state"] for key in desk.ok("keys", "list", "--json").json} == {"active"}


@pytest.mark.parametrize("case", BAD_CALLS)
def test_bad_input_is_one_line_and_changes_nothing(
    case: str, bad_input: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database may have an audit entry more: that a call was refused."""
    monkeypatch.chdir(bad_input.folder)
    before = _tree(bad_input.folder)
    _assert_refused(bad_input.kms(*BAD_CALLS[case]))
    assert _tree(bad_input.folder) == before


def test_a_wish_for_a_provider_that_cannot_be_gets_its_sentence(bad_input: Desk) -> None:
    rotate = ("keys", "rotate", "good", "--provider")
    assert "its library is PKCS#11 2.40" in bad_input.kms(*rotate, "aws-cloudhsm").err
    assert "RSA, EC and symmetric keys only" in bad_input.kms(*rotate, "azure-managed-hsm").err
    assert "this home has no key provider 'vault'" in bad_input.kms(*rotate, "vault").err


def test_production_refuses_before_it_makes_a_home(
    fresh: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QAI_ENV", "production")
    done = fresh.kms(*ED25519)
    assert (done.code, done.out) == (1, "")
    assert "refuse to work in production" in done.err
    assert not fresh.home.exists()


def _assert_refused(done: Ended) -> None:
    assert (done.code, done.out) == (2, ""), done
    lines = [line for line in done.err.splitlines() if not line.startswith("warning: ")]
    assert [line.partition(": ")[0] for line in lines] == ["error", "hint"], done.err
    assert all(line.isprintable() for line in lines)


def _tree(folder: Path) -> dict[str, str]:
    """Every file but the database, with its hash."""
    return {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and not path.name.startswith("quantumai.db")
    }
