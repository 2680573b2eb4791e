"""What precedes the head of a classifier, where nothing of it is trained: computed once."""

from typing import Any

import torch
from torch import Tensor, nn
from transformers.modeling_outputs import BaseModelOutputWithPooling

from sites.models.encoder_files import Family


class Trunk:
    """The frozen part of a classifier of texts: from pieces to what its head looks at.

    The heads of these families look at the first piece only, through a pooler or not.

    Args:
        model: The classifier, whose encoder is taken over.
    """

    def __init__(self, model: Any, family: Family, device: torch.device) -> None:  # noqa: ANN401
        del family
        self._base = getattr(model, model.base_model_prefix)
        self.pooler: nn.Module | None = getattr(self._base, "pooler", None)
        if self.pooler is not None:
            self._base.pooler = None
        self.width = int(model.config.hidden_size)
        self.device = device

    def __call__(self, inputs: dict[str, Tensor]) -> Tensor:
        """Return the first piece's vector of each window, shape (B, width)."""
        first: Tensor = self._base(**inputs).last_hidden_state[:, 0]
        return first


class Recalled(nn.Module):
    """Stands where the frozen part stood, and passes on what it once made of a window.

    Args:
        pooler: Of the head, if it has one.
    """

    def __init__(self, pooler: nn.Module | None) -> None:
        super().__init__()
        self.pooler = pooler

    def forward(self, input_ids: Tensor, **_: object) -> BaseModelOutputWithPooling:
        """Return the remembered vectors, shape (B, width), as if they had just been computed."""
        hidden = input_ids[:, None]  # (B, 1, width)
        pooled = None if self.pooler is None else self.pooler(hidden)
        return BaseModelOutputWithPooling(last_hidden_state=hidden, pooler_output=pooled)
