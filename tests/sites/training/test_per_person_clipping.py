import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from sites.training.per_layer_gradients import UnclippableModel
from sites.training.per_person_clipping import SLACK, PersonClipper
from sites.training.privacy_units import Units
from tests.sites.private_models import Case, case, flatten, gradients_by_person, one_unit_per_record

MODELS = ["logistic", "linear", "mlp", "reader", "reader-head", "reader-bias"]
SIZES = [1e-6, 1.0, 1e6, 1e18]


def units_of(n: int, *, most: int, seed: int) -> Units:
    """Return persons with at most `most` of n records each."""
    persons = np.random.default_rng(seed).integers(0, max(1, n // most), n).astype(str)
    return Units.of_persons(persons, at_most=most, seed=0) if most > 1 else one_unit_per_record(n)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("most", [1, 4])
def test_the_sum_equals_that_of_persons_clipped_one_by_one(model: str, most: int) -> None:
    given_case, units = case(model), units_of(30, most=most, seed=1)
    drawn = units.records_of(np.arange(len(units)))
    each = gradients_by_person(given_case, drawn)  # (n_units, dim)
    for clip_norm in (float(each.norm(dim=1).median()), 1e-3, 1e3):
        bound = clip_norm * (1 - SLACK)
        factors = (bound / each.norm(dim=1)).clamp(max=1.0)
        clipper = PersonClipper(given_case.model, clip_norm=clip_norm)
        found = flatten(clipper.sum(given_case.losses, drawn))
        torch.testing.assert_close(
            found, (each * factors[:, None]).sum(0), rtol=3e-3, atol=1e-5 * clip_norm
        )


@settings(max_examples=25)
@given(
    model=st.sampled_from(MODELS),
    most=st.sampled_from([1, 2, 7]),
    size=st.sampled_from(SIZES),
    clip_norm=st.sampled_from([1e-3, 1.0, 50.0]),
    seed=st.integers(0, 50),
)
def test_one_person_moves_the_sum_by_no_more_than_the_clip_norm(
    model: str, most: int, size: float, clip_norm: float, seed: int
) -> None:
    given_case, units = case(model, seed=seed, size=size), units_of(30, most=most, seed=seed)
    clipper = PersonClipper(given_case.model, clip_norm=clip_norm)
    for person in range(min(len(units), 5)):
        alone = flatten(clipper.sum(given_case.losses, units.records_of(np.array([person]))))
        assert alone.norm() <= clip_norm * (1 - SLACK / 2)
    everyone = np.arange(len(units))
    with_all = flatten(clipper.sum(given_case.losses, units.records_of(everyone)))
    without = flatten(clipper.sum(given_case.losses, units.records_of(everyone[1:])))
    assert (with_all - without).norm() <= clip_norm


@pytest.mark.parametrize("size", SIZES)
def test_gradients_that_cancel_do_not_evade_the_clip_norm(size: float) -> None:
    """Two gradients that are large and nearly opposite leave a sum that rounding can hide."""
    model = nn.Linear(3, 1)
    inputs = torch.randn(64, 3, generator=torch.Generator().manual_seed(3)) * size
    inputs[32:] = inputs[:32] * (1 + 1e-6)
    signs = torch.cat([torch.ones(32), -torch.ones(32)])

    def losses(rows: Tensor) -> Tensor:
        scores: Tensor = model(inputs[rows])[:, 0]
        return scores * signs[rows]

    units = Units(np.arange(64), np.array([64]))
    summed = PersonClipper(model, clip_norm=1e-3).sum(losses, units.records_of(np.array([0])))
    assert flatten(summed).norm() <= 1e-3


@pytest.mark.parametrize("model", ["mlp", "reader"])
@pytest.mark.parametrize("most", [1, 4])
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_person_whose_gradient_is_not_finite_adds_zero(model: str, most: int, bad: float) -> None:
    healthy, units = case(model), units_of(30, most=most, seed=2)

    def losses(rows: Tensor) -> Tensor:
        return healthy.losses(rows) * torch.where(rows == units.rows[0], bad, 1.0)

    clipper = PersonClipper(healthy.model, clip_norm=1.0)
    everyone = np.arange(len(units))
    found = flatten(clipper.sum(losses, units.records_of(everyone)))
    others = flatten(clipper.sum(healthy.losses, units.records_of(everyone[1:])))
    torch.testing.assert_close(found, others, rtol=1e-4, atol=1e-6)


def test_copies_of_a_record_do_not_change_a_persons_gradient() -> None:
    given_case = case("mlp")
    clipper = PersonClipper(given_case.model, clip_norm=0.5)
    once = Units(np.array([4]), np.array([1])).records_of(np.array([0]))
    often = Units(np.full(9, 4), np.array([9])).records_of(np.array([0]))
    torch.testing.assert_close(
        flatten(clipper.sum(given_case.losses, often)),
        flatten(clipper.sum(given_case.losses, once)),
    )


def test_a_layer_that_is_not_used_has_a_zero_gradient() -> None:
    model = nn.ModuleDict({"used": nn.Linear(2, 1), "idle": nn.Linear(2, 1)})
    clipper = PersonClipper(model, clip_norm=1.0)
    drawn = one_unit_per_record(3).records_of(np.arange(3))
    summed = clipper.sum(lambda rows: model["used"](torch.ones(len(rows), 2))[:, 0], drawn)
    assert [bool(part.any()) for part in summed] == [True, True, False, False]


def test_a_layer_used_twice_or_with_other_rows_than_records_is_refused() -> None:
    layer = nn.Linear(2, 2)
    clipper = PersonClipper(layer, clip_norm=1.0)
    drawn = one_unit_per_record(3).records_of(np.arange(3))
    with pytest.raises(UnclippableModel, match="twice"):
        clipper.sum(lambda rows: layer(layer(torch.ones(len(rows), 2))).sum(1), drawn)
    with pytest.raises(UnclippableModel, match="sees 1 rows for 3 records"):
        clipper.sum(lambda rows: layer(torch.ones(1, 2)).sum() * torch.ones(len(rows)), drawn)


def test_no_hook_and_no_gradient_is_left_on_the_model() -> None:
    given_case: Case = case("reader")
    drawn = one_unit_per_record(30).records_of(np.arange(30))
    PersonClipper(given_case.model, clip_norm=1.0).sum(given_case.losses, drawn)
    assert not any(module._forward_hooks for module in given_case.model.modules())
    assert all(item.grad is None for item in given_case.model.parameters())
