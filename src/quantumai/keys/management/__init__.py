"""The KMS: names, purposes, states, policies and approvals over providers that hold the keys."""
