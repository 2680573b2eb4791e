import torch
from torch import nn

from sites.models.frozen_features import CachedFeatures


def test_cached_features_are_passed_on_like_an_encoders_output() -> None:
    features = torch.randn(4, 3, generator=torch.Generator().manual_seed(1))
    plain = CachedFeatures(None)(features, attention_mask=None)
    assert plain.pooler_output is None
    assert (plain.last_hidden_state[:, 0] == features).all()
    pooled = CachedFeatures(nn.Flatten())(features)
    assert (pooled.pooler_output == features).all()
