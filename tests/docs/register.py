"""The register of promises: each sentence that another party relies on, and who tries to break it.

docs/promises.md has a section for each page, headed by a link to it, and a row for each promise.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from tests.docs.pages import ROOT, linked_file

REGISTER = ROOT / "docs" / "promises.md"
COLUMNS = ("promise", "who tries to break it", "tests", "not promised")


@dataclass(frozen=True)
class Promise:
    """A row of the register.

    Args:
        page: The document that promises.
        sentence: What it promises, word for word.
        adversary: Who tries to break it, and by what means.
        tests: Paths and names of the tests that play that adversary, as pytest writes them.
        beyond: What is not promised.
    """

    page: Path
    sentence: str
    adversary: str
    tests: tuple[str, ...]
    beyond: str

    @property
    def is_in_page(self) -> bool:
        """Whether the page says so, in these words; line breaks do not count."""
        return self.sentence in one_line(self.page.read_text())


def promises() -> list[Promise]:
    """Return the rows of the register."""
    return list(_rows(REGISTER.read_text()))


def one_line(text: str) -> str:
    """Return a text without its line breaks and the marks of its lists."""
    return " ".join(re.sub(r"^\s*(?:[-*]|\d+\.) ", "", text, flags=re.M).split())


def sentences(text: str) -> list[str]:
    """Return the sentences of a piece of a page."""
    return [one for one in re.split(r"(?<=[.;:])\s+(?=[A-Z*`])", one_line(text)) if one]


def section(page: Path, start: str, end: str) -> str:
    """Return what stands in a page between two texts.

    Raises:
        ValueError: One of them is not there.
    """
    text = page.read_text()
    first = text.index(start) + len(start)
    return text[first : text.index(end, first)]


def prose(page: Path) -> list[str]:
    """Return the sentences of a page, those in its tables included, without code and headings."""
    text = re.sub(r"^```.*?^```$|^#[^\n]*$", "", page.read_text(), flags=re.M | re.S)
    pieces = [
        piece
        for block in re.split(r"\n\s*\n|\n(?=- )", text)
        for piece in (block.split("|") if block.lstrip().startswith("|") else [block])
    ]
    return [one for piece in pieces for one in sentences(piece)]


def guarantees(module: Path) -> dict[str, str]:
    """Return what the public docstrings of a module guarantee, by name; "" is the module's own."""
    found = {}
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Module):
            name = getattr(node, "name", "")
            said = re.search(r"Guarantee: (.*?)(\n\n|\Z)", ast.get_docstring(node) or "", re.S)
            if said and not name.startswith("_"):
                found[name] = one_line(said[1])
    return found


@lru_cache(maxsize=64)
def expected_failures(path: Path) -> dict[str, bool]:
    """Return the tests of a file, and whether each is expected to fail."""
    found = {}
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            marks = "\n".join(ast.unparse(one) for one in node.decorator_list)
            found[node.name] = "xfail" in marks or "skip" in marks
        elif isinstance(node, ast.Assign):
            # A state machine of hypothesis is a test by this assignment.
            found.update({ast.unparse(one): False for one in node.targets})
    return found


def _rows(text: str) -> Iterator[Promise]:
    page = REGISTER
    for line in text.splitlines():
        heading = re.match(r"Said in \[.*\]\(([^)]+)\)", line)
        if heading:
            page = linked_file(REGISTER, heading[1])
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if not line.startswith("|") or cells[0] == COLUMNS[0] or set(cells[0]) <= set("-: "):
            continue
        sentence, adversary, tests, beyond = cells
        named = tuple(re.findall(r"`([^`]+::[^`]+)`", tests))
        yield Promise(page, sentence, adversary, named, beyond)
