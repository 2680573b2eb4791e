"""Gradients of DP-SGD steps: Poisson sampling, clipping by unit of privacy, sum, noise.

Abadi et al. 2016, arXiv:1607.00133.
"""

import math
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from privacy.differential.noise import grid_gaussian
from sites.plans import PrivacyPlan
from sites.training.per_person_clipping import SLACK, Losses, PersonClipper
from sites.training.privacy_units import DrawnUnits, Units, draw_units

_NOISED_AT_ONCE = 2**20  # numbers per call: more need more memory, fewer need more calls


def private_gradients(
    model: nn.Module, losses: Losses, units: Units, plan: PrivacyPlan
) -> Iterator[None]:
    """Set the model's gradients for one step after another, `plan.steps` times.

    Guarantee: each step is a Gaussian mechanism with Poisson sampling. Its noise has standard
    deviation `noise_multiplier * clip_norm`, on a sum that one unit moves by at most `clip_norm`
    in L2; draws and noise come from the operating system. An empty sample still takes a step,
    with noise only. The sum is divided by the expected number of units, never by how many were
    drawn. What the caller does with the gradients between steps is post-processing: it reveals
    nothing more about anybody.

    Args:
        model: As `PersonClipper` takes it.
        losses: The loss of each of the given records under the model, (B,) -> (B,).
        units: Who or what is protected; there may be none.
        plan: How to train.

    Raises:
        UnclippableModel: The model's gradient cannot be split by person.
    """
    clipper = PersonClipper(model, clip_norm=plan.clip_norm)
    parts = _noise_batches(clipper.parameters)
    # The sum is rounded to multiples of `grid` and the noise is drawn on the same grid, as whole
    # numbers. Continuous noise in floating point has gaps that can reveal the sum (Mironov 2012).
    grid = grid_step(clipper.parameters, plan.clip_norm)
    deviation = plan.noise_multiplier * plan.clip_norm / grid
    # Divided by the expected number: the number drawn is secret, and would raise the sensitivity.
    # A site without any sends noise as well, or it would show that it has none.
    scale = grid / (plan.sampling_rate * max(len(units), 1))
    for _ in range(plan.steps):
        sums = _clipped_sums(clipper, losses, draw_units(units, plan))
        for part in parts:
            noised = _add_noise([sums[index] for index in part], grid=grid, deviation=deviation)
            mean = torch.from_numpy(noised * scale).float()
            for index, size in part.items():
                parameter = clipper.parameters[index]
                gradient, mean = mean[:size], mean[size:]
                parameter.grad = gradient.view_as(parameter).to(parameter.device)
        yield


def grid_step(parameters: Sequence[nn.Parameter], clip_norm: float) -> float:
    """Return the step of the grid to which sums are rounded.

    It is `clip_norm * SLACK / 2` over a power of two.

    Guarantee: rounding two sums moves them apart by at most `clip_norm * SLACK / 2` in L2.
    """
    # Rounding moves each number of a sum by at most grid / 2, so two sums move apart by at most
    # grid * sqrt(dim) in L2. The power of two is the next one above sqrt(dim).
    dim = sum(item.numel() for item in parameters)
    return clip_norm * SLACK / 2 / 2.0 ** math.ceil(math.log2(math.sqrt(dim)))


def _clipped_sums(
    clipper: PersonClipper, losses: Losses, draws: Sequence[DrawnUnits]
) -> list[Tensor]:
    """Return the clipped sums over all units drawn, by parameter; zeros if none were."""
    if not draws:
        return [torch.zeros_like(item) for item in clipper.parameters]
    sums = clipper.sum(losses, draws[0])
    for drawn in draws[1:]:
        parts = clipper.sum(losses, drawn)
        sums = [total.double() + part for total, part in zip(sums, parts, strict=True)]
    return sums


def _add_noise(sums: Sequence[Tensor], *, grid: float, deviation: float) -> NDArray[np.float64]:
    """Return the sums with noise, in units of the grid, as one vector.

    Guarantee: whole numbers are added, exactly.
    """
    # Float64 holds whole numbers below 2**53 exactly, so neither rounding nor addition loses any.
    total = np.concatenate([item.cpu().numpy().ravel() for item in sums], dtype=np.float64)
    total /= grid
    np.rint(total, out=total)
    total += grid_gaussian(total.size, deviation=deviation)
    return total


def _noise_batches(parameters: Sequence[nn.Parameter]) -> list[dict[int, int]]:
    """Return which parameters get noise in one call: by call, their index and their size."""
    parts: list[dict[int, int]] = [{}]
    for index, item in enumerate(parameters):
        if parts[-1] and sum(parts[-1].values()) + item.numel() > _NOISED_AT_ONCE:
            parts.append({})
        parts[-1][index] = item.numel()
    return parts
