"""Server optimizers: how the aggregate of a round moves the model."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Literal, TypeAlias

import numpy as np
from pydantic import Field

from privacy.declarations import require_declared
from privacy.errors import ConsortiumError
from privacy.layout import Vector

Moments: TypeAlias = tuple[Vector, ...]


class OptimizerRefused(ConsortiumError, ValueError, code="optimizer-refused"):
    """A parameter of a server optimizer is out of its range."""


class MomentsMismatch(ConsortiumError, ValueError, code="moments-mismatch"):
    """The moments are not those of this optimizer."""


class StepOverflow(ConsortiumError, ArithmeticError, code="step-overflow"):
    """A step left the range of float32."""


@dataclass(frozen=True)
class ServerOptimizer:
    """A server optimizer as a pair of pure functions with explicit state.

    Guarantee: it uses only the elementwise float64 operations `+ - * / sqrt`, and rounds to float32
    at the end of each step, so every machine computes the same bits.

    Args:
        init: Returns the moments before the first step, from dim.
        step: Returns the next moments and vector, from the present ones and the aggregate.
    """

    init: Callable[[int], Moments]
    step: Callable[[Moments, Vector, Vector], tuple[Moments, Vector]]


Decay: TypeAlias = Annotated[float, Field(ge=0, lt=1)]


@dataclass(frozen=True, kw_only=True)
class OptimizerOptions:
    """The server optimizer that moves the model, and the options of all server optimizers.

    An optimizer uses the options that concern it. `sgd` with a learning rate of 1 is FedAvg.

    Raises:
        OptimizerRefused: A parameter is out of its range.
    """

    name: Annotated[
        Literal["sgd", "momentum", "adagrad", "adam", "yogi"],
        Field(
            description="How the aggregate moves the model (Reddi et al. 2020, arXiv:2003.00295)."
        ),
    ] = "sgd"
    learning_rate: Annotated[float, Field(gt=0, description="Its learning rate.")] = 1.0
    momentum: Annotated[Decay, Field(description="For `momentum`: decay of the velocity.")] = 0.9
    beta1: Annotated[
        Decay,
        Field(description="For `adagrad`, `adam` and `yogi`: decay of the first moment."),
    ] = 0.9
    beta2: Annotated[
        Decay, Field(description="For `adam` and `yogi`: decay of the second moment.")
    ] = 0.99
    tau: Annotated[
        float,
        Field(
            gt=0,
            description="For `adagrad`, `adam` and `yogi`: how strongly they adapt; the smaller, "
            "the more.",
        ),
    ] = 1e-3

    def __post_init__(self) -> None:
        require_declared(self, OptimizerRefused)


def round_to_float32(numbers: Vector) -> Vector:
    """Return the numbers rounded to float32, as float64, with negative zeros made positive.

    Raises:
        StepOverflow: A number is out of float32's range, or is NaN.
    """
    with np.errstate(over="ignore"):
        single = numbers.astype(np.float32)
    if not np.isfinite(single).all():
        raise StepOverflow(
            "the step left the range of float32: lower the server's learning rate or "
            "clip the updates"
        )
    # Adding 0.0 turns -0.0 into 0.0: CPUs differ in the sign of a zero, and digests compare bytes.
    return single.astype(np.float64) + 0.0


def sgd(options: OptimizerOptions) -> ServerOptimizer:
    """Return plain SGD: x + lr d. With lr = 1 this is FedAvg (arXiv:1602.05629)."""

    def step(moments: Moments, vector: Vector, aggregate: Vector) -> tuple[Moments, Vector]:
        _require_moments(moments, 0)
        return (), round_to_float32(vector + options.learning_rate * aggregate)

    return ServerOptimizer(init=lambda _dim: (), step=step)


def momentum(options: OptimizerOptions) -> ServerOptimizer:
    """Return FedAvgM: v = momentum v + d; x + lr v (Hsu et al. 2019, arXiv:1909.06335)."""

    def step(moments: Moments, vector: Vector, aggregate: Vector) -> tuple[Moments, Vector]:
        _require_moments(moments, 1)
        velocity = round_to_float32(options.momentum * moments[0] + aggregate)
        return (velocity,), round_to_float32(vector + options.learning_rate * velocity)

    return ServerOptimizer(init=lambda dim: (np.zeros(dim),), step=step)


def adagrad(options: OptimizerOptions) -> ServerOptimizer:
    """Return FedAdagrad: second moment v + d^2; the paper's experiments use beta1 = 0."""
    return _adaptive(options, lambda second, squared: second + squared)


def adam(options: OptimizerOptions) -> ServerOptimizer:
    """Return FedAdam: second moment beta2 v + (1 - beta2) d^2."""
    beta2 = options.beta2
    return _adaptive(options, lambda second, squared: beta2 * second + (1 - beta2) * squared)


def yogi(options: OptimizerOptions) -> ServerOptimizer:
    """Return FedYogi: second moment v - (1 - beta2) d^2 sign(v - d^2)."""
    fresh = 1 - options.beta2
    return _adaptive(
        options, lambda second, squared: second - fresh * squared * np.sign(second - squared)
    )


def _adaptive(
    options: OptimizerOptions, second_moment: Callable[[Vector, Vector], Vector]
) -> ServerOptimizer:
    """Return Algorithm 2 of Reddi et al. 2020 (arXiv:2003.00295) with this second moment.

    m = beta1 m + (1 - beta1) d; v as given; x + lr m / (sqrt(v) + tau). As in the paper, v
    starts at tau^2 and there is no bias correction.
    """
    beta1, tau = options.beta1, options.tau

    def init(dim: int) -> Moments:
        return np.zeros(dim), round_to_float32(np.full(dim, tau * tau))

    def step(moments: Moments, vector: Vector, aggregate: Vector) -> tuple[Moments, Vector]:
        _require_moments(moments, 2)
        first = round_to_float32(beta1 * moments[0] + (1 - beta1) * aggregate)
        second = round_to_float32(second_moment(moments[1], aggregate * aggregate))
        moved = vector + options.learning_rate * first / (np.sqrt(second) + tau)
        return (first, second), round_to_float32(moved)

    return ServerOptimizer(init=init, step=step)


def _require_moments(moments: Moments, count: int) -> None:
    if len(moments) != count:
        raise MomentsMismatch(
            f"this optimizer needs {count} moments, the state holds {len(moments)}: resume with "
            "the optimizer with which the run was started",
            needed=count,
            got=len(moments),
        )


OPTIMIZERS: Mapping[str, Callable[[OptimizerOptions], ServerOptimizer]] = MappingProxyType(
    {"sgd": sgd, "momentum": momentum, "adagrad": adagrad, "adam": adam, "yogi": yogi}
)
