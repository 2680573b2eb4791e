"""Each attack against each rule: does the model stay as good as that of the honest alone?"""

import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import as_completed
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict

from consortium.config import RunConfig
from consortium.model.files import TrainedModel, read_model
from consortium.run.directory import RunDirectory
from consortium.run.records import write_record
from consortium.site.directory import read_site_config
from scenarios.attacks.assignment import NOBODY, AttackAssignment, draw_liars
from scenarios.attacks.data_poisoning import table_in, triggered
from scenarios.engines.runner import RunFailed, ScenarioRun, carry_out
from scenarios.experiments.bootstrap import resampled
from scenarios.experiments.process_pool import side_by_side
from scenarios.scenario import Scenario
from scenarios.trials import UNDEFENDED, Defence, Trials
from sites.data.source import TableFile
from sites.schema.tables import ClassLabel

NO_ATTACK = "nobody lies"
IDEAL = "honest alone"
_RUNS_A_PROCESS = 8  # then a fresh one: a process remembers the records of every run in it
MOST_MARKED = 1_000  # records that carry the trigger when a backdoor is measured


class Cell(BaseModel):
    """One attack against one defence.

    Args:
        attack: Its name, or that nobody lies.
        defence: Its name.
        encrypted: Whether updates were encrypted.
        value: The headline metric on the held-out records of the honest sites; None if the run
            was stopped.
        stopped: What stopped it.
        backdoor: Of the honest records that the model flags rightly, the share that it lets
            pass with the trigger; None for other attacks.
        seconds: Of the run.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    attack: str
    defence: str
    encrypted: bool
    value: float | None
    stopped: str = ""
    backdoor: float | None = None
    seconds: float


class Robustness(BaseModel):
    """The matrix, and its margins.

    Args:
        metric: Name of the headline metric.
        metric_title: For people.
        liars: Who lied.
        honest: Who did not, and on whose held-out records everything is measured.
        ideal: The metric of a consortium of the honest alone, with the mean.
        ideal_backdoor: How often the trigger works there, by chance.
        cells: One each.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = 1
    metric: str
    metric_title: str
    liars: tuple[str, ...]
    honest: tuple[str, ...]
    ideal: float
    ideal_backdoor: float | None
    cells: tuple[Cell, ...]
    seconds: float

    def cell(self, attack: str, defence: str, *, encrypted: bool) -> Cell:
        """Return one cell; KeyError if it was not tried."""
        found = {(one.attack, one.defence, one.encrypted): one for one in self.cells}
        return found[attack, defence, encrypted]


@dataclass(frozen=True, kw_only=True)
class _Trial:
    """One run that is to be measured."""

    scenario: Scenario
    config: RunConfig
    lies: AttackAssignment
    honest: tuple[str, ...]
    attack: str
    defence: Defence
    folder: Path


def try_all(
    scenario: Scenario,
    trials: Trials,
    config: RunConfig,
    run: RunDirectory,
    *,
    tell: Callable[[str], None],
    workers: int | None = None,
) -> Robustness:
    """Run every attack against every defence, and the honest alone; write `robustness.json`.

    Guarantee: all is measured on the same records, those the honest sites held out, so that a
    liar's own records flatter or blame nobody; who lies does not depend on the attack.

    Args:
        scenario: What is run.
        trials: What is tried.
        config: The scenario's, from which defences differ.
        run: Where it is written; the single runs are not kept.
        tell: Told of every cell.
        workers: Processes beside this one, as many as there are cores if None; 0: none.
    """
    began = time.monotonic()
    cast = draw_liars(scenario.sites, trials.attacks[0], liars=trials.liars, seed=config.seed)
    honest = tuple(site for site in scenario.sites if site not in cast.attacks)
    planned = list(_planned(scenario, trials, config, honest, run.path / "cells"))
    found: dict[int, Cell] = {}
    for index, cell in _carried_out(planned, os.cpu_count() if workers is None else workers):
        found[index] = cell
        tell(_line(cell))
    shutil.rmtree(run.path / "cells", ignore_errors=True)
    ideal, *cells = (found[index] for index in range(len(planned)))
    result = Robustness(
        metric=scenario.headline.name,
        metric_title=scenario.headline.title,
        liars=tuple(cast.attacks),
        honest=honest,
        ideal=float("nan") if ideal.value is None else ideal.value,
        ideal_backdoor=ideal.backdoor,
        cells=tuple(cells),
        seconds=time.monotonic() - began,
    )
    write_record(run.path / "robustness.json", result)
    return result


def _planned(
    scenario: Scenario,
    trials: Trials,
    config: RunConfig,
    honest: tuple[str, ...],
    folder: Path,
) -> Iterator[_Trial]:
    """Yield the honest alone, then each attack against each defence."""
    first = _Trial(
        scenario=replace(scenario, sites=honest),
        config=_with(config, trials.defences[0]),
        lies=NOBODY,
        honest=honest,
        attack=IDEAL,
        defence=trials.defences[0],
        folder=folder / "ideal",
    )
    yield first
    for row, attack in enumerate((NO_ATTACK, *trials.attacks)):
        for column, defence in enumerate(trials.defences):
            yield replace(
                first,
                scenario=scenario,
                config=_with(config, defence),
                lies=_lies(scenario, trials, attack, config.seed),
                attack=attack,
                defence=defence,
                folder=folder / f"{row}-{column}",
            )


def _carried_out(planned: Sequence[_Trial], workers: int | None) -> Iterator[tuple[int, Cell]]:
    """Yield each trial's place and cell, as they are done."""
    if workers == 0:
        yield from enumerate(map(_tried, planned))
        return
    batch = _RUNS_A_PROCESS * (workers or 1)
    for start in range(0, len(planned), batch):
        with side_by_side(workers) as pool:
            places = range(start, min(start + batch, len(planned)))
            waiting = {pool.submit(_tried, planned[place]): place for place in places}
            for done in as_completed(waiting):
                yield waiting[done], done.result()


def _lies(scenario: Scenario, trials: Trials, attack: str, seed: int) -> AttackAssignment:
    if attack == NO_ATTACK:
        return NOBODY
    return draw_liars(scenario.sites, attack, liars=trials.liars, seed=seed)


def _with(config: RunConfig, defence: Defence) -> RunConfig:
    return RunConfig.parse({**config.flat(), **defence.settings})


def _tried(trial: _Trial) -> Cell:
    """Carry out one run in a process of its own, measure it, and let its directory go."""
    began = time.monotonic()
    trial.folder.mkdir(parents=True)
    run = RunDirectory(trial.folder)
    order = ScenarioRun(scenario=trial.scenario, config=trial.config, lies=trial.lies)
    value, backdoor, stopped = None, None, ""
    try:
        carry_out(order, run)
    except RunFailed as error:
        stopped = str(error)
    else:
        value, backdoor = _measured(trial, run)
    shutil.rmtree(trial.folder)
    return Cell(
        attack=trial.attack,
        defence=trial.defence.name,
        encrypted=trial.defence.encrypted,
        value=value,
        stopped=stopped,
        backdoor=backdoor,
        seconds=time.monotonic() - began,
    )


def _measured(trial: _Trial, run: RunDirectory) -> tuple[float, float | None]:
    model = read_model(run.model)
    seed = trial.config.seed
    parts = [
        model.task.load(read_site_config(run.site(name)).source, seed=seed) for name in trial.honest
    ]
    scored = [model.task.score(part, model.statistics, model.vector) for part in parts]
    predictions = np.concatenate([one for one, _ in scored])
    labels = np.concatenate([one for _, one in scored])
    metric = resampled(trial.scenario.headline.name, predictions, labels)
    marked = trial.attack in ("backdoor", IDEAL)
    backdoor = backdoor_rate(model, _flaggable(trial, run), run) if marked else None
    return metric(np.ones(len(labels))), backdoor


def _flaggable(trial: _Trial, run: RunDirectory) -> pd.DataFrame:
    """Return records of honest sites that have the class to be flagged, some of each site."""
    label = trial.scenario.table.label
    tables = [pd.read_parquet(run.site(name) / "data.parquet") for name in trial.honest]
    if isinstance(label, ClassLabel):
        tables = [table[table[label.column] == label.classes[-1]] for table in tables]
    return pd.concat([table.head(MOST_MARKED // len(tables)) for table in tables])


def backdoor_rate(model: TrainedModel, table: pd.DataFrame, run: RunDirectory) -> float | None:
    """Return how many of the flagged records pass with the trigger; None if none is flagged.

    A record is flagged if its predicted chance of the last class is one half or more.
    """
    path = run.path / "marked.parquet"

    def flagged(rows: pd.DataFrame) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        rows.to_parquet(path, index=False)
        predicted = model.task.predict(TableFile(path=path), model.statistics, model.vector)
        return np.asarray(predicted >= 0.5)

    plain = flagged(table)
    if not plain.any():
        return None
    return float(np.mean(~flagged(triggered(table, table_in(model.charter.table)))[plain]))


def _line(cell: Cell) -> str:
    how = "encrypted" if cell.encrypted else "in the clear"
    value = f"{cell.value:.4f}" if cell.value is not None else f"stopped ({cell.stopped[:60]})"
    return f"{cell.attack:>20} against {cell.defence} {how}: {value}"


def defences_of(result: Robustness, *, encrypted: bool) -> list[str]:
    """Return the defences that were tried, in their order, the undefended mean first."""
    names = [cell.defence for cell in result.cells if cell.encrypted is encrypted]
    return sorted(dict.fromkeys(names), key=lambda name: name != UNDEFENDED)


def attacks_of(result: Robustness) -> list[str]:
    """Return the attacks that were tried, in their order, after nobody's."""
    return list(dict.fromkeys(cell.attack for cell in result.cells))
