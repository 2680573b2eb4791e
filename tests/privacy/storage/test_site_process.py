from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy.storage.site_process import Cache, SiteProcess


@given(st.lists(st.integers(0, 9)), st.integers(1, 4))
def test_a_cache_holds_the_keys_asked_for_last_and_closes_each_value_that_goes_once(
    asked: Sequence[int], most: int
) -> None:
    made: list[str] = []
    closed: list[str] = []
    cache: Cache[int, str] = Cache(most, closed.append)

    def make(key: int) -> str:
        made.append(f"{key} in place {len(made)}")
        return made[-1]

    for key in asked:
        assert cache.get(key, partial(make, key)).startswith(f"{key} ")
    latest = list(dict.fromkeys(reversed(asked)))[:most]
    held = [cache.find(key) for key in range(10)]
    assert {key for key, value in enumerate(held) if value} == set(latest)
    assert sorted([*closed, *(value for value in held if value)]) == sorted(made)
    cache.clear()
    assert len(cache) == 0
    assert sorted(closed) == sorted(made)


def test_a_value_that_no_longer_fits_is_closed_and_made_again() -> None:
    closed: list[int] = []
    cache: Cache[str, int] = Cache(2, closed.append)
    assert cache.get("a", lambda: 1) == 1
    assert cache.get("a", lambda: 2, fits=lambda value: value == 1) == 1
    assert cache.get("a", lambda: 2, fits=lambda value: value == 2) == 2
    assert closed == [1]


def test_what_cannot_be_made_leaves_the_cache_as_it_was() -> None:
    cache: Cache[str, float] = Cache(1)
    cache.put("a", 1.0)
    with pytest.raises(ZeroDivisionError):
        cache.get("b", lambda: 1 / 0)
    assert cache.find("a") == 1.0


def test_a_process_lets_go_of_all_it_keeps_at_once() -> None:
    process, closed = SiteProcess(), list[int]()
    numbers: Cache[str, int] = process.cache("numbers", most=3, close=closed.append)
    words: Cache[str, str] = process.cache("words", most=3)
    numbers.put("a", 1)
    words.put("a", "one")
    assert process.sizes == {"numbers": 1, "words": 1}
    process.clear()
    assert process.sizes == {"numbers": 0, "words": 0}
    assert closed == [1]
    with pytest.raises(ValueError, match="cache of words"):
        process.cache("words", most=1)


def test_what_belongs_to_a_directory_can_be_let_go_of_alone() -> None:
    """Whatever begins its key: the directory, a path in it, or either with more."""
    closed: list[str] = []
    process = SiteProcess()
    paths: Cache[Path, str] = process.cache("by path", most=9, close=closed.append)
    runs: Cache[tuple[Path, str], str] = process.cache("by run", most=9, close=closed.append)
    for site in ("north", "north-east"):
        paths.put(Path(site), site)
        paths.put(Path(site) / "ledger", f"{site}'s ledger")
        runs.put((Path(site), "r"), f"{site} in r")
    process.forget(Path("north"))
    assert sorted(closed) == ["north", "north in r", "north's ledger"]
    assert process.sizes == {"by path": 2, "by run": 1}
