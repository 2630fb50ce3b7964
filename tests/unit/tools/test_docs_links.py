"""Pages and docstrings point to what is there: links with their headings, files, modules and their names."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

TOP = Path(__file__).parents[3]
PAGES = sorted([*TOP.glob("*.md"), *TOP.glob("docs/*.md")])
SOURCES = sorted(path for kind in ("src", "tests", "bench", "tools") for path in (TOP / kind).rglob("*.py"))
LINK = re.compile(r"\]\(([^)\s]+)\)")
FILE = re.compile(r"(?<![\w/.<>-])((?:bench|docs|src|tests|tools|cases|ovine)/[\w./-]*\w\.(?:jsonl|md|py|txt))\b")
MODULE = re.compile(r"`(ovine(?:\.[a-z_]\w*)+)((?:\.[A-Z]\w*)?)`")
ROOTS = [TOP / part for part in ("", "src", "tests")]


def texts() -> Iterator[tuple[str, str]]:
    """Each page but the log of changes, which also tells of what was; the docstrings of modules with such names."""
    for page in PAGES:
        if page.name != "CHANGELOG.md":
            yield page.name, page.read_text()
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    for source in SOURCES:
        content = source.read_text()
        if not FILE.search(content) and not MODULE.search(content):
            continue
        nodes = (node for node in ast.walk(ast.parse(content)) if isinstance(node, documented))
        yield str(source.relative_to(TOP)), "\n".join(ast.get_docstring(node) or "" for node in nodes)


TEXTS = dict(texts())


def headings(page: Path) -> set[str]:
    """The anchors that a page's headings make."""
    lines = re.findall(r"^#+ (.*)$", page.read_text(), re.M)
    return {re.sub(r"[^\w\- ]", "", line.lower()).replace(" ", "-") for line in lines}


def is_there(module: str, name: str) -> bool:
    """Whether there is such a module, or a module with such a name in it."""
    path = TOP / "src" / module.replace(".", "/")
    owners = [path.with_suffix(".py"), path / "__init__.py"]
    if not name and any(owner.is_file() for owner in owners):
        return True
    if not name:
        owners = [path.parent.with_suffix(".py"), path.parent / "__init__.py"]
    last = (name or module).rpartition(".")[2]
    return any(owner.is_file() and re.search(rf"\b{last}\b", owner.read_text()) for owner in owners)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for link in LINK.findall(page.read_text()):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, heading = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), link
        assert not heading or heading in headings(target), link


def test_files_that_are_named_exist() -> None:
    named = [(text, name) for text, content in TEXTS.items() for name in FILE.findall(content)]
    named = [(text, name) for text, name in named if not Path(name).stem.isupper()]  # which stand for any name
    assert len(named) > 300
    lost = [(text, name) for text, name in named if not any((root / name).is_file() for root in ROOTS)]
    assert lost == []


def test_modules_that_are_named_exist() -> None:
    named = [(text, *found) for text, content in TEXTS.items() for found in MODULE.findall(content)]
    assert len(named) > 50
    assert [one for one in named if not is_there(*one[1:])] == []
