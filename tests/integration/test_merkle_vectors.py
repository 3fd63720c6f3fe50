"""The proof vectors that transparency-dev/merkle publishes, all of them, by our `merkle`.

They stand in that module's own tests: good proofs, and each of them spoilt in dozens of ways.
Those tests run in a temporary copy of the module, where both verifying functions write down what
they are asked and what they answer. Ours must answer the same.
"""

from __future__ import annotations

import base64
import json
import shutil
import stat
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from quantumai import merkle
from tests.integration.go_tools import LEDGER_GO
from tests.servers import run_go

pytestmark = [pytest.mark.slow, pytest.mark.integration]

_MODULE = "github.com/transparency-dev/merkle"
# Of its release v0.0.2, which go.mod names: (kind, whether it holds) -> different calls.
_COUNTS = {
    ("inclusion", True): 42,
    ("inclusion", False): 90,
    ("consistency", True): 53,
    ("consistency", False): 89,
}


@pytest.fixture(scope="module")
def calls(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    """Every different call that the module's tests make of its verifying functions."""
    folder = tmp_path_factory.mktemp("merkle")
    original = json.loads(run_go(["mod", "download", "-json", _MODULE], LEDGER_GO))["Dir"]
    copy = folder / "module"
    shutil.copytree(original, copy)
    for path in (copy, *copy.rglob("*")):  # the module cache is read-only
        path.chmod(path.stat().st_mode | stat.S_IWUSR)
    source = copy / "proof" / "verify.go"
    text = source.read_text()
    for name in ("VerifyInclusion", "VerifyConsistency"):
        assert text.count(f"func {name}(") == 1
        text = text.replace(f"func {name}(", f"func recorded{name}(")
    source.write_text(text)
    shutil.copy(LEDGER_GO / "testdata" / "recorder" / "recorder.go", copy / "proof" / "recorder.go")
    record = folder / "calls.jsonl"
    run_go(["test", "-count=1", "./proof", "./testonly"], copy, RECORD_CALLS=str(record))
    return [json.loads(line) for line in sorted(set(record.read_text().splitlines()))]


def test_we_answer_as_they_do(
    calls: list[Any], record_property: Callable[[str, str], None]
) -> None:
    counts = Counter((call["kind"], call["holds"]) for call in calls)
    stricter = [call for call in calls if _holds(call) != call["holds"]]
    # That release takes any root for that of a tree without leaves. Later ones do not, nor do we.
    assert [(call["kind"], call["numbers"][0], call["holds"]) for call in stricter] == [
        ("consistency", 0, True)
    ] * 2
    assert all(_decoded(call["hashes"])[0] != merkle.EMPTY_ROOT for call in stricter)
    assert counts == _COUNTS
    record_property("vectors", f"transparency-dev/merkle: {counts.total()} proofs")


def _holds(call: Any) -> bool:
    hashes, proof = _decoded(call["hashes"]), _decoded(call["proof"])
    if call["kind"] == "inclusion":
        return merkle.verify_inclusion(hashes[0], *call["numbers"], proof, hashes[1])
    return merkle.verify_consistency(*call["numbers"], *hashes, proof)


def _decoded(values: list[str] | None) -> list[bytes]:
    return [base64.b64decode(value or "") for value in values or []]
