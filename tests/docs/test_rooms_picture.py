"""The picture of the rooms shows what the contracts say."""

import re
from pathlib import Path

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
    """And no other does."""
    picture = example(tmp_path)
    numbers = re.findall(r'class="number" x="[\d.]+" y="([\d.]+)" text-anchor="end">1<', picture)
    assert [float(top) for top in numbers] == [place(picture, "vault")[1]]
    assert picture.count('class="closed"') == 1


def test_a_rule_is_told_in_full_and_escaped(tmp_path: Path) -> None:
    told = "Nobody enters &lt;the vault&gt;: no import, direct or not, from upper to left.vault."
    assert told in example(tmp_path)


def test_the_picture_asks_nothing_of_the_network(tmp_path: Path) -> None:
    assert re.findall(r'(?:href|src)="|@import|url\(|<script', example(tmp_path)) == []
