"""Each site's own model, tuned for itself: on its own records, with no round and no message.

The schedule and the proposals are those of a sweep, and each site has its own. A model is trained
on the site's training records, and judged on those that the site holds out. Nothing leaves.
"""

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from consortium.run.directory import RunDirectory
from consortium.run.records import write_record
from scenarios.engines.staging import stage
from scenarios.sweep.best_file import write_tuned_file
from scenarios.sweep.order import NotTunable, SweepOrder
from scenarios.sweep.places import Place, tune_places
from scenarios.sweep.records import AloneRecord, SiteTuned, SweepDirectory, SweepPlan
from scenarios.sweep.sweep import keep_plan


def tune_alone(
    order: SweepOrder, directory: SweepDirectory, *, tell: Callable[[str], None], workers: int
) -> AloneRecord:
    """Tune each site's own model; return what came of it.

    Guarantee: each site uses its own records alone, and the same split as every run with this seed.
    The same order gives the same result, whatever the number of workers.

    Args:
        order: What to search.
        directory: Where the result is kept: empty, or that of the same order.
        tell: Called with a line about each site.
        workers: Sites at work side by side, in processes of their own; 0 for this process.

    Raises:
        DirectoryInUse: The directory holds something else.
        NotTunable: The runs are private.
        BadSearch, BadSchedule, NotTunable: It cannot be searched so.
    """
    if order.config.privacy.budgeted is not None:
        raise NotTunable(
            "a site that tunes for itself releases nothing, so that no noise is needed: set "
            "dp.unit=off"
        )
    plan = keep_plan(order.plan, directory)
    with TemporaryDirectory() as folder:
        run = RunDirectory(Path(folder))
        stage(run, order.scenario, order.own_data, config=order.config, lies=order.lies)
        sites = [
            Place(order=order, run=run, name=name, sites=(name,)) for name in order.scenario.sites
        ]
        found = tune_places(sites, workers)
    record = AloneRecord(plan=plan, sites=tuple(found))
    for one in found:
        tell(one.line(plan))
        if one.best is not None:
            _write_best(one, plan, directory)
    write_record(directory.alone, record)
    return record


def _write_best(one: SiteTuned, plan: SweepPlan, directory: SweepDirectory) -> None:
    best = one.best
    if best is None:
        return
    write_tuned_file(
        directory.best_alone(one.site),
        scenario=plan.scenario,
        settings={**plan.chosen, **best.settings},
        said=f"tuned by {one.site} for itself: {plan.metric_title} {best.rungs[-1].value:.4f} on "
        "its own records that chose it",
    )
