"""The audit log: every call to the KMS, in an append-only Merkle log that proves itself."""
