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
from scenarios.attacks.assignment import draw_liars
from scenarios.experiments.robustness import (
    NO_ATTACK,
    Robustness,
    attacks_of,
    backdoor_rate,
    defences_of,
    measure_robustness,
)
from scenarios.experiments.robustness_output import draw_matrix, print_matrix, print_robustness
from scenarios.library.registry import SCENARIOS
from scenarios.trials import TRIALS, UNDEFENDED, Defence, Trials, defences
from strategies.rules.registry import RULES
from tests.scenarios.fifteen import NINE, SHORT, believed, frame, run_with

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
def matrix(folder: Path, told: list[str]) -> Iterator[Robustness]:
    """Two attacks, and no attack, against two defences, in this process."""
    with believed():
        yield measure_robustness(
            NINE,
            FEW,
            NINE.config_with({**SHORT, "rule.num-byzantine": 2, "rule.name": "krum"}),
            RunDirectory(folder),
            tell=told.append,
            workers=0,
        )


def test_every_attack_is_tried_against_every_defence_and_no_directory_is_left(
    matrix: Robustness, folder: Path, told: list[str]
) -> None:
    assert attacks_of(matrix) == [NO_ATTACK, *ATTACKS]
    assert defences_of(matrix, encrypted=False) == [UNDEFENDED, "trimmed-mean"]
    assert defences_of(matrix, encrypted=True) == []
    assert len(matrix.cells) == 6
    assert len(told) == 7
    assert not (folder / "cells").exists()
    assert Robustness.model_validate_json((folder / "robustness.json").read_text()) == matrix


def test_the_matrix_shows_what_a_rule_is_worth(matrix: Robustness) -> None:
    def value(attack: str, defence: str) -> float:
        found = matrix.cell(attack, defence, encrypted=False).value
        assert found is not None
        return found

    assert value("sign-flip", UNDEFENDED) < matrix.ideal - 0.04
    for attack in (NO_ATTACK, *ATTACKS):
        assert value(attack, "trimmed-mean") > matrix.ideal - 0.02
    assert matrix.honest == tuple(site for site in NINE.sites if site not in matrix.liars)
    assert matrix.liars == tuple(draw_liars(NINE.sites, "nan", liars=2, seed=7).attacks)


def test_a_backdoor_works_in_the_undefended_model_only(matrix: Robustness) -> None:
    """A robust rule keeps the backdoor out."""

    def works(defence: str) -> float:
        found = matrix.cell("backdoor", defence, encrypted=False).backdoor
        assert found is not None
        return found

    assert works(UNDEFENDED) > 0.5
    assert works("trimmed-mean") < 0.2
    assert matrix.cell("sign-flip", UNDEFENDED, encrypted=False).backdoor is None
    assert matrix.ideal_backdoor is not None
    assert matrix.ideal_backdoor < 0.2


def test_the_matrix_is_printed_with_its_margins(matrix: Robustness) -> None:
    console = Console(record=True, width=100)
    print_matrix(console, matrix)
    text = console.export_text()
    assert f"the honest alone reach {matrix.ideal:.4f}" in text
    assert "trigger works" in text
    for attack in (NO_ATTACK, *ATTACKS):
        assert attack in text


def test_the_matrix_is_drawn_as_svg_and_png(matrix: Robustness, tmp_path: Path) -> None:
    stopped = matrix.cells[-1].model_copy(update={"value": None, "stopped": "round-void"})
    with_gap = matrix.model_copy(update={"cells": (*matrix.cells[:-1], stopped)})
    paths = draw_matrix(with_gap, RunDirectory(tmp_path))
    assert [path.name for path in paths] == ["robustness.svg", "robustness.png"]
    assert all(path.stat().st_size > 5_000 for path in paths)
    assert "<svg" in paths[0].read_text()


def test_there_is_no_backdoor_rate_where_no_record_is_flagged(tmp_path: Path) -> None:
    with believed():
        run, _ = run_with(tmp_path / "run", {"num-server-rounds": 1}, scenario=NINE)
        model = read_model(run.model)
        healthy = frame().assign(pressure=-9.0, age=20.0)
        assert backdoor_rate(model, healthy, run) is None


def test_every_rule_expects_the_liars_and_every_defence_can_run() -> None:
    """Fifteen banks, in the clear and over five buckets of three."""
    for defence in TRIALS.defences:
        config = BANKS.config_with(defence.settings)
        assert rule_spec(config, BANKS.charter).name == config.rule.name
        assert (config.rule.num_byzantine == 2) is (defence.name != UNDEFENDED)
        assert (config.aggregation == "encrypted") is defence.encrypted
    tried_rules = {defence.name for defence in TRIALS.defences}
    assert set(RULES) - {"mean"} <= tried_rules


def test_one_attack_by_more_liars_than_the_rules_expect_can_be_tried() -> None:
    only = TRIALS.for_attack("scaling", 4)
    assert (only.attacks, only.liars, only.defences) == (("scaling",), 4, TRIALS.defences)


def promise_of(defence: Defence) -> Protection:
    config = BANKS.config_with(defence.settings)
    return protection_of(config, BANKS.charter, dim=1_000)


def test_the_defences_that_outvote_over_buckets_promise_to_survive() -> None:
    """The undefended mean promises nothing; a silent site can stop a run that needs all buckets."""
    sealed = {one.name: promise_of(one) for one in TRIALS.defences if one.encrypted}
    surviving = {name for name, one in sealed.items() if one.liars and not one.only_bounds}
    assert surviving == {"coordinate-median", "trimmed-mean"}
    assert not sealed[UNDEFENDED].liars
    assert all(one.can_be_stopped for one in sealed.values() if one.liars)
    clear = [promise_of(one) for one in TRIALS.defences if not one.encrypted]
    assert not any(one.can_be_stopped for one in clear)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_fifteen_banks_keep_their_model_against_the_worst_attack_and_silence(
    tmp_path: Path,
) -> None:
    """Every defence of `scenario compare byzantine-banks` keeps its promise.

    In the clear a rule that only bounds keeps the model, too. Over five buckets, two of them
    spoiled, it promises no more than its bound. The other attacks are tried with every rule in
    tests/scenarios/attacks/test_rules_under_attack.py, on smaller sites.
    """
    config = BANKS.config_with({"num-server-rounds": 5})
    console = Console(record=True, width=160)
    trials = replace(TRIALS, attacks=("inner-product", "nan"))
    result = print_robustness(BANKS, trials, config, RunDirectory(tmp_path), console)
    promises = {(one.name, one.encrypted): promise_of(one) for one in TRIALS.defences}
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
