import pytest

from consortium.config import BadConfig, RunConfig, Scalar
from consortium.protocol.learning import learner_of, require_exact_sums
from privacy.differential.discrete_gaussian import BadDeviation
from scenarios.library.registry import scenario_named
from sites.learner import BoundsEachRecord

CHARTER = scenario_named("heart-diagnosis").charter
NOISE: dict[str, Scalar] = {"dp.unit": "person", "dp.epsilon": 1.0, "dp.delta": 1e-5}


def checked(learner: str, **chosen: Scalar) -> None:
    settings = {key.replace("_", "-").replace("dp-", "dp."): one for key, one in chosen.items()}
    require_exact_sums(
        RunConfig.parse({"learner": learner, "num-server-rounds": 1, **NOISE, **settings}), CHARTER
    )


@pytest.mark.parametrize("learner", ["describe", "trees", "scorecard"])
def test_counts_by_bin_may_have_noise(learner: str) -> None:
    checked(learner, dp_max_records_per_person=2)
    checked(learner, dp_unit="record", dp_epsilon=0.0, dp_noise_multiplier=1.0, dp_delta=0.0)


@pytest.mark.parametrize("key", ["dp_clip_norm", "dp_sampling_rate"])
def test_keys_of_training_are_refused_in_words(key: str) -> None:
    named = key.replace("_", "-").replace("dp-", "dp.")
    with pytest.raises(BadConfig, match=f"step of private training applies.*Set {named} to"):
        checked("describe", **{key: 0.5})
    with pytest.raises(BadConfig, match=r"Set dp\.steps to"):
        checked("describe", dp_steps=3)


def test_the_same_noise_at_every_site_needs_one_delta() -> None:
    with pytest.raises(BadConfig, match=r"with dp\.epsilon set dp\.delta too"):
        checked("describe", dp_delta=0.0)


def test_noise_that_fills_a_tally_is_refused_before_anything_is_counted() -> None:
    with pytest.raises(BadDeviation, match="fewer records of a person"):
        checked("describe", dp_epsilon=0.0, dp_noise_multiplier=1e6)


@pytest.mark.parametrize("learner", ["glm"])
def test_what_reads_persons_exactly_says_what_else_to_do(learner: str) -> None:
    config = RunConfig.parse({"learner": learner, **NOISE})
    assert learner_of(CHARTER, config).noisy_instead
    with pytest.raises(
        BadConfig, match=r"Set dp.*choose learner=gradient.*or learner=describe, trees or"
    ):
        checked(learner)


@pytest.mark.parametrize("name", ["gradient", "describe", "glm", "trees", "scorecard"])
def test_nothing_that_reads_persons_exactly_says_that_it_can_have_noise(name: str) -> None:
    learner = learner_of(CHARTER, RunConfig.parse({"learner": name}))
    assert not (learner.noisy_instead and isinstance(learner, BoundsEachRecord))
