"""Features of a frozen encoder, computed once per window and used in every epoch.

Where only the head of a classifier is trained, the encoder below it gives the same features in
every pass. It is run once, and the head is trained on the cached features.
"""

from typing import Any

from torch import Tensor, nn
from transformers.modeling_outputs import BaseModelOutputWithPooling


class FrozenEncoder:
    """The frozen encoder of a text classifier: from token identifiers to features.

    The heads of the supported families read the vector of the first token only, some through a
    pooler. The pooler belongs to the head, and is taken out of the encoder.

    Args:
        model: The classifier.
    """

    def __init__(self, model: Any) -> None:  # noqa: ANN401
        self._base = getattr(model, model.base_model_prefix)
        self.pooler: nn.Module | None = getattr(self._base, "pooler", None)
        if self.pooler is not None:
            self._base.pooler = None
        self.width = int(model.config.hidden_size)

    def __call__(self, inputs: dict[str, Tensor]) -> Tensor:
        """Return the vector of the first token of each window, shape (B, width)."""
        first: Tensor = self._base(**inputs).last_hidden_state[:, 0]
        return first


class CachedFeatures(nn.Module):
    """Takes the place of the frozen encoder in the model, and passes on cached features.

    Args:
        pooler: The pooler of the head, if it has one.
    """

    def __init__(self, pooler: nn.Module | None) -> None:
        super().__init__()
        self.pooler = pooler

    def forward(self, input_ids: Tensor, **_: object) -> BaseModelOutputWithPooling:
        """Return the cached features in the form of an encoder's output.

        Args:
            input_ids: The features, shape (B, width). The models pass this argument on to their
                encoder, so that features can stand in for identifiers.
            **_: Other arguments of the encoder, which the features do not need.
        """
        hidden = input_ids[:, None]  # (B, 1, width): a sequence of the first token only
        pooled = None if self.pooler is None else self.pooler(hidden)
        return BaseModelOutputWithPooling(last_hidden_state=hidden, pooler_output=pooled)
