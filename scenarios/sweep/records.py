"""The files of a sweep: what was asked (`plan.json`), and what came of it (`sweep.json`)."""

from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from consortium.config import Scalar
from consortium.run.directory import RunDirectory
from consortium.run.paths import PathIn

POOLED = "pooled"  # the place that has all records


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


@dataclass(frozen=True)
class SweepDirectory:
    """Paths in the directory of a sweep.

    Args:
        path: The directory of the sweep.
    """

    path: Path

    plan = PathIn("plan.json")
    """What was asked for: a sweep that is asked for again goes on if that is the same."""

    result = PathIn("sweep.json")
    """What came of each trial."""

    best = PathIn("best.toml")
    """The best run config, as a file that `scenario run` takes."""

    page = PathIn("sweep.html")
    """The page."""

    alone = PathIn("alone.json")
    """What came of tuning each site for itself."""

    def best_alone(self, site: str) -> Path:
        """Return the best run config of a site that tuned for itself."""
        return self.path / f"{site}.toml"

    @property
    def paid(self) -> RunDirectory:
        """The sites' ledgers of the whole sweep, if its runs are private."""
        return RunDirectory(self.path / "paid")

    def trial(self, number: int) -> RunDirectory:
        """Return the directory of a trial's run."""
        # In a folder of its own: what a coordinator keeps beside its runs is not shared by trials
        # that run at the same time.
        return RunDirectory(self.path / "trials" / f"{number:03}" / "run")


class RungRecord(_Record):
    """A rung of the schedule.

    Args:
        trials: How many trials reach it, if none fails.
        rounds: Rounds of training behind the models that are judged there.
    """

    trials: int
    rounds: int


class SweepPlan(_Record):
    """What was asked for.

    Args:
        scenario: Name of the scenario, or its file.
        title: Its title.
        charter: Fingerprint of the charter of its sites.
        metric: The metric that trials are judged by.
        metric_title: Its name for people.
        higher_is_better: Whether higher values are better.
        searches: What is searched, as it is written.
        seed: Of the sweep and of each run.
        reduction: Of so many trials, one goes on.
        rungs: The schedule.
        chosen: What the user set for all trials.
        config: The run config of all trials, but for what is searched.
        within_training: Whether trials are judged on a part of the training records, and nobody
            who is held out is read.
        rounds_after: Rounds of a private run with the best values, paid for with the sweep.
    """

    scenario: str
    title: str
    charter: str
    metric: str
    metric_title: str
    higher_is_better: bool
    searches: tuple[str, ...]
    seed: int
    reduction: int
    rungs: tuple[RungRecord, ...]
    chosen: dict[str, Scalar]
    config: dict[str, Scalar]
    within_training: bool = False
    rounds_after: int = 0


class Judged(_Record):
    """A figure of a trial.

    Args:
        rounds: Rounds of training behind the model.
        value: The metric on the held-out records of all sites.
    """

    rounds: int
    value: float


class TrialRecord(_Record):
    """What came of a trial.

    Args:
        number: Its number, from 1, in the order in which trials were drawn.
        settings: The values that it tried.
        course: Its figures after each round that was judged.
        rungs: The rungs that it reached, by their rounds.
        failed: Why it ended, if it failed.
    """

    number: int
    settings: dict[str, Scalar]
    course: tuple[Judged, ...] = ()
    rungs: tuple[Judged, ...] = ()
    failed: str = ""


class SitePrice(_Record):
    """What a sweep cost the persons of a site.

    Args:
        site: Its name.
        epsilon: Of all trials together, as it was reserved before the first one.
        delta: Of that epsilon.
        allowed: What the site allows over all runs; None where it sets no limit.
    """

    site: str
    epsilon: float
    delta: float
    allowed: float | None = None


class SweepRecord(_Record):
    """The file `sweep.json`.

    Args:
        plan: What was asked for.
        trials: What came of each trial, the best first.
        winner: Number of the best trial.
        model_digest: Digest of its model.
        prices: What the sweep cost the persons of each site; empty without privacy.
        noise: The keys of the run config that say how much noise that is; empty without privacy.
    """

    plan: SweepPlan
    trials: tuple[TrialRecord, ...]
    winner: int
    model_digest: str
    prices: tuple[SitePrice, ...] = ()
    noise: dict[str, Scalar] = {}

    @property
    def best(self) -> TrialRecord:
        """The winner."""
        return next(one for one in self.trials if one.number == self.winner)


class SiteTuned(_Record):
    """What a place found for itself.

    Args:
        site: The site whose records are there; `POOLED` for those of all sites.
        trials: What came of each trial, the best first.
        winner: Number of the best trial; 0 if there is none.
        failed: Why there is none.
    """

    site: str
    trials: tuple[TrialRecord, ...] = ()
    winner: int = 0
    failed: str = ""

    @property
    def best(self) -> TrialRecord | None:
        """The winner, if there is one."""
        return next((one for one in self.trials if one.number == self.winner), None)

    def line(self, plan: SweepPlan) -> str:
        """Return it as a line."""
        where = "all records in one place" if self.site == POOLED else f"{self.site} alone"
        if self.best is None:
            return f"{where}: {self.failed}"
        tried = ", ".join(f"{key} {value}" for key, value in self.best.settings.items())
        return f"{where}: {plan.metric_title} {self.best.rungs[-1].value:.4f} with {tried}"


class AloneRecord(_Record):
    """The file `alone.json`.

    Args:
        plan: What was asked for.
        sites: What came of it at each site.
    """

    plan: SweepPlan
    sites: tuple[SiteTuned, ...]
