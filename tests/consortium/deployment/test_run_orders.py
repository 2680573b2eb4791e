from pathlib import Path

import pytest

from consortium.config import RunConfig
from consortium.deployment.run_orders import NotOrdered, RunOrder, claim_order, last_run
from consortium.run.directory import RunDirectory

CONFIG = RunConfig().flat()


@pytest.fixture
def order(tmp_path: Path) -> RunOrder:
    (tmp_path / "run").mkdir()
    made = RunOrder(run=tmp_path / "run", config=CONFIG)
    made.write(tmp_path)
    return made


def test_what_was_ordered_begins_once(order: RunOrder, tmp_path: Path) -> None:
    assert claim_order(tmp_path, dict(reversed(CONFIG.items()))) == order
    assert RunDirectory(order.run).order.exists()
    with pytest.raises(NotOrdered):
        claim_order(tmp_path, CONFIG)


def test_what_nobody_ordered_does_not_begin(tmp_path: Path) -> None:
    with pytest.raises(NotOrdered):
        claim_order(tmp_path, CONFIG)


@pytest.mark.parametrize(
    "changed", [{"seed": 8}, {"seed": 7.5}, {"unknown": 1}], ids=["seed", "type", "key"]
)
def test_another_config_than_the_one_ordered_does_not_begin(
    order: RunOrder, tmp_path: Path, changed: dict[str, float]
) -> None:
    with pytest.raises(NotOrdered, match="config other than"):
        claim_order(tmp_path, {**CONFIG, **changed})
    assert claim_order(tmp_path, CONFIG) == order


def test_an_order_whose_run_is_gone_does_not_begin(order: RunOrder, tmp_path: Path) -> None:
    order.run.rmdir()
    with pytest.raises(NotOrdered, match="already started"):
        claim_order(tmp_path, CONFIG)


def test_the_last_run_is_remembered(order: RunOrder, tmp_path: Path) -> None:
    assert last_run(tmp_path / "run") is None
    claim_order(tmp_path, CONFIG)
    assert last_run(tmp_path) == order.run
