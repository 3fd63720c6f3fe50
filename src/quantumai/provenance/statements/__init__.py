"""Statements and envelopes: the byte forms of all that is signed, and strict readers."""
