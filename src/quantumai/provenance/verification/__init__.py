"""What every verification is made of: trust, signatures, ledger evidence, freshness."""
