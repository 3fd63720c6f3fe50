"""The run ledger: commits, tiles, checkpoints, proofs, its writer and its check."""
