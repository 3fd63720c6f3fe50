"""Whatever is not a usable circuit: one line, quickly, and no file is ever read."""

from __future__ import annotations

import builtins
import os
import random
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit import QuantumCircuit, qasm2
from qiskit.circuit import Parameter

from quantumai.circuits.ideal import ideal_values
from quantumai.circuits.loading import from_qiskit, load_circuit, load_circuit_file
from quantumai.errors import BadInputError

TWO = 'OPENQASM 2.0;\ninclude "qelib1.inc";\nqreg q[3];\ncreg c[3];\n'
THREE = 'OPENQASM 3.0;\ninclude "stdgates.inc";\nqubit[3] q;\nbit[3] c;\n'


def doubling(first: str, levels: int) -> str:
    names = [f"g{k}" for k in range(levels)]
    lines = [f"gate g0 a {{ {first} }}"]
    lines += [f"gate {b} a {{ {a} a; {a} a; }}" for a, b in pairwise(names)]
    return "\n".join(lines) + f"\n{names[-1]} q[0];"


BAD = {
    "empty": "",
    "prose": "hello\nworld",
    "no version": "qreg q[2];",
    "version 1": "OPENQASM 1.0; qreg q[2];",
    "nul bytes": "OPENQASM 2.0;\0qreg q[2];",
    "unknown gate": TWO + "foo q[0];",
    "unfinished": TWO + "cx q[0],",
    "unfinished 3": THREE + "cx q[0],",
    "unbalanced": "OPENQASM 3.0; qubit[2 q;",
    "lone gate": TWO + "gate",
    "unclosed gate": TWO + "gate g a { x a;",
    "out of range": TWO + "x q[3];",
    "huge index": TWO + "x q[99999999999999999999999];",
    "no qubits": "OPENQASM 2.0; creg c[2];",
    "zero qubits": "OPENQASM 2.0; qreg q[0];",
    "zero qubits 3": "OPENQASM 3.0; qubit[0] q;",
    "many qubits": "OPENQASM 2.0; qreg q[1000000000];",
    "many qubits 3": "OPENQASM 3.0; qubit[1000000000] q;",
    "many registers": "OPENQASM 2.0; " + "".join(f"qreg q{i}[900];" for i in range(3)),
    "computed size": "OPENQASM 3.0; const int n = 9; qubit[n*n*n*n*n*n*n*n*n] q;",
    "hexadecimal size": "OPENQASM 3.0; qubit[0xffffffff] q;",
    "many bits": "OPENQASM 2.0; qreg q[1]; creg c[1000000000];",
    "mid-circuit": TWO + "measure q[0]->c[0]; h q[0];",
    "mid-circuit 3": THREE + "c[0] = measure q[0]; h q[0];",
    "measured twice": TWO + "measure q[0]->c[0]; measure q[0]->c[1];",
    "measured then entangled": TWO + "measure q->c; cx q[0],q[1];",
    "reset": TWO + "h q[0]; reset q[0];",
    "reset 3": THREE + "reset q;",
    "if": TWO + "measure q[0]->c[0]; if(c==1) x q[1];",
    "if 3": THREE + "c[0] = measure q[0]; if (c[0]) { x q[1]; }",
    "for": THREE + "for int i in [0:2] { x q[i]; }",
    "while": THREE + "while (true) { x q[0]; }",
    "input": THREE + "input float t; rx(t) q[0];",
    "delay": TWO + "delay(100) q[0];",
    "delay 3": THREE + "delay[100ns] q[0];",
    "opaque": TWO + "opaque magic a; magic q[0];",
    "infinite": TWO + "rx(1e999) q[0];",
    "nan": TWO + "rx(1e999-1e999) q[0];",
    "hidden nan": TWO + "gate g(t) a { rx(t-t) a; } g(1e999) q[0];",
    "infinite 3": THREE + "rx(1e999) q[0];",
    "divided by zero": TWO + "rx(1/0) q[0];",
    "divided by zero 3": THREE + "rx(1/0) q[0];",
    "logarithm of zero": TWO + "rx(ln(0)) q[0];",
    "long integer 3": THREE + "rx(" + "9" * 5000 + ") q[0];",
    "tower of powers": THREE + "rx(9**9**9**9) q[0];",
    "bomb": TWO + doubling("x a;", 60),
    "bomb of nothing": TWO + doubling("", 60),
    "bomb 3": THREE + doubling("x a;", 60),
    "bomb of controls": THREE
    + "gate g0 a,b { cx a,b; }"
    + "".join(
        f"gate g{k} a,b{''.join(f',x{i}' for i in range(k))} "
        f"{{ ctrl @ g{k - 1} a,b{''.join(f',x{i}' for i in range(k))}; }}"
        for k in range(1, 20)
    ),
    "many controls": THREE + "ctrl(1000000) @ x q;",
    "unclear controls": THREE + "ctrl(2*1000) @ x q;",
    "matrix power": THREE + "pow(0.5) @ x q[0];",
    "broadcast bomb": "OPENQASM 2.0; qreg q[1000];" + "U(0,0,0) q;" * 200,
    "broadcast bomb 3": "OPENQASM 3.0; qubit[1000] q; let a = q;" + "U(0,0,0) a[0:999];" * 200,
    "deep definitions": TWO
    + "gate g0 a { x a; }"
    + "".join(f"gate g{k} a {{ g{k - 1} a; }}" for k in range(1, 5000))
    + "g4999 q[0];",
    "deep brackets": TWO + "rx(" + "(" * 200_000 + "1" + ")" * 200_000 + ") q[0];",
    "deep brackets 3": THREE + "rx(" + "(" * 40_000 + "1" + ")" * 40_000 + ") q[0];",
    "recursive gate": TWO + "gate g a { g a; } g q[0];",
    "recursive gate 3": THREE + "gate g a { g a; } g q[0];",
    "pragma": THREE + "pragma /*\nqubit[1000000000] z; // */",
    "annotation": THREE + "@note /*\nx q[0]; // */",
    "string": THREE + '"/*"; x q[0]; // */',
    "block comment in 2": TWO + "/* x q[0]; */",
    "lone carriage return": THREE + "// note\rqubit[1000000000] z;",
    "surrogate": TWO + "// \ud800",
    "mixed qubits": THREE + "x $0;",
    "physical qubits": "OPENQASM 3.0; U(0,0,0) $1000000000;",
    "slashes": "//" * 20 + "\nx",  # to be skipped in a million ways
    "blanks": " " * 27 + "x",
    "open comments": THREE + "/* " * 200_000,
    "open comments in 2": TWO + "/* " * 200_000,
    "minus signs": THREE + "rx(" + "-" * 90_000 + "1) q[0];",
    "minus signs in a gate": TWO + "gate g(t) a { rx(" + "-" * 300_000 + "t) a; } g(1) q[0];",
    "long statement": TWO + "x " + "q," * 450_000 + "q;",
    "many statements": TWO + ";" * 900_000,
    "late": TWO + "x q[0];\n" * 20_000 + "boom;",
}
BAD_INCLUDES = {
    "absolute": TWO + 'include "{path}";',
    "only": 'OPENQASM 2.0; include "{path}"; qreg q[1];',
    "spaced": 'OPENQASM 2.0;\n\tinclude\n\n"{path}"\n;qreg q[1];',
    "no space": 'OPENQASM 2.0;include"{path}";qreg q[1];',
    "single quotes": "OPENQASM 2.0; include '{path}'; qreg q[1];",
    "after a comment": 'OPENQASM 2.0; include // "qelib1.inc";\n"{path}"; qreg q[1];',
    "comment mark in a string": 'OPENQASM 2.0; include "//"; include "{path}"; qreg q[1];',
    "in a gate": TWO + 'gate g a {{ include "{path}"; }}',
    "three": THREE + 'include "{path}";',
    "three after a block": 'OPENQASM 3.0; include /* "stdgates.inc" */ "{path}"; qubit q;',
    "the other version's": 'OPENQASM 3.0; include "qelib1.inc"; qubit q;',
    "relative": 'OPENQASM 2.0; include "./../{path}"; qreg q[1];',
}


def refusal(text: str) -> str:
    start = time.process_time()
    with pytest.raises(BadInputError) as caught:
        load_circuit(text)
    assert time.process_time() - start < 2
    message = str(caught.value)
    assert message
    assert "\n" not in message
    assert len(message) <= 200
    assert "\n" not in caught.value.hint
    return message


@pytest.mark.parametrize("case", BAD)
def test_bad_text_is_refused_in_one_line(case: str) -> None:
    refusal(BAD[case])


def test_the_line_number_is_told() -> None:
    assert "line 5:" in refusal(TWO + "foo q[0];")
    assert "line 5:" in refusal(THREE + "foo q[0];")
    assert "line 6:" in refusal(TWO + "x q[0];\n  `")
    assert "line 5:" in refusal(THREE + "cx q[0] q[1] h;")


@pytest.mark.parametrize("case", BAD_INCLUDES)
def test_no_included_file_is_read(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fifo = tmp_path / "secret"
    os.mkfifo(fifo)  # opening it for reading would block for ever
    real_open = builtins.open

    def guarded(file: object, *args: object, **kwargs: object) -> object:
        assert str(fifo) not in str(file)
        return real_open(file, *args, **kwargs)  # type: ignore[call-overload]

    monkeypatch.setattr(builtins, "open", guarded)
    for path in (str(fifo), "/etc/passwd"):
        message = refusal(BAD_INCLUDES[case].format(path=path))
        assert "include" in message
        assert "root:" not in message


def test_five_megabytes_of_noise(tmp_path: Path) -> None:
    noise = random.Random(1).randbytes(5_000_000)
    (tmp_path / "noise.qasm").write_bytes(noise)
    (tmp_path / "binary.qasm").write_bytes(noise[:500_000])
    (tmp_path / "text.qasm").write_bytes(b"OPENQASM 2.0;" + b"ab1(" * 1_250_000)
    for name in ("noise", "binary", "text"):
        start = time.process_time()
        with pytest.raises(BadInputError):
            load_circuit_file(tmp_path / f"{name}.qasm")
        assert time.process_time() - start < 1
    refusal("OPENQASM 2.0;" + "ab1(" * 240_000)
    refusal("OPENQASM 3.0;" + "x q[0];" * 140_000)


def test_unreadable_files(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "absent.qasm", Path("/dev/zero"), tmp_path / "a\0b"):
        with pytest.raises(BadInputError) as caught:
            load_circuit_file(path)
        assert "\n" not in str(caught.value)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_damaged_circuits_load_or_are_refused(data: st.DataObject) -> None:
    """Cut, doubled or replaced pieces of a real text give a circuit or a BadInputError."""
    text = TWO + "gate g(t) a,b { rzz(t/2) a,b; h a; }\ng(pi) q[0],q[1];\nmeasure q -> c;\n"
    place = st.integers(0, len(text))
    for _ in range(data.draw(st.integers(1, 4))):
        a, b = sorted((data.draw(place), data.draw(place)))
        text = text[:a] + data.draw(st.sampled_from(["", text[a:b], "{", "(", "q", "9", ";"]))
        text += (TWO + "x q[0];")[b:]
    message = ""
    try:
        load_circuit(text)
    except BadInputError as error:
        message = str(error)
    assert "\n" not in message


def qiskit_circuits() -> dict[str, QuantumCircuit]:
    free, infinite, empty = QuantumCircuit(1), QuantumCircuit(1), QuantumCircuit()
    free.rx(Parameter("a\nb"), 0)
    infinite.rx(np.inf, 0)
    middle, branch, prepared = QuantumCircuit(1, 1), QuantumCircuit(1, 1), QuantumCircuit(1)
    middle.measure(0, 0)
    middle.x(0)
    branch.measure(0, 0)
    with branch.if_test((0, 1)):
        branch.x(0)
    prepared.x(0)
    prepared.initialize([0, 1], 0)
    waiting = QuantumCircuit(1)
    waiting.delay(100, 0)
    phase = QuantumCircuit(1, global_phase=Parameter("p"))
    return {
        "free": free,
        "infinite": infinite,
        "empty": empty,
        "middle": middle,
        "branch": branch,
        "prepared": prepared,
        "waiting": waiting,
        "phase": phase,
        "wide": QuantumCircuit(1001),
    }


@pytest.mark.parametrize("case", sorted(qiskit_circuits()))
def test_bad_qiskit_circuits(case: str) -> None:
    with pytest.raises(BadInputError) as caught:
        from_qiskit(qiskit_circuits()[case])
    assert "\n" not in str(caught.value)


def test_ideal_values_refuse_wide_circuits() -> None:
    circuit = load_circuit(qasm2.dumps(QuantumCircuit(25)))
    with pytest.raises(BadInputError):
        ideal_values(circuit, ["Z" + "I" * 24])
