import torch
from torch import nn

from sites.models.frozen_features import Recalled


def test_what_was_remembered_is_passed_on_as_if_it_were_new() -> None:
    features = torch.randn(4, 3, generator=torch.Generator().manual_seed(1))
    plain = Recalled(None)(features, attention_mask=None)
    assert plain.pooler_output is None
    assert (plain.last_hidden_state[:, 0] == features).all()
    pooled = Recalled(nn.Flatten())(features)
    assert (pooled.pooler_output == features).all()
