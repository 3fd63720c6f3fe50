"""The only writer of keys and ledger: sign, log, prove, anchor."""
