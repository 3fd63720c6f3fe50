"""RFC 6962 hashing against published vectors and the RFC's own recursive definition.

Vectors: the reference tree of Certificate Transparency's C++ code (google/certificate-transparency,
cpp/merkletree/merkle_tree_test.cc and merkle_verifier_test.cc).
"""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quantumai import merkle

ENTRIES = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
_A = "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7"
_B = "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e"
_C = "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"
_D = "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"
_E = "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0"
_F = "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a"
INCLUSION = {  # (index, size) -> path
    (0, 1): [],
    (0, 8): [_A, _B, _C],
    (5, 8): [_D, _E, ROOTS[4]],
    (2, 3): [ROOTS[2]],
    (1, 5): [ROOTS[1], _B, _D],
}
CONSISTENCY = {  # (first, second) -> path
    (1, 1): [],
    (1, 8): [_A, _B, _C],
    (6, 8): [_F, _E, ROOTS[4]],
    (2, 5): [_B, _D],
}


def _unhex(texts: list[str]) -> list[bytes]:
    return [bytes.fromhex(text) for text in texts]


def _hashes(size: int) -> list[bytes]:
    return [merkle.leaf_hash(entry) for entry in ENTRIES[:size]]


@pytest.mark.parametrize("size", range(9))
def test_published_roots(size: int) -> None:
    assert merkle.root_hash(_hashes(size)).hex() == ROOTS[size]


@pytest.mark.parametrize(("index", "size"), INCLUSION)
def test_published_inclusion_proofs(index: int, size: int) -> None:
    path = _unhex(INCLUSION[index, size])
    assert merkle.inclusion_proof(index, size, merkle.subtrees_of(_hashes(size))) == path
    root = bytes.fromhex(ROOTS[size])
    assert merkle.verify_inclusion(_hashes(8)[index], index, size, path, root)


@pytest.mark.parametrize(("first", "second"), CONSISTENCY)
def test_published_consistency_proofs(first: int, second: int) -> None:
    path = _unhex(CONSISTENCY[first, second])
    assert merkle.consistency_proof(first, second, merkle.subtrees_of(_hashes(second))) == path
    roots = bytes.fromhex(ROOTS[first]), bytes.fromhex(ROOTS[second])
    assert merkle.verify_consistency(first, second, *roots, path)


def _mth(entries: list[bytes]) -> bytes:
    """MTH, copied from the text of RFC 6962, section 2.1."""
    if not entries:
        return hashlib.sha256().digest()
    if len(entries) == 1:
        return hashlib.sha256(b"\x00" + entries[0]).digest()
    k = _k(len(entries))
    return hashlib.sha256(b"\x01" + _mth(entries[:k]) + _mth(entries[k:])).digest()


def _path(m: int, entries: list[bytes]) -> list[bytes]:
    """PATH(m, D[n]), section 2.1.1."""
    if len(entries) == 1:
        return []
    k = _k(len(entries))
    if m < k:
        return [*_path(m, entries[:k]), _mth(entries[k:])]
    return [*_path(m - k, entries[k:]), _mth(entries[:k])]


def _subproof(m: int, entries: list[bytes], whole: bool) -> list[bytes]:
    """SUBPROOF(m, D[n], b), section 2.1.2."""
    if m == len(entries):
        return [] if whole else [_mth(entries)]
    k = _k(len(entries))
    if m <= k:
        return [*_subproof(m, entries[:k], whole), _mth(entries[k:])]
    return [*_subproof(m - k, entries[k:], False), _mth(entries[:k])]


def _k(n: int) -> int:
    k = 1
    while k * 2 < n:
        k *= 2
    return k


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_proofs_follow_the_rfcs_definition(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, 70))
    index = data.draw(st.integers(0, size - 1))
    first = data.draw(st.integers(1, size))
    entries = [bytes([i, i]) for i in range(size)]
    hashes = [merkle.leaf_hash(entry) for entry in entries]
    subtree = merkle.subtrees_of(hashes)
    root, first_root = _mth(entries), _mth(entries[:first])
    assert merkle.root_hash(hashes) == root
    frontier = merkle.Frontier()
    for size_so_far, leaf in enumerate(hashes):
        assert (frontier.size, frontier.root()) == (size_so_far, _mth(entries[:size_so_far]))
        frontier.add(leaf)
    assert (frontier.size, frontier.root()) == (size, root)

    inclusion = merkle.inclusion_proof(index, size, subtree)
    assert inclusion == _path(index, entries)
    assert merkle.verify_inclusion(hashes[index], index, size, inclusion, root)

    consistency = merkle.consistency_proof(first, size, subtree)
    assert consistency == _subproof(first, entries, True)
    assert merkle.verify_consistency(first, size, first_root, root, consistency)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_no_proof_holds_for_anything_else(data: st.DataObject) -> None:
    size = data.draw(st.integers(2, 40))
    index = data.draw(st.integers(0, size - 1))
    first = data.draw(st.integers(1, size - 1))
    hashes = [merkle.leaf_hash(bytes([i])) for i in range(size)]
    subtree, root = merkle.subtrees_of(hashes), merkle.root_hash(hashes)
    proof = merkle.inclusion_proof(index, size, subtree)
    other = data.draw(st.integers(0, size).filter(lambda i: i != index))
    bad = data.draw(st.integers(0, len(proof) - 1))
    broken = [*proof[:bad], bytes(32), *proof[bad + 1 :]]
    assert not merkle.verify_inclusion(hashes[index], other, size, proof, root)
    assert not merkle.verify_inclusion(hashes[index], index, size, broken, root)
    assert not merkle.verify_inclusion(hashes[index], index, size, proof[:-1], root)
    assert not merkle.verify_inclusion(hashes[index], index, size, [*proof, root], root)

    grown = merkle.consistency_proof(first, size, subtree)
    first_root = merkle.root_hash(hashes[:first])
    assert not merkle.verify_consistency(first, size, bytes(32), root, grown)
    assert not merkle.verify_consistency(first, size, first_root, bytes(32), grown)
    assert not merkle.verify_consistency(first, size, first_root, root, grown[:-1])
    assert not merkle.verify_consistency(first, size, first_root, root, [*grown, root])


def test_what_is_no_hash_is_in_no_tree() -> None:
    for size in (0, 31, 33):
        short = bytes(size)
        assert not merkle.verify_inclusion(short, 0, 1, [], short)
        assert not merkle.verify_consistency(0, 1, merkle.EMPTY_ROOT, short, [])


def test_a_tree_without_leaves_has_one_root() -> None:
    root = merkle.leaf_hash(b"")
    assert merkle.verify_consistency(0, 0, merkle.EMPTY_ROOT, merkle.EMPTY_ROOT, [])
    assert merkle.verify_consistency(0, 1, merkle.EMPTY_ROOT, root, [])
    assert not merkle.verify_consistency(0, 0, root, root, [])
    assert not merkle.verify_consistency(0, 1, root, root, [])
