"""docs/verify-without-us.md: its blocks accept a real job's evidence and refuse changed evidence.

They run without QuantumAI: an empty environment, Debian's tools, a Python that has `cryptography`
and what that needs, and nothing else of ours.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.changed_evidence import (
    Change,
    in_artefact,
    in_envelope,
    in_json,
    in_payload,
    in_proof,
    spoil_cosignature,
    spoil_signature,
    spoil_status,
    spoilt,
    without_artefact,
)
from tests.e2e.qai_command import ROOT, TFIM, qai
from tests.servers import install_package

pytestmark = [pytest.mark.slow, pytest.mark.integration]

PAGE = ROOT / "docs" / "verify-without-us.md"
_SECTION = re.compile(r"^## (?:\d+\. )?(.+)$", re.MULTILINE)
_BLOCK = re.compile(r"^```(sh|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_TOOLS = ("bash", "base64", "cat", "cut", "jq", "openssl", "sha256sum", "stat")
_PACKAGES = ("cryptography", "cffi", "pycparser", "_cffi_backend*")


@dataclass(frozen=True)
class Block:
    language: str
    code: str


def blocks() -> dict[str, Block]:
    """The page's one block of each section that has one, in order."""
    parts = _SECTION.split(PAGE.read_text())[1:]
    found = {}
    for heading, text in zip(parts[::2], parts[1::2], strict=True):
        inside = _BLOCK.findall(text)
        assert len(inside) <= 1, heading
        if inside:
            found[heading] = Block(*inside[0])
    return found


BLOCKS = blocks()
TRUST, PAYLOAD, PQC, CLASSICAL, MODE, ARTEFACTS, LEDGER, CHECKPOINT, KEYS = BLOCKS


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of programs, and one of Python packages: all that the auditor has."""
    folder = tmp_path_factory.mktemp("machine")
    install_package("jq", Path("/usr/bin/jq"))
    for part in ("bin", "packages"):
        (folder / part).mkdir()
    for tool in _TOOLS:
        program = shutil.which(tool)
        assert program, tool
        (folder / "bin" / tool).symlink_to(program)
    for package in (Path(p) for p in sys.path if p.endswith("site-packages")):
        for name in _PACKAGES:
            for found in package.glob(name):
                (folder / "packages" / found.name).symlink_to(found)
    return folder


@pytest.fixture(scope="module")
def hybrid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _evidence(tmp_path_factory.mktemp("hybrid"), "hybrid")


def _evidence(folder: Path, mode: str) -> Path:
    home = folder / "home"
    asked = ("--observable", "ZZIIII", "--shots", 500, "--crypto-mode", mode, "--json")
    ran = qai("run", TFIM, *asked, home=home)
    assert ran.code == 0, ran.err
    given = folder / "given"
    given.mkdir()
    job = ran.json["job_id"]
    assert qai("manifest", "export", job, given / "evidence", home=home).code == 0
    least = ("--least-crypto-mode", mode)
    assert qai("trust", "export", *least, "--out", given / "trust.json", home=home).code == 0
    return given


def _run(machine: Path, folder: Path, name: str) -> subprocess.CompletedProcess[str]:
    block = BLOCKS[name]
    if block.language == "sh":
        command = ["bash", "-euo", "pipefail", "-c", block.code]
    else:
        # -S: without any site-packages, so that only the folder of packages is there.
        command = [sys._base_executable, "-S", "-c", block.code]  # type: ignore[attr-defined]
    environment = {"PATH": str(machine / "bin"), "PYTHONPATH": str(machine / "packages")}
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60
    )


def _copy(given: Path, folder: Path) -> Path:
    shutil.copytree(given, folder / "copy")
    return folder / "copy"


def test_the_auditors_machine_has_nothing_of_ours(machine: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys._base_executable, "-S", "-c", "import cryptography; import quantumai"],  # type: ignore[attr-defined]
        cwd=tmp_path, env={"PYTHONPATH": str(machine / "packages")}, capture_output=True, text=True,
    )  # fmt: skip
    assert "No module named 'quantumai'" in done.stderr
    assert "quantumai" not in "".join(b.code for b in BLOCKS.values()).replace("urn:quantumai:", "")


def test_all_blocks_accept_a_hybrid_job(machine: Path, hybrid: Path, tmp_path: Path) -> None:
    folder = _copy(hybrid, tmp_path)
    said = {}
    for name in BLOCKS:
        done = _run(machine, folder, name)
        assert done.returncode == 0, f"{name}: {done.stdout}{done.stderr}"
        said[name] = done.stdout
    trusted = qai("trust", "export", "--least-crypto-mode", "hybrid", home=hybrid.parent / "home")
    assert f"fingerprint sha256:{said[TRUST].split()[0]}" in trusted.err
    assert said[KEYS].count("counted at leaf") == 2
    assert said[CHECKPOINT].count("holds") == 2


def test_the_default_mode_has_no_classical_signature(machine: Path, tmp_path: Path) -> None:
    folder = _copy(_evidence(tmp_path, "pqc-required"), tmp_path)
    refused = [name for name in BLOCKS if _run(machine, folder, name).returncode != 0]
    assert refused == [CLASSICAL]


def test_a_manifest_of_version_1_holds_still(machine: Path, tmp_path: Path) -> None:
    golden = ROOT / "tests" / "vectors" / "manifests" / "v1"
    folder = tmp_path / "copy"
    shutil.copytree(golden, folder / "evidence")
    (folder / "evidence" / "trust.json").rename(folder / "trust.json")
    refused = [name for name in BLOCKS if _run(machine, folder, name).returncode != 0]
    assert refused == [CLASSICAL]


def test_the_post_quantum_script_has_ten_lines() -> None:
    lines = [line for line in BLOCKS[PQC].code.splitlines() if line]
    assert len(lines) == 10


_HEAD = r"\n\n[^\n]+\n\d+\n[^\n]+\n\n"
CHANGES: list[tuple[str, str, Change]] = [
    (PAYLOAD, "payload type", in_envelope(lambda e: e.update(payloadType="text/plain"))),
    (PAYLOAD, "predicate type", in_payload("run-manifest:v1", "run-manifest:v2")),
    (PAYLOAD, "payload is no base64", in_envelope(lambda e: e.update(payload="*"))),
    (PQC, "a field", in_payload('"em_method":"', '"em_method":"x')),
    (PQC, "signature", spoil_signature(0)),
    (PQC, "no signature", in_envelope(lambda e: e["signatures"].pop(0))),
    (PQC, "unknown key", in_json("trust.json", lambda t: t["statement_keys"].pop(0))),
    (CLASSICAL, "a field", in_payload('"em_method":"', '"em_method":"x')),
    (CLASSICAL, "signature", spoil_signature(1)),
    (CLASSICAL, "no signature", in_envelope(lambda e: e["signatures"].pop(1))),
    (CLASSICAL, "unknown key", in_json("trust.json", lambda t: t["statement_keys"].pop(1))),
    (MODE, "a weaker mode", in_payload('"crypto_mode":"hybrid"', '"crypto_mode":"classical"')),
    (MODE, "no such mode", in_payload('"crypto_mode":"hybrid"', '"crypto_mode":"none"')),
    (
        MODE,
        "a stricter tenant",
        in_json("trust.json", lambda t: t.update(tenants={"local": "pqc-required"})),
    ),
    (ARTEFACTS, "content", in_artefact),
    (ARTEFACTS, "missing", without_artefact),
    (ARTEFACTS, "artifact_hash", in_payload('"artifact_hash":"sha256:', '"artifact_hash":"sha1:')),
    (LEDGER, "envelope", spoil_signature(0)),
    (LEDGER, "index", in_proof(r"^index (\d+)$", lambda i: str(int(i) ^ 1))),
    (LEDGER, "path", in_proof(r"^index \d+\n([^\n]+)$", spoilt)),
    (LEDGER, "shorter path", in_proof(r"^index \d+\n([^\n]+\n)", lambda _: "")),
    (LEDGER, "root", in_proof(r"\n\n[^\n]+\n\d+\n([^\n]+)\n", spoilt)),
    (CHECKPOINT, "root", in_proof(r"\n\n[^\n]+\n\d+\n([^\n]+)\n", spoilt)),
    (CHECKPOINT, "size", in_proof(r"\n\n[^\n]+\n(\d+)\n", lambda n: str(int(n) + 1))),
    (CHECKPOINT, "origin", in_proof(r"\n\n([^\n]+)\n\d+\n", lambda name: name + "2")),
    (CHECKPOINT, "Ed25519", in_proof(_HEAD + r"\S+ \S+ (\S+)\n", spoil_cosignature)),
    (CHECKPOINT, "ML-DSA-44", in_proof(_HEAD + r"[^\n]+\n\S+ \S+ (\S+)\n", spoil_cosignature)),
    (CHECKPOINT, "no ML-DSA-44", in_proof(_HEAD + r"[^\n]+\n([^\n]+\n)", lambda _: "")),
    (
        CHECKPOINT,
        "no witness",
        in_json("trust.json", lambda t: t.update(witnesses={"verifier_keys": [], "quorum": 1})),
    ),
    (KEYS, "status", in_proof(r"^extra (\S+)$", spoil_status("active_from_index", 1))),
    (KEYS, "no status", in_proof(r"^(extra \S+\n)", lambda _: "")),
    (KEYS, "of another checkpoint", in_proof(r"\n\n[^\n]+\n(\d+)\n", lambda n: str(int(n) + 1))),
    (KEYS, "authority", in_json("trust.json", lambda t: t["authority_keys"].pop())),
    (
        KEYS,
        "closed window",
        in_json("trust.json", lambda t: t["statement_keys"][0].update(valid_until_index=5)),
    ),
]


@pytest.mark.parametrize(
    ("section", "change"),
    [(section, change) for section, _, change in CHANGES],
    ids=[f"{list(BLOCKS).index(section) + 1}-{what}" for section, what, _ in CHANGES],
)
def test_changed_evidence_is_refused(
    machine: Path, hybrid: Path, tmp_path: Path, section: str, change: Change
) -> None:
    folder = _copy(hybrid, tmp_path)
    change(folder)
    _run(machine, folder, PAYLOAD)  # which later blocks build on
    assert _run(machine, folder, section).returncode != 0


def test_another_trust_file_has_another_fingerprint(
    machine: Path, hybrid: Path, tmp_path: Path
) -> None:
    folder = _copy(hybrid, tmp_path)
    good = _run(machine, folder, TRUST).stdout
    in_json("trust.json", lambda t: t.update(least_crypto_mode="classical"))(folder)
    assert _run(machine, folder, TRUST).stdout != good


def test_each_block_that_can_fail_is_seen_failing() -> None:
    assert {section for section, _, _ in CHANGES} == set(BLOCKS) - {TRUST}
