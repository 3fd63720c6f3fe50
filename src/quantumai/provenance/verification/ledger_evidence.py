"""The part of verification that rests on the ledger: inclusion, key status, freshness."""

from __future__ import annotations

from quantumai.crypto_mode import CryptoMode
from quantumai.errors import BadInputError, EvidenceError, LedgerError
from quantumai.merkle import leaf_hash, verify_inclusion
from quantumai.provenance.key_history.key_events import signed_by
from quantumai.provenance.key_history.key_rotations import followed_authorities
from quantumai.provenance.key_history.key_status import KeyStatus, parse_key_status
from quantumai.provenance.ledger.checkpoint import TreeHead
from quantumai.provenance.ledger.commits import Leaf
from quantumai.provenance.ledger.proof import LedgerProof
from quantumai.provenance.verification.freshness import (
    FRESHNESS,
    Remembered,
    check_freshness,
    verified_head,
)
from quantumai.provenance.verification.mode_signatures import unmet_demand
from quantumai.provenance.verification.report import Check, ExitCode, failed, not_checked, passed
from quantumai.provenance.verification.signature_checks import NO_TRUST
from quantumai.provenance.verification.trust import StatementKey, TrustFile

_NAME = "key-valid"


def check_ledger(
    leaf: Leaf,
    proof: bytes | None,
    trust: TrustFile | None,
    mode: CryptoMode,
    holding: list[StatementKey],
    remembered: Remembered | None = None,
) -> list[Check]:
    """The checks `ledger`, `key-valid` and `freshness` of one leaf."""
    names = (_NAME, FRESHNESS)
    if trust is None or proof is None:
        lacking = NO_TRUST if trust is None else "no proof was given"
        return [not_checked(name, lacking) for name in ("ledger", *names)]
    try:
        parsed = LedgerProof.parse(proof)
        head = check_ledger_proof(parsed, leaf, trust, mode)
    except EvidenceError as error:
        unknown = "it is only known at a proved place in the ledger"
        wrong = failed("ledger", str(error), ExitCode.LEDGER)
        return [wrong, *(not_checked(name, unknown) for name in names)]
    where = f"leaf {parsed.index} of {head.size} in {head.origin}"
    return [
        passed("ledger", where),
        check_key_valid(parsed, head, trust, mode, holding),
        check_freshness(head, parsed.checkpoint, trust, mode, remembered),
    ]


def check_ledger_proof(
    proof: LedgerProof, leaf: Leaf, trust: TrustFile, mode: CryptoMode
) -> TreeHead:
    """Return the head that `leaf` is proved to be in. Raises `LedgerError` otherwise.

    In every mode but classical only the ledger's ML-DSA-44 signature counts.
    """
    head = verified_head(proof.checkpoint, trust, mode)
    if not verify_inclusion(leaf_hash(leaf.entry), proof.index, head.size, proof.path, head.root):
        raise LedgerError(f"this {leaf.type} is not leaf {proof.index} of the ledger")
    return head


def check_key_valid(
    proof: LedgerProof,
    head: TreeHead,
    trust: TrustFile,
    mode: CryptoMode,
    holding: list[StatementKey],
) -> Check:
    """Whether keys whose signatures hold counted at the proof's leaf, enough of them for the mode.

    In the overlap of a rotation two keys sign; one that is void does not spoil the other.
    """
    if not holding:
        return not_checked(_NAME, "no signature was found to hold")
    counting, stood_behind, problems = [], [], []
    for key in holding:
        if not key.covers(proof.index):
            problems.append(f"leaf {proof.index} is outside the key's window in the trust file")
            continue
        try:
            status = _status_of(key.key_id, proof, head, trust)
        except (BadInputError, LedgerError) as error:
            return failed(_NAME, str(error), ExitCode.LEDGER)
        if status is None:
            return not_checked(_NAME, f"the proof has no status of key {key.key_id[:16]}")
        if problem := status.problem_at(proof.index):
            problems.append(problem)
            continue
        counting.append(key)
        if status.provider:
            where = f"key {key.key_id[:16]} in {status.provider}: validation {status.validation}"
            stood_behind.append(where)
    if lacking := unmet_demand(mode, (key.algorithm for key in counting)):
        detail = "; ".join(problems) or f"{lacking} by a key that counts is missing"
        return failed(_NAME, detail, ExitCode.KEY_NOT_VALID)
    active = f"active at leaf {proof.index}, as the authority signed at {head.size}"
    ignored = [f"a further signature does not count: {problem}" for problem in problems]
    return passed(_NAME, "; ".join([active, *stood_behind, *ignored]))


def _status_of(
    key_id: str, proof: LedgerProof, head: TreeHead, trust: TrustFile
) -> KeyStatus | None:
    authority = followed_authorities(trust.authority_keys, trust.root, proof.key_rotations)
    for envelope in proof.key_status:
        status = parse_key_status(envelope)
        if status.key_id != key_id:
            continue
        if not signed_by(envelope, authority):
            raise LedgerError("the key status is not signed by a trusted authority")
        if (status.tree_size, status.root_hash) != (head.size, head.root.hex()):
            raise LedgerError("the key status belongs to another checkpoint")
        return status
    return None
