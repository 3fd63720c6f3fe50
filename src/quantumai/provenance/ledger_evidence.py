"""The part of verification that rests on the ledger: inclusion, checkpoint, key status."""

from __future__ import annotations

from quantumai.crypto_mode import CryptoMode
from quantumai.errors import BadInputError, LedgerError
from quantumai.keys.algorithms import AlgorithmClass, algorithm_class
from quantumai.merkle import leaf_hash, verify_inclusion
from quantumai.provenance.checkpoint import TreeHead, verify_checkpoint
from quantumai.provenance.commits import Leaf
from quantumai.provenance.dsse import Envelope
from quantumai.provenance.key_events import signed_by
from quantumai.provenance.key_status import KeyStatus, parse_key_status
from quantumai.provenance.proof import LedgerProof
from quantumai.provenance.report import Check, ExitCode, failed, not_checked, passed
from quantumai.provenance.trust import StatementKey, TrustFile

_NAME = "key-valid"
_POST_QUANTUM = AlgorithmClass.POST_QUANTUM


def check_ledger_proof(
    proof: LedgerProof, leaf: Leaf, trust: TrustFile, mode: CryptoMode
) -> TreeHead:
    """Return the head that `leaf` is proved to be in. Raises `LedgerError` otherwise.

    In every mode but classical only the ledger's ML-DSA-44 signature counts.
    """
    keys = trust.ledger.keys()
    head, verified = verify_checkpoint(proof.checkpoint, keys)
    if head.origin != trust.ledger.origin:
        raise LedgerError(f"the checkpoint is of another ledger: {head.origin[:80]!r}")
    counting = [
        key
        for key in verified
        if mode is CryptoMode.CLASSICAL
        or algorithm_class(key.algorithm) is AlgorithmClass.POST_QUANTUM
    ]
    if not counting:
        kind = "" if mode is CryptoMode.CLASSICAL else "post-quantum "
        raise LedgerError(f"the checkpoint has no {kind}signature by a trusted ledger key")
    if not verify_inclusion(leaf_hash(leaf.entry), proof.index, head.size, proof.path, head.root):
        raise LedgerError(f"this manifest is not leaf {proof.index} of the ledger")
    return head


def check_key_valid(
    proof: LedgerProof,
    head: TreeHead,
    trust: TrustFile,
    mode: CryptoMode,
    holding: list[StatementKey],
) -> Check:
    """Whether keys whose signatures hold counted at the proof's leaf, enough of them for the mode.

    In the overlap of a rotation two keys sign; one that is void does not spoil the other. In every
    mode but classical a post-quantum key has to count.
    """
    if not holding:
        return not_checked(_NAME, "no signature was found to hold")
    counting, stood_behind, problems = [], [], []
    for key in holding:
        if not key.covers(proof.index):
            problems.append(f"leaf {proof.index} is outside the key's window in the trust file")
            continue
        try:
            status = _status_of(key.key_id, proof.key_status, head, trust)
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
    classes = {algorithm_class(key.algorithm) for key in counting}
    if not counting or (mode is not CryptoMode.CLASSICAL and _POST_QUANTUM not in classes):
        lacking = "; ".join(problems) or "no post-quantum key counts"
        return failed(_NAME, lacking, ExitCode.KEY_NOT_VALID)
    active = f"active at leaf {proof.index}, as the authority signed at {head.size}"
    ignored = [f"a further signature does not count: {problem}" for problem in problems]
    return passed(_NAME, "; ".join([active, *stood_behind, *ignored]))


def _status_of(
    key_id: str, envelopes: tuple[Envelope, ...], head: TreeHead, trust: TrustFile
) -> KeyStatus | None:
    authority = {key.key_id: key for key in trust.authority_keys}
    for envelope in envelopes:
        status = parse_key_status(envelope)
        if status.key_id != key_id:
            continue
        if not signed_by(envelope, authority):
            raise LedgerError("the key status is not signed by a trusted authority")
        if (status.tree_size, status.root_hash) != (head.size, head.root.hex()):
            raise LedgerError("the key status belongs to another checkpoint")
        return status
    return None
