"""The local loop."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from privacy.errors import ConsortiumError
from sites.plans import EmptySite, TrainingPlan
from sites.training.dp_sgd import private_gradients
from sites.training.optimizers import optimizer_of
from sites.training.per_person_clipping import Losses

_SORTED_BATCHES = 32


@dataclass(frozen=True)
class Records:
    """What is known of training records besides their loss.

    Args:
        classes: Class of each, shape (n,); equal for all without classes.
        persons: Whose each is, shape (n,).
        sizes: How much there is to read in each, shape (n,), where that differs: records of
            similar size are then read together.
    """

    classes: NDArray[np.int64]
    persons: NDArray[np.str_]
    sizes: NDArray[np.int64] | None = None


class TrainingDiverged(ConsortiumError, ArithmeticError):
    """The loss is no longer finite."""

    code = "training-diverged"


def train(
    model: nn.Module,
    losses: Losses,
    records: Records,
    plan: TrainingPlan,
    *,
    rng: np.random.Generator,
) -> int:
    """Train the model in place as planned; return the optimizer steps taken.

    Guarantee: same arguments, same bytes (one torch thread, one machine). Every record is used
    once a pass, or, with `class_balance="resample"`, as many are drawn as there are, each class
    equally often on average. With `proximal_mu` zero the result is that of no proximal term; as
    it grows the model stays at what was received. With `privacy` the promise is that of
    `sites.training.dp_sgd` instead, and nothing but its gradients is computed from records.

    Args:
        model: Holds the received parameters.
        losses: The loss of each of the given records under the model, (B,) -> (B,).
        records: What is known of the training records.
        plan: How to train.
        rng: Of the order of records.

    Raises:
        EmptySite: There are no records.
        TrainingDiverged: The loss is no longer finite.
        UnclippableModel: With privacy, the model's gradient cannot be told apart by person.
    """
    if not len(records.classes):
        raise EmptySite("this site has no training records: it can be evaluated, not trained")
    parameters = [item for item in model.parameters() if item.requires_grad]
    received = [item.detach().clone() for item in parameters]
    optimizer = optimizer_of(parameters, plan)
    pull = _pull(plan)
    if plan.privacy is None:
        gradients = _gradients(model, losses, records, plan, rng)
    else:
        gradients = private_gradients(model, losses, records.persons, plan.privacy)
    steps = 0
    for _ in gradients:
        optimizer.step()
        if pull:
            _move(parameters, received, pull)
        steps += 1
    return steps


def _gradients(
    model: nn.Module,
    losses: Losses,
    records: Records,
    plan: TrainingPlan,
    rng: np.random.Generator,
) -> Iterator[None]:
    """Set the model's gradients for one step after the other."""
    steps = 0
    for _ in range(plan.local_epochs):
        for rows in _batches(records, plan, rng):  # (B,)
            loss = losses(rows).mean()  # (B,) -> ()
            if not math.isfinite(loss.item()):
                raise TrainingDiverged(
                    f"the loss is not finite after {steps} steps: lower the learning rate, "
                    f"now {plan.learning_rate}",
                    steps=steps,
                )
            model.zero_grad()
            torch.autograd.backward(loss)
            steps += 1
            yield


def _batches(records: Records, plan: TrainingPlan, rng: np.random.Generator) -> Sequence[Tensor]:
    """The records of one pass, in batches.

    Where sizes differ, a stretch of the drawn order is sorted by them before it is parted into
    batches, whose order is drawn again.
    """
    order = _order(records.classes, plan, rng)
    if records.sizes is None:
        return torch.split(order, plan.batch_size)
    batches = by_size(order.numpy(), records.sizes, plan.batch_size)
    return [torch.from_numpy(batches[index]) for index in rng.permutation(len(batches))]


def by_size(
    order: NDArray[np.int64], sizes: NDArray[np.int64], batch_size: int
) -> list[NDArray[np.int64]]:
    """Return records in batches of similar size, each record once.

    A stretch of `_SORTED_BATCHES` batches of the order is sorted, so that large sets still mix.
    """
    batches: list[NDArray[np.int64]] = []
    stretch = _SORTED_BATCHES * batch_size
    for start in range(0, len(order), stretch):
        part = order[start : start + stretch]
        ordered = part[np.argsort(sizes[part], kind="stable")]
        batches += [ordered[i : i + batch_size] for i in range(0, len(ordered), batch_size)]
    return batches


def _order(classes: NDArray[np.int64], plan: TrainingPlan, rng: np.random.Generator) -> Tensor:
    """The records of one pass, shape (n,)."""
    n = len(classes)
    if plan.class_balance != "resample":
        return torch.from_numpy(rng.permutation(n))
    _, of_record, counts = np.unique(classes, return_inverse=True, return_counts=True)
    shares = 1 / (len(counts) * counts)
    return torch.from_numpy(rng.choice(n, n, p=shares[of_record]))


def _pull(plan: TrainingPlan) -> float:
    """How far each step ends towards the received parameters, in [0, 1).

    FedProx's term is taken as an implicit (proximal) step, which no `mu` makes unstable; a
    gradient step on it would diverge from learning_rate * mu = 2 on. Momentum multiplies the
    other gradients by 1 / (1 - momentum) in the long run, so it does so here: with sgd the
    point of rest is that of the loss plus the term. With adam it is decoupled, as weight decay
    is in AdamW.
    """
    momentum = plan.momentum if plan.optimizer == "sgd" else 0.0
    strength = plan.learning_rate / (1 - momentum) * plan.proximal_mu
    return strength / (1 + strength)


@torch.no_grad()
def _move(parameters: list[nn.Parameter], received: list[Tensor], share: float) -> None:
    for parameter, target in zip(parameters, received, strict=True):
        parameter.lerp_(target, share)
