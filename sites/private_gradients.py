"""The gradients of a private step: drawn in secret, clipped by person, summed, noised."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from privacy.secret_randomness import grid_gaussian
from sites.clipping import SLACK, Losses, PersonClipper
from sites.persons import draw, units_of
from sites.privacy_plan import PrivacyPlan


def private_gradients(
    model: nn.Module, losses: Losses, persons: NDArray[Any], plan: PrivacyPlan
) -> Iterator[None]:
    """Set the model's gradients for one step after the other, `plan.steps` times.

    Guarantee: each step is a Gaussian mechanism, subsampled by Poisson, with noise of standard
    deviation `noise_multiplier * clip_norm` on a sum that one unit moves by at most `clip_norm`
    in L2; draws and noise come from the operating system. Nobody drawn is a step as well: noise
    only. The sum is divided by the expected number of units, never by how many were drawn.
    What the caller does with the gradients between steps learns nothing more about anybody.

    Args:
        model: As `PersonClipper` takes it.
        losses: The loss of each of the given records under the model, (B,) -> (B,).
        persons: Whose each record is, shape (n,), n at least 1.
        plan: How to train.

    Raises:
        UnclippableModel: The model's gradient cannot be told apart by person.
    """
    units = units_of(persons, plan)
    clipper = PersonClipper(model, clip_norm=plan.clip_norm)
    expected = plan.sampling_rate * len(units)
    grid = grid_of(clipper.parameters, plan.clip_norm)
    deviation = plan.noise_multiplier * plan.clip_norm / grid
    for _ in range(plan.steps):
        sums = [torch.zeros_like(item, dtype=torch.float64) for item in clipper.parameters]
        for drawn in draw(units, plan):
            for total, part in zip(sums, clipper.sum(losses, drawn), strict=True):
                total += part
        for parameter, total in zip(clipper.parameters, sums, strict=True):
            noised = _noised(total.numpy(), grid=grid, deviation=deviation)
            parameter.grad = torch.from_numpy(noised / expected).to(parameter.dtype)
        yield


def grid_of(parameters: list[nn.Parameter], clip_norm: float) -> float:
    """Return the step of the grid that sums are rounded to: clip norm over a power of two.

    Guarantee: rounding two sums moves them apart by at most `clip_norm * SLACK / 2` in L2.
    """
    dim = sum(item.numel() for item in parameters)
    return clip_norm * SLACK / 2 / 2.0 ** math.ceil(math.log2(math.sqrt(dim)))


def _noised(total: NDArray[np.float64], *, grid: float, deviation: float) -> NDArray[np.float64]:
    """Return a sum on the grid with noise on the grid: whole numbers are added, exactly."""
    noise = grid_gaussian(total.size, deviation=deviation).reshape(total.shape)
    noise += np.rint(total / grid)
    noise *= grid
    return noise
