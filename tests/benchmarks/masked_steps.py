"""What masks cost where an upload is sealed and where a sum is opened, in CPU time."""

import statistics
import time
from collections.abc import Callable, Mapping

import numpy as np

from privacy.encryption.ciphertext_sum import Adder
from privacy.encryption.quantisation import quantise
from privacy.protocol.envelope import TRAINING, Slot
from privacy.secrets.masks.mask_streams import UPDATE_DOOR, MaskPlace, Masks, OwnMask
from privacy.secrets.masks.pair_secrets import PairSecret
from tests.benchmarks.sealing_steps import (
    DIM,
    SITES,
    TALLY_SIZE,
    Figures,
    placement_of,
    scales,
    sealer_of,
    update_of,
)

PLACE = MaskPlace(
    slot=Slot(run="bench", purpose=TRAINING, server_round=1, attempt=1),
    state=bytes(32),
    question=bytes(32),
    cohort=bytes(32),
    bucket=0,
    door=UPDATE_DOOR,
)


def masks_among(num_neighbours: int) -> Masks:
    """Return the masks of a site that has half of its neighbours before and half behind it."""
    pairs = {
        f"{'a' if one % 2 else 'z'}-{one}": PairSecret(bytes([one]) * 32)
        for one in range(num_neighbours)
    }
    return Masks.to_seal(PLACE, site="middle", own=OwnMask.fresh(), pairs=pairs)


def mask_ratios(material: bytes, repeats: int) -> Figures:
    """Return how much longer sealing and opening take with masks, and how much more is sent.

    Without and with masks alternate; medians are compared. An upload is masked by its own mask and
    those of 4 or of 15 neighbours; the own masks of 16 sites are taken off a sum.
    """
    placement, scales_of_all = placement_of(DIM), scales()
    sealer, _ = sealer_of(material, placement)
    levels = quantise(
        update_of(0), weight_class=8, scales=scales_of_all, parameters=placement.parameters
    )
    tally, owns = np.zeros(TALLY_SIZE, np.int64), [OwnMask.fresh() for _ in range(SITES)]
    plain = sealer.seal(levels, tally, pad=1)
    masked = sealer.seal(levels, tally, pad=1, masks=opposite(Masks.to_open(PLACE, owns)))
    plain_sum, masked_sum = sum_of(plain), sum_of(masked)
    steps: dict[str, Callable[[], object]] = {
        "seal": lambda: sealer.seal(levels, tally, pad=1),
        "seal 4": lambda: sealer.seal(levels, tally, pad=1, masks=masks_among(4)),
        "seal 15": lambda: sealer.seal(levels, tally, pad=1, masks=masks_among(15)),
        "open": lambda: sealer.open(plain_sum, pads=[1]),
        "open 16": lambda: sealer.open(masked_sum, pads=[1], masks=Masks.to_open(PLACE, owns)),
    }
    middle = medians(steps, repeats)
    return {
        "seal_mask_ratio_4": middle["seal 4"] / middle["seal"],
        "seal_mask_ratio_15": middle["seal 15"] / middle["seal"],
        "open_mask_ratio_15": middle["open 16"] / middle["open"],
        "mask_bytes_per_param": (len(masked) - len(plain)) / DIM,
    }


def medians(steps: Mapping[str, Callable[[], object]], repeats: int) -> Figures:
    """Return the median CPU time of each step; the steps take turns."""
    taken: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(repeats):
        for name, step in steps.items():
            began = time.process_time()
            step()
            taken[name].append(time.process_time() - began)
    return {name: statistics.median(times) for name, times in taken.items()}


def sum_of(upload: bytes) -> bytes:
    """Return the sum that holds one upload."""
    adder = Adder(placement_of(DIM))
    adder.add(upload)
    return adder.sum()


def opposite(masks: Masks) -> Masks:
    """Return the masks that these take off again."""
    return Masks(added=masks.removed, removed=masks.added)
