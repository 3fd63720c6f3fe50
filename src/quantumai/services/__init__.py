"""Thin outer shells; `wiring` is the one place that constructs adapters."""
