"""SGD in PyTorch's own order of operations, and Adam by its functional interface.

PyTorch's optimizer classes load its compiler at their first step, although nothing here is
compiled. That costs two seconds and 70 MB in every process that trains on tables. What is here
does the same arithmetic. A step of SGD on a small model by PyTorch's function takes ten times as
long as the arithmetic, so it is written out.
"""

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.optim.adam import adam

from sites.plans import TrainingPlan

_BETA_1, _BETA_2, _EPSILON = 0.9, 0.999, 1e-8


class Optimizer(Protocol):
    """Moves parameters by their gradients."""

    def step(self) -> None:
        """Take one step: move the parameters by their gradients.

        Raises:
            ValueError: A parameter has no gradient.
        """


def optimizer_of(parameters: Sequence[nn.Parameter], plan: TrainingPlan) -> Optimizer:
    """Return the plan's optimizer over these parameters, with empty state.

    Guarantee: its steps are those of `torch.optim.SGD` and `torch.optim.Adam`, to the bit. Every
    parameter must have a gradient at every step.
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
        self._velocities: list[Tensor] = []

    def step(self) -> None:
        plan, moved = self._plan, _gradients(self._parameters)
        with torch.no_grad():  # each of these calls does the same to every parameter in turn
            if plan.weight_decay:
                moved = list(torch._foreach_add(moved, self._parameters, alpha=plan.weight_decay))
            if plan.momentum:
                moved = self._velocities_after(moved)
            torch._foreach_add_(self._parameters, moved, alpha=-plan.learning_rate)

    def _velocities_after(self, gradients: list[Tensor]) -> list[Tensor]:
        """Return the velocities with the next gradients; the first ones are gradients."""
        if self._velocities:
            torch._foreach_mul_(self._velocities, self._plan.momentum)
            torch._foreach_add_(self._velocities, gradients)
        else:
            self._velocities = [one.clone() for one in gradients]
        return self._velocities


class _Adam:
    """Adam (Kingma and Ba 2015, arXiv:1412.6980), with its default constants, as in PyTorch."""

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
            [],  # largest second moments, of AMSGrad only
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
