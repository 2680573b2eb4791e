from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from consortium.model.files import read_model
from consortium.protocol.aggregation import rule_spec
from consortium.protocol.robustness_estimate import protection_of
from consortium.run.directory import RunDirectory
from consortium.run.records import Protection
from scenarios.experiments.robustness import (
    NO_ATTACK,
    Robustness,
    attacks_of,
    backdoor_rate,
    defences_of,
    try_all,
)
from scenarios.experiments.robustness_output import draw, print_robustness, say
from scenarios.library.registry import SCENARIOS
from scenarios.trials import TRIALS, UNDEFENDED, Defence, Trials, defences
from strategies.rules.registry import RULES
from tests.scenarios.fifteen import FIFTEEN, believed, frame, honest, run_with, two_liars

ATTACKS = ("sign-flip", "backdoor")
FEW = Trials(
    liars=2,
    attacks=ATTACKS,
    defences=tuple(
        one
        for one in defences(2, clip_norm=0.5, buckets=5)
        if not one.encrypted and one.name in (UNDEFENDED, "trimmed-mean")
    ),
)
BANKS = SCENARIOS["byzantine-banks"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("matrix")


@pytest.fixture(scope="module")
def told() -> list[str]:
    return []


@pytest.fixture(scope="module")
def tried(folder: Path, told: list[str]) -> Iterator[Robustness]:
    """Two attacks and none against two defences, in this process."""
    with believed():
        yield try_all(
            FIFTEEN,
            FEW,
            FIFTEEN.configured({"rule.num-byzantine": 2, "rule.name": "krum"}),
            RunDirectory(folder),
            tell=told.append,
            workers=0,
        )


def test_every_attack_is_tried_against_every_defence_and_nothing_is_left(
    tried: Robustness, folder: Path, told: list[str]
) -> None:
    assert attacks_of(tried) == [NO_ATTACK, *ATTACKS]
    assert defences_of(tried, encrypted=False) == [UNDEFENDED, "trimmed-mean"]
    assert defences_of(tried, encrypted=True) == []
    assert len(tried.cells) == 6
    assert len(told) == 7
    assert not (folder / "cells").exists()
    assert Robustness.model_validate_json((folder / "robustness.json").read_text()) == tried


def test_the_matrix_shows_what_a_rule_is_worth(tried: Robustness) -> None:
    def value(attack: str, defence: str) -> float:
        found = tried.cell(attack, defence, encrypted=False).value
        assert found is not None
        return found

    assert value("sign-flip", UNDEFENDED) < tried.ideal - 0.04
    for attack in (NO_ATTACK, *ATTACKS):
        assert value(attack, "trimmed-mean") > tried.ideal - 0.02
    assert tried.honest == honest()
    assert tried.liars == tuple(two_liars("nan").attacks)


def test_a_backdoor_is_measured_where_it_was_planted(tried: Robustness) -> None:
    """It opens the undefended model, and not the one that a robust rule made."""

    def works(defence: str) -> float:
        found = tried.cell("backdoor", defence, encrypted=False).backdoor
        assert found is not None
        return found

    assert works(UNDEFENDED) > 0.5
    assert works("trimmed-mean") < 0.2
    assert tried.cell("sign-flip", UNDEFENDED, encrypted=False).backdoor is None
    assert tried.ideal_backdoor is not None
    assert tried.ideal_backdoor < 0.2


def test_the_matrix_is_printed_with_its_margins(tried: Robustness) -> None:
    console = Console(record=True, width=100)
    say(console, tried)
    text = console.export_text()
    assert f"the honest alone reach {tried.ideal:.4f}" in text
    assert "trigger works" in text
    for attack in (NO_ATTACK, *ATTACKS):
        assert attack in text


def test_the_matrix_is_drawn_as_a_picture_for_pages_and_for_slides(
    tried: Robustness, tmp_path: Path
) -> None:
    stopped = tried.cells[-1].model_copy(update={"value": None, "stopped": "round-void"})
    with_gap = tried.model_copy(update={"cells": (*tried.cells[:-1], stopped)})
    paths = draw(with_gap, RunDirectory(tmp_path))
    assert [path.name for path in paths] == ["robustness.svg", "robustness.png"]
    assert all(path.stat().st_size > 5_000 for path in paths)
    assert "<svg" in paths[0].read_text()


def test_nothing_is_measured_where_nobody_is_flagged(tmp_path: Path) -> None:
    with believed():
        run, _ = run_with(tmp_path / "run", {"num-server-rounds": 1})
        model = read_model(run.model)
        healthy = frame().assign(pressure=-9.0, age=20.0)
        assert backdoor_rate(model, healthy, run) is None


def test_every_rule_is_told_of_the_liars_and_every_defence_can_be_run() -> None:
    """Among the fifteen banks, in the clear and over five buckets of three."""
    for defence in TRIALS.defences:
        config = BANKS.configured(defence.settings)
        assert rule_spec(config, BANKS.charter).name == config.rule.name
        assert (config.rule.num_byzantine == 2) is (defence.name != UNDEFENDED)
        assert (config.aggregation == "encrypted") is defence.encrypted
    tried_rules = {defence.name for defence in TRIALS.defences}
    assert set(RULES) - {"mean"} <= tried_rules


def test_a_person_may_try_one_attack_by_more_liars_than_a_rule_was_told_of() -> None:
    only = TRIALS.only("scaling", 4)
    assert (only.attacks, only.liars, only.defences) == (("scaling",), 4, TRIALS.defences)


def promised(defence: Defence) -> Protection:
    config = BANKS.configured(defence.settings)
    return protection_of(config, BANKS.charter, dim=1_000)


def test_of_the_defences_over_buckets_the_outvoting_ones_promise_to_survive() -> None:
    """Nobody promises the undefended mean anything, nor that silence cannot stop five of five."""
    sealed = {one.name: promised(one) for one in TRIALS.defences if one.encrypted}
    surviving = {name for name, one in sealed.items() if one.liars and not one.only_bounds}
    assert surviving == {"coordinate-median", "trimmed-mean"}
    assert not sealed[UNDEFENDED].liars
    assert all(one.can_be_stopped for one in sealed.values() if one.liars)
    clear = [promised(one) for one in TRIALS.defences if not one.encrypted]
    assert not any(one.can_be_stopped for one in clear)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_fifteen_banks_keep_their_model_against_the_worst_attack_and_silence(
    tmp_path: Path,
) -> None:
    """Every defence of `scenario compare byzantine-banks`: what was promised is what came.

    In the clear a rule that only bounds keeps the model as well; over five buckets, of which two
    are spoiled, it promises no more than its bound. The other attacks are tried with every rule
    in tests/scenarios/test_liars.py, on smaller sites.
    """
    config = BANKS.configured({"num-server-rounds": 5})
    console = Console(record=True, width=160)
    trials = replace(TRIALS, attacks=("inner-product", "nan"))
    result = print_robustness(BANKS, trials, config, RunDirectory(tmp_path), console)
    promises = {(one.name, one.encrypted): promised(one) for one in TRIALS.defences}
    for cell in result.cells:
        promise = promises[cell.defence, cell.encrypted]
        if not promise.liars or (promise.only_bounds and cell.encrypted):
            continue
        if cell.value is None:
            assert (cell.attack, promise.can_be_stopped) == ("nan", True), cell
        else:
            assert cell.value > result.ideal - 0.02, cell
    spoiled = result.cell("inner-product", UNDEFENDED, encrypted=False).value
    assert spoiled is not None
    assert spoiled < result.ideal - 0.1
