import pytest

from strategies.rules.registry import (
    RULES,
    Infeasible,
    UnknownRule,
    rule_named,
    smallest_sites,
)


def test_the_rules_are_those_of_the_run_config() -> None:
    assert list(RULES) == [
        "mean",
        "clipped-mean",
        "coordinate-median",
        "trimmed-mean",
        "geometric-median",
        "krum",
        "multi-krum",
        "bulyan",
        "centered-clipping",
    ]


@pytest.mark.parametrize("name", RULES)
def test_every_rule_says_what_it_survives_and_where_that_is_proved(name: str) -> None:
    spec = rule_named(name)
    assert spec.name == name
    assert spec.breakdown
    assert "arXiv:" in spec.paper


@pytest.mark.parametrize(
    ("name", "one_liar", "two_liars"),
    [("coordinate-median", 3, 5), ("krum", 5, 7), ("multi-krum", 5, 7), ("bulyan", 7, 11)],
)
def test_the_smallest_consortium(name: str, one_liar: int, two_liars: int) -> None:
    assert smallest_sites(name, 1) == one_liar
    assert smallest_sites(name, 2) == two_liars


@pytest.mark.parametrize("name", RULES)
def test_surviving_more_liars_never_takes_fewer_sites(name: str) -> None:
    needed = [RULES[name].sites_needed(liars) for liars in range(5)]
    counts = [count for count in needed if count is not None]
    assert counts == sorted(counts)


def test_the_mean_survives_no_liar_among_any_number_of_sites() -> None:
    assert smallest_sites("mean", 0) == 1
    with pytest.raises(Infeasible, match="coordinate-median") as refusal:
        smallest_sites("mean", 1)
    assert refusal.value.counts == {"num_byzantine": 1}


def test_an_unknown_rule_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(UnknownRule, match="did you mean 'multi-krum'"):
        rule_named("multikrum")
    with pytest.raises(UnknownRule, match="the rules are mean, clipped-mean"):
        smallest_sites("xyz", 0)


def test_only_rules_of_elementwise_arithmetic_promise_the_same_bits() -> None:
    """Only these rules may run at the sites under encryption."""
    assert {name for name, spec in RULES.items() if spec.same_on_every_cpu} == {
        "mean",
        "clipped-mean",
        "coordinate-median",
        "trimmed-mean",
        "centered-clipping",
    }
