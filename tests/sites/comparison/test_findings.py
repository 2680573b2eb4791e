import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sites.comparison.findings import Finding, chance_of, divergence
from sites.statistics.histograms import distance

counts = st.lists(st.integers(0, 50), min_size=4, max_size=4).filter(any)


def told(what: str) -> Finding:
    return Finding(kind="units", column="age", what=what, sentence="", alarming=True)


@given(counts, counts)
def test_the_divergence_is_that_of_the_distance_between_sites(
    one: list[int], other: list[int]
) -> None:
    found = divergence(np.array(one, float), np.array(other, float))
    expected = distance(np.array(one), np.array(other)).jensen_shannon ** 2
    assert float(found) == pytest.approx(expected, abs=1e-9)


def test_nothing_is_like_an_empty_histogram() -> None:
    assert float(divergence(np.zeros(3), np.ones(3))) == 1.0


def test_each_of_many_histograms_is_compared() -> None:
    many = np.array([[1.0, 0.0], [0.0, 1.0]])
    assert divergence(many, np.array([3.0, 0.0])).tolist() == [0.0, 1.0]


def test_another_mistake_is_another_finding() -> None:
    assert told("factor 1e+01").fingerprint == told("factor 1e+01").fingerprint
    assert told("factor 1e+01").fingerprint != told("factor 1e+02").fingerprint


def test_fewer_values_vary_more_by_chance() -> None:
    assert chance_of(10) > chance_of(100)
