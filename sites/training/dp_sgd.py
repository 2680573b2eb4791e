"""Gradients of DP-SGD steps: Poisson sampling, clipping by unit of privacy, sum, noise.

Abadi et al. 2016, arXiv:1607.00133.
"""

import math
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from privacy.differential.noise import GridNoise
from privacy.layout import Vector
from sites.plans import PrivacyPlan
from sites.training.per_person_clipping import SLACK, PersonClipper
from sites.training.privacy_units import Units, draw_units
from sites.training.recorded_passes import Passes

_AT_ONCE = 2**15  # numbers that stay in a processor's cache


def private_gradients(
    model: nn.Module, passes: Passes, units: Units, plan: PrivacyPlan
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
        passes: The passes of the model's layers for the persons drawn.
        units: Who or what is protected; there may be none.
        plan: How to train.

    Raises:
        UnclippableModel: The model's gradient cannot be split by person.
    """
    clipper = PersonClipper(model, passes, clip_norm=plan.clip_norm)
    device = clipper.parameters[0].device
    dim = sum(item.numel() for item in clipper.parameters)
    total = torch.zeros(dim, dtype=torch.float64, device=device)
    sums = _views_by_parameter(total, clipper.parameters)
    host = torch.zeros(dim)
    gradient = host.to(device)  # on a CPU the same tensor
    for parameter, part in _views_by_parameter(gradient, clipper.parameters).items():
        parameter.grad = part
    # The sum is rounded to multiples of `grid` and the noise is drawn on the same grid, as whole
    # numbers. Continuous noise in floating point has gaps that can reveal the sum (Mironov 2012).
    grid = grid_step(clipper.parameters, plan.clip_norm)
    deviation = plan.noise_multiplier * plan.clip_norm / grid
    noise = GridNoise(deviation=deviation, expected=plan.steps * dim)
    # Divided by the expected number: the number drawn is secret, and would raise the sensitivity.
    # A site without any sends noise as well, or it would show that it has none.
    scale = grid / (plan.sampling_rate * max(len(units), 1))
    for groups in draw_units(units, plan):
        total.zero_()
        for drawn in groups:
            clipper.add_sum(drawn.to_device(device), sums, unit=grid)
        _average_with_noise(total.cpu().numpy(), noise, scale=scale, out=host.numpy())
        gradient.copy_(host)
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


def _average_with_noise(
    sums: Vector, noise: GridNoise, *, scale: float, out: NDArray[np.float32]
) -> None:
    """Write into `out` the sums, rounded to whole numbers, with noise, times `scale`.

    The sums change, too.
    """
    for start in range(0, len(sums), _AT_ONCE):
        part = sums[start : start + _AT_ONCE]
        # Float64 holds whole numbers below 2**53 exactly, so neither rounding nor addition loses
        # any.
        np.rint(part, out=part)
        noise.add_to(part)
        np.multiply(part, scale, out=out[start : start + _AT_ONCE], casting="same_kind")


def _views_by_parameter(vector: Tensor, parameters: Sequence[nn.Parameter]) -> dict[Tensor, Tensor]:
    """Return the parts of a vector (dim,) that belong to each parameter, in its shape."""
    parts = torch.split(vector, [item.numel() for item in parameters])
    return {item: part.view_as(item) for item, part in zip(parameters, parts, strict=True)}
