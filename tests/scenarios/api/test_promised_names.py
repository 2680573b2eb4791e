"""What Python promises is what there is, what type checkers see, and what the page lists."""

import ast
import inspect
import re
from pathlib import Path

import pytest

import consortium as c
from scenarios.api.running import Options

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "api.md").read_text()


def test_the_names_are_exactly_those_of_the_stub() -> None:
    tree = ast.parse((ROOT / "consortium" / "__init__.pyi").read_text())
    imported = [
        alias.asname
        for node in tree.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    ]
    (listed,) = (node.value for node in tree.body if isinstance(node, ast.Assign))
    assert sorted(imported, key=str) == sorted(c.__all__)
    assert ast.literal_eval(listed) == c.__all__ == sorted(c.__all__)


def test_the_page_names_all_of_them_where_it_promises_them() -> None:
    promised = PAGE.partition("## What is promised")[2].partition("Their types")[0]
    assert {*re.findall(r"`(\w+)`", promised)} == {*c.__all__}


@pytest.mark.parametrize("name", c.__all__)
def test_each_name_is_there_once_and_says_what_it_is(name: str) -> None:
    found = getattr(c, name)
    assert found.__name__ == name
    assert inspect.getdoc(found)
    assert name in dir(c)


def test_another_name_is_not_there() -> None:
    with pytest.raises(AttributeError, match="no attribute 'simulat'"):
        _ = c.simulat  # type: ignore[attr-defined]


def test_the_page_names_every_option_and_every_figure_of_a_run() -> None:
    figures = [name for name in vars(c.Run) if not name.startswith("_")]
    asked = re.findall(r"^\| `(\w+)` \|", PAGE, re.M)
    assert asked == list(Options.__annotations__)
    told = re.findall(r"^\| `run\.(\w+)(?:\(\))?` \|", PAGE, re.M)
    assert {*told} == {*figures, "path"}
