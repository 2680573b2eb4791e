import gc
import tracemalloc
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from consortium.coordinator.recorder import ReleasedTallies
from privacy.layout import Tally

_ENTRIES = st.integers(-(2**63), 2**63 - 1)
Kept: TypeAlias = list[tuple[str, Tally]]
KEPT = st.lists(
    st.tuples(st.sampled_from("abcd"), arrays(np.int64, st.integers(0, 9), elements=_ENTRIES)),
    max_size=8,
)


def open_in(folder: Path) -> int:
    """Return how many files of a folder this process holds open, nameless ones too."""
    links = [link.readlink() for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
    return sum(path.is_relative_to(folder) for path in links)


@given(before=KEPT, kept=KEPT)
def test_what_a_site_released_last_comes_back_by_name(
    before: Kept, kept: Kept, tmp_path_factory: pytest.TempPathFactory
) -> None:
    released = ReleasedTallies(tmp_path_factory.getbasetemp())
    for site, tally in before:
        released.keep(site, tally)
    released.clear()
    for site, tally in kept:
        released.keep(site, tally)
    expected = {site: tally.tolist() for site, tally in sorted(kept, key=lambda one: one[0])}
    for _ in range(2):
        assert {site: tally.tolist() for site, tally in released.tallies()} == expected
    assert released.sites == list(expected)


def test_a_site_may_release_more_while_others_are_read(tmp_path: Path) -> None:
    released = ReleasedTallies(tmp_path)
    for site in ("east", "north"):
        released.keep(site, np.arange(3))
    for site, _ in released.tallies():
        released.keep(f"{site}-again", np.arange(4))
    assert released.sites == ["east", "east-again", "north", "north-again"]
    assert [tally.size for _, tally in released.tallies()] == [3, 4, 3, 4]


def test_memory_does_not_grow_with_what_is_kept(tmp_path: Path) -> None:
    released, tally = ReleasedTallies(tmp_path), np.arange(4_096)
    released.keep("site-000", tally)
    tracemalloc.start()
    for index in range(256):
        released.keep(f"site-{index:03}", tally)
    counted = sum(int(one[-1]) for _, one in released.tallies())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert counted == 256 * 4_095
    assert peak < 8 * tally.nbytes


def test_the_file_has_no_name_and_goes_with_its_owner(tmp_path: Path) -> None:
    released = ReleasedTallies(tmp_path)
    released.keep("east", np.arange(3))
    assert not any(tmp_path.iterdir())
    assert open_in(tmp_path) == 1
    del released
    gc.collect()
    assert open_in(tmp_path) == 0
