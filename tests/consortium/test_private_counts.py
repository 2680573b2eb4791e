import pytest

from consortium.config import RunConfig, Scalar
from privacy.differential.accounting import epsilon
from privacy.differential.mechanisms import Gaussian
from privacy.policy.run_request import AskedPrivacy
from sites.learners.count_noise import CountNoise

KEYS: dict[str, Scalar] = {"learner": "describe", "num-server-rounds": 1}
PERSON: dict[str, Scalar] = {
    **KEYS,
    "dp.unit": "person",
    "dp.epsilon": 2.0,
    "dp.delta": 1e-6,
    "dp.max-records-per-person": 3,
}
RECORD: dict[str, Scalar] = {**KEYS, "dp.unit": "record", "dp.noise-multiplier": 1.5}


def test_a_run_that_counts_says_so_wherever_people_read() -> None:
    person, record = (RunConfig.parse(chosen).privacy for chosen in (PERSON, RECORD))
    assert person.offered == AskedPrivacy(unit="person", epsilon=2.0, delta=1e-6)
    assert person.card.startswith("Counted with noise, differentially private by person: epsilon 2")
    assert ("Records of a person, at most", "3") in person.facts
    assert "Delta of epsilon" not in dict(record.facts)
    assert "private for patients: epsilon 2 over" in person.lead("patients", "hospital")
    assert "single records: noise multiplier 1.5" in record.lead("patients", "hospital")
    assert "about patients is bounded" in person.model_reveals("patients")
    assert "do not give the same counts again" in person.repetition_sentence("site", 7)
    for said in (person, record):
        shown = " ".join(
            [said.card, said.lead("p", "s"), said.model_reveals("p"), *map(" ".join, said.facts)]
        )
        assert "train" not in shown
        assert "clip" not in shown


def test_without_privacy_a_run_that_counts_promises_nothing() -> None:
    said = RunConfig.parse(KEYS)
    assert said.privacy == RunConfig.parse({}).privacy
    assert said.learning.noise is None
    assert RunConfig.parse({"dp.unit": "person", "dp.epsilon": 1.0}).learning.noise is None


def test_the_event_is_a_gaussian_that_a_person_moves_by_the_most_records() -> None:
    person, record = (RunConfig.parse(chosen).privacy.budgeted for chosen in (PERSON, RECORD))
    assert person is not None
    assert record is not None
    assert person.event(noise_multiplier=4.0, rounds=2) == Gaussian(
        noise_multiplier=4.0, count=2, sensitivity=3.0, unit="person", max_records_per_person=3
    )
    assert record.event(noise_multiplier=1.5, rounds=1) == Gaussian(
        noise_multiplier=1.5, count=1, sensitivity=1.0, unit="record"
    )


def test_what_is_announced_costs_as_much_as_what_is_counted() -> None:
    """The announcement has the keys alone, and a lost run is entered by them."""
    counted = RunConfig.parse(PERSON).privacy.budgeted
    assert counted is not None
    announced = counted.asked.parsed.budgeted
    assert announced is not None
    costs = [
        epsilon([one.event(noise_multiplier=2.0, rounds=3)], 1e-6) for one in (counted, announced)
    ]
    assert costs[0] == pytest.approx(costs[1], rel=1e-9)


def test_the_noise_follows_from_the_keys() -> None:
    assert RunConfig.parse(PERSON).learning.noise == CountNoise(
        unit="person", epsilon=2.0, delta=1e-6, noise_multiplier=0.0, most_records=3, rounds=1
    )
    noise = RunConfig.parse(RECORD).learning.noise
    assert noise is not None
    assert noise.deviation == pytest.approx(1.5)
