"""The local training loop of one round at one site."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from privacy.errors import ConsortiumError
from sites.models.parameters import moved_parameters, pruned_numbers
from sites.plans import EmptySite, TrainingPlan
from sites.training.dp_sgd import private_gradients
from sites.training.optimizers import optimizer_of
from sites.training.per_layer_gradients import LayerPass
from sites.training.person_cap import ContentOf
from sites.training.privacy_units import DrawnUnits, units_of
from sites.training.recorded_passes import Losses, RecordedPasses

_SORTED_BATCHES = 32  # batches whose records are sorted by size together


@dataclass(frozen=True)
class Records:
    """Facts about the training records that batches are made from.

    Args:
        classes: Class of each record, shape (n,); all equal where there are no classes.
        persons: Whose each record is, shape (n,).
        sizes: Size of each record, such as its number of pieces, shape (n,), or None where all
            have the same size. Records of similar size share a batch.
        content_of: What tells the record at a row from the others of its person.
    """

    classes: NDArray[np.int64]
    persons: NDArray[np.str_]
    sizes: NDArray[np.int64] | None = None
    content_of: ContentOf | None = None


class LossFormulas(Protocol):
    """The gradients of losses, without autograd."""

    def passes(self, drawn: DrawnUnits) -> Sequence[LayerPass]:
        """Return each layer's inputs and deltas for the records of some persons."""

    def set_gradients(self, rows: Tensor) -> Tensor:
        """Set each parameter's gradient of the mean loss of records, and return that loss.

        Guarantee: both are those of autograd, to the bit.
        """


class TrainingDiverged(ConsortiumError, ArithmeticError, code="training-diverged"):
    """The loss is no longer finite."""


def compute_on_one_thread() -> None:
    """Let torch compute on one thread, so that two sites on one machine share no core."""
    torch.set_num_threads(1)


def train(
    model: nn.Module,
    losses: Losses,
    records: Records,
    plan: TrainingPlan,
    *,
    rng: np.random.Generator,
    formulas: LossFormulas | None = None,
) -> int:
    """Train the model in place by the plan, and return the number of optimizer steps.

    Guarantee: the same arguments give the same bytes (one torch thread, one machine), and there are
    `plan.local_steps` steps. Every record is used once per pass; passes are repeated until the
    steps are taken, and the last one ends with them. With `class_balance="resample"`, each pass
    draws as many records as there are, with replacement and each class equally often on average.
    With `proximal_mu` 0 there is no proximal term; as it grows, the model stays at the received
    parameters. With `plan.kept`, other numbers stay as received. With `privacy`, the guarantee is
    that of `sites.training.dp_sgd` instead, and nothing but its gradients is computed from records.

    Args:
        model: Holds the received parameters.
        losses: The loss of each of the given records under the model, (B,) -> (B,).
        records: Facts about the training records.
        plan: How to train.
        rng: For the order of records.
        formulas: For the gradients of these losses; by default autograd finds them.

    Raises:
        EmptySite: There are no records, and no privacy: with it, noise is added to nothing.
        TrainingDiverged: The loss is no longer finite.
        UnclippableModel: With privacy, the model's gradient cannot be split by person.
    """
    if not len(records.classes) and plan.privacy is None:
        raise EmptySite("this site has no training records: it can be evaluated, not trained")
    parameters = moved_parameters(model, plan.moved)
    received = [item.detach().clone() for item in parameters]
    optimizer = optimizer_of(parameters, plan)
    share, still = _proximal_share(plan), pruned_numbers(parameters, plan.kept)

    def take_step() -> None:
        optimizer.step()
        if share:
            _pull_back(parameters, received, share)
        if still:
            _put_back(parameters, received, still)

    if plan.privacy is not None:
        # The loss itself stays unread: only its noised gradients may influence anything.
        units = units_of(records.persons, plan.privacy, records.content_of)
        passes = formulas.passes if formulas else RecordedPasses(model, losses)
        for _ in private_gradients(model, passes, units, plan.privacy):
            take_step()
        return plan.privacy.steps

    set_gradients = formulas.set_gradients if formulas else _autograd(parameters, losses)
    wanted = plan.local_steps(len(records.classes))
    for step, rows in enumerate(islice(_passes(records, plan, rng), wanted)):  # (B,)
        _require_finite(set_gradients(rows), step, plan)
        take_step()
    return wanted


def _autograd(parameters: list[nn.Parameter], losses: Losses) -> Callable[[Tensor], Tensor]:
    """Return what sets the parameters' gradients of the mean loss of records, and returns it."""

    def set_gradients(rows: Tensor) -> Tensor:
        loss = losses(rows).mean()  # (B,) -> ()
        for parameter in parameters:
            parameter.grad = None
        torch.autograd.backward(loss)
        return loss

    return set_gradients


def _require_finite(loss: Tensor, steps: int, plan: TrainingPlan) -> None:
    if not math.isfinite(loss.item()):
        raise TrainingDiverged(
            f"the loss is not finite after {steps} steps: lower the learning rate, "
            f"now {plan.learning_rate}",
            steps=steps,
        )


def _passes(records: Records, plan: TrainingPlan, rng: np.random.Generator) -> Iterator[Tensor]:
    """Yield the batches of one pass after another, without end, each of shape (B,)."""
    while True:
        yield from _batches(records, plan, rng)


def _batches(records: Records, plan: TrainingPlan, rng: np.random.Generator) -> Sequence[Tensor]:
    """Return the batches of one pass, each of shape (B,).

    Where sizes differ, records of similar size share a batch, and the order of the batches is
    drawn again: otherwise each stretch would begin with its smallest records.
    """
    order = _record_order(records.classes, plan, rng)
    if records.sizes is None:
        return torch.split(order, plan.batch_size)
    batches = batches_by_size(order.numpy(), records.sizes, plan.batch_size)
    return [torch.from_numpy(batches[index]) for index in rng.permutation(len(batches))]


def batches_by_size(
    order: NDArray[np.int64], sizes: NDArray[np.int64], batch_size: int
) -> list[NDArray[np.int64]]:
    """Return batches of records of similar size, each record in one batch.

    Only stretches of `_SORTED_BATCHES` batches are sorted, so that large data sets still mix.

    Args:
        order: Indices of the records in drawn order, shape (n,).
        sizes: Size of every record, by index.
        batch_size: Most records in a batch.
    """
    batches: list[NDArray[np.int64]] = []
    stretch = _SORTED_BATCHES * batch_size
    for start in range(0, len(order), stretch):
        part = order[start : start + stretch]
        ordered = part[np.argsort(sizes[part], kind="stable")]
        batches += [ordered[i : i + batch_size] for i in range(0, len(ordered), batch_size)]
    return batches


def _record_order(
    classes: NDArray[np.int64], plan: TrainingPlan, rng: np.random.Generator
) -> Tensor:
    """Return the records of one pass in drawn order, shape (n,)."""
    n = len(classes)
    if plan.class_balance != "resample":
        return torch.from_numpy(rng.permutation(n))
    _, of_record, counts = np.unique(classes, return_inverse=True, return_counts=True)
    # Each class gets the same total probability, shared equally among its records.
    shares = 1 / (len(counts) * counts)
    return torch.from_numpy(rng.choice(n, n, p=shares[of_record]))


def _proximal_share(plan: TrainingPlan) -> float:
    """Return the share of the way back to the received parameters per step, in [0, 1).

    FedProx's term (Li et al. 2020, arXiv:1812.06127) is taken as an implicit, proximal step,
    which is stable for every `mu`; a gradient step on it would diverge once learning_rate * mu
    reaches 2. With sgd, training comes to rest where the loss plus the term does. With adam the
    term is decoupled, as weight decay is in AdamW.
    """
    # The proximal step solves w' = w - s (w' - received), so w' = (w + s received) / (1 + s).
    # Momentum multiplies the other gradients by 1 / (1 - momentum) in the long run; s is scaled
    # alike, or momentum would weaken the term.
    momentum = plan.momentum if plan.optimizer == "sgd" else 0.0
    strength = plan.learning_rate / (1 - momentum) * plan.proximal_mu
    return strength / (1 + strength)


@torch.no_grad()
def _pull_back(parameters: list[nn.Parameter], received: list[Tensor], share: float) -> None:
    for parameter, target in zip(parameters, received, strict=True):
        parameter.lerp_(target, share)


@torch.no_grad()
def _put_back(parameters: list[nn.Parameter], received: list[Tensor], still: list[Tensor]) -> None:
    for parameter, target, where in zip(parameters, received, still, strict=True):
        parameter.copy_(torch.where(where, target, parameter))
