"""Transpile, run and mitigate one circuit on one backend: the one path for all."""
