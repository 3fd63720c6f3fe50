"""To whom the client of the key service sends its token."""

from __future__ import annotations

import pytest

from quantumai.errors import BadInputError
from quantumai.services.kms.client import HttpKeyManagement


@pytest.mark.parametrize(
    "address",
    [
        "https://keys.example.org",
        "https://keys.example.org:8443/base/",
        "http://127.0.0.1:8443",
        "http://localhost",
        "HTTP://LOCALHOST:1",
        "http://[::1]:8443",
    ],
)
def test_over_tls_or_to_this_machine(address: str) -> None:
    assert "a-token" not in repr(HttpKeyManagement(address, "a-token"))


@pytest.mark.parametrize(
    "address",
    [
        "http://keys.example.org",
        "http://10.0.0.1:8443",
        "http://0.0.0.0",
        "http://127.0.0.1.example.org",
        "http://localhost@example.org/",
        "http://127.0.0.1:80@example.org",
        "http://example.org\\@127.0.0.1/",  # urllib3 goes to example.org, urllib.parse does not
        "http://[::ffff:10.0.0.1]",
        "ftp://127.0.0.1",
        "//127.0.0.1",
        "127.0.0.1:8443",
        "http://",
        "http://[::1",
        "https://[x]",
        "https://keys.example.org:port",
        "",
    ],
)
def test_nowhere_else(address: str) -> None:
    with pytest.raises(BadInputError, match=r"a key service") as caught:
        HttpKeyManagement(address, "a-token")
    assert "a-token" not in f"{caught.value} {caught.value.hint}"
