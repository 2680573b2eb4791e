"""The steps of a sealed sum and of its baseline, each timed in a process of its own."""

import math
import mmap
import multiprocessing
import os
import resource
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import ParamSpec, TypeVar

import numpy as np

from privacy.encryption.ciphertext_sum import Adder
from privacy.encryption.parameters import PARAMETER_SETS, Placement
from privacy.encryption.quantisation import Scales, mean_from_levels, quantise
from privacy.layout import Tally, Vector
from privacy.secrets.linear_mac import Checksum
from privacy.secrets.sealer import BfvSecret, Sealer
from tests.benchmarks import nvflare_scheme

P = ParamSpec("P")
T = TypeVar("T")
Figures = dict[str, float]

SITES = 16
MANY_SITES = 64
TALLY_SIZE = 300
LAYER = (*[(384, 384), (384,)] * 4, *[(384,)] * 4, (1536, 384), (1536,), (384, 1536), (384,))
DIM = sum(math.prod(shape) for shape in LAYER)  # one layer of MiniLM: 1.77 M parameters


class TimedChecksum(Checksum):
    """A checksum that knows how long it took."""

    seconds = 0.0

    def of_rows(self, first: int, rows: Tally) -> int:
        """Return the share of the tag, and count the time."""
        began = time.process_time()
        share = super().of_rows(first, rows)
        self.seconds += time.process_time() - began
        return share


def tensors_of(site: int) -> list[nvflare_scheme.Tensor]:
    """Return a heavy-tailed update, Student's t with 5 degrees of freedom, tensor by tensor."""
    rng = np.random.default_rng([7, site])
    return [rng.standard_t(5, shape).astype(np.float32) * np.float32(1e-3) for shape in LAYER]


def update_of(site: int) -> Vector:
    """Return the same update as one vector."""
    return np.concatenate([tensor.ravel() for tensor in tensors_of(site)]).astype(np.float64)


def scales() -> Scales:
    """Return one scale per tensor at which nothing of 16 sites saturates."""
    sites = [tensors_of(site) for site in range(SITES)]
    largest = [
        max(float(np.abs(part).max()) for part in parts) for parts in zip(*sites, strict=True)
    ]
    return Scales(np.array(largest), tuple(math.prod(shape) for shape in LAYER))


def placement_of(dim: int) -> Placement:
    """Return where an update and a tally stand under the default parameters."""
    return Placement(parameters=PARAMETER_SETS["default"](SITES), dim=dim, tally_size=TALLY_SIZE)


def sealer_of(material: bytes, placement: Placement) -> tuple[Sealer, TimedChecksum]:
    """Return a sealer with its checksum."""
    secret = BfvSecret.from_material(placement.parameters, material)
    checksum = TimedChecksum(
        bytes(32),
        b"bench",
        num_rows=placement.num_ciphertexts,
        row_length=placement.parameters.degree,
    )
    return Sealer(secret, placement, checksum), checksum


def alone(task: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Return what the task returns in a fresh process whose output nobody sees."""
    spawning = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawning, initializer=mute) as executor:
        return executor.submit(task, *args, **kwargs).result()


def mute() -> None:
    """Send what TenSEAL prints from C++ to nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def sealed(material: bytes, chosen: Scales, site: int) -> tuple[bytes, Figures]:
    """Seal one update; return the upload and how long it took."""
    sealer, checksum = sealer_of(material, placement_of(DIM))
    parameters, update = placement_of(DIM).parameters, update_of(site)
    tally = np.zeros(TALLY_SIZE, np.int64)
    began = time.process_time()
    levels = quantise(update, weight_class=8, scales=chosen, parameters=parameters)
    upload = sealer.seal(levels, tally, pad=site)
    taken = time.process_time() - began
    return upload, {"client": taken, "checksum": checksum.seconds / taken}


def sealed_by_two(material: bytes, chosen: Scales) -> float:
    """Seal one update on two processes; return the CPU time of the longer of both."""
    sealer, _ = sealer_of(material, placement_of(DIM))
    parameters, update = placement_of(DIM).parameters, update_of(0)
    tally = np.zeros(TALLY_SIZE, np.int64)
    began = time.process_time()
    levels = quantise(update, weight_class=8, scales=chosen, parameters=parameters)
    sealer.seal(levels, tally, pad=1, processes=2)
    own = time.process_time() - began
    helper = resource.getrusage(resource.RUSAGE_CHILDREN)
    return max(own, helper.ru_utime + helper.ru_stime)


def added(path: Path) -> tuple[bytes, float]:
    """Add a round of uploads; return the sum and the time of one addition."""
    adder, upload = Adder(placement_of(DIM)), path.read_bytes()
    began = time.process_time()
    for _ in range(SITES):
        adder.add(upload)
    return adder.sum(), (time.process_time() - began) / SITES


def summed(paths: Sequence[Path]) -> bytes:
    """Return the sum of different uploads."""
    adder = Adder(placement_of(DIM))
    for path in paths:
        adder.add(path.read_bytes())
    return adder.sum()


def opened(
    material: bytes, chosen: Scales, total: bytes, pads: Sequence[int]
) -> tuple[Vector, float]:
    """Open and verify a sum; return the mean and how long it took."""
    sealer, _ = sealer_of(material, placement_of(DIM))
    parameters = placement_of(DIM).parameters
    began = time.process_time()
    sums = sealer.open(total, pads=pads).levels
    mean = mean_from_levels(sums, total_class=8 * len(pads), scales=chosen, parameters=parameters)
    return mean, time.process_time() - began


def private_bytes() -> int:
    """Return the memory of this process that no file stands behind."""
    lines = Path("/proc/self/status").read_text().splitlines()
    (anonymous,) = (line for line in lines if line.startswith("RssAnon:"))
    return 1024 * int(anonymous.split()[1])


def many_sites() -> Placement:
    """Return the same placement for more sites, where ciphertexts are as large."""
    parameters = PARAMETER_SETS["default"](MANY_SITES)
    return Placement(parameters=parameters, dim=DIM, tally_size=TALLY_SIZE)


def coordinator_memory(path: Path, uploads: int) -> int:
    """Return the most memory that adding uploads from the disk took, the sum in parts included."""
    Adder(many_sites())  # the tables of the parameters do not grow with the model
    before, adder, most = private_bytes(), Adder(many_sites()), 0
    for _ in range(uploads):
        with path.open("rb") as file:
            adder.add(memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)))
        most = max(most, private_bytes())
    with path.with_suffix(".sum").open("wb") as file:
        file.writelines(adder.parts())
    return max(most, private_bytes()) - before


def large_seal(dim: int) -> float:
    """Return the CPU time in which a vector of a whole model is sealed."""
    placement = placement_of(dim)
    sealer, _ = sealer_of(BfvSecret.generate(placement.parameters).material(), placement)
    update = np.random.default_rng(1).standard_normal(dim)
    chosen, tally = Scales(np.array([8.0]), (dim,)), np.zeros(TALLY_SIZE, np.int64)
    began = time.process_time()
    levels = quantise(update, weight_class=8, scales=chosen, parameters=placement.parameters)
    sealer.seal(levels, tally, pad=1)
    return time.process_time() - began


def baseline_encrypted(context: bytes) -> tuple[list[nvflare_scheme.Sent], float]:
    """Encrypt one update as NVFLARE does; return the upload and how long it took."""
    loaded, tensors = nvflare_scheme.loaded(context), tensors_of(0)
    began = time.process_time()
    upload = nvflare_scheme.encrypt(loaded, tensors, weight=8.0)
    return upload, time.process_time() - began


def baseline_added(
    upload: list[nvflare_scheme.Sent],
) -> tuple[list[nvflare_scheme.Sent], float]:
    """Add a round as NVFLARE does; return the download and the time of one addition."""
    totals = None
    began = time.process_time()
    for _ in range(SITES):
        totals = nvflare_scheme.add(totals, upload)
    taken = (time.process_time() - began) / SITES
    return nvflare_scheme.finished(totals or [], count=8.0 * SITES), taken


def baseline_opened(context: bytes, download: list[nvflare_scheme.Sent]) -> float:
    """Return how long NVFLARE's decryption took."""
    loaded = nvflare_scheme.loaded(context)
    began = time.process_time()
    nvflare_scheme.decrypt(loaded, download, LAYER)
    return time.process_time() - began


def plaintext() -> Figures:
    """Return the times of the same three steps in plaintext float32."""
    tensors, total = tensors_of(0), np.zeros(DIM, np.float32)
    began = time.process_time()
    upload = b"".join(tensor.tobytes() for tensor in tensors)
    sent = time.process_time()
    total += np.frombuffer(upload, np.float32)
    summed_up = time.process_time()
    total /= np.float32(SITES)
    return {
        "plain_client": sent - began,
        "plain_coordinator": summed_up - sent,
        "plain_open": time.process_time() - summed_up,
    }
