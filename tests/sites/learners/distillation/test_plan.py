import pytest

from sites.learners.distillation.plan import DistilPlan
from sites.plans import BadPlan


def test_a_run_says_which_texts_are_agreed() -> None:
    with pytest.raises(BadPlan, match=r"set distil\.file, distil\.digest, distil\.texts"):
        DistilPlan().require_texts()
    with pytest.raises(BadPlan, match=r"set distil\.texts "):
        DistilPlan(file="public.txt", digest="0" * 64).require_texts()
    DistilPlan(file="public.txt", digest="0" * 64, texts=3).require_texts()


def test_an_encoder_learns_for_the_passes_that_the_run_says() -> None:
    plan = DistilPlan(epochs=7, learning_rate=0.5).training
    assert (plan.local_epochs, plan.learning_rate, plan.min_local_steps) == (7, 0.5, 0)


def test_values_out_of_range_are_refused() -> None:
    with pytest.raises(BadPlan, match="epochs"):
        DistilPlan(epochs=0)
