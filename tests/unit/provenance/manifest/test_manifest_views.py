"""Three views of one payload accept and reject alike, whatever is changed in which of them."""

from __future__ import annotations

import base64
import copy
import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from quantumai import strict_yaml
from quantumai.canonical import canonical_json, sha256_hex
from quantumai.crypto_mode import CryptoMode
from quantumai.errors import BadInputError
from quantumai.provenance.manifest.run_manifest import RunManifest
from quantumai.provenance.manifest.view_verification import verify_view
from quantumai.provenance.manifest.views import (
    Enclosed,
    ViewFormat,
    flat_view,
    read_view,
    write_view,
)
from quantumai.provenance.sealing.sealer import Sealer
from quantumai.provenance.statements.dsse import Envelope, parse_envelope
from quantumai.provenance.statements.statement import RUN_MANIFEST, artifact_hash, build_statement
from quantumai.provenance.verification.report import VerificationReport
from quantumai.provenance.verification.sealed_statement import CHECK_NAMES
from quantumai.provenance.verification.trust import TrustFile
from quantumai.strict_yaml import write_strict_yaml

VIEWS = tuple(ViewFormat)
FLAT = (ViewFormat.JSON, ViewFormat.YAML)
ARTEFACTS = {"result": b'{"z":0.5}', "decision": b"{}", "circuit \xe9 \U0001f600": b"x"}
DIGESTS = {name: sha256_hex(content) for name, content in ARTEFACTS.items()}
_SLOW_FIXTURE = (HealthCheck.function_scoped_fixture, HealthCheck.too_slow)


@dataclass(frozen=True)
class Evidence:
    """What an auditor holds beside a manifest."""

    envelope: Envelope
    proof: bytes
    trust: TrustFile

    def report(self, manifest: bytes, *allowed: str) -> VerificationReport:
        """What verifying `manifest` with this evidence says."""
        held = {DIGESTS[name]: content for name, content in ARTEFACTS.items()}
        return verify_view(
            manifest, held.get, self.proof, self.trust, allow_unchecked=frozenset(allowed)
        )

    def code(self, manifest: bytes) -> int:
        """Exit code of verifying `manifest`; a refusal is one even for who asks for least."""
        report = self.report(manifest)
        assert report.verified == (report.exit_code == 0)
        if not report.verified:
            assert not self.report(manifest, *CHECK_NAMES).verified
        return int(report.exit_code)

    def tree(self, view: ViewFormat) -> Any:
        """The parsed values of a view."""
        return self.envelope.as_json() if view is ViewFormat.DSSE else flat_view(self.envelope)


def written(tree: Any, view: ViewFormat) -> bytes:
    """A tree as a writer of that view would write it."""
    if view is ViewFormat.DSSE:
        return canonical_json(tree)
    if view is ViewFormat.JSON:
        return json.dumps(tree, indent=1).encode()
    return write_strict_yaml(tree)


def _predicate() -> dict[str, Any]:
    return {
        "job_id": "j",
        "tenant": "t",
        "backend_id": "b \xe9",
        "pqc_suite": "ML-DSA-65:Ed25519",
        "crypto_mode": "hybrid",
        "calibration_snapshot_id": "no",
        "em_method": "zne",
        "em_version": "1",
        "seed": "sha256:" + "0" * 64,
        "created_at": "2026-01-01T00:00:00Z",
        "artifact_hash": artifact_hash(ARTEFACTS),
        "sdk_version": "1",
        "library_versions": {"python": "3.11", "qiskit": "2.0"},
        "policy_digest": "",
        "request_sha256": "0" * 64,
        "evidence": {"log": "1" * 64},
        "plugin_digests": {},
        "origin": "scheduled",
        "schema_version": 2,
    }


def _seal(sealer: Sealer, statement: bytes) -> Evidence:
    envelope, index = sealer.seal("run-manifest", statement, mode=CryptoMode.HYBRID)
    trust = sealer.export_trust(CryptoMode.HYBRID)
    return Evidence(parse_envelope(envelope), sealer.proof(index, envelope), trust)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def sealed() -> dict[str, Evidence]:
    return {}


@pytest.fixture
def evidence(
    home: Path, sealed: dict[str, Evidence], new_sealer: Callable[[Path], Sealer]
) -> Evidence:
    """A manifest with two signatures, sealed once for the module."""
    if not sealed:
        statement = build_statement(DIGESTS, RUN_MANIFEST, _predicate())
        sealed["one"] = _seal(new_sealer(home), statement)
    return sealed["one"]


# -- unchanged


@pytest.mark.parametrize("view", VIEWS)
def test_each_view_gives_the_very_envelope(evidence: Evidence, view: ViewFormat) -> None:
    data = write_view(evidence.envelope, view)
    assert read_view(data) == evidence.envelope
    assert read_view(data).data == evidence.envelope.data
    assert evidence.code(data) == 0
    assert tuple(c.name for c in evidence.report(data).checks) == CHECK_NAMES


def test_the_flat_view_is_the_specifications(evidence: Evidence) -> None:
    view = flat_view(evidence.envelope)
    assert list(view)[:4] == ["job_id", "tenant", "backend_id", "pqc_suite"]
    first, second = evidence.envelope.signatures
    assert base64.b64decode(view["signature"]) == first.signature
    assert len(first.signature) == 3309  # FIPS 204, table 2: ML-DSA-65
    (further,) = view["signatures"]
    assert further["key_id"] == second.key_id
    assert base64.b64decode(further["signature"]) == second.signature
    statement = json.loads(base64.b64decode(view["payload"]))
    assert statement["predicate"] == {n: v for n, v in view.items() if n in _predicate()}
    beside = {*Enclosed.__struct_fields__, "subjects"}
    assert view.keys() == statement["predicate"].keys() | beside
    assert beside.isdisjoint(RunManifest.__struct_fields__)


@pytest.mark.parametrize("loader", [yaml.SafeLoader, getattr(yaml, "CSafeLoader", yaml.SafeLoader)])
def test_other_readers_read_the_same_yaml(evidence: Evidence, loader: Any) -> None:
    text = write_view(evidence.envelope, ViewFormat.YAML)
    assert yaml.load(text, Loader=loader) == flat_view(evidence.envelope)  # noqa: S506


def _shuffled(tree: Any, order: random.Random) -> Any:
    if not isinstance(tree, dict):
        return tree
    names = sorted(tree)
    order.shuffle(names)
    return {name: _shuffled(tree[name], order) for name in names}


@settings(max_examples=20, deadline=None, suppress_health_check=_SLOW_FIXTURE)
@given(order=st.randoms(use_true_random=False))
def test_form_does_not_matter_in_a_flat_view(evidence: Evidence, order: random.Random) -> None:
    tree = _shuffled(flat_view(evidence.envelope), order)
    indent, ascii_only = order.choice([None, 0, 3]), order.random() < 0.5
    text = json.dumps(tree, indent=indent, ensure_ascii=ascii_only)
    assert evidence.code(text.encode()) == 0
    assert evidence.code(b"\r\n " + text.encode() + b" \n") == 0
    flow = yaml.dump(
        tree, default_style='"', default_flow_style=True, width=60, sort_keys=False
    ).replace('!!int "2"', "2")
    assert flow.startswith("{")
    assert evidence.code(f"# a remark\n--- {flow}# and another\n".encode()) == 0


# -- changed: any parsed value, in any view


def _nodes(tree: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    members = tree.items() if isinstance(tree, dict) else enumerate(tree)
    found = [path]
    for name, member in members:
        inner = isinstance(member, dict | list)
        found += _nodes(member, (*path, name)) if inner else [(*path, name)]
    return found


def _at(tree: Any, path: tuple[Any, ...]) -> Any:
    for name in path:
        tree = tree[name]
    return tree


_OTHER = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**53) + 1, 2**53 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(codec="utf-8"), max_size=8),
    st.just([]),
    st.just({}),
    st.dictionaries(st.sampled_from(["key_id", "signature", "x"]), st.just("AAAA"), max_size=3),
)
_NAMES = st.sampled_from(["publicKey", "payloadType", "payload_type", "seed", "origin", "<<", ""])


def _change(draw: Callable[[Any], Any], tree: Any) -> Any:
    """Change one thing in a copy of `tree`."""
    tree = copy.deepcopy(tree)
    nodes = _nodes(tree)
    path = draw(st.sampled_from(nodes))
    node = _at(tree, path)
    if isinstance(node, dict):
        _change_members(draw, node)
    elif isinstance(node, list):
        _change_items(draw, node)
    else:
        _at(tree, path[:-1])[path[-1]] = _changed_leaf(draw, node)
    return tree


def _change_members(draw: Callable[[Any], Any], node: dict[str, Any]) -> None:
    names = sorted(node)
    how = draw(st.sampled_from(["add", "remove", "rename", "swap"] if names else ["add"]))
    if how == "add":
        node.setdefault(draw(_NAMES), draw(_OTHER))
        return
    name = draw(st.sampled_from(names))
    if how == "remove":
        del node[name]
    elif how == "rename":
        node[draw(_NAMES)] = node.pop(name)
    else:
        other = draw(st.sampled_from(names))
        node[name], node[other] = node[other], node[name]


def _change_items(draw: Callable[[Any], Any], node: list[Any]) -> None:
    how = draw(st.sampled_from(["add", "remove", "twice", "reverse"]))
    if how == "add" or not node:
        node.append(draw(_OTHER))
    elif how == "remove":
        node.pop(draw(st.integers(0, len(node) - 1)))
    elif how == "twice":
        node.append(node[0])
    else:
        node.reverse()


def _changed_leaf(draw: Callable[[Any], Any], leaf: Any) -> Any:
    if isinstance(leaf, str) and leaf and draw(st.booleans()):
        at = draw(st.integers(0, len(leaf) - 1))
        return leaf[:at] + draw(st.sampled_from("aAbB19+/= ")) + leaf[at + 1 :]
    if isinstance(leaf, int) and draw(st.booleans()):
        return leaf + draw(st.sampled_from([-1, 0.5, 1]))
    return draw(_OTHER)


@settings(max_examples=100, deadline=None, suppress_health_check=_SLOW_FIXTURE)
@given(data=st.data(), view=st.sampled_from(VIEWS))
def test_whatever_is_changed_is_refused(
    evidence: Evidence, data: st.DataObject, view: ViewFormat
) -> None:
    tree = evidence.tree(view)
    changed = _change(data.draw, tree)
    if canonical_json(changed) == canonical_json(tree):
        return
    assert evidence.code(written(changed, view)) != 0


@pytest.mark.slow
@pytest.mark.parametrize("view", VIEWS)
def test_every_single_value_counts(evidence: Evidence, view: ViewFormat) -> None:
    tree = evidence.tree(view)
    for path in _nodes(tree)[1:]:
        gone, nulled, longer = (copy.deepcopy(tree) for _ in range(3))
        del _at(gone, path[:-1])[path[-1]]
        _at(nulled, path[:-1])[path[-1]] = None
        _at(longer, path[:-1])[path[-1]] = f"{_at(tree, path)}="
        for changed in (gone, nulled, longer):
            assert evidence.code(written(changed, view)) != 0, path


# -- the same change in every view has the same exit code


def _flat_of(tree: Any, told: dict[str, Any]) -> dict[str, Any]:
    """The flat view that encloses a DSSE envelope and tells what `told` tells."""
    flat = dict(told)
    flat["payload"], flat["payload_type"] = tree["payload"], tree["payloadType"]
    pairs = [{"key_id": s["keyid"], "signature": s["sig"]} for s in tree["signatures"]]
    del flat["key_id"], flat["signature"]
    return flat | (pairs[0] if pairs else {}) | {"signatures": pairs[1:]}


def _payload(change: Callable[[bytes], bytes]) -> Callable[[Any], None]:
    def apply(tree: Any) -> None:
        tree["payload"] = base64.b64encode(change(base64.b64decode(tree["payload"]))).decode()

    return apply


def _in_signature(number: int, member: str, change: Callable[[str], str]) -> Callable[[Any], None]:
    def apply(tree: Any) -> None:
        tree["signatures"][number][member] = change(tree["signatures"][number][member])

    return apply


def _other_bit(text: str) -> str:
    return ("B" if text[0] != "B" else "C") + text[1:]


_CHANGES: dict[str, tuple[Callable[[Any], Any], int]] = {
    "payload": (_payload(lambda data: data.replace(b'"b \xc3\xa9"', b'"other"')), 3),
    "payload with a member twice": (_payload(lambda d: d.replace(b"{", b'{"_type":"",', 1)), 3),
    "payload with NaN": (_payload(lambda d: d.replace(b'"schema_version":2', b'"s":NaN')), 3),
    "payload and more": (_payload(lambda data: data + b"\n"), 3),
    "no payload": (_payload(lambda data: b""), 3),
    "an unknown predicate type": (_payload(lambda d: d.replace(b"run-manifest", b"run-away")), 3),
    "another predicate type": (
        _payload(lambda d: d.replace(b"run-manifest", b"scheduler-decision")),
        3,
    ),
    "base64 in another form": (lambda tree: tree.update(payload=tree["payload"] + "\n"), 2),
    "damaged base64": (lambda tree: tree.update(payload=tree["payload"][1:]), 2),
    "payload type": (lambda tree: tree.update(payloadType="application/json"), 2),
    "post-quantum signature": (_in_signature(0, "sig", _other_bit), 3),
    "classical signature": (_in_signature(1, "sig", _other_bit), 3),
    "signature in another form": (_in_signature(1, "sig", lambda text: " " + text), 2),
    "no signature": (lambda tree: tree["signatures"].clear(), 2),
    "one signature twice": (lambda tree: tree["signatures"].append(tree["signatures"][0]), 2),
    "order of signatures": (lambda tree: tree["signatures"].reverse(), 6),
    "one more signature": (
        lambda tree: tree["signatures"].append({"keyid": "0" * 64, "sig": "AAAA"}),
        6,
    ),
    "no key is known": (
        lambda tree: [s.update(keyid=s["keyid"][::-1]) for s in tree["signatures"]],
        5,
    ),
    "not hybrid any more": (lambda tree: tree["signatures"].pop(), 9),
}


@pytest.mark.parametrize("name", _CHANGES)
def test_the_same_change_has_the_same_exit_code(evidence: Evidence, name: str) -> None:
    change, code = _CHANGES[name]
    tree = copy.deepcopy(evidence.envelope.as_json())
    change(tree)
    assert tree != evidence.envelope.as_json()
    flat = _flat_of(tree, flat_view(evidence.envelope))
    codes = {
        view: evidence.code(written(tree if view is ViewFormat.DSSE else flat, view))
        for view in VIEWS
    }
    assert codes == dict.fromkeys(VIEWS, code)


def test_a_forgery_that_does_not_contradict_itself(evidence: Evidence) -> None:
    """Who changes the payload and what is told of it alike is found out by the signature."""
    payload = evidence.envelope.payload.replace(b'"tenant":"t"', b'"tenant":"x"')
    envelope = Envelope(evidence.envelope.payload_type, payload, evidence.envelope.signatures)
    assert flat_view(envelope)["tenant"] == "x"
    assert [evidence.code(write_view(envelope, view)) for view in VIEWS] == [3, 3, 3]


@pytest.mark.parametrize("view", FLAT)
def test_what_is_told_is_what_was_signed(evidence: Evidence, view: ViewFormat) -> None:
    for changes in (
        {"backend_id": "other"},
        {"subjects": {}},
        {"schema_version": "2"},
        {"schema_version": True},
        {"schema_version": 2**60},
        {"evidence": None},
    ):
        data = written(flat_view(evidence.envelope) | changes, view)
        (name,) = changes
        report = evidence.report(data)
        assert report.exit_code == 3
        told = [c.detail for c in report.checks if c.name == "fields"]
        assert told == [f"{name} contradicts the payload that was signed"]
        # All else is what the envelope in it gives.
        assert {c.name for c in report.checks if c.status == "failed"} == {"fields"}
        with pytest.raises(BadInputError, match=f"{name} contradicts"):
            read_view(data)


# -- refused before anything is believed


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda d: d + d, id="trailing data"),
        pytest.param(lambda d: d + b"{}", id="trailing object"),
        pytest.param(lambda d: d + b"\x00", id="trailing zero"),
        pytest.param(lambda d: b"\xef\xbb\xbf" + d, id="mark"),
        pytest.param(lambda d: d.decode().encode("utf-16"), id="utf-16"),
        pytest.param(lambda d: d[: len(d) // 2], id="half"),
        pytest.param(lambda d: b"[" + d + b"]", id="wrapped"),
        pytest.param(lambda d: d.replace(b'"payload', b'"a":1,"payload', 1), id="unknown member"),
        pytest.param(lambda d: d.replace(b'"payload', b'"a": 1\n"payload', 1), id="unknown line"),
        pytest.param(lambda d: d.replace(b'"signatures":', b'"signatures":,', 1), id="comma"),
        pytest.param(lambda d: b"", id="nothing"),
    ],
)
@pytest.mark.parametrize("view", VIEWS)
def test_what_is_no_view_is_bad_input(
    evidence: Evidence, view: ViewFormat, spoil: Callable[[bytes], bytes]
) -> None:
    data = spoil(write_view(evidence.envelope, view))
    assert evidence.code(data) == 2
    with pytest.raises(BadInputError):
        read_view(data)


@pytest.mark.parametrize("depth", [60, 400, 900, 5000, 100_000])
def test_deep_nesting_is_one_line(evidence: Evidence, depth: int) -> None:
    nested = b"[" * depth + b"]" * depth
    for data in (
        b'{"payloadType":' + nested + b"}",
        b'{"payload":' + nested + b"}",
        b'"payload": ' + nested,
        nested,
        write_view(evidence.envelope, ViewFormat.JSON).replace(b'"t"', nested, 1),
    ):
        assert evidence.code(data) in (2, 3)
        with pytest.raises(BadInputError):
            read_view(data)


@pytest.mark.parametrize("where", ["first", "nested"])
@pytest.mark.parametrize("view", VIEWS)
def test_a_member_twice_is_bad_input(evidence: Evidence, view: ViewFormat, where: str) -> None:
    data = write_view(evidence.envelope, view)
    name = {
        "first": b'"payload":',
        "nested": b'"keyid":' if view is ViewFormat.DSSE else b'"python":',
    }[where]
    between = b"\n" if view is ViewFormat.YAML else b","
    if view is ViewFormat.YAML and where == "nested":
        between += b"  "
    spoilt = data.replace(name, name + b' ""' + between + name, 1)
    assert spoilt != data
    assert evidence.code(spoilt) == 2


@pytest.mark.parametrize("value", [b"NaN", b"-Infinity", b".nan", b"-.inf", b"1e999"])
@pytest.mark.parametrize("view", FLAT)
def test_not_a_number_is_refused(evidence: Evidence, view: ViewFormat, value: bytes) -> None:
    data = write_view(evidence.envelope, view)
    spoilt = data.replace(b'"schema_version": 2', b'"schema_version": ' + value)
    assert spoilt != data
    assert evidence.code(spoilt) == 2


@pytest.mark.parametrize(
    "value",
    [
        b'&a "t"',
        b'!!str "t"',
        b'! "t"',
        b"t",
        b"|-\n  t",
        b'"t"\n--- {}',
        b'"t"\n<<: {"job_id": "j"}',
        b'"t"\n"tenant": "t"',
    ],
)
def test_yaml_that_says_more_than_json_is_bad_input(evidence: Evidence, value: bytes) -> None:
    data = write_view(evidence.envelope, ViewFormat.YAML)
    spoilt = data.replace(b'"tenant": "t"', b'"tenant": ' + value)
    assert spoilt != data
    assert evidence.code(spoilt) == 2
    assert evidence.code(b"%YAML 1.1\n---\n" + data) == 2


@pytest.mark.parametrize("predicate_type", ["urn:quantumai:scheduler-decision:v1", "urn:x:y:v1"])
def test_a_signed_statement_of_another_kind_is_no_manifest(
    home: Path, new_sealer: Callable[[Path], Sealer], evidence: Evidence, predicate_type: str
) -> None:
    payload = evidence.envelope.payload.replace(RUN_MANIFEST.encode(), predicate_type.encode())
    other = _seal(new_sealer(home), payload)
    flat = _flat_of(other.envelope.as_json(), flat_view(evidence.envelope))
    for view in VIEWS:
        data = written(other.envelope.as_json() if view is ViewFormat.DSSE else flat, view)
        report = other.report(data)
        assert report.exit_code == 3
        # The signatures hold; it is the statement that is none of ours.
        failed = {c.name for c in report.checks if c.status == "failed"}
        assert failed == {"fields"}
        with pytest.raises(BadInputError, match=r"predicate type|not a run-manifest"):
            read_view(data)


def test_a_manifest_that_cannot_be_read_back_is_not_written(
    evidence: Evidence, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(strict_yaml, "_MOST_EVENTS", 50)
    write_view(evidence.envelope, ViewFormat.JSON)
    with pytest.raises(BadInputError, match="too many"):
        write_view(evidence.envelope, ViewFormat.YAML)
