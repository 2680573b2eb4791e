"""What buckets cost the coordinator of an encrypted run: five sums in the place of one."""

import time
from collections import deque
from dataclasses import dataclass

import numpy as np

from privacy.encryption.ciphertext_sum import Adder
from privacy.encryption.parameters import PARAMETER_SETS, Placement
from privacy.encryption.quantisation import Scales, quantise
from privacy.layout import Vector
from privacy.secrets.sealer import BfvSecret
from tests.benchmarks.sealing_steps import TALLY_SIZE, alone, private_bytes, sealer_of

SIZES = (15, 50)  # sites: the fewest that make five buckets of three, and many
BUCKETS = 5
DIM = 1_770_000  # a layer of MiniLM
AT_MOST = 1.2  # times the time of a single sum


@dataclass(frozen=True, kw_only=True)
class BucketFigure:
    """One round, added up in one sum and in five.

    Args:
        n_sites: Uploads of the round.
        dim: Numbers of an update.
        single_s: CPU seconds from the bytes of the uploads to those of the one sum.
        buckets_s: The same to those of five sums.
        single_bytes_per_param: Memory that the one sum takes; uploads, and what is sent, are
            not counted.
        buckets_bytes_per_param: Memory that five sums take.
    """

    n_sites: int
    dim: int
    single_s: float
    buckets_s: float
    single_bytes_per_param: float
    buckets_bytes_per_param: float

    @property
    def ratio(self) -> float:
        """How many times the time of the single sum five take."""
        return self.buckets_s / self.single_s


def placement_of(n_sites: int, dim: int) -> Placement:
    """Return where an update stands among so many sites."""
    parameters = PARAMETER_SETS["default"](n_sites)
    return Placement(parameters=parameters, dim=dim, tally_size=TALLY_SIZE)


def upload_of(n_sites: int, dim: int) -> bytes:
    """Return one sealed update."""
    placement = placement_of(n_sites, dim)
    sealer, _ = sealer_of(BfvSecret.generate(placement.parameters).material(), placement)
    update: Vector = np.random.default_rng(1).standard_normal(dim)
    scales, tally = Scales(np.array([8.0]), (dim,)), np.zeros(TALLY_SIZE, np.int64)
    levels = quantise(update, weight_class=1, scales=scales, parameters=placement.parameters)
    return sealer.seal(levels, tally, pad=1)


def added_up(upload: bytes, placement: Placement, buckets: int) -> tuple[float, int]:
    """Add a round up and read the sums out, part by part; return seconds and bytes held."""
    before, began = private_bytes(), time.process_time()
    adders: dict[int, Adder] = {}
    for site in range(placement.parameters.num_sites):
        adder = adders.get(site % buckets) or Adder(placement)
        adder.add(upload)
        adders[site % buckets] = adder
    held = private_bytes() - before
    for adder in adders.values():
        deque(adder.parts(), maxlen=0)
    return time.process_time() - began, held


def added(upload: bytes, n_sites: int, dim: int, buckets: int, repeats: int) -> tuple[float, int]:
    """Return the least time of the repetitions, and the bytes held in the first."""
    placement = placement_of(n_sites, dim)
    Adder(placement)  # the tables of the parameters do not grow with the model
    done = [added_up(upload, placement, buckets) for _ in range(repeats)]
    return min(seconds for seconds, _ in done), done[0][1]


def bucket_figure(n_sites: int, dim: int = DIM, repeats: int = 3) -> BucketFigure:
    """Return the figures of one round, each sum in a process of its own."""
    upload = alone(upload_of, n_sites, dim)
    single_s, single = alone(added, upload, n_sites, dim, 1, repeats)
    buckets_s, several = alone(added, upload, n_sites, dim, BUCKETS, repeats)
    return BucketFigure(
        n_sites=n_sites,
        dim=dim,
        single_s=single_s,
        buckets_s=buckets_s,
        single_bytes_per_param=single / dim,
        buckets_bytes_per_param=several / dim,
    )


def printed(figure: BucketFigure) -> str:
    """Return one line for people."""
    return (
        f"{figure.n_sites:3} x {figure.dim:<9} encrypted, {BUCKETS} buckets: "
        f"{figure.buckets_s:.2f} s, one sum {figure.single_s:.2f} s ({figure.ratio:.2f}x); "
        f"memory {figure.buckets_bytes_per_param:.1f} bytes a parameter, "
        f"one sum {figure.single_bytes_per_param:.1f}"
    )
