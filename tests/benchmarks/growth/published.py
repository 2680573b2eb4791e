"""The figures that docs/performance.md shows, and where it shows them."""

import json
from collections.abc import Mapping
from pathlib import Path

from tests.benchmarks.growth.curves import Curves, markdown_table
from tests.benchmarks.growth.picture import picture

ROOT = Path(__file__).parents[3]
FIGURES = Path(__file__).with_name("figures.json")
PAGE = ROOT / "docs" / "performance.md"
PICTURE = ROOT / "docs" / "growth.svg"

BEGIN = "<!-- generated: growth -->"
END = "<!-- end of what is generated -->"


def published_figures() -> dict[str, Curves]:
    """Return the figures that are kept, by axis."""
    kept = json.loads(FIGURES.read_text())
    return {
        axis: {
            work: {int(size): one for size, one in sizes.items()} for work, sizes in curves.items()
        }
        for axis, curves in kept.items()
    }


def publish(figures: Mapping[str, Curves]) -> None:
    """Keep figures; draw the picture and put the table where the page shows it."""
    FIGURES.write_text(json.dumps(figures, indent=1) + "\n")
    PICTURE.write_text(picture(figures))
    PAGE.write_text(page_with_table(PAGE.read_text(), markdown_table(figures)))


def page_with_table(page: str, table: str) -> str:
    """Return a page with this table in place of the one that stands there.

    Raises:
        ValueError: The page has no place for it, or more than one.
    """
    before, begin, rest = page.partition(f"{BEGIN}\n")
    _, end, after = rest.partition(END)
    if not begin or not end or BEGIN in after:
        raise ValueError(f"a page needs {BEGIN} once, and {END} after it")
    return f"{before}{begin}\n{table}\n\n{end}{after}"
