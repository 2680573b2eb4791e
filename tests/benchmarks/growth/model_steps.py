"""One round's steps with a model of a given size: each step alone in its process.

The steps hand one another files, as sites and coordinator hand one another messages.
"""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeAlias

import numpy as np
from flwr.app import Message, RecordDict
from numpy.typing import NDArray

from privacy.encryption.ciphertext_sum import Adder
from privacy.encryption.parameters import PARAMETER_SETS, Placement
from privacy.encryption.quantisation import Scales, mean_from_levels, quantise
from privacy.layout import Field, Layout
from privacy.secrets.linear_mac import Checksum
from privacy.secrets.sealer import BfvSecret, Sealer
from privacy.wire import messages
from scenarios.engines.in_process import InProcessGrid
from strategies.coordinator.messaging.reply_validation import checked_contribution
from strategies.rules.mean import StreamingMean
from tests.benchmarks.peak import keep_peak

Figures: TypeAlias = dict[str, float]

SITES = 2
WEIGHT_CLASS = 8
PAD = 1
LARGEST_LAYER = 1_000_000  # parameters that share a scale
TALLY = np.zeros(1, np.int64)


def seal(dim: int, folder: Path) -> Figures:
    """Quantise and encrypt an update; keep the upload."""
    placement = _placement(dim)
    secret = BfvSecret.generate(placement.parameters)
    (folder / "secret").write_bytes(secret.material())
    sealer, update = _sealer(secret, placement), _update(dim)
    with keep_peak() as peak:
        began = time.process_time()
        levels = quantise(
            update,
            weight_class=WEIGHT_CLASS,
            scales=_scales(dim),
            parameters=placement.parameters,
        )
        upload = sealer.seal(levels, np.zeros(0, np.int64), pad=PAD)
        taken = time.process_time() - began
    (folder / "upload").write_bytes(upload)
    return {"cpu_s": taken, "peak_bytes": peak[0], "bytes": len(upload)}


def add(dim: int, folder: Path) -> Figures:
    """Add the upload of each site; keep the sum. The CPU is that of one addition."""
    placement = _placement(dim)
    Adder(placement)  # the tables of the parameters do not grow with the model
    with keep_peak() as peak:
        upload = (folder / "upload").read_bytes()
        began = time.process_time()
        adder = Adder(placement)
        for _ in range(SITES):
            adder.add(upload)
        taken = (time.process_time() - began) / SITES
        with (folder / "sum").open("wb") as file:
            file.writelines(adder.parts())
    return {
        "cpu_s": taken,
        "peak_bytes": peak[0],
        "bytes": (folder / "sum").stat().st_size,
    }


def open_(dim: int, folder: Path) -> Figures:
    """Decrypt and verify the sum, and return to the mean of the updates."""
    placement = _placement(dim)
    secret = BfvSecret.from_material(placement.parameters, (folder / "secret").read_bytes())
    sealer, scales = _sealer(secret, placement), _scales(dim)
    with keep_peak() as peak:
        total = (folder / "sum").read_bytes()
        began = time.process_time()
        levels = sealer.open(total, pads=[PAD] * SITES).levels
        mean_from_levels(
            levels,
            total_class=WEIGHT_CLASS * SITES,
            scales=scales,
            parameters=placement.parameters,
        )
        taken = time.process_time() - began
    return {"cpu_s": taken, "peak_bytes": peak[0]}


def clear(dim: int, _folder: Path) -> Figures:
    """Send an update and take it into the mean, in the clear. The CPU is that of one site."""
    InProcessGrid({}, 0, {})  # a message needs Flower's process identity
    update = _update(dim).astype(np.float32)
    layout = Layout(fields=(Field("w", (dim,)),))
    with keep_peak() as peak:
        began = time.process_time()
        mean = StreamingMean(dim)
        for node in range(1, SITES + 1):
            sent = messages.Contribution(update=update, num_examples=8, tally=TALLY, released=True)
            asked = Message(RecordDict(), node, "train")
            reply = Message(messages.contribution(sent), reply_to=asked)
            came = checked_contribution(reply, layout=layout, tally_size=1, max_examples=8)
            mean.add(came.update, 8.0)
            del reply, came
        mean.result()
        taken = (time.process_time() - began) / SITES
    return {"cpu_s": taken, "peak_bytes": peak[0]}


def _placement(dim: int) -> Placement:
    return Placement(parameters=PARAMETER_SETS["default"](SITES), dim=dim)


def _sealer(secret: BfvSecret, placement: Placement) -> Sealer:
    checksum = Checksum(
        bytes(32),
        b"growth",
        num_rows=placement.num_ciphertexts,
        row_length=placement.parameters.degree,
    )
    return Sealer(secret, placement, checksum)


def _update(dim: int) -> NDArray[np.float64]:
    return np.random.default_rng(1).standard_normal(dim)


def _scales(dim: int) -> Scales:
    whole, rest = divmod(dim, LARGEST_LAYER)
    lengths = (*[LARGEST_LAYER] * whole, *([rest] if rest else []))
    return Scales(np.full(len(lengths), 8.0), lengths)


STEPS: Mapping[str, Callable[[int, Path], Figures]] = {
    "seal": seal,
    "add": add,
    "open": open_,
    "clear": clear,
}
