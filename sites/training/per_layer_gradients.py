"""Per-person gradients of one layer: their norms, and their weighted sum.

Both are exact, and neither needs one gradient per person in memory where a layer is large.

Notation in the comments: x is what went into a layer, d (delta) is the gradient of the loss with
respect to what came out. B counts records, T tokens of a record, n_units persons, and K the
tokens of a person: all its records' tokens in a row.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional

from privacy.errors import ConsortiumError
from sites.training.privacy_units import DrawnUnits, pad_by_person, sum_by_person

Clippable: TypeAlias = nn.Linear | nn.Embedding | nn.LayerNorm

_ROUNDED = 4096  # operations behind a norm that may all round in the same direction

Part: TypeAlias = tuple[Tensor, Tensor]  # a parameter, and a part of its gradient
Sums: TypeAlias = Mapping[Tensor, Tensor]  # of gradients: by parameter, each in its shape


class UnclippableModel(ConsortiumError, TypeError, code="unclippable-model"):
    """A model's gradient cannot be split by person."""


@dataclass(frozen=True, eq=False)
class LayerPass:
    """A layer in one pass: its inputs (B, ...), and the gradient of the loss by its outputs."""

    module: Clippable
    inputs: Tensor
    deltas: Tensor


class LayerGradient(Protocol):
    """The gradient of one layer's trained parameters, by person."""

    @property
    def deltas(self) -> Tensor:
        """Gradient of the loss with respect to the layer's outputs, shape (B, ...)."""

    @property
    def squared_norms(self) -> Tensor:
        """Squared L2 norm of each person's gradient, shape (n_units,), as computed."""

    @property
    def squared_term_sums(self) -> Tensor:
        """Squared sum of the norms of the terms that make up each gradient, shape (n_units,).

        The rounding error of `squared_norms` is at most a small multiple of it.
        """

    def add_weighted_sums(self, factors: Tensor, sums: Sums, *, unit: float) -> None:
        """Add the records' gradients times `factors` to the sums of the trained parameters.

        Args:
            factors: One factor per record, shape (B,), float64.
            sums: By parameter, float64.
            unit: Of the sums: the gradients are divided by it, in float64.
        """


def squared_norm_bounds(gradient: LayerGradient) -> Tensor:
    """Return an upper bound of each person's squared norm, shape (n_units,), float64.

    Where terms cancel, rounding may hide the true norm: a norm that cannot be told from a
    rounding error counts as that error.
    """
    squares, terms = gradient.squared_norms, gradient.squared_term_sums
    # For a gradient g = sum of g_k, |g|^2 is computed from products of size at most |g_k| |g_l|.
    # They add up to (sum of |g_k|)^2, so an operation errs by at most eps of that, even where the
    # products cancel and |g|^2 itself is tiny.
    rounding = _ROUNDED * torch.finfo(gradient.deltas.dtype).eps
    if squares is terms:  # a single term: nothing cancels, the error is relative to the norm
        return squares * (1 + rounding)
    return squares.clamp(min=0.0) + rounding * terms


def clippable_layers(model: nn.Module) -> tuple[Clippable, ...]:
    """Return the layers with trained parameters.

    Raises:
        UnclippableModel: A layer is of a kind that has no rule here, shares a parameter with
            another layer, or mixes the records of a batch.
    """
    layers: list[Clippable] = []
    met: set[int] = set()
    for name, layer in model.named_modules():
        own = [item for item in layer.parameters(recurse=False) if item.requires_grad]
        # Refused even if its parameters are frozen: its batch statistics make each output depend
        # on all records, so that clipping one person's gradient bounds nothing.
        if isinstance(layer, nn.modules.batchnorm._BatchNorm):
            raise UnclippableModel(f"{name} mixes the records of a batch: no person has a share")
        if not own:
            continue
        if not isinstance(layer, Clippable):
            kind = type(layer).__name__
            raise UnclippableModel(f"no rule clips the parameters of {name or 'a'} {kind}")
        # The gradient of a shared parameter is a sum over its layers, whose norm does not follow
        # from the norms at each layer.
        if met & {id(item) for item in own}:
            raise UnclippableModel(f"{name} shares a parameter with another layer")
        met |= {id(item) for item in own}
        layers.append(layer)
    return tuple(layers)


def layer_gradient(seen: LayerPass, drawn: DrawnUnits) -> LayerGradient:
    """Return a layer's gradient from its inputs and deltas.

    Args:
        seen: The layer in one pass.
        drawn: The persons whose records the B rows are.

    Raises:
        UnclippableModel: The layer does not see the records one by one.
    """
    inputs, deltas = seen.inputs, seen.deltas
    rows, records = inputs.shape[0], drawn.rows.shape[0]
    if not rows == deltas.shape[0] == records:
        raise UnclippableModel(
            f"a {type(seen.module).__name__} sees {rows} rows for {records} records: "
            "give every record inputs of its own"
        )
    match seen.module:
        case nn.Linear() as layer if deltas.dim() == 2 and drawn.one_record_each:
            return OuterGradient(layer, inputs, deltas)
        case nn.Linear() as layer:
            return LinearGradient(layer, *_with_token_axis(inputs, deltas), drawn)
        case nn.Embedding() as layer:
            return EmbeddingGradient(layer, inputs.flatten(1), _flatten_tokens(deltas), drawn)
        case nn.LayerNorm() as layer:
            return ScaleGradient(layer, inputs, deltas, drawn)


class OuterGradient:
    """Gradient of a linear layer where each person has one record, and each record one token.

    It is one outer product per person, of inputs (B, i) and deltas (B, o).
    """

    def __init__(self, layer: nn.Linear, inputs: Tensor, deltas: Tensor) -> None:
        self.layer = layer
        self.deltas, self._inputs = deltas.double(), inputs.double()
        self._weight, self._bias = _trained_parts(layer)
        # The gradient of the weight is d x^T, with squared norm |d|^2 |x|^2; that of the bias is
        # d. Together |d|^2 (|x|^2 + 1), each summand only if its parameter is trained.
        lengths = torch.linalg.vecdot(self.deltas, self.deltas)
        if self._weight:
            given = torch.linalg.vecdot(self._inputs, self._inputs)
            lengths = torch.addcmul(lengths, given, lengths) if self._bias else given * lengths
        self.squared_norms = self.squared_term_sums = lengths

    def add_weighted_sums(self, factors: Tensor, sums: Sums, *, unit: float) -> None:
        """Add the records' gradients times `factors` to the sums of the trained parameters."""
        if self._weight:
            scaled = self.deltas * factors[:, None]
            sums[self.layer.weight].addmm_(scaled.mT, self._inputs, alpha=1 / unit)
        if self._bias:
            sums[self.layer.bias].addmv_(self.deltas.mT, factors, alpha=1 / unit)


@dataclass(frozen=True)
class LinearGradient:
    """Gradient of a linear layer: outer products of inputs (B, T, i) and deltas (B, T, o).

    A person's gradient is the sum of d_k x_k^T over its K tokens, for the weight, and the sum of
    d_k for the bias.
    """

    layer: nn.Linear
    inputs: Tensor
    deltas: Tensor
    drawn: DrawnUnits

    @property
    def squared_norms(self) -> Tensor:
        """Squared L2 norm of each person's gradient."""
        inputs, deltas = self._by_person
        squares = deltas.new_zeros(len(deltas), dtype=torch.float64)
        weight, bias = _trained_parts(self.layer)
        if weight:
            squares += _outer_product_squares(inputs, deltas)
        if bias:
            squares += deltas.sum(1).square().sum(1)
        return squares

    @property
    def squared_term_sums(self) -> Tensor:
        """Squared sum of the norms of the outer products."""
        inputs, deltas = self._by_person
        weight, bias = _trained_parts(self.layer)
        # A term is d_k x_k^T together with d_k: its squared norm is |d_k|^2 (|x_k|^2 + 1).
        given = inputs.square().sum(2) * weight + float(bias)
        squares = given * deltas.square().sum(2)  # (n_units, K)
        return squares.sqrt().sum(1).square().double()

    def add_weighted_sums(self, factors: Tensor, sums: Sums, *, unit: float) -> None:
        """Add the records' gradients times `factors` to the sums of the trained parameters."""
        # A factor scales a record's deltas, and with them all its outer products. One matrix
        # product then sums over records and tokens together: (o, B*T) @ (B*T, i).
        scaled = (self.deltas * factors.to(self.deltas.dtype)[:, None, None]).flatten(0, 1)
        weight, bias = _trained_parts(self.layer)
        if weight:
            sums[self.layer.weight].add_(scaled.mT @ self.inputs.flatten(0, 1), alpha=1 / unit)
        if bias:
            sums[self.layer.bias].add_(scaled.sum(0), alpha=1 / unit)

    @cached_property
    def _by_person(self) -> tuple[Tensor, Tensor]:
        return pad_by_person(self.inputs, self.drawn), pad_by_person(self.deltas, self.drawn)


@dataclass(frozen=True)
class EmbeddingGradient:
    """Gradient of an embedding: deltas (B, T, d), added up by token identifier (B, T).

    Row v of a person's gradient is the sum of d_k over the tokens k whose identifier is v.
    """

    layer: nn.Embedding
    ids: Tensor
    deltas: Tensor
    drawn: DrawnUnits

    @property
    def squared_norms(self) -> Tensor:
        """Squared L2 norm of each person's gradient."""
        ids, deltas = (
            pad_by_person(self.ids, self.drawn),
            pad_by_person(self._trained_deltas, self.drawn),
        )
        # The squared norm is the sum of d_k . d_l over the pairs of tokens that share a row. It
        # needs (K, K) numbers per person instead of a gradient as large as the vocabulary.
        same = ids[:, :, None] == ids[:, None, :]  # (n_units, K, K)
        return ((deltas @ deltas.mT) * same).sum((1, 2)).double()

    @property
    def squared_term_sums(self) -> Tensor:
        """Squared sum of the norms of the deltas."""
        lengths = self._trained_deltas.square().sum(2).sqrt().sum(1)  # (B,)
        return sum_by_person(lengths, self.drawn).square().double()

    def add_weighted_sums(self, factors: Tensor, sums: Sums, *, unit: float) -> None:
        """Add the records' gradients times `factors` to the sums of the trained parameters."""
        scaled = self._trained_deltas * factors.to(self.deltas.dtype)[:, None, None]
        total = torch.zeros_like(self.layer.weight, dtype=scaled.dtype)
        total.index_add_(0, self.ids.flatten(), scaled.flatten(0, 1))
        sums[self.layer.weight].add_(total, alpha=1 / unit)

    @cached_property
    def _trained_deltas(self) -> Tensor:
        """The deltas, with zeros for padding, whose row PyTorch does not train."""
        if self.layer.padding_idx is None:
            return self.deltas
        return self.deltas * (self.ids != self.layer.padding_idx)[:, :, None]


@dataclass(frozen=True)
class ScaleGradient:
    """Gradient of a layer norm, from deltas (B, ..., d) and inputs of the same shape.

    Its outputs are weight * normalised inputs + bias. So a token's gradient is its delta times
    the normalised inputs, for the weight, and the delta itself for the bias.
    """

    layer: nn.LayerNorm
    inputs: Tensor
    deltas: Tensor
    drawn: DrawnUnits

    @property
    def squared_norms(self) -> Tensor:
        """Squared L2 norm of each person's gradient."""
        # There are only d numbers per person, so the gradients themselves fit in memory.
        each = [sum_by_person(part.sum(1), self.drawn) for _, part in self._parts]  # (n_units, d)
        return torch.stack([part.square().sum(1) for part in each]).sum(0).double()

    @property
    def squared_term_sums(self) -> Tensor:
        """Squared sum of the norms of the tokens' gradients, added up over the parameters."""
        lengths = [part.square().sum(2).sqrt().sum(1) for _, part in self._parts]  # (B,)
        each = [sum_by_person(length, self.drawn).square() for length in lengths]  # (n_units,)
        return torch.stack(each).sum(0).double()

    def add_weighted_sums(self, factors: Tensor, sums: Sums, *, unit: float) -> None:
        """Add the records' gradients times `factors` to the sums of the trained parameters."""
        for parameter, part in self._parts:
            total = torch.einsum("btd,b->d", part, factors.to(part.dtype))
            sums[parameter].add_(total.view_as(parameter), alpha=1 / unit)

    @cached_property
    def _parts(self) -> list[Part]:
        """Each trained parameter with the gradient of each token, shape (B, T, d)."""
        shape, d = self.layer.normalized_shape, self.layer.weight.numel()
        parts: list[Part] = []
        weight, bias = _trained_parts(self.layer)
        if weight:
            # Computed again: the forward pass keeps the normalised inputs to itself.
            normal = functional.layer_norm(self.inputs, shape, eps=self.layer.eps)
            parts.append((self.layer.weight, (self.deltas * normal).reshape(len(normal), -1, d)))
        if bias:
            parts.append((self.layer.bias, self.deltas.reshape(len(self.deltas), -1, d)))
        return parts


def _trained_parts(layer: nn.Linear | nn.LayerNorm) -> tuple[bool, bool]:
    """Return whether a layer's weight is trained, and whether its bias is."""
    bias = layer.bias
    return layer.weight.requires_grad, bias is not None and bias.requires_grad


def _outer_product_squares(inputs: Tensor, deltas: Tensor) -> Tensor:
    """Return |sum over k of d_k x_k^T|^2 for each person, shape (n_units,).

    Args:
        inputs: x, shape (n_units, K, i).
        deltas: d, shape (n_units, K, o).
    """
    tokens, size = inputs.shape[1], inputs.shape[2] * deltas.shape[2]
    # Equal to the sum over k, l of (x_k . x_l) (d_k . d_l) (Bu et al. 2022, arXiv:2210.00038):
    # two (K, K) matrices per person, which is less than the (o, i) gradient where tokens are few.
    if 2 * tokens * tokens <= size:
        return ((inputs @ inputs.mT) * (deltas @ deltas.mT)).sum((1, 2))
    return (deltas.mT @ inputs).square().sum((1, 2))


def _with_token_axis(inputs: Tensor, delta: Tensor) -> tuple[Tensor, Tensor]:
    """Return both with shape (B, T, ...); in float64, which is cheap there, if T is 1."""
    if delta.dim() == 2:
        return inputs.double()[:, None, :], delta.double()[:, None, :]
    return _flatten_tokens(inputs), _flatten_tokens(delta)


def _flatten_tokens(values: Tensor) -> Tensor:
    return values.reshape(len(values), -1, values.shape[-1])
