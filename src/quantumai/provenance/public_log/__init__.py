"""The ledger as others see it: static files, monitor, witnesses."""
