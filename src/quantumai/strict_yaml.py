"""YAML as people write it, read strictly: JSON data in other clothes, or nothing.

Only what every YAML reader takes for the same JSON data is accepted (core schema of YAML 1.2.2,
https://yaml.org/spec/1.2.2/#103-core-schema): strings stand in quotes, and whatever is not quoted
is a JSON number, true, false or null. So `no`, `0o17`, `1:30` and dates, which versions of YAML
read differently, never get a meaning.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from quantumai.errors import BadInputError

if TYPE_CHECKING:
    from yaml.events import Event, ScalarEvent

LONGEST_YAML = 2 << 20
"""Bytes; a second or two of PyYAML. A manifest of a thousand artefacts has a fifth of that."""
_MOST_LINES = 100_000  # twice the values below: PyYAML takes long over lines that say nothing
_DEEPEST = 64
_TOO_DEEP = f"it is deeper than {_DEEPEST} levels"
_MOST_EVENTS = 50_000  # a second of parsing; a manifest of ten artefacts has a hundred
_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_WORDS = {"true": True, "false": False, "null": None}
# Line breaks of YAML 1.1 but not of 1.2, and a mark that readers strip: in quotes they are escaped.
_TWO_READINGS = frozenset("\x85\u2028\u2029\ufeff")


def parse_strict_yaml(data: bytes, what: str) -> Any:
    """Read one YAML document as plain JSON data.

    Raises `BadInputError`, naming `what`, for anchors, aliases, tags, directives, several
    documents, repeated and unquoted members, merge keys, strings without quotes, NaN and
    infinities, more than 64 levels, 100,000 lines or `LONGEST_YAML` bytes, and what is not UTF-8.
    """
    import yaml

    class ShallowLoader(yaml.SafeLoader):
        """PyYAML's own; it would look a thousand brackets ahead, at a cost of their square."""

        def fetch_flow_collection_start(self, TokenClass: Any) -> None:  # noqa: N803
            if self.flow_level == _DEEPEST:
                raise ValueError(_TOO_DEEP)
            super().fetch_flow_collection_start(TokenClass)

    try:
        if len(data) > LONGEST_YAML:
            raise ValueError(f"it is longer than {LONGEST_YAML} bytes; JSON may be longer")
        if max(data.count(b"\n"), data.count(b"\r")) > _MOST_LINES:
            raise ValueError(f"it has more than {_MOST_LINES} lines; JSON may have more")
        text = data.decode("utf-8")
        if found := _TWO_READINGS.intersection(text):
            raise ValueError(f"U+{ord(min(found)):04X} must be written as an escape")
        # Not the C parser: that one is not everywhere, and two parsers are two readings.
        return _document(_bounded(yaml.parse(text, Loader=ShallowLoader)))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f" in line {mark.line + 1}" if mark else ""
        raise BadInputError(f"{what} is not YAML: {error.problem}{where}") from None
    # PyYAML lets through what chr() says of an escape beyond Unicode.
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        reason = " ".join(str(error).split())
        raise BadInputError(f"{what} is not strict YAML: {reason}") from None


def write_strict_yaml(value: Any) -> bytes:
    """Write plain JSON data as YAML that `parse_strict_yaml` reads; strings are always quoted."""
    import yaml

    class QuotingDumper(yaml.SafeDumper):
        """PyYAML's own, with every string in double quotes and nothing written as an alias."""

        def ignore_aliases(self, data: object) -> bool:
            return True

    QuotingDumper.add_representer(
        str, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"')
    )
    written: str = yaml.dump(
        value, Dumper=QuotingDumper, allow_unicode=True, sort_keys=False, width=math.inf
    )
    return written.encode()


def _bounded(events: Iterator[Event]) -> Iterator[Event]:
    for count, event in enumerate(events):
        if count >= _MOST_EVENTS:
            raise ValueError("it has too many values")
        yield event


def _document(events: Iterator[Event]) -> Any:
    import yaml

    next(events)  # the start of the stream
    start = next(events)
    if not isinstance(start, yaml.DocumentStartEvent):
        raise ValueError("it is empty")
    if start.version or start.tags:
        raise ValueError("a directive stands in it")
    value = _value(next(events), events, 0)
    next(events)  # the end of the document
    if not isinstance(next(events), yaml.StreamEndEvent):
        raise ValueError("a second document follows")
    return value


def _value(event: Event, events: Iterator[Event], depth: int) -> Any:
    """The value that starts with `event`; what belongs to it is taken from `events`."""
    import yaml

    if not isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent):
        raise ValueError(f"an alias stands {_place(event)}")
    if event.anchor is not None:
        raise ValueError(f"an anchor stands {_place(event)}")
    if event.tag is not None:
        raise ValueError(f"a tag stands {_place(event)}")
    if isinstance(event, yaml.ScalarEvent):
        return _scalar(event)
    if depth == _DEEPEST:
        raise ValueError(_TOO_DEEP)
    if isinstance(event, yaml.SequenceStartEvent):
        return _sequence(events, depth + 1)
    return _mapping(events, depth + 1)


def _sequence(events: Iterator[Event], depth: int) -> list[Any]:
    import yaml

    items = []
    while not isinstance(event := next(events), yaml.SequenceEndEvent):
        items.append(_value(event, events, depth))
    return items


def _mapping(events: Iterator[Event], depth: int) -> dict[str, Any]:
    import yaml

    members: dict[str, Any] = {}
    while not isinstance(event := next(events), yaml.MappingEndEvent):
        name = _value(event, events, depth)
        if not isinstance(name, str):
            raise ValueError(f"a member's name that is no string stands {_place(event)}")
        if name in members:
            raise ValueError(f"a member stands twice, again {_place(event)}")
        members[name] = _value(next(events), events, depth)
    return members


def _scalar(event: ScalarEvent) -> Any:
    text: str = event.value
    if event.style in ("'", '"'):
        text.encode()  # a lone surrogate, from an escape, is no text
        return text
    if event.style in ("|", ">"):
        raise ValueError(f"a string that is not in quotes stands {_place(event)}")
    if text in _WORDS:
        return _WORDS[text]
    if not _NUMBER.fullmatch(text):
        raise ValueError(f"something that is neither quoted nor a number stands {_place(event)}")
    number = json.loads(text)
    if isinstance(number, float) and not math.isfinite(number):
        raise ValueError(f"a number too large stands {_place(event)}")
    return number


def _place(event: Event) -> str:
    mark = event.start_mark
    return f"in line {mark.line + 1}" if mark else "somewhere"
