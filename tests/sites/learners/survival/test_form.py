import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sites.learners.plans import CoxPlan
from sites.learners.survival.form import merged_ends
from tests.sites.learners.survival.ended_records import SCHEMA, learner_of


@given(st.lists(st.integers(0, 12), min_size=1, max_size=30), st.integers(1, 20))
def test_every_merged_step_has_as_many_events_as_the_floor(events: list[int], floor: int) -> None:
    ends = merged_ends(np.array(events), floor)
    assert ends == sorted(set(ends))
    assert ends[-1] == len(events) - 1
    held = [sum(events[a + 1 : b + 1]) for a, b in zip([-1, *ends[:-1]], ends, strict=True)]
    assert sum(held) == sum(events)
    assert len(ends) == 1 or min(held) >= floor


@pytest.mark.parametrize("baseline", ["by-site", "pooled"])
def test_a_state_is_read_back_and_an_exchange_has_its_size(baseline: str) -> None:
    learner, task = learner_of(SCHEMA, CoxPlan(baseline=baseline, group="arm"))  # type: ignore[arg-type]
    form = task.form
    rng = np.random.default_rng(3)
    numbers = {name: rng.normal(size=size) for name, size in form.state_sizes.items()}
    back = form.read(form.write(numbers))
    assert all(np.allclose(back[name], numbers[name], rtol=2**-46) for name in numbers)
    assert task.layout.dim == 2 * sum(form.state_sizes.values())
    assert learner.contribution.size == form.exchange.size
    assert form.groups.names == ("a", "b", "c", "missing")
    # With one baseline the products of covariates are summed in each step of time.
    assert (form.exchange.sizes["second"] > 0) == (baseline == "pooled")
