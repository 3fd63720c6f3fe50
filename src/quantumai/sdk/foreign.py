"""Telling other libraries' objects by name, so that none of them has to be imported."""

from __future__ import annotations


def is_a(value: object, package: str, name: str) -> bool:
    """Whether `value`'s class, or one that it inherits from, is `name` of `package`."""
    return any(
        kind.__name__ == name and kind.__module__.partition(".")[0] == package
        for kind in type(value).__mro__
    )
