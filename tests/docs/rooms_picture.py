"""The picture of the rooms in docs/architecture.md, drawn from the import contracts.

`python -m tests.docs.rooms_picture` from the root of the repository writes `docs/architecture.svg`.
Boxes and floors come from the contracts of type `layers` in `pyproject.toml`: what stands higher
may import what stands below it. Every other contract is a numbered line under the picture, and its
number stands in each room that it closes to others.
"""

import textwrap
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PICTURE = ROOT / "docs" / "architecture.svg"

WIDTH = 960.0
MARGIN, GAP, ROOM, HEADING, LINE = 16.0, 8.0, 26.0, 28.0, 17.0
CHARACTERS = 138  # of a line of the legend, in the width of the picture
STYLE = """\
text { font: 13px system-ui, sans-serif; fill: #1d2733; }
.package { fill: #eef2f6; stroke: #8fa1b3; }
.room { fill: #ffffff; stroke: #8fa1b3; }
.closed { fill: #fdeeda; stroke: #b9770e; }
.name { font-weight: 600; }
.number { font-size: 11px; font-weight: 700; fill: #8a5607; }"""


@dataclass(frozen=True)
class Box:
    """A rectangle of the picture, in pixels."""

    left: float
    top: float
    width: float
    height: float

    def columns(self, count: int) -> Iterator["Box"]:
        """Yield boxes of equal width, side by side, a gap between two."""
        width = (self.width - GAP * (count - 1)) / count
        for index in range(count):
            yield Box(self.left + index * (width + GAP), self.top, width, self.height)


@dataclass(frozen=True)
class Rule:
    """A contract that is no order of floors.

    Args:
        sentence: What it says, in words.
        closed: The modules that it closes to others.
    """

    sentence: str
    closed: tuple[str, ...]

    def closes(self, room: str) -> bool:
        """Whether it closes this room, or a module in it."""
        return any(module == room or module.startswith(f"{room}.") for module in self.closed)


@dataclass(frozen=True)
class House:
    """What the contracts say.

    Args:
        floors: The packages, the highest first; each floor names those that never meet.
        inside: Likewise the rooms of a package, if a contract orders them.
        rules: All other contracts, in their order.
    """

    floors: tuple[tuple[str, ...], ...]
    inside: Mapping[str, tuple[tuple[str, ...], ...]]
    rules: tuple[Rule, ...]


def read_house(pyproject: Path) -> House:
    """Return what the import contracts of a `pyproject.toml` say."""
    contracts = tomllib.loads(pyproject.read_text())["tool"]["importlinter"]["contracts"]
    orders = [contract for contract in contracts if contract["type"] == "layers"]
    (floors,) = [_floors(order) for order in orders if "containers" not in order]
    return House(
        floors=floors,
        inside={name: _floors(order) for order in orders for name in order.get("containers", ())},
        rules=tuple(_rule(contract) for contract in contracts if contract["type"] != "layers"),
    )


def _floors(order: Mapping[str, Any]) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(name.strip() for name in row.split("|")) for row in order["layers"])


def _rule(contract: Mapping[str, Any]) -> Rule:
    match contract["type"]:
        case "forbidden":
            closed = contract["forbidden_modules"]
            walls = f"no import, direct or not, from {_list(contract['source_modules'])} to"
        case "protected":
            closed = contract["protected_modules"]
            walls = f"only {_list(contract['allowed_importers'])} may import"
        case other:
            raise ValueError(
                f"contracts of type {other} cannot be drawn yet: say here what it closes"
            )
    return Rule(sentence=f"{contract['name']}: {walls} {_list(closed)}.", closed=tuple(closed))


def _list(modules: Sequence[str]) -> str:
    return ", ".join(modules)


def draw_house(house: House) -> str:
    """Return the picture as SVG: no script, no font and no address from outside."""
    top, shapes = MARGIN, list[str]()
    for floor in house.floors:
        height = max(_package_height(house, package) for package in floor)
        row = Box(MARGIN, top, WIDTH - 2 * MARGIN, height)
        for package, box in zip(floor, row.columns(len(floor)), strict=True):
            shapes += _package(house, package, box)
        top += height + GAP
    lines = list(_lines(house.rules))
    legend = _legend(lines, top + MARGIN)
    height = top + MARGIN + LINE * len(lines)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH:g} {height:g}" role="img">'
        "<title>The rooms of the code: what stands higher may import what stands below</title>"
    )
    paper = f'<rect width="{WIDTH:g}" height="{height:g}" fill="#ffffff"/>'
    return "\n".join([head, f"<style>\n{STYLE}\n</style>", paper, *shapes, *legend, "</svg>", ""])


def _package_height(house: House, package: str) -> float:
    return HEADING + len(house.inside.get(package, ())) * (ROOM + GAP)


def _package(house: House, package: str, box: Box) -> Iterator[str]:
    yield _rectangle(box, "package")
    yield _text(box.left + GAP, box.top + 18, package, "name")
    top = box.top + HEADING
    for rooms in house.inside.get(package, ()):
        row = Box(box.left + GAP, top, box.width - 2 * GAP, ROOM)
        for room, place in zip(rooms, row.columns(len(rooms)), strict=True):
            yield from _room(room, place, _numbers(house.rules, f"{package}.{room}"))
        top += ROOM + GAP


def _numbers(rules: Sequence[Rule], room: str) -> str:
    return " ".join(str(n) for n, rule in enumerate(rules, start=1) if rule.closes(room))


def _room(name: str, box: Box, numbers: str) -> Iterator[str]:
    yield _rectangle(box, "closed" if numbers else "room")
    yield _text(box.left + GAP, box.top + 17.5, name)
    if numbers:
        right = box.left + box.width - GAP
        yield _text(right, box.top + 17.5, numbers, "number", anchor="end")


def _lines(rules: Sequence[Rule]) -> Iterator[tuple[str, str]]:
    """Yield each line of the legend: the number, beside the first line of a rule, and words."""
    for number, rule in enumerate(rules, start=1):
        for index, words in enumerate(textwrap.wrap(rule.sentence, CHARACTERS)):
            yield "" if index else str(number), words


def _legend(lines: Sequence[tuple[str, str]], top: float) -> Iterator[str]:
    for index, (number, words) in enumerate(lines):
        if number:
            yield _text(MARGIN, top + LINE * index, number, "number")
        yield _text(MARGIN + 20, top + LINE * index, words)


def _rectangle(box: Box, kind: str) -> str:
    size = f'width="{box.width:g}" height="{box.height:g}"'
    return f'<rect class="{kind}" x="{box.left:g}" y="{box.top:g}" {size} rx="4"/>'


def _text(left: float, top: float, words: str, kind: str = "", *, anchor: str = "start") -> str:
    place = f'x="{left:g}" y="{top:g}" text-anchor="{anchor}"'
    return f'<text class="{kind}" {place}>{escape(words)}</text>'


if __name__ == "__main__":
    PICTURE.write_text(draw_house(read_house(ROOT / "pyproject.toml")))
