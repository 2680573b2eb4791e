"""The picture of the rooms shows what the contracts say."""

import re
from pathlib import Path

import pytest

from tests.docs.rooms_picture import PICTURE, ROOT, draw_house, read_house

CONTRACTS = """
[tool.importlinter]
root_packages = ["upper", "left", "right"]

[[tool.importlinter.contracts]]
name = "Down"
type = "layers"
layers = ["upper", "left | right"]

[[tool.importlinter.contracts]]
name = "Rooms"
type = "layers"
containers = ["left"]
layers = ["door", "kitchen | vault"]

[[tool.importlinter.contracts]]
name = "Nobody enters <the vault>"
type = "forbidden"
source_modules = ["upper"]
forbidden_modules = ["left.vault"]

[[tool.importlinter.contracts]]
name = "One opens the door"
type = "protected"
protected_modules = ["left.door"]
allowed_importers = ["upper"]
"""


def example(folder: Path) -> str:
    """Return the picture of a small house."""
    pyproject = folder / "pyproject.toml"
    pyproject.write_text(CONTRACTS)
    return draw_house(read_house(pyproject))


def place(picture: str, words: str) -> tuple[float, float]:
    """Return where a text stands: from the left and from the top."""
    (found,) = re.findall(rf'x="([\d.]+)" y="([\d.]+)"[^>]*>{re.escape(words)}<', picture)
    return float(found[0]), float(found[1])


def test_the_picture_in_the_documents_is_up_to_date() -> None:
    """If this fails, run `python -m tests.docs.rooms_picture`."""
    assert PICTURE.read_text() == draw_house(read_house(ROOT / "pyproject.toml"))


def test_what_may_import_stands_above_what_it_imports(tmp_path: Path) -> None:
    picture = example(tmp_path)
    tops = [place(picture, words)[1] for words in ("upper", "left", "door", "kitchen")]
    assert tops == sorted(set(tops))


def test_what_never_meets_stands_side_by_side(tmp_path: Path) -> None:
    picture = example(tmp_path)
    for one, other in (("left", "right"), ("kitchen", "vault")):
        assert place(picture, one)[1] == place(picture, other)[1]
        assert place(picture, one)[0] < place(picture, other)[0]


def test_a_room_that_is_closed_bears_the_number_of_the_rule(tmp_path: Path) -> None:
    """And no other room does."""
    picture = example(tmp_path)
    numbers = re.findall(r'class="number" x="[\d.]+" y="([\d.]+)" text-anchor="end">(\d)<', picture)
    tops = {number: float(top) for top, number in numbers}
    assert tops == {"1": place(picture, "vault")[1], "2": place(picture, "door")[1]}
    assert picture.count('class="closed"') == 2


def test_rules_are_told_in_full_and_escaped(tmp_path: Path) -> None:
    picture = example(tmp_path)
    told = "Nobody enters &lt;the vault&gt;: no import, direct or not, from upper to left.vault."
    assert told in picture
    assert "One opens the door: only upper may import left.door." in picture


def test_a_contract_that_cannot_be_drawn_is_refused(tmp_path: Path) -> None:
    """Otherwise the picture would show fewer walls than there are."""
    unknown = CONTRACTS.replace('type = "protected"', 'type = "independence"')
    (tmp_path / "pyproject.toml").write_text(unknown)
    with pytest.raises(ValueError, match="independence cannot be drawn"):
        read_house(tmp_path / "pyproject.toml")


def test_the_picture_asks_nothing_of_the_network(tmp_path: Path) -> None:
    assert re.findall(r'(?:href|src)="|@import|url\(|<script', example(tmp_path)) == []
