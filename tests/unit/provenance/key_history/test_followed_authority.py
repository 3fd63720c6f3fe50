"""An old trust file after the authority was rotated: what is followed, and what is not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from quantumai.canonical import sha256_hex
from quantumai.errors import ApprovalNeededError
from quantumai.keys.management.kms import Kms
from quantumai.keys.management.root import RootKey, emergency_rotate, make_root
from quantumai.provenance.key_history.key_announcements import authority_rotations
from quantumai.provenance.key_history.key_rotations import followed_authorities
from quantumai.provenance.ledger.commits import Leaf
from quantumai.provenance.ledger.proof import LedgerProof
from quantumai.provenance.sealing.sealer import Sealer
from quantumai.provenance.statements.statement import RUN_MANIFEST, build_statement
from quantumai.provenance.verification.ledger_evidence import check_ledger
from quantumai.provenance.verification.report import ExitCode
from quantumai.provenance.verification.signature_checks import check_signatures
from quantumai.provenance.verification.trust import TrustFile
from tests.key_management import ALICE, BOB, soft_keys

pytestmark = pytest.mark.slow

STATEMENT = build_statement({"x": sha256_hex(b"x")}, RUN_MANIFEST, {})


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> RootKey:
    provider = soft_keys(tmp_path_factory.mktemp("root"))
    return RootKey(provider, make_root(provider))


def code(sealer: Sealer, trust: TrustFile, change: Callable[[LedgerProof], LedgerProof]) -> int:
    """Exit code of the ledger's part for a statement that is sealed now."""
    from quantumai.crypto_mode import CryptoMode
    from quantumai.provenance.statements.dsse import parse_envelope

    envelope, index = sealer.seal("run-manifest", STATEMENT)
    proof = change(LedgerProof.parse(sealer.proof(index, envelope)))
    holding, _ = check_signatures(parse_envelope(envelope), trust)
    leaf = Leaf("run-manifest", 1, sha256_hex(envelope))
    mode = CryptoMode.PQC_REQUIRED
    checks = check_ledger(leaf, proof.data, trust, mode, holding)
    return next(int(check.exit_code) for check in checks if check.name == "key-valid")


def as_is(proof: LedgerProof) -> LedgerProof:
    return proof


def test_a_former_authority_is_followed_over_ordinary_rotations(sealer: Sealer) -> None:
    trust = sealer.export_trust()
    for _ in range(2):
        Kms(sealer.keys._parts).of(ALICE).rotate("authority")
        sealer.ensure_ready()
    assert code(sealer, trust, as_is) == 0
    one_link_short = lambda proof: replace(proof, key_rotations=proof.key_rotations[1:])  # noqa: E731
    assert code(sealer, trust, one_link_short) == ExitCode.LEDGER
    backwards = lambda proof: replace(proof, key_rotations=proof.key_rotations[::-1])  # noqa: E731
    assert code(sealer, trust, backwards) == 0


def test_in_an_emergency_the_root_vouches_for_who_knows_it(sealer: Sealer, root: RootKey) -> None:
    sealer.announce_root(root.public)
    told = sealer.export_trust()
    assert told.root == root.public
    untold = msgspec.structs.replace(told, root=None)
    parts = sealer.keys._parts
    with pytest.raises(ApprovalNeededError):
        emergency_rotate(parts, ALICE, root, "authority", None)
    emergency_rotate(parts, BOB, root, "authority", None)
    sealer.ensure_ready()
    assert code(sealer, told, as_is) == 0
    assert code(sealer, untold, as_is) == ExitCode.LEDGER


def test_only_the_authoritys_own_rotations_make_an_authority(
    tmp_path: Path, sealer: Sealer, new_sealer: Callable[[Path], Sealer]
) -> None:
    believed = sealer.export_trust().authority_keys
    Kms(sealer.keys._parts).of(ALICE).rotate("statement")
    key = sealer.keys.ensure("statement")
    announced = sealer.keys.announcement(key)
    assert announced is not None
    from quantumai.provenance.key_history.key_announcements import _envelope

    statement_rotation = _envelope(announced)
    assert set(followed_authorities(believed, None, [statement_rotation])) == {believed[0].key_id}
    # A stranger's authority that was properly rotated, and one whose own signature was cut off.
    stranger = new_sealer(tmp_path / "stranger")
    Kms(stranger.keys._parts).of(ALICE).rotate("authority")
    rotations = authority_rotations(stranger.keys)
    assert len(followed_authorities(believed, None, rotations)) == 1
    own = stranger.export_trust().authority_keys[:1]
    assert len(followed_authorities(own, None, rotations)) == 2
    for kept in rotations[0].signatures:
        cut = replace(rotations[0], signatures=(kept,))
        assert len(followed_authorities(own, None, [cut])) == 1
