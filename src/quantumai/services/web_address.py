"""Addresses that a user gives us, checked before anything is asked of them."""

from __future__ import annotations

from urllib.parse import urlsplit

from quantumai.errors import BadInputError


def check_url(url: str) -> str:
    """`url` without slashes at its end, if it can be asked. Raises `BadInputError`."""
    try:
        parts = urlsplit(url)
        sound = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        sound = sound and not (parts.query or parts.fragment or parts.username)
    except ValueError:
        sound = False
    if not sound or not url.isprintable() or " " in url:
        raise BadInputError(f"not an address: {url[:80]!r}", hint="such as https://example.org/log")
    return url.rstrip("/")
