"""Robust rules against Flower's strategies and the formulas in NumPy.

`python -m tests.benchmarks.robust [--quick] [--json]` from the root of the repository. A call
of ours is timed from the bytes of the replies to the aggregate, as Flower's `aggregate_train`
is. Each figure is the least of its repetitions, in seconds of CPU, with BLAS on one thread for
both sides: others at work on the machine then matter little. (With more threads than idle CPUs,
those of BLAS wait for each other many times longer than they compute.) At full size some 8 GiB
and 6 minutes.
"""

import json
import logging
import resource
import time
import tracemalloc
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from typing import cast

import numpy as np
from flwr.app import Array, ArrayRecord, Message, MetricRecord, RecordDict
from flwr.serverapp.strategy import (
    Bulyan,
    FedAvg,
    FedMedian,
    FedTrimmedAvg,
    Krum,
    MultiKrum,
    Strategy,
)
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # has no stubs

from privacy.layout import Vector
from strategies.coordinator.plaintext.aggregation_buffer import StackedUpdates
from strategies.rules.inputs import Rule
from strategies.rules.mean import StreamingMean
from strategies.rules.pairwise_distances import measure_distances
from strategies.rules.pre_aggregation import compose, nearest_neighbour_mixing
from strategies.rules.registry import RULES, RuleOptions
from tests.benchmarks import sealed_buckets
from tests.benchmarks.figures import options
from tests.benchmarks.formulas import CLIP_NORM, FORMULAS, pairwise
from tests.benchmarks.sealed_buckets import BucketFigure, bucket_figure

Updates = NDArray[np.float32]

LAYERS = 10
LARGE_DIM = 22_700_000  # a MiniLM encoder
# Times as fast as Flower, or as the formula where Flower has no such rule; 1 everywhere else.
AT_LEAST = {
    "coordinate-median": 3.0,
    "trimmed-mean": 3.0,
    "geometric-median": 5.0,
    "krum": 4.0,
    "multi-krum": 4.0,
    "bulyan": 5.0,
}


@dataclass(frozen=True)
class Size:
    """One size of the benchmark.

    Args:
        n_sites: Sites.
        dim: Values of an update.
        repeats: Times that each call is timed.
        baselines: Whether Flower and the formulas are run, too.
    """

    n_sites: int
    dim: int
    repeats: int
    baselines: bool = True

    @property
    def liars(self) -> int:
        """Liars that every rule survives among so many sites."""
        return (self.n_sites - 3) // 4


FULL = (
    Size(10, 1_000_000, 5),
    Size(50, 1_000_000, 3),
    Size(10, LARGE_DIM, 2),  # the first call may pay for memory that nobody touched before
    # Flower's Krum holds five copies, 23 GB: its baselines are those of 50 x 1 M.
    Size(50, LARGE_DIM, 1, baselines=False),
)
QUICK = (Size(10, 100_000, 3), Size(50, 100_000, 3))


@dataclass
class Reply:
    """What Flower's strategies read of a message, which needs no run to exist."""

    content: RecordDict

    def has_error(self) -> bool:
        """Return that all is well."""
        return False


def updates_of(size: Size) -> Updates:
    """Return honest updates with a common direction, and liars far away, as float32."""
    rng = np.random.default_rng(size.n_sites)
    common = rng.standard_normal(size.dim, np.float32)
    updates = np.empty((size.n_sites, size.dim), np.float32)
    for row in updates:
        rng.standard_normal(out=row, dtype=np.float32)
        row += common
    updates[: size.liars] *= -10
    updates *= np.float32(1e-2)
    return updates


def replies_of(updates: Updates) -> list[Reply]:
    """Return the updates as Flower's replies, in some layers."""
    return [
        Reply(
            RecordDict(
                {
                    "arrays": ArrayRecord(
                        {
                            str(place): Array(part)
                            for place, part in enumerate(np.array_split(row, LAYERS))
                        }
                    ),
                    "metrics": MetricRecord({"num-examples": 1}),
                }
            )
        )
        for row in updates
    ]


def selected(size: Size) -> int:
    """Return how many updates Multi-Krum takes the mean of."""
    return size.n_sites - size.liars - 2


FLOWER: Mapping[str, Callable[[Size], Strategy]] = {
    "mean": lambda _size: FedAvg(),
    "coordinate-median": lambda _size: FedMedian(),
    "trimmed-mean": lambda size: FedTrimmedAvg(beta=(size.liars + 0.5) / size.n_sites),
    "krum": lambda size: Krum(num_malicious_nodes=size.liars),
    "multi-krum": lambda size: MultiKrum(
        num_malicious_nodes=size.liars, num_nodes_to_select=selected(size)
    ),
    "bulyan": lambda size: Bulyan(num_malicious_nodes=size.liars),
}


def ours(name: str, size: Size) -> Rule:
    """Return our rule, or the median behind nearest-neighbour mixing."""
    options = RuleOptions(num_byzantine=size.liars, clip_norm=CLIP_NORM)
    if name in RULES:
        return RULES[name].build(options, np.zeros(size.dim))
    median = RULES["coordinate-median"].build(options, None)
    return compose(median, nearest_neighbour_mixing(size.liars))


def from_bytes(name: str, size: Size, replies: list[bytes]) -> Vector:
    """Return the aggregate of what came as bytes, as the coordinator computes it."""
    gathering: StreamingMean | StackedUpdates = (
        StreamingMean(size.dim) if name == "mean" else StackedUpdates(ours(name, size), size.dim)
    )
    for data in replies:
        gathering.add(np.frombuffer(data, np.float32), 1.0)
    return gathering.result()


def seconds(call: Callable[[], object], repeats: int) -> float:
    """Return the least time that the call took, in seconds of CPU."""
    times = []
    for _ in range(repeats):
        began = time.process_time()
        call()
        times.append(time.process_time() - began)
    return min(times)


@dataclass(frozen=True, kw_only=True)
class Figure:
    """What one rule took at one size, in seconds; None where nobody has such a rule."""

    rule: str
    n_sites: int
    dim: int
    liars: int
    ours_s: float
    flower_s: float | None = None
    formula_s: float | None = None
    working_memory: float | None = None


def flower_seconds(name: str, size: Size, updates: Updates) -> float | None:
    """Return the least time of Flower's strategy, which uses its replies up."""
    if name not in FLOWER:
        return None
    strategy, times = FLOWER[name](size), []
    for _ in range(size.repeats):
        replies = cast(list[Message], replies_of(updates))
        times.append(seconds(partial(strategy.aggregate_train, 1, replies), 1))
        del replies
    return min(times)


def formula_seconds(name: str, size: Size, updates: Updates) -> float:
    """Return the least time of the formula in float64, which first makes its float64."""
    return seconds(lambda: FORMULAS[name](updates.astype(np.float64), size.liars), size.repeats)


def figure_of(name: str, size: Size, updates: Updates) -> Figure:
    """Return the figures of one rule at one size."""
    rule, weights = ours(name, size), np.ones(size.n_sites)
    if not size.baselines:
        taken = seconds(lambda: rule(updates, weights), size.repeats)
        return Figure(rule=name, n_sites=size.n_sites, dim=size.dim, liars=size.liars, ours_s=taken)
    replies = [row.tobytes() for row in updates]
    return Figure(
        rule=name,
        n_sites=size.n_sites,
        dim=size.dim,
        liars=size.liars,
        ours_s=seconds(lambda: from_bytes(name, size, replies), size.repeats),
        flower_s=flower_seconds(name, size, updates),
        formula_s=formula_seconds(name, size, updates),
        working_memory=working_memory(rule, updates) if size.dim == 1_000_000 else None,
    )


def working_memory(rule: Rule, updates: Updates) -> float:
    """Return the most that the rule held beyond its input, as a share of the input."""
    weights = np.ones(len(updates))
    tracemalloc.start()
    rule(updates, weights)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / updates.nbytes


def distance_error(size: Size) -> float:
    """Return the largest relative error of a squared distance, against brute force."""
    updates = updates_of(size)
    exact = pairwise(updates.astype(np.float64))
    found = measure_distances(updates).squared
    apart = exact > 0
    return float(np.max(np.abs(found[apart] / exact[apart] - 1)))


def rivals_of(figure: Figure) -> Iterator[tuple[str, float | None, float]]:
    """Yield rivals, what they took, and how many times as fast we mean to be."""
    least = AT_LEAST.get(figure.rule, 1.0)
    yield "flower", figure.flower_s, least
    yield "the formula", figure.formula_s, 1.0 if figure.rule in FLOWER else least


def missed(
    done: list[Figure], sealed: list[BucketFigure], error: float, peak_gib: float
) -> list[dict[str, object]]:
    """Return the targets that were not met, with figure and target."""
    found: list[dict[str, object]] = [
        {
            "what": f"encrypted, 5 buckets {one.n_sites} x {one.dim}: times the single sum's time",
            "target": sealed_buckets.AT_MOST,
            "figure": one.ratio,
        }
        for one in sealed
        if one.ratio > sealed_buckets.AT_MOST
    ]
    for figure in done:
        at = f"{figure.rule} {figure.n_sites} x {figure.dim}"
        for rival, taken, least in rivals_of(figure):
            if taken is not None and taken / figure.ours_s < least:
                what, ratio = f"{at}: times as fast as {rival}", taken / figure.ours_s
                found.append({"what": what, "target": least, "figure": ratio})
        if figure.working_memory is not None and figure.working_memory > 1 / 2:
            found.append(
                {"what": f"{at}: working memory", "target": 0.5, "figure": figure.working_memory}
            )
    if error > 1e-10:
        found.append({"what": "error of a distance", "target": 1e-10, "figure": error})
    if peak_gib > 12:
        found.append({"what": "peak memory in GiB", "target": 12, "figure": peak_gib})
    return found


def printed(figure: Figure) -> str:
    """Return one line for people."""
    rivals = [
        "-" if taken is None else f"{taken:8.2f} s ({taken / figure.ours_s:5.1f}x)"
        for taken in (figure.flower_s, figure.formula_s)
    ]
    memory = "" if figure.working_memory is None else f"{figure.working_memory:5.2f}"
    return (
        f"{figure.n_sites:3} x {figure.dim:<9} {figure.rule:25} {figure.ours_s:8.2f} s  "
        f"flower {rivals[0]:20} formula {rivals[1]:20} memory {memory}"
    )


def report_on(sizes: tuple[Size, ...], *, verbose: bool) -> dict[str, object]:
    """Return all figures, and the targets that were missed."""
    done: list[Figure] = []
    for size in sizes:
        updates = updates_of(size)
        for name in FORMULAS:
            done.append(figure_of(name, size, updates))
            if verbose:
                print(printed(done[-1]), flush=True)
        del updates
    sealed = [bucket_figure(n_sites) for n_sites in sealed_buckets.SIZES]
    if verbose:
        print(*map(sealed_buckets.printed, sealed), sep="\n", flush=True)
    error = distance_error(sizes[1])
    peak_gib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return {
        "benchmark": "robust",
        "figures": [asdict(figure) for figure in done],
        "encrypted": [{**asdict(figure), "ratio": figure.ratio} for figure in sealed],
        "distance_error": error,
        "peak_gib": peak_gib,
        "missed": missed(done, sealed, error, peak_gib),
    }


def main() -> None:
    """Run the benchmark and print its figures."""
    parser = options(__doc__)
    parser.add_argument("--quick", action="store_true", help="small sizes, a minute")
    chosen = parser.parse_args()
    logging.disable(logging.INFO)
    sizes = QUICK if chosen.quick else FULL
    with threadpool_limits(1):
        report = report_on(sizes, verbose=not chosen.json)
    print(json.dumps(report if chosen.json else report["missed"], indent=2))


if __name__ == "__main__":
    main()
