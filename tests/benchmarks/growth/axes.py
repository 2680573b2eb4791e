"""What grows, and how far: every point of a curve is measured in a process of its own."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeAlias

from tests.benchmarks.growth.curves import Figures
from tests.benchmarks.growth.made_up_table import write_made_up_table

# Measures some kinds of work at one size, until a moment at most; the folder is for files.
Measure: TypeAlias = Callable[[int, Path, float], Mapping[str, Figures]]

SMALL_ROWS = 1_000


class PointFailed(RuntimeError):
    """A point was not measured: its process ended with an error."""


@dataclass(frozen=True)
class Axis:
    """What grows.

    Args:
        name: What `--only` calls it.
        sizes: At which it is measured, in rising order.
        quick: The few sizes at which it is tried out.
        measures: Each climbs the sizes by itself.
    """

    name: str
    sizes: tuple[int, ...]
    quick: tuple[int, ...]
    measures: tuple[Measure, ...]


def program_figures(*arguments: str, until: float) -> dict[str, Figures]:
    """Return what a program of `points` tells, in a process of its own.

    Raises:
        PointFailed: It ended with an error.
        subprocess.TimeoutExpired: It did not end in time.
    """
    command = [sys.executable, "-m", "tests.benchmarks.growth.points", *arguments]
    left = max(1.0, until - time.monotonic())
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=left)
    if ended.returncode:
        raise PointFailed(f"{' '.join(arguments)} ended with {ended.stderr.strip()[-500:]}")
    found: dict[str, Figures] = json.loads(ended.stdout)
    return found


def climb(
    measure: Measure, sizes: tuple[int, ...], folder: Path, *, until: float
) -> dict[str, dict[int, Figures]]:
    """Return figures by kind of work and size; sizes for which there is no time are left out.

    A size that would not end in time, in proportion to the one before it, is not begun.
    """
    found: dict[str, dict[int, Figures]] = {}
    last, taken = 0, 0.0
    for size in sizes:
        began = time.monotonic()
        if last and taken * size / last > until - began:
            break
        try:
            figures = measure(size, folder, until)
        except subprocess.TimeoutExpired:
            break
        for work, one in figures.items():
            found.setdefault(work, {})[size] = one
        last, taken = size, time.monotonic() - began
    return found


def curves(
    axis: Axis, folder: Path, *, quick: bool, seconds: float
) -> dict[str, dict[int, Figures]]:
    """Return the figures of all kinds of work; they share the time that there is."""
    found: dict[str, dict[int, Figures]] = {}
    until = time.monotonic() + seconds
    for done, measure in enumerate(axis.measures):
        now = time.monotonic()
        share = (until - now) / (len(axis.measures) - done)
        found |= climb(measure, axis.quick if quick else axis.sizes, folder, until=now + share)
    return found


def _crowd(way: str, num_sites: int, _folder: Path, until: float) -> Mapping[str, Figures]:
    return program_figures("sites", str(num_sites), way, until=until)


def _model(dim: int, folder: Path, until: float) -> Mapping[str, Figures]:
    found: dict[str, Figures] = {}
    for step in ("clear", "seal", "add", "open"):  # a later step reads what an earlier one kept
        found |= program_figures("parameters", step, str(dim), str(folder), until=until)
    return found


def _table(n_rows: int, folder: Path, until: float) -> Mapping[str, Figures]:
    small, path = folder / "small.csv", folder / "table.csv"
    write_made_up_table(small, SMALL_ROWS)
    write_made_up_table(path, n_rows)
    return program_figures("rows", str(small), str(path), until=until)


AXES = (
    Axis(
        "sites",
        (10, 32, 100, 316, 1_000),
        (10, 20),
        (partial(_crowd, "clear"), partial(_crowd, "encrypted")),
    ),
    Axis("parameters", tuple(10**n for n in range(3, 9)), (1_000, 100_000), (_model,)),
    Axis("rows", tuple(10**n for n in range(3, 8)), (1_000, 10_000), (_table,)),
)
