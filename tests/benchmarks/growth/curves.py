"""Curves of growth: the power by which a figure grows, and the table that shows it."""

import math
import statistics
from collections.abc import Iterable, Iterator, Mapping
from typing import TypeAlias

Figures: TypeAlias = Mapping[str, float]
Curves: TypeAlias = Mapping[str, Mapping[int, Figures]]  # by kind of work, then by size

CPU, MEMORY = "cpu_s", "peak_bytes"
DECADES = {"sites": 1, "parameters": 2, "rows": 2}  # of the last powers of ten: fitted to these
WORDS: Mapping[str, Mapping[str, str]] = {
    "sites": {
        "clear": "a run of one round, in the clear",
        "encrypted": "a run of one round, encrypted",
    },
    "parameters": {
        "clear": "send one update and average it, in the clear",
        "seal": "seal one update",
        "add": "add one update to the sum",
        "open": "open the sum",
    },
    "rows": {
        "read": "read and check the table",
        "divide": "find who is held out",
        "count": "count the statistics",
        "train": "train for one pass",
        "all": "all four",
    },
}
HEADING = (
    "| what grows | work | up to | CPU there | time grows as the power | memory there "
    "| memory grows as the power |",
    "|---|---|--:|--:|--:|--:|--:|",
)


def exponent(by_size: Mapping[int, float]) -> float | None:
    """Return the power of the size by which a figure grows, by least squares of the logarithms.

    Returns:
        1 for what grows in proportion, 0 for what stays; None for fewer than two points above 0.
    """
    points = {size: figure for size, figure in by_size.items() if figure > 0}
    if len(points) < 2:
        return None
    x, y = ([math.log(number) for number in numbers] for numbers in (points, points.values()))
    return statistics.linear_regression(x, y).slope


def curve(axis: str, sizes: Mapping[int, Figures], name: str) -> dict[int, float]:
    """Return a figure by size, where the fit counts it: in the last decades of the axis."""
    least = max(sizes) / 10 ** DECADES[axis]
    return {size: one[name] for size, one in sizes.items() if name in one and size >= least}


def exponents(figures: Mapping[str, Curves]) -> dict[str, dict[str, dict[str, float | None]]]:
    """Return the power of each figure, by axis and kind of work; None where none can be told."""
    return {
        axis: {
            work: {name: exponent(curve(axis, sizes, name)) for name in (CPU, MEMORY)}
            for work, sizes in curves.items()
        }
        for axis, curves in figures.items()
    }


def markdown_table(figures: Mapping[str, Curves]) -> str:
    """Return the table of docs/performance.md."""
    return "\n".join([*HEADING, *_lines(figures)])


def _lines(figures: Mapping[str, Curves]) -> Iterator[str]:
    for axis, words in WORDS.items():
        for work, text in words.items():
            sizes = figures.get(axis, {}).get(work)
            if sizes:
                yield _row([axis, text, *_cells(axis, sizes)])


def _cells(axis: str, sizes: Mapping[int, Figures]) -> Iterator[str]:
    largest = max(sizes)
    yield f"{largest:,}"
    yield seconds_in_words(sizes[largest][CPU])
    yield _power(curve(axis, sizes, CPU))
    memory = curve(axis, sizes, MEMORY)
    yield bytes_in_words(memory[largest]) if memory else ""
    yield _power(memory) if memory else ""


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _power(by_size: Mapping[int, float]) -> str:
    power = exponent(by_size)
    return "" if power is None else f"{power:.2f}"


def seconds_in_words(seconds: float) -> str:
    """Return a time in two digits and a unit that suits it."""
    return f"{_two_digits(seconds)} s" if seconds >= 1 else f"{_two_digits(1000 * seconds)} ms"


def bytes_in_words(count: float) -> str:
    """Return a number of bytes in two digits, in megabytes or gigabytes."""
    return f"{_two_digits(count / 1e9)} GB" if count >= 1e9 else f"{_two_digits(count / 1e6)} MB"


def _two_digits(number: float) -> str:
    return f"{float(f'{number:.2g}'):,g}"
