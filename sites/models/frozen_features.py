"""Features of a frozen encoder, computed once per window and used in every epoch.

Where only the head of a classifier is trained, the encoder below it gives the same features in
every pass. It is run once, and the head is trained on the cached features.
"""

from typing import Any

import torch
from torch import Tensor, nn
from transformers.modeling_outputs import BaseModelOutputWithPooling

from sites.models.families import Pooled


class FrozenEncoder:
    """The frozen encoder of a text classifier: from token identifiers to features.

    The heads of the supported families read one vector of a window, some through a pooler. The
    pooler belongs to the head, and is taken out of the encoder.

    Args:
        model: The classifier.
        pooled: Which vector its head reads: of the first token, of the last, or the mean.
        pad_id: Identifier that fills the shorter windows.
    """

    def __init__(self, model: Any, pooled: Pooled, pad_id: int) -> None:  # noqa: ANN401
        self._base = getattr(model, model.base_model_prefix)
        self._pooled, self._pad_id = pooled, pad_id
        self.pooler: nn.Module | None = getattr(self._base, "pooler", None)
        # ALBERT keeps its pooler's activation beside it.
        self.activation: nn.Module | None = getattr(self._base, "pooler_activation", None)
        if self.pooler is not None:
            self._base.pooler = None
        self.width = int(model.config.hidden_size)

    def __call__(self, inputs: dict[str, Tensor]) -> Tensor:
        """Return the vector of each window that the head reads, shape (B, width)."""
        states: Tensor = self._base(**inputs).last_hidden_state  # (B, T, width)
        match self._pooled:
            case "first":
                return states[:, 0]
            case "last":
                rows = torch.arange(len(states), device=states.device)
                return states[rows, last_places(inputs["input_ids"], self._pad_id)]
            case "mean":
                mask = inputs["attention_mask"]
                summed: Tensor = (states * mask[:, :, None]).sum(dim=1)
                return summed / mask.sum(dim=1, keepdim=True)


def last_places(ids: Tensor, pad_id: int) -> Tensor:
    """Return the place of each window's last token that does not pad, shape (B,), as transformers.

    Args:
        ids: Token identifiers, shape (B, T).
        pad_id: Identifier that fills the shorter windows.
    """
    places = torch.arange(ids.shape[1], device=ids.device)
    return (places * (ids != pad_id)).argmax(dim=1)


class CachedFeatures(nn.Module):
    """Takes the place of the frozen encoder in the model, and passes on cached features.

    Args:
        pooler: The pooler of the head, if it has one.
        activation: What follows a pooler that is a linear layer only.
    """

    def __init__(self, pooler: nn.Module | None, activation: nn.Module | None = None) -> None:
        super().__init__()
        self.pooler = pooler
        self.activation = activation

    def forward(
        self, *_: object, inputs_embeds: Tensor, **__: object
    ) -> BaseModelOutputWithPooling:
        """Return the cached features in the form of an encoder's output.

        Args:
            *_: Other arguments of the encoder, which the features do not need.
            inputs_embeds: The features, shape (B, 1, width): a sequence of one token. The models
                pass this argument on to their encoder, and read the only token as first and last.
            **__: As `_`.
        """
        pooled = None
        if self.pooler is not None and self.activation is not None:
            pooled = self.activation(self.pooler(inputs_embeds[:, 0]))
        elif self.pooler is not None:
            pooled = self.pooler(inputs_embeds)
        return BaseModelOutputWithPooling(last_hidden_state=inputs_embeds, pooler_output=pooled)
