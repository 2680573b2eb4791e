"""Each way of training tuned for itself, before the ways are compared with each other.

The shared model is tuned by a sweep, the model of all records in one place and that of each site by
a search of their own on these records: the same searches, schedule, seed and number of trials. All
trials are judged on a part of the training records, the same persons for all, and never on the
held-out records by which the ways are compared.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from consortium.config import RunConfig
from consortium.run.directory import RunDirectory
from consortium.run.records import Chosen, Search, write_record
from scenarios.engines.runner import do_nothing
from scenarios.engines.staging import stage
from scenarios.sweep.order import SweepOrder
from scenarios.sweep.places import Place, tune_places
from scenarios.sweep.records import (
    POOLED,
    AloneRecord,
    SiteTuned,
    SweepDirectory,
    SweepRecord,
    TrialRecord,
)
from scenarios.sweep.sweep import run_sweep
from scenarios.sweep.validation import leave_validation_out

FEDERATED = "federated"


@dataclass(frozen=True, kw_only=True)
class TunedArms:
    """What each way of training chose.

    Args:
        order: What was searched.
        shared: What came of the sweep.
        places: What came of the search of each site, and of all records in one place.
    """

    order: SweepOrder
    shared: SweepRecord
    places: tuple[SiteTuned, ...]

    @property
    def private(self) -> bool:
        """Whether whoever is trained on is protected by noise."""
        return bool(self.shared.noise)

    @property
    def on_staged(self) -> Callable[[RunDirectory], None]:
        """What is done to the sites of the run that follows, once they are staged.

        What is judged leaves in exact counts. So in private runs nobody is both judged and trained
        on; in others, the models that are compared are trained on the part as well.
        """
        if not self.private:
            return do_nothing
        return partial(leave_validation_out, seed=self.order.config.seed)

    def config_of(self, name: str) -> RunConfig:
        """Return the run config of a way of training: a site, `FEDERATED` or `records.POOLED`."""
        return RunConfig.parse(
            {**self.order.config.flat(), **self.shared.noise, **self.chosen(name).settings}
        )

    def chosen(self, name: str) -> Chosen:
        """Return what a way of training chose: nothing, if none of its trials has a figure."""
        if name == FEDERATED:
            return _chosen(self.shared.best, "")
        found = next(one for one in self.places if one.site == name)
        return _chosen(found.best, found.failed)

    @property
    def record(self) -> Search:
        """How it was searched, as the comparison keeps it."""
        plan = self.shared.plan
        return Search(
            searches=list(plan.searches),
            trials=plan.rungs[0].trials,
            rounds=[one.rounds for one in plan.rungs],
            validation_left_out=self.private,
            epsilons={one.site: one.epsilon for one in self.shared.prices},
        )


def tune_arms(
    order: SweepOrder, directory: SweepDirectory, *, tell: Callable[[str], None], workers: int
) -> TunedArms:
    """Tune each way of training for itself, on a part of the training records.

    Guarantee: nobody who is held out is read. The same order gives the same result, whatever the
    number of workers and however often it was interrupted.

    Args:
        order: What to search.
        directory: Where the search is kept: empty, or that of the same search.
        tell: Called with a line about each step.
        workers: Trials at work side by side, in processes of their own; 0 for this process.

    Raises:
        DirectoryInUse: The directory holds something else.
        BadSearch, BadSchedule, NotTunable: It cannot be searched so.
        NoTrialLeft: No trial of the shared model has a figure.
        SweepTooDear: The runs are private, and a site's ledger refuses the search together with the
            run that follows.
        MissingLibrary: Optuna is not installed.
    """
    private = order.config.privacy.budgeted is not None
    asked = replace(
        order,
        within_training=True,
        rounds_after=order.config.num_server_rounds if private else 0,
    )
    shared = run_sweep(
        asked, directory, tell=lambda line: tell(f"together, {line}"), workers=workers
    )
    # In private runs all ways of training have the noise of the sweep.
    alike = RunConfig.parse({**asked.config.flat(), **shared.noise})
    places = _tuned_places(replace(asked, config=alike), workers)
    write_record(directory.alone, AloneRecord(plan=shared.plan, sites=places))
    found = TunedArms(order=asked, shared=shared, places=places)
    for one in places:
        tell(one.line(shared.plan))
    return found


def _tuned_places(order: SweepOrder, workers: int) -> tuple[SiteTuned, ...]:
    sites = order.scenario.sites
    with TemporaryDirectory() as folder:
        run = RunDirectory(Path(folder))
        stage(run, order.scenario, order.own_data, config=order.config, lies=order.lies)
        order.on_staged(run)
        # All records in one place take the longest, so they start first.
        there = {POOLED: sites, **{name: (name,) for name in sites}}
        places = [
            Place(order=order, run=run, name=name, sites=whose) for name, whose in there.items()
        ]
        return tuple(tune_places(places, workers))


def _chosen(best: TrialRecord | None, failed: str) -> Chosen:
    if best is None:
        return Chosen(failed=failed)
    return Chosen(settings=dict(best.settings), figure=best.rungs[-1].value)
