import torch
from torch import nn

from sites.models.frozen_features import CachedFeatures, last_places


def test_cached_features_are_passed_on_like_an_encoders_output() -> None:
    features = torch.randn(4, 1, 3, generator=torch.Generator().manual_seed(1))
    plain = CachedFeatures(None)(None, inputs_embeds=features, attention_mask=None)
    assert plain.pooler_output is None
    assert (plain.last_hidden_state == features).all()
    pooled = CachedFeatures(nn.Flatten())(inputs_embeds=features)
    assert (pooled.pooler_output == features[:, 0]).all()


def test_a_pooler_may_have_its_activation_beside_it() -> None:
    features = torch.ones(4, 1, 3)
    linear = nn.Linear(3, 2)
    pooled = CachedFeatures(linear, nn.ReLU())(inputs_embeds=features).pooler_output
    assert (pooled == linear(features[:, 0]).relu()).all()


def test_the_last_place_is_that_of_the_last_token_that_does_not_pad() -> None:
    ids = torch.tensor([[5, 6, 0, 0], [5, 0, 6, 7], [0, 0, 0, 0]])
    assert last_places(ids, 0).tolist() == [1, 3, 0]
