"""What is compared with an earlier revision, and by how much it must be better."""

import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from tests.benchmarks.against.trees import Tree

PAIRS = 10
MODES = ("clear", "encrypted")

Figures: TypeAlias = Mapping[str, float]
Pair: TypeAlias = tuple[Figures, Figures]


@dataclass(frozen=True)
class Workload:
    """Programs that are run in both trees, one after the other.

    Args:
        name: What `--only` calls it.
        programs: Of `programs`, with their arguments.
    """

    name: str
    programs: tuple[tuple[str, ...], ...]

    def figures(self, tree: Tree) -> dict[str, float]:
        """Return the figures of all programs in a tree."""
        found: dict[str, float] = {}
        for program in self.programs:
            found |= tree.figures(program)
        return found


@dataclass(frozen=True)
class Target:
    """What a figure must be.

    Args:
        figure: Of this tree.
        at_most: The largest that the figure may be: times the earlier one, or as it is.
        of: The earlier figure; by default the one of the same name.
        alone: Whether the figure counts as it is, whatever it was.
    """

    figure: str
    at_most: float
    of: str = ""
    alone: bool = False


# The shortest come first: what they leave of the time goes to the others.
WORKLOADS = (
    Workload("gate", (("gate",),)),
    Workload("bank-credit", tuple(("bank", mode) for mode in MODES)),
    Workload("demo", (("demo",),)),
    *(Workload(f"memory-{mode}", (("memory", mode),)) for mode in MODES),
    *(Workload(f"sites-{mode}", (("sites", mode),)) for mode in MODES),
    *(Workload(f"crowd-{mode}", (("crowd", mode),)) for mode in MODES),
)

TARGETS = (
    Target("fixed_clear_s", 0.4),
    Target("fixed_encrypted_s", 0.4),
    Target("site_round_clear_ms", 1 / 3),
    Target("wall_encrypted_s", 1.1, of="wall_clear_s"),
    Target("crowd_clear_s", 0.5),
    Target("crowd_encrypted_s", 0.5),
    Target("site_memory_clear_mb", 0.4, alone=True),
    Target("site_memory_encrypted_mb", 0.8, alone=True),
    Target("gate_ms_per_mb", 0.15 / 0.51),
    Target("demo_s", 0.5),
)


def pairs_of(workload: Workload, then: Tree, now: Tree, *, seconds: float) -> list[Pair]:
    """Return figures then and now, measured in turns: ten pairs, fewer if the time is up before.

    Guarantee: at least one pair; which tree goes first changes from pair to pair.
    """
    began, pairs, longest = time.monotonic(), list[Pair](), 0.0
    while len(pairs) < PAIRS and (not pairs or time.monotonic() - began + longest < seconds):
        started = time.monotonic()
        if len(pairs) % 2:
            later, earlier = workload.figures(now), workload.figures(then)
        else:
            earlier, later = workload.figures(then), workload.figures(now)
        pairs.append((earlier, later))
        longest = max(longest, time.monotonic() - started)
    return pairs


def compared(pairs: Sequence[Pair]) -> dict[str, dict[str, float]]:
    """Return the medians of each figure, then and now, and of the ratio of each pair."""
    return {
        name: {
            "then": round(statistics.median(then[name] for then, _ in pairs), 4),
            "now": round(statistics.median(now[name] for _, now in pairs), 4),
            "ratio": round(statistics.median(now[name] / then[name] for then, now in pairs), 3),
            "pairs": len(pairs),
        }
        for name in pairs[0][0]
    }


def missed_targets(pairs: Sequence[Pair]) -> list[dict[str, object]]:
    """Return the targets of these figures that were missed."""
    missed: list[dict[str, object]] = []
    for target in TARGETS:
        if target.figure not in pairs[0][1]:
            continue
        reached = statistics.median(_reached(target, pair) for pair in pairs)
        if reached > target.at_most:
            over = "" if target.alone else f" over {target.of or target.figure} then"
            what, limit = f"{target.figure}{over}", round(target.at_most, 3)
            missed.append({"what": what, "figure": round(reached, 3), "target": limit})
    return missed


def _reached(target: Target, pair: Pair) -> float:
    then, now = pair
    return now[target.figure] / (1.0 if target.alone else then[target.of or target.figure])
