"""The gradients of a private step: drawn in secret, clipped by person, summed, noised."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from privacy.differential.noise import grid_gaussian
from sites.plans import PrivacyPlan
from sites.training.per_person_clipping import SLACK, Losses, PersonClipper
from sites.training.privacy_units import Drawn, draw, units_of

_NOISED_AT_ONCE = 2**20  # numbers: memory against the cost of a call


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
    parts = _parts(clipper.parameters)
    grid = grid_of(clipper.parameters, plan.clip_norm)
    deviation = plan.noise_multiplier * plan.clip_norm / grid
    scale = grid / (plan.sampling_rate * len(units))
    for _ in range(plan.steps):
        sums = _sums(clipper, losses, draw(units, plan))
        for part in parts:
            noised = _noised([sums[index] for index in part], grid=grid, deviation=deviation)
            mean = torch.from_numpy(noised * scale).float()
            for index, size in part.items():
                parameter = clipper.parameters[index]
                gradient, mean = mean[:size], mean[size:]
                parameter.grad = gradient.view_as(parameter).to(parameter.device)
        yield


def grid_of(parameters: Sequence[nn.Parameter], clip_norm: float) -> float:
    """Return the step of the grid that sums are rounded to: clip norm over a power of two.

    Guarantee: rounding two sums moves them apart by at most `clip_norm * SLACK / 2` in L2.
    """
    dim = sum(item.numel() for item in parameters)
    return clip_norm * SLACK / 2 / 2.0 ** math.ceil(math.log2(math.sqrt(dim)))


def _sums(clipper: PersonClipper, losses: Losses, draws: Sequence[Drawn]) -> list[Tensor]:
    """Return the clipped sums over all that were drawn; zeros for nobody."""
    if not draws:
        return [torch.zeros_like(item) for item in clipper.parameters]
    sums = clipper.sum(losses, draws[0])
    for drawn in draws[1:]:
        parts = clipper.sum(losses, drawn)
        sums = [total.double() + part for total, part in zip(sums, parts, strict=True)]
    return sums


def _noised(sums: Sequence[Tensor], *, grid: float, deviation: float) -> NDArray[np.float64]:
    """Return sums with noise, in steps of the grid: whole numbers are added, exactly."""
    total = np.concatenate([item.cpu().numpy().ravel() for item in sums], dtype=np.float64)
    total /= grid
    np.rint(total, out=total)
    total += grid_gaussian(total.size, deviation=deviation)
    return total


def _parts(parameters: Sequence[nn.Parameter]) -> list[dict[int, int]]:
    """Return which parameters are noised together, with the numbers in each."""
    parts: list[dict[int, int]] = [{}]
    for index, item in enumerate(parameters):
        if parts[-1] and sum(parts[-1].values()) + item.numel() > _NOISED_AT_ONCE:
            parts.append({})
        parts[-1][index] = item.numel()
    return parts
