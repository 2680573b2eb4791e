"""One model of every kind that is trained privately, and slow, plain per-person gradients."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from sites.models.tabular import model_for
from sites.plans import ModelPlan
from sites.training.per_person_clipping import PersonClipper
from sites.training.privacy_units import DrawnUnits, Units
from sites.training.recorded_passes import Losses, Passes, RecordedPasses

TOKENS, WORDS = 5, 11


class Reader(nn.Module):
    """A small sequence model with every kind of layer that BERT trains."""

    def __init__(self, width: int = 6) -> None:
        super().__init__()
        self.words = nn.Embedding(WORDS, width, padding_idx=0)
        self.places = nn.Embedding(TOKENS, width)
        self.norm = nn.LayerNorm(width)
        self.mix = nn.Linear(width, 40)  # so wide that the product over pairs of tokens is cheaper
        self.back = nn.Linear(40, width, bias=False)
        self.head = nn.Linear(width, 1)

    def forward(self, ids: Tensor) -> Tensor:
        """Return scores, shape (B, 1), for tokens of shape (B, TOKENS)."""
        places = torch.arange(TOKENS).expand(len(ids), -1)
        held = self.norm(self.words(ids) + self.places(places))
        held = held + self.back(self.mix(held).tanh())
        scores: Tensor = self.head(held.mean(1))
        return scores


@dataclass(frozen=True)
class Case:
    """A model with records and the loss of each."""

    model: nn.Module
    losses: Losses
    n: int


def case(name: str, *, n: int = 30, seed: int = 0, size: float = 1.0) -> Case:
    """Return a case: logistic, linear, mlp, reader, reader-head or reader-bias."""
    generator = torch.Generator().manual_seed(seed)
    model, inputs = _model(name, n, generator)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.5)
    if inputs.is_floating_point():
        inputs = inputs * size
    wanted = torch.randn(n, generator=generator) * size

    def losses(rows: Tensor) -> Tensor:
        scores = model(inputs[rows])[:, 0]
        if name == "logistic":
            return functional.binary_cross_entropy_with_logits(
                scores, (wanted[rows] > 0).float(), reduction="none"
            )
        squares: Tensor = (scores - wanted[rows]).square() / 2
        return squares

    return Case(model, losses, n)


def _model(name: str, n: int, generator: torch.Generator) -> tuple[nn.Module, Tensor]:
    match name:
        case "logistic" | "linear" | "mlp":
            plan = ModelPlan(name=name, hidden_units=7)
            return model_for(plan, n_inputs=4, n_outputs=1), torch.randn(n, 4, generator=generator)
    reader = Reader()
    trained = {"reader-head": "head.", "reader-bias": "bias"}.get(name, "")
    for title, parameter in reader.named_parameters():
        parameter.requires_grad_(trained in title)
    return reader, torch.randint(0, WORDS, (n, TOKENS), generator=generator)


def one_unit_per_record(n: int) -> Units:
    """Return n records, each its own unit of privacy."""
    return Units(np.arange(n), np.arange(1, n + 1))


def gradients_by_person(case_: Case, drawn: DrawnUnits) -> Tensor:
    """Return each person's gradient, computed one record at a time, shape (n_units, dim)."""
    parameters = [item for item in case_.model.parameters() if item.requires_grad]
    found = torch.zeros(len(drawn.counts), sum(item.numel() for item in parameters)).double()
    for row, owner in zip(drawn.rows, drawn.owners, strict=True):
        loss = case_.losses(row[None]).sum()
        parts = torch.autograd.grad(loss, parameters)
        flat = torch.cat([part.flatten() for part in parts]).double()
        found[owner] += flat / drawn.counts[owner]
    return found


def clipped_sum(
    given: Case, drawn: DrawnUnits, *, clip_norm: float, passes: Passes | None = None
) -> Tensor:
    """Return the sum of the clipped gradients of the persons drawn, (dim,)."""
    passes = passes or RecordedPasses(given.model, given.losses)
    clipper = PersonClipper(given.model, passes, clip_norm=clip_norm)
    sums: dict[Tensor, Tensor] = {
        item: torch.zeros_like(item, dtype=torch.float64) for item in clipper.parameters
    }
    clipper.add_sum(drawn, sums)
    return flatten(list(sums.values()))


def flatten(parts: list[Tensor]) -> Tensor:
    """Return the gradients of parameters as one vector, (dim,)."""
    return torch.cat([part.flatten().double() for part in parts])
