"""Credentials of vendors: read from the environment or a file, shown nowhere.

A vendor's exceptions and logs may quote what was sent. So no exception of a vendor gets out, not
even as the context of ours, and its text goes through a `Scrubber` first.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable
from typing import Never, TypeVar
from urllib.parse import quote

from quantumai.bounded_reading import read_bounded
from quantumai.errors import BadInputError, QuantumAIError

T = TypeVar("T")

_MAX_BYTES = 8192
_LONGEST_TEXT = 300
# A credential that was derived from ours (IBM trades an API key for a bearer token).
_LOOKS_SECRET = re.compile(
    r"(?i:bearer|basic)\s+[\w.+/=~-]{8,}"
    r"|eyJ[\w-]+\.[\w-]+\.[\w-]*"
    r"|(?:AKIA|ASIA)[A-Z0-9]{12,}"
    r"|(?i:apikey|api_key|access_token|token|password|secret)(?:=|\"?:\s*\"?)[^\s&,\"]{4,}"
)


class Secret:
    """A credential that no repr, str, format, copy or pickle shows; `reveal` hands it over."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The credential, for the vendor's own library only."""
        return self._value

    @property
    def is_set(self) -> bool:
        """Whether there is anything."""
        return bool(self._value)

    @property
    def is_one_word(self) -> bool:
        """Whether it can be a credential at all: printable ASCII without spaces."""
        return self.is_set and all("!" <= character <= "~" for character in self._value)

    def __repr__(self) -> str:
        return "Secret(***)"

    def __reduce_ex__(self, protocol: object) -> Never:
        raise TypeError("a secret is not copied or stored")


class Scrubber:
    """Makes one short line of a vendor's text and takes out what may be a credential."""

    def __init__(self, secrets: Iterable[Secret] = ()) -> None:
        self._secrets = tuple(secrets)

    def __repr__(self) -> str:
        return "Scrubber()"

    def scrub(self, text: object) -> str:
        """`text` on one line, at most 300 characters, with *** for credentials."""
        line = " ".join(str(text).split())
        for secret in self._secrets:
            value = secret.reveal()
            for form in (value, quote(value), quote(value, safe=""), repr(value)[1:-1]):
                line = line.replace(form, "***")
        # Shortened last: half a credential would not be recognised.
        return _LOOKS_SECRET.sub("***", line)[:_LONGEST_TEXT]


def read_secret(given: Secret, path: str | None, what: str) -> Secret | None:
    """The credential `given`, or the one in the file `path`; None if there is neither.

    `what` names it in errors: a `BadInputError`, which never quotes it.
    """
    if not path:
        secret = given
    elif given.is_set:
        raise BadInputError(f"{what} is given twice", hint="give it by one of the two")
    else:
        secret = _from_file(path, what)
    if not path and not secret.is_set:
        return None
    if not secret.is_one_word:
        raise BadInputError(f"{what} is no credential", hint="it is one word of ASCII")
    return secret


def _from_file(path: str, what: str) -> Secret:
    """In a frame of its own, so that no error of the caller has the text among its locals."""
    return Secret(read_bounded(path, _MAX_BYTES, what).decode("ascii", errors="replace").strip())


def silence(*loggers: str) -> None:
    """No debug log of these libraries: in it they write the headers of every request."""
    for name in loggers:
        logger = logging.getLogger(name)
        logger.setLevel(max(logger.level, logging.INFO))


def asked(call: Callable[[], T], translate: Callable[[BaseException], QuantumAIError]) -> T:
    """What the vendor's library answers to `call`; its exceptions become ours.

    Everything is caught, since these libraries raise whatever theirs raise. The new error is raised
    outside the handler: as its context the vendor's exception would live on.
    """
    try:
        return call()
    except QuantumAIError as error:
        failure = error
    except Exception as error:
        failure = translate(error)
    raise failure
