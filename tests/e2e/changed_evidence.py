"""Ways to change a job's exported evidence, by their own reading of the formats."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

Change = Callable[[Path], None]


def in_envelope(change: Callable[[Any], None]) -> Change:
    return in_json("evidence/manifest.json", change)


def in_json(name: str, change: Callable[[Any], None]) -> Change:
    def apply(folder: Path) -> None:
        file = folder / name
        value = json.loads(file.read_text())
        before = json.dumps(value)
        change(value)
        assert json.dumps(value) != before
        file.write_text(json.dumps(value, sort_keys=True, separators=(",", ":")))

    return apply


def in_payload(old: str, new: str) -> Change:
    def change(envelope: Any) -> None:
        payload = base64.b64decode(envelope["payload"])
        assert old.encode() in payload
        envelope["payload"] = base64.b64encode(payload.replace(old.encode(), new.encode())).decode()

    return in_envelope(change)


def spoilt(text: str) -> str:
    data = bytearray(base64.b64decode(text))
    data[len(data) // 2] ^= 1
    return base64.b64encode(data).decode()


def spoil_signature(number: int) -> Change:
    def change(envelope: Any) -> None:
        signature = envelope["signatures"][number]
        signature["sig"] = spoilt(signature["sig"])

    return in_envelope(change)


def in_proof(pattern: str, change: Callable[[str], str]) -> Change:
    """Change what the pattern's group matches in the proof file."""

    def apply(folder: Path) -> None:
        file = folder / "evidence" / "proof.json"
        text = file.read_text()
        found = re.search(pattern, text, re.MULTILINE)
        assert found, pattern
        changed = text[: found.start(1)] + change(found[1]) + text[found.end(1) :]
        assert changed != text
        file.write_text(changed)

    return apply


def in_artefact(folder: Path) -> None:
    file = max((folder / "evidence" / "artefacts").iterdir(), key=lambda path: path.name)
    file.write_bytes(file.read_bytes() + b" ")


def without_artefact(folder: Path) -> None:
    next((folder / "evidence" / "artefacts").iterdir()).unlink()


def spoil_cosignature(line: str) -> str:
    data = bytearray(base64.b64decode(line))
    data[4] ^= 1  # the time, or the first byte of the plain signature
    return base64.b64encode(data).decode()


def spoil_status(field: str, value: object) -> Callable[[str], str]:
    def change(extra: str) -> str:
        statuses = json.loads(base64.b64decode(extra))
        status = statuses["key_status"][0]
        statement = json.loads(base64.b64decode(status["payload"]))
        assert statement["predicate"][field] != value
        statement["predicate"][field] = value
        status["payload"] = base64.b64encode(json.dumps(statement).encode()).decode()
        return base64.b64encode(json.dumps(statuses).encode()).decode()

    return change
