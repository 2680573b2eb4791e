import numpy as np
import pytest
import torch
from torch import nn

from sites.training.per_layer_gradients import UnclippableModel
from sites.training.privacy_units import Units
from sites.training.recorded_passes import RecordedPasses
from tests.sites.private_models import Case, case, one_unit_per_record


def test_deltas_are_those_of_the_mean_over_each_persons_records() -> None:
    model = nn.Linear(2, 1)
    units = Units.of_persons(np.array(["a", "a", "b"]), at_most=9, seed=0)
    passes = RecordedPasses(model, lambda rows: model(torch.ones(len(rows), 2))[:, 0])
    (seen,) = passes(units.records_of(np.arange(2)))
    assert seen.module is model
    assert seen.inputs.tolist() == [[1.0, 1.0]] * 3
    assert seen.deltas.tolist() == [[0.5], [0.5], [1.0]]


def test_a_layer_used_twice_is_refused() -> None:
    layer = nn.Linear(2, 2)
    passes = RecordedPasses(layer, lambda rows: layer(layer(torch.ones(len(rows), 2))).sum(1))
    with pytest.raises(UnclippableModel, match="twice"):
        passes(one_unit_per_record(3).records_of(np.arange(3)))


def test_no_hook_and_no_gradient_is_left_on_the_model() -> None:
    given_case: Case = case("reader")
    passes = RecordedPasses(given_case.model, given_case.losses)
    assert passes(one_unit_per_record(30).records_of(np.arange(30)))
    assert not any(module._forward_hooks for module in given_case.model.modules())
    assert all(item.grad is None for item in given_case.model.parameters())
