"""A masked run of real sites, put by hand as far as a test needs it."""

from pathlib import Path

import pytest

from tests.masked_by_hand import ByHand, Gathered
from tests.small_consortium import Consortium

Standing = tuple[ByHand, Gathered]


@pytest.fixture(scope="session")
def counted_run(tmp_path_factory: pytest.TempPathFactory) -> Standing:
    """Four sites that sealed their statistics, which nobody confirmed yet."""
    run = ByHand(Consortium.placed(tmp_path_factory.mktemp("counted"), sets_in_run="any"))
    run.set_up()
    return run, run.statistics()


@pytest.fixture(scope="session")
def trained_run(counted_run: Standing, tmp_path_factory: pytest.TempPathFactory) -> Standing:
    """The same sites, which trained once; nobody confirmed that yet."""
    run = counted_run[0].again(tmp_path_factory.mktemp("trained") / "run")
    return run, run.train(1, counted_run[1])


@pytest.fixture
def counted(counted_run: Standing, tmp_path: Path) -> Standing:
    """A copy of that run which a test may alter."""
    return counted_run[0].again(tmp_path / "run"), counted_run[1]


@pytest.fixture
def trained(trained_run: Standing, tmp_path: Path) -> Standing:
    """A copy of that run which a test may alter."""
    return trained_run[0].again(tmp_path / "run"), trained_run[1]
