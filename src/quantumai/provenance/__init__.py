"""What happened, provably: statements, envelopes, ledger and offline verification."""
