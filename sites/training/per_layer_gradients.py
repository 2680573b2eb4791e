"""The gradient of a layer, person by person: how long it is, and its sum over persons.

Neither needs one gradient a person in memory, where a layer is large; both are exact.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge
from torch.nn import functional

from privacy.errors import ConsortiumError
from sites.training.privacy_units import Drawn

Clippable: TypeAlias = nn.Linear | nn.Embedding | nn.LayerNorm

_ROUNDED = 4096  # operations behind a length that may each round the same way

Part: TypeAlias = tuple[Tensor, Tensor]  # a parameter, and of its gradient


class UnclippableModel(ConsortiumError, TypeError):
    """A model's gradient cannot be told apart by person."""

    code = "unclippable-model"


@dataclass(frozen=True, eq=False)
class Seen:
    """What a layer was given in a pass, and where its outputs are in the graph."""

    module: Clippable
    inputs: Tensor
    edge: GradientEdge


class LayerGradient(Protocol):
    """The gradient of one layer's trained parameters, by person."""

    @property
    def deltas(self) -> Tensor:
        """The loss's gradient of what came out, shape (B, ...)."""

    @property
    def squares(self) -> Tensor:
        """Squared length for each person, shape (n_units,), as computed."""

    @property
    def terms(self) -> Tensor:
        """Squared sum of the lengths of what was added up for it, shape (n_units,).

        How far `squares` can be off by rounding is a small multiple of it.
        """

    def summed(self, factors: Tensor) -> Iterator[Part]:
        """Return the sum of all records' gradients, each times its factor, shape (B,)."""


def longest(gradient: LayerGradient) -> Tensor:
    """Return the squared length for each person at its upper bound, shape (n_units,), float64.

    Terms that cancel leave a sum that rounding may hide: a length that cannot be told from a
    rounding error counts as that error.
    """
    squares, terms = gradient.squares, gradient.terms
    rounding = _ROUNDED * torch.finfo(gradient.deltas.dtype).eps
    if squares is terms:  # a single term: nothing cancels
        return squares * (1 + rounding)
    return squares.clamp(min=0.0) + rounding * terms


def clippable(model: nn.Module) -> tuple[Clippable, ...]:
    """Return the layers with trained parameters.

    Raises:
        UnclippableModel: One is of a kind without a rule here, or shares a parameter.
    """
    layers: list[Clippable] = []
    met: set[int] = set()
    for name, layer in model.named_modules():
        own = [item for item in layer.parameters(recurse=False) if item.requires_grad]
        if isinstance(layer, nn.modules.batchnorm._BatchNorm):
            raise UnclippableModel(f"{name} mixes the records of a batch: no person has a share")
        if not own:
            continue
        if not isinstance(layer, Clippable):
            kind = type(layer).__name__
            raise UnclippableModel(f"no rule clips the parameters of {name or 'a'} {kind}")
        if met & {id(item) for item in own}:
            raise UnclippableModel(f"{name} shares a parameter with another layer")
        met |= {id(item) for item in own}
        layers.append(layer)
    return tuple(layers)


def gradient_of(seen: Seen, delta: Tensor, drawn: Drawn) -> LayerGradient:
    """Return a layer's gradient from what went in and the loss's gradient of what came out.

    Raises:
        UnclippableModel: The layer does not see the records one by one.
    """
    if not len(seen.inputs) == len(delta) == len(drawn.rows):
        raise UnclippableModel(
            f"a {type(seen.module).__name__} sees {len(seen.inputs)} rows for "
            f"{len(drawn.rows)} records: give every record inputs of its own"
        )
    match seen.module:
        case nn.Linear() as layer if delta.dim() == 2 and drawn.alone:
            return OuterGradient(layer, seen.inputs, delta)
        case nn.Linear() as layer:
            return LinearGradient(layer, *_precise(seen.inputs, delta), drawn)
        case nn.Embedding() as layer:
            return EmbeddingGradient(layer, seen.inputs.flatten(1), _tokens(delta), drawn)
        case nn.LayerNorm() as layer:
            return ScaleGradient(layer, seen.inputs, delta, drawn)


class OuterGradient:
    """Of a linear layer, one outer product a person: of inputs (B, i) and deltas (B, o).

    In NumPy, whose calls cost a third of torch's: on a table the calls are what costs.
    """

    def __init__(self, layer: nn.Linear, inputs: Tensor, deltas: Tensor) -> None:
        self.layer = layer
        self.deltas = deltas.double()
        self._inputs = inputs.cpu().numpy().astype(np.float64)
        self._deltas = self.deltas.cpu().numpy()
        self._weight, self._bias = _trains(layer)
        given = np.einsum("bi,bi->b", self._inputs, self._inputs) * self._weight + self._bias
        lengths = given * np.einsum("bo,bo->b", self._deltas, self._deltas)
        self.squares = self.terms = torch.from_numpy(lengths).to(deltas.device)

    def summed(self, factors: Tensor) -> Iterator[Part]:
        """Return the sum of all records' gradients, each times its factor."""
        scaled = self._deltas * factors.cpu().numpy()[:, None]
        if self._weight:
            yield self.layer.weight, torch.from_numpy(scaled.T @ self._inputs)
        if self._bias:
            yield self.layer.bias, torch.from_numpy(scaled.sum(0))


@dataclass(frozen=True)
class LinearGradient:
    """Of a linear layer: outer products of inputs (B, T, i) and deltas (B, T, o)."""

    layer: nn.Linear
    inputs: Tensor
    deltas: Tensor
    drawn: Drawn

    @property
    def squares(self) -> Tensor:
        """Squared length for each person."""
        inputs, deltas = self._by_person
        squares = deltas.new_zeros(len(deltas), dtype=torch.float64)
        weight, bias = _trains(self.layer)
        if weight:
            squares += _outer_square(inputs, deltas)
        if bias:
            squares += deltas.sum(1).square().sum(1)
        return squares

    @property
    def terms(self) -> Tensor:
        """Squared sum of the lengths of the outer products."""
        inputs, deltas = self._by_person
        weight, bias = _trains(self.layer)
        given = inputs.square().sum(2) * weight + float(bias)
        lengths = given * deltas.square().sum(2)  # squared, (n_units, K)
        return lengths.sqrt().sum(1).square().double()

    def summed(self, factors: Tensor) -> Iterator[Part]:
        """Return the sum of all records' gradients, each times its factor."""
        scaled = (self.deltas * factors.to(self.deltas.dtype)[:, None, None]).flatten(0, 1)
        weight, bias = _trains(self.layer)
        if weight:
            yield self.layer.weight, scaled.mT @ self.inputs.flatten(0, 1)
        if bias:
            yield self.layer.bias, scaled.sum(0)

    @cached_property
    def _by_person(self) -> tuple[Tensor, Tensor]:
        return by_person(self.inputs, self.drawn), by_person(self.deltas, self.drawn)


@dataclass(frozen=True)
class EmbeddingGradient:
    """Of an embedding: deltas (B, T, d) added up by the identifiers (B, T) they came from."""

    layer: nn.Embedding
    ids: Tensor
    deltas: Tensor
    drawn: Drawn

    @property
    def squares(self) -> Tensor:
        """Squared length for each person."""
        ids, deltas = by_person(self.ids, self.drawn), by_person(self._counted, self.drawn)
        same = ids[:, :, None] == ids[:, None, :]  # (n_units, K, K)
        return ((deltas @ deltas.mT) * same).sum((1, 2)).double()

    @property
    def terms(self) -> Tensor:
        """Squared sum of the lengths of the deltas."""
        lengths = self._counted.square().sum(2).sqrt().sum(1)  # (B,)
        return added(lengths, self.drawn).square().double()

    def summed(self, factors: Tensor) -> Iterator[Part]:
        """Return the sum of all records' gradients, each times its factor."""
        scaled = self._counted * factors.to(self.deltas.dtype)[:, None, None]
        total = torch.zeros_like(self.layer.weight, dtype=scaled.dtype)
        yield self.layer.weight, total.index_add_(0, self.ids.flatten(), scaled.flatten(0, 1))

    @cached_property
    def _counted(self) -> Tensor:
        """The deltas, none of them of the padding, which is not trained."""
        if self.layer.padding_idx is None:
            return self.deltas
        return self.deltas * (self.ids != self.layer.padding_idx)[:, :, None]


@dataclass(frozen=True)
class ScaleGradient:
    """Of a layer norm: deltas (B, ..., d) times the normalised inputs, and by themselves."""

    layer: nn.LayerNorm
    inputs: Tensor
    deltas: Tensor
    drawn: Drawn

    @property
    def squares(self) -> Tensor:
        """Squared length for each person."""
        each = [added(part.sum(1), self.drawn) for _, part in self._parts]  # (n_units, d)
        return torch.stack([part.square().sum(1) for part in each]).sum(0).double()

    @property
    def terms(self) -> Tensor:
        """Squared sum of the lengths of what was added up."""
        lengths = [part.square().sum(2).sqrt().sum(1) for _, part in self._parts]  # (B,)
        each = [added(length, self.drawn).square() for length in lengths]  # (n_units,)
        return torch.stack(each).sum(0).double()

    def summed(self, factors: Tensor) -> Iterator[Part]:
        """Return the sum of all records' gradients, each times its factor."""
        for parameter, part in self._parts:
            total = torch.einsum("btd,b->d", part, factors.to(part.dtype))
            yield parameter, total.view_as(parameter)

    @cached_property
    def _parts(self) -> list[Part]:
        """Of each trained parameter, the gradient of each token, shape (B, T, d)."""
        shape, d = self.layer.normalized_shape, self.layer.weight.numel()
        parts: list[Part] = []
        weight, bias = _trains(self.layer)
        if weight:
            normal = functional.layer_norm(self.inputs, shape, eps=self.layer.eps)
            parts.append((self.layer.weight, (self.deltas * normal).reshape(len(normal), -1, d)))
        if bias:
            parts.append((self.layer.bias, self.deltas.reshape(len(self.deltas), -1, d)))
        return parts


def by_person(values: Tensor, drawn: Drawn) -> Tensor:
    """Return values of records (B, T, ...) as those of persons (n_units, K, ...), 0 beyond."""
    if drawn.alone:
        return values
    most = int(drawn.counts.max())
    firsts = (drawn.counts.cumsum(0) - drawn.counts)[drawn.owners]
    place = drawn.owners * most + torch.arange(len(drawn.owners), device=firsts.device) - firsts
    padded = values.new_zeros((len(drawn.counts) * most, *values.shape[1:]))
    return padded.index_copy_(0, place, values).reshape(
        len(drawn.counts), most * values.shape[1], *values.shape[2:]
    )


def added(values: Tensor, drawn: Drawn) -> Tensor:
    """Return values of records (B, ...) added up by person, (n_units, ...)."""
    if drawn.alone:
        return values
    totals = values.new_zeros((len(drawn.counts), *values.shape[1:]))
    return totals.index_add_(0, drawn.owners, values)


def _trains(layer: nn.Linear | nn.LayerNorm) -> tuple[bool, bool]:
    """Return whether a layer's weight is trained, and whether its bias is."""
    bias = layer.bias
    return layer.weight.requires_grad, bias is not None and bias.requires_grad


def _outer_square(inputs: Tensor, deltas: Tensor) -> Tensor:
    """Return the squared length of sums of outer products (n_units, K, i) by (n_units, K, o)."""
    tokens, size = inputs.shape[1], inputs.shape[2] * deltas.shape[2]
    if 2 * tokens * tokens <= size:
        return ((inputs @ inputs.mT) * (deltas @ deltas.mT)).sum((1, 2))
    return (deltas.mT @ inputs).square().sum((1, 2))


def _precise(inputs: Tensor, delta: Tensor) -> tuple[Tensor, Tensor]:
    """Return both as (B, T, ...), in float64 where a record is one token: there it is cheap."""
    if delta.dim() == 2:
        return inputs.double()[:, None, :], delta.double()[:, None, :]
    return _tokens(inputs), _tokens(delta)


def _tokens(values: Tensor) -> Tensor:
    return values.reshape(len(values), -1, values.shape[-1])
