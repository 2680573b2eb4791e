"""What may be searched, and how it is written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenarios.library.registry import scenario_named
from scenarios.sweep.search.space import (
    BadSearch,
    Search,
    parse_search,
    parse_searches,
    require_in_range,
)

NUMBERS = st.floats(1e-12, 1e12)


@st.composite
def searches(draw: st.DrawFn) -> Search:
    """Any search that the run config has a key for."""
    low, high = sorted(draw(st.lists(NUMBERS, min_size=2, max_size=2, unique=True)))
    whole = sorted(draw(st.lists(st.integers(1, 10**9), min_size=2, max_size=2, unique=True)))
    words = st.lists(st.from_regex("[a-z]{1,9}", fullmatch=True), min_size=1, unique=True)
    return draw(
        st.sampled_from(
            [
                Search("learning-rate", "log", (low, high)),
                Search("momentum", "uniform", (low, high)),
                Search("batch-size", "int", tuple(whole)),
                Search("local-epochs", "choice", tuple(whole)),
                Search("weight-decay", "choice", (low, high)),
                Search("model", "choice", tuple(draw(words))),
            ]
        )
    )


@given(search=searches())
def test_what_is_written_is_what_was_read(search: Search) -> None:
    assert parse_search(str(search)) == search


def test_blanks_do_not_count() -> None:
    written = " learning-rate = log( 1e-3 , 1 ) "
    assert parse_search(written) == Search("learning-rate", "log", (1e-3, 1.0))


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("learning-rate", r"key=log\(low,high\)"),
        ("learning-rate=1", r"key=log\(low,high\)"),
        ("learning-rate=normal(0,1)", r"key=log\(low,high\)"),
        ("learning-rate=log(1,1e-3)", "learning-rate needs two bounds, low before high"),
        ("learning-rate=log(1e-3)", "learning-rate needs two bounds"),
        ("learning-rate=log(0,1)", "learning-rate: log needs bounds above 0"),
        ("learning-rate=int(1,2)", r"learning-rate needs learning-rate=log\(low,high\), uniform"),
        ("learning-rate=log(a,b)", r"learning-rate needs learning-rate=log\(low,high\)"),
        ("learning-rate=uniform(0,inf)", "learning-rate needs finite numbers"),
        ("batch-size=log(1,8)", r"batch-size needs batch-size=int\(low,high\) or choice"),
        ("batch-size=int(1.5,8)", r"batch-size needs batch-size=int\(low,high\)"),
        ("model=uniform(0,1)", r"model needs model=choice\(a,b,...\)"),
        ("batch-size=choice(8,8)", "batch-size: a choice stands twice"),
        ("lerning-rate=log(1e-3,1)", "did you mean 'learning-rate'"),
        ("seed=int(1,9)", "seed: it is the same in all trials"),
        ("schedule=choice(synchronous,triggered)", "schedule: it is the same in all trials"),
        ("dp.epsilon=uniform(1,3)", "one roster, one split and one budget"),
    ],
)
def test_what_is_no_search_is_refused_with_its_key_and_what_it_takes(
    written: str, said: str
) -> None:
    with pytest.raises(BadSearch, match=said):
        parse_search(written)


def test_a_key_is_searched_once_and_one_at_least() -> None:
    with pytest.raises(BadSearch, match="momentum stands twice"):
        parse_searches(["momentum=uniform(0,0.5)", "momentum=choice(0.9)"])
    with pytest.raises(BadSearch, match="at least one --search"):
        parse_searches([])


def test_a_bound_that_the_run_config_refuses_is_refused_before_any_trial() -> None:
    config = scenario_named("heart-diagnosis").config_with({})
    with pytest.raises(BadSearch, match=r"momentum=uniform\(0.0,1.0\): momentum: .*less than 1"):
        require_in_range(parse_searches(["momentum=uniform(0,1)"]), config)
    require_in_range(parse_searches(["momentum=uniform(0,0.99)"]), config)
