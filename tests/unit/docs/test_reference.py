"""The documentation is true to the code: pages fresh, settings documented, links alive."""

from __future__ import annotations

import ast
import re
import tomllib
from functools import cache
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[3]
REFERENCE = ROOT / "docs" / "reference"
_LINK = re.compile(r"\[[^\]\n]*\]\(([^)\s]+)\)")
_CODE = re.compile(r"^```.*?^```$|`[^`\n]*`", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^#+ +(.+)$", re.MULTILINE)
_FOLDERS = ("docs", "benchmarks", "examples", "src", "tests")


@cache
def generator() -> ModuleType:
    loader = SourceFileLoader("quantumai_reference", str(ROOT / "scripts" / "reference"))
    spec = spec_from_loader(loader.name, loader)
    assert spec is not None
    module = module_from_spec(spec)
    loader.exec_module(module)
    return module


@cache
def pages() -> dict[str, str]:
    written: dict[str, str] = generator().pages()
    return written


def markdown_files() -> list[Path]:
    nested = [path for folder in _FOLDERS for path in (ROOT / folder).rglob("*.md")]
    return sorted([*ROOT.glob("*.md"), *nested])


def broken_links(page: Path) -> list[str]:
    """Relative links of `page` without a file, or with an anchor that no heading there has."""
    broken = []
    for target in _LINK.findall(_CODE.sub("", page.read_text(encoding="utf-8"))):
        name, _, anchor = target.partition("#")
        if ":" in name:
            continue
        file = (page.parent / name).resolve() if name else page
        if not file.exists() or (anchor and anchor not in anchors(file)):
            broken.append(target)
    return broken


def anchors(page: Path) -> set[str]:
    headings = _HEADING.findall(re.sub(r"(?ms)^```.*?^```$", "", page.read_text(encoding="utf-8")))
    kept = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {heading.strip().replace(" ", "-") for heading in kept}


@pytest.mark.parametrize("name", sorted(path.name for path in REFERENCE.glob("*.md")))
def test_no_generated_page_is_stale(name: str) -> None:
    expected = pages().get(name)
    assert expected is not None, f"docs/reference/{name} is not generated: remove it"
    actual = (REFERENCE / name).read_text(encoding="utf-8")
    assert actual == expected, "stale: run .venv/bin/python scripts/reference"


def test_every_generated_page_is_there() -> None:
    assert set(pages()) == {path.name for path in REFERENCE.glob("*.md")}


def test_every_environment_variable_is_documented() -> None:
    words = tomllib.loads((REFERENCE / "words.toml").read_text(encoding="utf-8"))["settings"]
    found = generator().environment_variables()
    assert "QAI_HOME" in found, "the scan finds nothing"
    assert set(found) == set(words), "correct [settings] in docs/reference/words.toml"


@pytest.mark.parametrize(
    ("code", "names"),
    [
        ("os.environ['QAI_A']", {"QAI_A"}),
        ("os.environ.get('HOME')", {"HOME"}),
        ("os.getenv('HOME')", {"HOME"}),
        ("'CI' in os.environ", {"CI"}),
        ("N = 'QAI_B'\nsettings.get(N)", {"QAI_B"}),
        ("for n in ('A', 'B'):\n    os.environ.setdefault(n, '1')", {"A", "B"}),
        ("read('QAI_C')", {"QAI_C"}),
        ("row.get('NOT_A_SETTING')", set()),
    ],
)
def test_the_scan_sees_each_way_to_read_a_variable(code: str, names: set[str]) -> None:
    assert set(generator()._variables_in(ast.parse(code), "module")) == names


def test_the_scan_refuses_what_it_cannot_tell() -> None:
    with pytest.raises(ValueError, match="cannot tell which variable"):
        list(generator()._variables_in(ast.parse("os.environ[make_name()]"), "module"))


@pytest.mark.parametrize("page", markdown_files(), ids=lambda page: str(page.relative_to(ROOT)))
def test_no_relative_link_is_broken(page: Path) -> None:
    assert broken_links(page) == []


def test_a_broken_link_is_noticed(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# Here it is\n[a](gone.md) [b](#here-it-is) [c](#not-here) `[d](code.md)`\n")
    assert broken_links(page) == ["gone.md", "#not-here"]


def test_every_record_is_listed_and_short() -> None:
    """A decision record is found from its index and stays under 40 lines."""
    folder = ROOT / "docs" / "decisions"
    listed = (folder / "README.md").read_text(encoding="utf-8")
    records = sorted(folder.glob("[0-9]*.md"))
    assert records
    for record in records:
        assert record.name in listed
        assert len(record.read_text(encoding="utf-8").splitlines()) < 40, record.name
