"""What `token.toml` says of a token's validation: what was written there, and one line of it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from quantumai.errors import BadInputError
from quantumai.keys.providers.pkcs11 import Pkcs11Keys
from quantumai.keys.providers.pkcs11_token import Pkcs11Token, TokenInformation
from quantumai.keys.providers.token_settings import FILE_NAME, read_settings, write_settings
from quantumai.keys.providers.token_status import describe

_BY_HAND = """
library = "/opt/vendor/lib/libvendor-pkcs11.so"
label = "quantumai"
pin = "command:/usr/local/bin/get-hsm-pin"
{line}
[environment]
VENDOR_CONF = "/etc/vendor.conf"
"""
_LONGEST = 'FIPS 140-3 level 3, "certificate" 0000'.ljust(300, "x")


def _said(folder: Path, line: str) -> set[str]:
    """What the provider and the token's status say."""
    (folder / FILE_NAME).write_text(_BY_HAND.format(line=line))
    settings = read_settings(folder)
    keys = Pkcs11Keys(
        Pkcs11Token(settings, folder), lambda: datetime(2026, 1, 2, tzinfo=UTC), folder / "lock"
    )
    token = TokenInformation("quantumai", "a maker", "a model", 1, frozenset())
    return {keys.validation, describe(token, settings, {}, keys=0, halves=0).validation}


@pytest.mark.parametrize("line", ["", 'validation = ""', 'validation = " "'])
def test_nothing_is_claimed_of_a_token_of_which_nobody_said_it(tmp_path: Path, line: str) -> None:
    assert _said(tmp_path, line) == {"not stated: write `validation` into token.toml"}


def test_what_its_owner_wrote_is_said(tmp_path: Path) -> None:
    assert _said(tmp_path, f"validation = {_LONGEST!r}") == {_LONGEST}
    settings = read_settings(tmp_path)
    (tmp_path / FILE_NAME).unlink()
    assert write_settings(tmp_path, settings)
    assert read_settings(tmp_path) == settings


@pytest.mark.parametrize(
    "wrong",
    [
        f'"{"x" * 301}"',
        '"one\\ntwo"',
        '"one\\n"',
        '"\\u001b[2J"',
        '"\\u202e3 level"',
        '"caf\\u00e9"',
        "4711",
    ],
)
def test_it_is_one_line_that_can_be_shown_anywhere(tmp_path: Path, wrong: str) -> None:
    with pytest.raises(BadInputError, match=r"token\.toml: .*(one line|str)") as caught:
        _said(tmp_path, f"validation = {wrong}")
    assert caught.value.hint
