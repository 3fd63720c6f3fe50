"""Each bad input ends with one line, a hint and exit code 2, and leaves nothing behind."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from tests.e2e.qai_command import TFIM, Ended, qai, qai_process

pytestmark = pytest.mark.slow

_HEAD = 'OPENQASM 2.0;\ninclude "qelib1.inc";\n'
FILES = {
    "no_qasm": "Dear reader, this is a letter.",
    "empty": "",
    "wide_200": _HEAD + "qreg q[200];\nh q[0];\n",
    "wide_20": _HEAD + "qreg q[20];\nh q[0];\n",
    "mid_circuit": _HEAD + "qreg q[2];\ncreg c[2];\nh q[0];\nmeasure q[0] -> c[0];\nx q[0];\n",
    "includes_file": 'OPENQASM 2.0;\ninclude "/etc/passwd";\nqreg q[2];\n',
    "includes_file_3": 'OPENQASM 3.0;\ninclude "other.inc";\nqubit[2] q;\n',
}
Z = ("--observable", "ZIIIII")
CASES: dict[str, tuple[object, ...]] = {
    "not QASM": ("no_qasm", *Z),
    "an empty file": ("empty", *Z),
    "5 MB of noise": ("noise", *Z),
    "200 qubits": ("wide_200", "--observable", "Z" * 200),
    "20 qubits": ("wide_20", "--observable", "Z" * 20),
    "a measurement in the middle": ("mid_circuit", "--observable", "ZZ"),
    "an include of another file": ("includes_file", "--observable", "ZZ"),
    "an include in OpenQASM 3": ("includes_file_3", "--observable", "ZZ"),
    "no such file": ("absent", *Z),
    "a directory": (".", *Z),
    "a device": ("/dev/zero", *Z),
    "a FIFO": ("fifo", *Z),
    "a name too long": ("a" * 5000, *Z),
    "an observable of bytes": (TFIM, "--observable", "\udcff"),
    "a seed of bytes": (TFIM, *Z, "--seed", "\udcff"),
    "an empty seed": (TFIM, *Z, "--seed", ""),
    "a long seed": (TFIM, *Z, "--seed", "a" * 1001),
    "a backend of control characters": (TFIM, *Z, "--backend", "\x1b[31m"),
    "a method of 5000 letters": (TFIM, *Z, "--em", "a" * 5000),
    "an option of 5000 letters": (TFIM, *Z, "--" + "a" * 5000),
    "a tolerance that nothing reaches": (TFIM, *Z, "--tolerance", 9e-7),
    "shots with a line": (TFIM, *Z, "--shots", "1_000"),
    "report over the circuit": ("tfim", *Z, "--report", "tfim"),
    "report over the circuit by a link": ("tfim", *Z, "--report", "tfim_link"),
    "report is a FIFO": (TFIM, *Z, "--report", "fifo"),
    "report of a name too long": (TFIM, *Z, "--report", "a" * 5000),
    "an observable too short": (TFIM, "--observable", "ZZ"),
    "an observable with other letters": (TFIM, "--observable", "ZIIIIQ"),
    "the identity": (TFIM, "--observable", "IIIIII"),
    "an observable twice": (TFIM, *Z, *Z),
    "no observable": (TFIM,),
    "0 shots": (TFIM, *Z, "--shots", 0),
    "-5 shots": (TFIM, *Z, "--shots=-5"),
    "10^12 shots": (TFIM, *Z, "--shots", 10**12),
    "shots in words": (TFIM, *Z, "--shots", "many"),
    "tolerance nan": (TFIM, *Z, "--tolerance", "nan"),
    "tolerance 0": (TFIM, *Z, "--tolerance", 0),
    "tolerance inf": (TFIM, *Z, "--tolerance", "inf"),
    "cost nan": (TFIM, *Z, "--max-cost", "nan"),
    "cost -1": (TFIM, *Z, "--max-cost=-1"),
    "unknown backend": (TFIM, *Z, "--backend", "ibm.abacus"),
    "unknown method": (TFIM, *Z, "--em", "prayer"),
    "unknown crypto mode": (TFIM, *Z, "--crypto-mode", "rot13"),
    "unknown engine": (TFIM, *Z, "--engine", "steam"),
    "unknown option": (TFIM, *Z, "--fast"),
    "no candidate: crypto mode": (TFIM, *Z, "--backend", "ibm.fake_lima"),
    "no candidate: cost": (TFIM, *Z, "--max-cost", 1e-9),
    "report in no directory": (TFIM, *Z, "--report", "no/such/dir/report.html"),
    "report is a directory": (TFIM, *Z, "--report", "."),
}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    for name, text in FILES.items():
        (folder / name).write_text(text)
    (folder / "noise").write_bytes(os.urandom(5_000_000))
    os.mkfifo(folder / "fifo")
    (folder / "tfim").write_bytes(TFIM.read_bytes())
    (folder / "tfim_link").symlink_to("tfim")
    return folder


def assert_refused(done: Ended) -> None:
    assert done.code == 2, done.err
    assert done.out == ""
    error, hint, *rest = done.err.splitlines()
    assert error.startswith("error: ")
    assert len(error) > len("error: ")
    assert hint.startswith("hint: ")
    assert rest == []
    assert done.err.replace("\n", "").isprintable()
    assert max(map(len, error.split())) <= 130


@pytest.mark.parametrize("case", CASES)
def test_one_line_a_hint_and_nothing_left(
    case: str, files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(files)
    home = tmp_path / "home"
    assert_refused(qai("run", *CASES[case], home=home))
    assert not home.exists()
    assert not (files / "report.html").exists()


def test_bad_input_leaves_a_home_that_exists_as_it_was(home: Path, files: Path) -> None:
    before = _tree(home)
    assert_refused(qai("run", files / "no_qasm", *Z, home=home))
    assert_refused(qai("run", TFIM, *Z, "--max-cost", 1e-9, home=home))
    assert _tree(home) == before


@pytest.mark.parametrize(
    "command",
    [
        ("jobs", "show", "no-id"),
        ("jobs", "show", "00000000-0000-0000-0000-000000000000"),
        ("backends", "show", "ibm.abacus"),
        ("replay", "00000000-0000-0000-0000-000000000000"),
        ("manifest", "verify", "00000000-0000-0000-0000-000000000000"),
        ("manifest", "verify", "absent.json"),
        ("manifest", "verify", "/"),
        ("manifest", "show", "absent.json"),
        ("trust", "export", "--least-crypto-mode", "rot13"),
        ("trust", "export", "--out", "/no/such/file"),
        ("jobs", "dance"),
    ],
    ids=" ".join,
)
def test_the_other_commands_refuse_alike(command: tuple[str, ...], home: Path) -> None:
    done = qai(*command, home=home)
    lines = [line for line in done.err.splitlines() if not line.startswith("warning: ")]
    assert_refused(Ended(done.code, done.out, "\n".join(lines)))


def test_an_unknown_check_and_a_bad_trust_file(home: Path, tmp_path: Path, files: Path) -> None:
    job_id = qai("jobs", "list", "--json", home=home).json[0]["job_id"]
    assert qai("manifest", "export", job_id, tmp_path / "e", home=home).code == 0
    manifest = tmp_path / "e" / "manifest.json"
    assert_refused(qai("manifest", "verify", manifest, "--allow-unchecked", "x", home=None))
    assert_refused(qai("manifest", "verify", manifest, "--trust", files / "no_qasm", home=None))
    assert_refused(qai("manifest", "export", job_id, tmp_path / "e", home=home))


def test_files_of_evidence_are_regular_files(home: Path, tmp_path: Path, files: Path) -> None:
    job_id = qai("jobs", "list", "--json", home=home).json[0]["job_id"]
    assert qai("manifest", "export", job_id, tmp_path / "e", home=home).code == 0
    manifest = tmp_path / "e" / "manifest.json"
    for odd in ("/dev/zero", files / "fifo", files, "a" * 5000):
        assert_refused(qai("manifest", "verify", odd, home=None))
        assert_refused(qai("manifest", "verify", manifest, "--proof", odd, home=None))
        assert_refused(qai("manifest", "verify", manifest, "--trust", odd, home=None))
    artefact = next((tmp_path / "e" / "artefacts").iterdir())
    artefact.unlink()
    os.mkfifo(artefact)
    assert_refused(qai("manifest", "verify", manifest, home=None))


@pytest.mark.parametrize(
    "command",
    [
        ("jobs", "list"),
        ("jobs", "show", "00000000-0000-0000-0000-000000000000"),
        ("ledger", "verify"),
        ("manifest", "show", "00000000-0000-0000-0000-000000000000"),
        ("manifest", "verify", "00000000-0000-0000-0000-000000000000"),
        ("replay", "00000000-0000-0000-0000-000000000000"),
        ("trust", "export"),
    ],
    ids=" ".join,
)
def test_looking_makes_no_home(command: tuple[str, ...], tmp_path: Path) -> None:
    done = qai(*command, home=tmp_path / "home")
    assert_refused(done)
    assert "no home at" in done.err
    assert qai("doctor", home=tmp_path / "home").code == 0
    assert not (tmp_path / "home").exists()


def test_a_process_says_it_on_stderr_too(tmp_path: Path) -> None:
    environment = {"QAI_HOME": str(tmp_path / "home")}
    done = qai_process("run", TFIM, "--observable", "ZZ", "--json", environment=environment)
    assert_refused(done)


def _tree(folder: Path) -> dict[str, str]:
    return {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and not path.name.endswith(("-wal", "-shm"))
    }
