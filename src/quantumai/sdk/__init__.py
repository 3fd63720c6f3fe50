"""The public client: run, verify and replay from Python."""
