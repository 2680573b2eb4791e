"""Try each attack against each defence, and compare with a consortium of the honest alone."""

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
from consortium.site.site import records_of
from scenarios.attacks.assignment import NOBODY, AttackAssignment, draw_liars
from scenarios.attacks.data_poisoning import add_trigger, require_table_schema
from scenarios.engines.runner import RunFailed, ScenarioRun, run_scenario
from scenarios.engines.staging import staged_part
from scenarios.experiments.bootstrap import resampled_metric
from scenarios.experiments.process_pool import parallel_processes
from scenarios.scenario import Scenario
from scenarios.trials import UNDEFENDED, Defence, Trials
from sites.data.source import TableFile
from sites.schema.tables import ClassLabel

NO_ATTACK = "nobody lies"
IDEAL = "honest alone"
_RUNS_A_PROCESS = 8  # then a fresh one: caches keep the records of every run of a process
MOST_MARKED = 1_000  # records that get the trigger when a backdoor is measured


class Cell(BaseModel):
    """One attack against one defence.

    Args:
        attack: Name of the attack, or `NO_ATTACK`.
        defence: Name of the defence.
        encrypted: Whether updates were encrypted.
        value: The headline metric on the held-out records of the honest sites; None if the run
            stopped early.
        stopped: Why it stopped early.
        backdoor: Share of the honest records, among those that the model flags, which it no
            longer flags once they carry the trigger; None for other attacks.
        seconds: Duration of the run.
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
    """The matrix of attacks and defences.

    Args:
        metric: Name of the headline metric.
        metric_title: Its name for people.
        liars: Sites that lied.
        honest: All others, on whose held-out records everything is measured.
        ideal: The metric of a consortium of the honest alone, with the mean.
        ideal_backdoor: How often the trigger works there by chance.
        cells: One for each attack and defence.
        seconds: Duration of all runs.
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
        """Return one cell; KeyError if there is none."""
        found = {(one.attack, one.defence, one.encrypted): one for one in self.cells}
        return found[attack, defence, encrypted]


@dataclass(frozen=True, kw_only=True)
class _Trial:
    """One run to measure."""

    scenario: Scenario
    config: RunConfig
    lies: AttackAssignment
    honest: tuple[str, ...]
    attack: str
    defence: Defence
    folder: Path


def measure_robustness(
    scenario: Scenario,
    trials: Trials,
    config: RunConfig,
    run: RunDirectory,
    *,
    tell: Callable[[str], None],
    workers: int | None = None,
) -> Robustness:
    """Run each attack against each defence, and the honest alone; write `robustness.json`.

    Guarantee: every run is measured on the held-out records of the honest sites, so that a liar's
    records count for nothing. The same sites lie in every attack.

    Args:
        scenario: The scenario to run.
        trials: What to try.
        config: The scenario's run config, which the defences change.
        run: Where the result is written; the directories of single runs are removed.
        tell: Called with a line about each cell.
        workers: Number of worker processes; by default one a core; 0 runs all in this process.
    """
    began = time.monotonic()
    liars = draw_liars(scenario.sites, trials.attacks[0], liars=trials.liars, seed=config.seed)
    honest = tuple(site for site in scenario.sites if site not in liars.attacks)
    planned = list(_plan_trials(scenario, trials, config, honest, run.path / "cells"))
    found: dict[int, Cell] = {}
    for index, cell in _run_trials(planned, os.cpu_count() if workers is None else workers):
        found[index] = cell
        tell(_cell_line(cell))
    shutil.rmtree(run.path / "cells", ignore_errors=True)
    ideal, *cells = (found[index] for index in range(len(planned)))
    result = Robustness(
        metric=scenario.headline.name,
        metric_title=scenario.headline.title,
        liars=tuple(liars.attacks),
        honest=honest,
        ideal=float("nan") if ideal.value is None else ideal.value,
        ideal_backdoor=ideal.backdoor,
        cells=tuple(cells),
        seconds=time.monotonic() - began,
    )
    write_record(run.path / "robustness.json", result)
    return result


def _plan_trials(
    scenario: Scenario,
    trials: Trials,
    config: RunConfig,
    honest: tuple[str, ...],
    folder: Path,
) -> Iterator[_Trial]:
    """Yield the trial of the honest alone, then each attack against each defence."""
    first = _Trial(
        scenario=replace(scenario, sites=honest),
        config=_config_with(config, trials.defences[0]),
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
                config=_config_with(config, defence),
                lies=_draw_assignment(scenario, trials, attack, config.seed),
                attack=attack,
                defence=defence,
                folder=folder / f"{row}-{column}",
            )


def _run_trials(planned: Sequence[_Trial], workers: int | None) -> Iterator[tuple[int, Cell]]:
    """Run the trials; yield the place and cell of each as it ends."""
    if workers == 0:
        yield from enumerate(map(_run_trial, planned))
        return
    # A new pool for each batch gives the memory of old runs back.
    batch = _RUNS_A_PROCESS * (workers or 1)
    for start in range(0, len(planned), batch):
        with parallel_processes(workers) as pool:
            places = range(start, min(start + batch, len(planned)))
            waiting = {pool.submit(_run_trial, planned[place]): place for place in places}
            for done in as_completed(waiting):
                yield waiting[done], done.result()


def _draw_assignment(
    scenario: Scenario, trials: Trials, attack: str, seed: int
) -> AttackAssignment:
    if attack == NO_ATTACK:
        return NOBODY
    return draw_liars(scenario.sites, attack, liars=trials.liars, seed=seed)


def _config_with(config: RunConfig, defence: Defence) -> RunConfig:
    return RunConfig.parse({**config.flat(), **defence.settings})


def _run_trial(trial: _Trial) -> Cell:
    """Run one trial, measure it, and remove its directory."""
    began = time.monotonic()
    trial.folder.mkdir(parents=True)
    run = RunDirectory(trial.folder)
    order = ScenarioRun(scenario=trial.scenario, config=trial.config, lies=trial.lies)
    value, backdoor, stopped = None, None, ""
    try:
        run_scenario(order, run)
    except RunFailed as error:
        stopped = str(error)
    else:
        value, backdoor = _measure_trial(trial, run)
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


def _measure_trial(trial: _Trial, run: RunDirectory) -> tuple[float, float | None]:
    model = read_model(run.model)
    parts = [records_of(model.task, run.site(name), trial.config) for name in trial.honest]
    scored = [model.task.score(part, model.statistics, model.vector) for part in parts]
    predictions = np.concatenate([one for one, _ in scored])
    labels = np.concatenate([one for _, one in scored])
    metric = resampled_metric(trial.scenario.headline.name, predictions, labels)
    # The honest alone are measured as well: some triggers work by chance.
    marked = trial.attack in ("backdoor", IDEAL)
    backdoor = backdoor_rate(model, _flaggable_records(trial, run), run) if marked else None
    return metric(np.ones(len(labels))), backdoor


def _flaggable_records(trial: _Trial, run: RunDirectory) -> pd.DataFrame:
    """Return records of the class to be flagged, some of each honest site."""
    label = trial.scenario.table.label
    tables = [pd.read_parquet(staged_part(run.site(name))) for name in trial.honest]
    if isinstance(label, ClassLabel):
        tables = [table[table[label.column] == label.classes[-1]] for table in tables]
    return pd.concat([table.head(MOST_MARKED // len(tables)) for table in tables])


def backdoor_rate(model: TrainedModel, table: pd.DataFrame, run: RunDirectory) -> float | None:
    """Return the share of flagged records that pass with the trigger; None if none is flagged.

    A record is flagged if the predicted probability of the last class is at least one half.
    """
    path = run.path / "marked.parquet"

    def flags(rows: pd.DataFrame) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        rows.to_parquet(path, index=False)
        predicted = model.task.predict(TableFile(path=path), model.statistics, model.vector)
        return np.asarray(predicted >= 0.5)

    # Only records flagged without the trigger can be let through by it.
    plain = flags(table)
    if not plain.any():
        return None
    return float(
        np.mean(~flags(add_trigger(table, require_table_schema(model.charter.table)))[plain])
    )


def _cell_line(cell: Cell) -> str:
    how = "encrypted" if cell.encrypted else "in the clear"
    value = f"{cell.value:.4f}" if cell.value is not None else f"stopped ({cell.stopped[:60]})"
    return f"{cell.attack:>20} against {cell.defence} {how}: {value}"


def defences_of(result: Robustness, *, encrypted: bool) -> list[str]:
    """Return the defences in the order of trials, the undefended mean first."""
    names = [cell.defence for cell in result.cells if cell.encrypted is encrypted]
    return sorted(dict.fromkeys(names), key=lambda name: name != UNDEFENDED)


def attacks_of(result: Robustness) -> list[str]:
    """Return the attacks in the order of trials, `NO_ATTACK` first."""
    return list(dict.fromkeys(cell.attack for cell in result.cells))
