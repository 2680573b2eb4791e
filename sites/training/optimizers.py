"""Steps of PyTorch's optimizers, by its functions.

Its optimizer classes load its compiler at their first step, which nothing here compiles with: two
seconds and 70 MB, in every process that trains on tables. The functions are the same arithmetic.
"""

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.optim.adam import adam
from torch.optim.sgd import sgd

from sites.plans import TrainingPlan

_BETA_1, _BETA_2, _EPSILON = 0.9, 0.999, 1e-8


class Optimizer(Protocol):
    """What takes steps."""

    def step(self) -> None:
        """Move the parameters by their gradients."""


def optimizer_of(parameters: Sequence[nn.Parameter], plan: TrainingPlan) -> Optimizer:
    """Return the plan's optimizer over parameters, without a past.

    Guarantee: its steps are those of `torch.optim.SGD` and `torch.optim.Adam`, to the bit. Each
    parameter has a gradient at each step.
    """
    match plan.optimizer:
        case "sgd":
            return _Sgd(parameters, plan)
        case "adam":
            return _Adam(parameters, plan)


class _Sgd:
    def __init__(self, parameters: Sequence[nn.Parameter], plan: TrainingPlan) -> None:
        self._parameters: list[Tensor] = list(parameters)
        self._plan = plan
        self._momenta: list[Tensor | None] = [None] * len(self._parameters)

    @torch.no_grad()
    def step(self) -> None:
        sgd(
            self._parameters,
            _gradients(self._parameters),
            self._momenta,
            weight_decay=self._plan.weight_decay,
            momentum=self._plan.momentum,
            lr=self._plan.learning_rate,
            dampening=0.0,
            nesterov=False,
            maximize=False,
        )


class _Adam:
    """Kingma and Ba, 2015, with the constants of its section 2, which are PyTorch's."""

    def __init__(self, parameters: Sequence[nn.Parameter], plan: TrainingPlan) -> None:
        self._parameters: list[Tensor] = list(parameters)
        self._plan = plan
        self._means = [torch.zeros_like(one) for one in self._parameters]
        self._squares = [torch.zeros_like(one) for one in self._parameters]
        self._steps = [torch.tensor(0.0) for _ in self._parameters]

    @torch.no_grad()
    def step(self) -> None:
        adam(
            self._parameters,
            _gradients(self._parameters),
            self._means,
            self._squares,
            [],
            self._steps,
            amsgrad=False,
            beta1=_BETA_1,
            beta2=_BETA_2,
            lr=self._plan.learning_rate,
            weight_decay=self._plan.weight_decay,
            eps=_EPSILON,
            maximize=False,
        )


def _gradients(parameters: Sequence[Tensor]) -> list[Tensor]:
    gradients = [one.grad for one in parameters if one.grad is not None]
    if len(gradients) != len(parameters):
        raise ValueError("a parameter has no gradient: the loss does not depend on it")
    return gradients
