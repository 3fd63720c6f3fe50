"""Observables against Qiskit's commutation, features and ideal values against closed forms."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from qiskit.quantum_info import PauliList

from quantumai.circuits.observables import measurement_bases, parse_observables
from quantumai.errors import BadInputError


@st.composite
def pauli_sets(draw: st.DrawFn) -> list[str]:
    n = draw(st.integers(1, 5))
    pauli = st.text("IXYZ", min_size=n, max_size=n).filter(lambda p: set(p) != {"I"})
    return draw(st.lists(pauli, min_size=1, max_size=12, unique=True))


@given(pauli_sets())
def test_every_pauli_is_read_once_from_a_basis_it_commutes_with(paulis: list[str]) -> None:
    bases = measurement_bases(paulis)
    assert sorted(i for basis in bases for i in basis.members) == list(range(len(paulis)))
    for basis in bases:
        members = [paulis[i] for i in basis.members]
        for q, letter in enumerate(basis.pauli):
            assert {m[q] for m in members} - {"I"} == ({letter} - {"I"})
        assert PauliList(members).group_commuting(qubit_wise=True) == [PauliList(members)]
    assert bases == measurement_bases(paulis)


def test_z_strings_share_one_basis() -> None:
    paulis = parse_observables(["IIZ", "ZZI", "IXI", "XXX", "YII"], 3)
    bases = measurement_bases(paulis)
    assert {(b.pauli, b.members) for b in bases} == {
        ("XXX", (2, 3)),
        ("ZZZ", (0, 1)),
        ("YII", (4,)),
    }


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        ([], "no observable"),
        (["ZZ"], "2 letters"),
        (["ZZZZ"], "3 qubits"),
        ([""], "0 letters"),
        (["ZZz"], "letters"),
        (["-ZZ"], "letters"),
        (["Z\nZ"], "letters"),
        (["III"], "identity"),
        (["ZII", "IZI", "ZII"], "twice"),
        (["Z" * 10**6], "1000000 letters"),
        (["ZII"] * 201, "201"),
    ],
)
def test_bad_observables_are_refused_in_one_line(texts: list[str], said: str) -> None:
    with pytest.raises(BadInputError) as caught:
        parse_observables(texts, 3)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) <= 200
