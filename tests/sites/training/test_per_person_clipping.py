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
from sites.training.recorded_passes import RecordedPasses
from tests.sites.private_models import (
    Case,
    case,
    clipped_sum,
    flatten,
    gradients_by_person,
    one_unit_per_record,
)

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
        found = clipped_sum(given_case, drawn, clip_norm=clip_norm)
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
    for person in range(min(len(units), 5)):
        drawn = units.records_of(np.array([person]))
        alone = clipped_sum(given_case, drawn, clip_norm=clip_norm)
        assert alone.norm() <= clip_norm * (1 - SLACK / 2)
    everyone = np.arange(len(units))
    with_all = clipped_sum(given_case, units.records_of(everyone), clip_norm=clip_norm)
    without = clipped_sum(given_case, units.records_of(everyone[1:]), clip_norm=clip_norm)
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
    drawn = units.records_of(np.array([0]))
    assert clipped_sum(Case(model, losses, 64), drawn, clip_norm=1e-3).norm() <= 1e-3


@pytest.mark.parametrize("model", ["mlp", "reader"])
@pytest.mark.parametrize("most", [1, 4])
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_person_whose_gradient_is_not_finite_adds_zero(model: str, most: int, bad: float) -> None:
    healthy, units = case(model), units_of(30, most=most, seed=2)

    def losses(rows: Tensor) -> Tensor:
        return healthy.losses(rows) * torch.where(rows == units.rows[0], bad, 1.0)

    everyone = np.arange(len(units))
    ill = Case(healthy.model, losses, 30)
    found = clipped_sum(ill, units.records_of(everyone), clip_norm=1.0)
    others = clipped_sum(healthy, units.records_of(everyone[1:]), clip_norm=1.0)
    torch.testing.assert_close(found, others, rtol=1e-4, atol=1e-6)


def test_copies_of_a_record_do_not_change_a_persons_gradient() -> None:
    given_case = case("mlp")
    once = Units(np.array([4]), np.array([1])).records_of(np.array([0]))
    often = Units(np.full(9, 4), np.array([9])).records_of(np.array([0]))
    torch.testing.assert_close(
        clipped_sum(given_case, often, clip_norm=0.5),
        clipped_sum(given_case, once, clip_norm=0.5),
    )


def test_a_layer_that_is_not_used_has_a_zero_gradient() -> None:
    model = nn.ModuleDict({"used": nn.Linear(2, 1), "idle": nn.Linear(2, 1)})
    given_case = Case(model, lambda rows: model["used"](torch.ones(len(rows), 2))[:, 0], 3)
    drawn = one_unit_per_record(3).records_of(np.arange(3))
    summed = clipped_sum(given_case, drawn, clip_norm=1.0)
    assert (summed != 0).tolist() == [True] * 3 + [False] * 3


def test_sums_are_added_to_in_their_unit() -> None:
    given_case = case("mlp")
    drawn = one_unit_per_record(30).records_of(np.arange(30))
    passes = RecordedPasses(given_case.model, given_case.losses)
    clipper = PersonClipper(given_case.model, passes, clip_norm=1.0)
    sums: dict[Tensor, Tensor] = {
        item: torch.ones_like(item, dtype=torch.float64) for item in clipper.parameters
    }
    clipper.add_sum(drawn, sums, unit=0.125)
    torch.testing.assert_close(
        flatten(list(sums.values())), 1 + 8 * clipped_sum(given_case, drawn, clip_norm=1.0)
    )


def test_rows_that_are_not_the_records_are_refused() -> None:
    layer = nn.Linear(2, 2)
    given_case = Case(layer, lambda rows: layer(torch.ones(1, 2)).sum() * torch.ones(len(rows)), 3)
    drawn = one_unit_per_record(3).records_of(np.arange(3))
    with pytest.raises(UnclippableModel, match="sees 1 rows for 3 records"):
        clipped_sum(given_case, drawn, clip_norm=1.0)
