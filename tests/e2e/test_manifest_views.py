"""One manifest in its three views: handed out, read back and verified by commands alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.qai_command import Ended, qai, qai_process

FORMATS = ("dsse", "json", "yaml")


@pytest.fixture(scope="module")
def job_id(home: Path) -> str:
    listed: list[dict[str, Any]] = qai("jobs", "list", "--json", home=home).json
    return str(listed[0]["job_id"])


@pytest.fixture(scope="module")
def trust(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("trust") / "trust.json"
    assert qai("trust", "export", "--out", file, home=home).code == 0
    return file


def assert_refused(done: Ended, told: str) -> None:
    assert (done.code, done.out) == (2, "")
    assert told in done.err
    assert "Traceback" not in done.err


@pytest.mark.slow
@pytest.mark.parametrize("view", FORMATS)
def test_the_evidence_in_each_view_verifies(
    home: Path, job_id: str, trust: Path, tmp_path: Path, view: str
) -> None:
    name = "manifest.yaml" if view == "yaml" else "manifest.json"
    done = qai("manifest", "export", job_id, tmp_path / "e", "--format", view, home=home)
    assert done.code == 0, done.err
    assert {path.name for path in (tmp_path / "e").iterdir()} == {name, "proof.json", "artefacts"}
    manifest = tmp_path / "e" / name
    assert qai("manifest", "verify", manifest, "--trust", trust, home=None).code == 0
    flat = json.loads(qai("manifest", "show", manifest, home=None).out)
    assert flat == qai("manifest", "show", job_id, home=home).json
    changed = manifest.read_bytes().replace(b'"local"', b'"lokal"')
    if view != "dsse":
        manifest.write_bytes(changed)
        assert qai("manifest", "verify", manifest, "--trust", trust, home=None).code == 3
        assert_refused(qai("manifest", "show", manifest, home=None), "tenant contradicts")
        assert_refused(qai("manifest", "import", manifest, home=None), "tenant contradicts")


@pytest.mark.parametrize("view", FORMATS)
def test_export_and_import_give_the_very_bytes(
    home: Path, job_id: str, tmp_path: Path, view: str
) -> None:
    files = {one: tmp_path / one for one in (*FORMATS, "back", "again")}
    export = ("manifest", "export", job_id, "--format")
    done = qai(*export, "dsse", "--out", files["dsse"], home=home)
    assert (done.code, done.out) == (0, "")
    assert qai(*export, view, "--out", files[view], home=home).code == 0
    assert qai("manifest", "import", files[view], "--out", files["back"], home=None).code == 0
    assert files["back"].read_bytes() == files["dsse"].read_bytes()
    # From a file as from the job.
    again = ("manifest", "export", files["back"], "--format", view, "--out", files["again"])
    assert qai(*again, home=None).code == 0
    assert files["again"].read_bytes() == files[view].read_bytes()
    as_json = qai("manifest", "import", files[view], "--json", home=None).json
    assert as_json == {"format": "dsse", "manifest": files["dsse"].read_text()}


def test_stdout_has_the_bytes_and_no_more(home: Path, job_id: str, tmp_path: Path) -> None:
    file = tmp_path / "m"
    assert qai("manifest", "export", job_id, "--out", file, home=home).code == 0
    done = qai_process("manifest", "import", file, environment={})
    assert (done.code, done.out) == (0, file.read_text())
    assert qai("manifest", "export", file, "--format", "json", home=None).json["job_id"] == job_id


def test_another_file_is_never_written_over(home: Path, job_id: str, tmp_path: Path) -> None:
    file = tmp_path / "m"
    export = ("manifest", "export", job_id, "--out", file)
    assert qai(*export, home=home).code == 0
    data = file.read_bytes()
    assert qai(*export, home=home).code == 0  # the same again
    assert_refused(qai(*export, "--format", "yaml", home=home), "another file is there")
    file.write_bytes(data[:-1] + b" ")
    assert_refused(qai(*export, home=home), "another file is there")
    assert file.read_bytes() == data[:-1] + b" "
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.slow
def test_what_cannot_be_meant_is_refused(home: Path, job_id: str, tmp_path: Path) -> None:
    export = ("manifest", "export", job_id)
    assert_refused(qai(*export, "--format", "xml", home=home), "dsse, json, yaml")
    both = qai(*export, tmp_path / "e", "--out", tmp_path / "m", home=home)
    assert_refused(both, "not both")
    assert_refused(qai(*export, "--out", tmp_path, home=home), "it is a directory")
    assert_refused(qai(*export, "--out", tmp_path / "no" / "m", home=home), "no directory")
    file = tmp_path / "m"
    assert qai(*export, "--out", file, home=home).code == 0
    assert_refused(qai("manifest", "export", file, tmp_path / "e", home=home), "is a file")
    for text in ("", "{}", "[]", "a: &b c", '{"payload": 1}', "OPENQASM 2.0;"):
        file.write_text(text)
        for command in ("import", "show", "export", "verify"):
            assert_refused(qai("manifest", command, file, home=None), "is no manifest")
    assert list(tmp_path.iterdir()) == [file]
