"""Paths in the directory of a run."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from consortium.run.hub_directory import HubDirectory
from consortium.run.party_directory import CHARTER_FILE
from consortium.run.paths import PathIn
from privacy.errors import ConsortiumError

ENVIRONMENT = "CONSORTIUM_RUN_DIR"
SITE = "CONSORTIUM_SITE_DIR"
COORDINATOR = "CONSORTIUM_COORDINATOR_DIR"
TRACK = "CONSORTIUM_TRACK"  # programs that follow the runs of a coordinator
EVALUATED_LATER = "evaluated-later"  # the event of a finished run
_LATER = re.compile(r"(.+)-evaluation-[0-9]+")


class BadRunDirectory(ConsortiumError, ValueError, code="bad-run-directory"):
    """A directory is not the directory of a run, or a file in it is invalid."""


@dataclass(frozen=True)
class RunDirectory:
    """Paths in the directory of a run; docs/run-directory.md describes each file.

    Args:
        path: The directory of the run.
    """

    path: Path

    charter = PathIn(CHARTER_FILE)
    """The charter that the run is bound to."""

    events = PathIn("events.jsonl")
    """The events of the run, one JSON line each, written as they happen."""

    metrics = PathIn("metrics.jsonl")
    """Pooled and released metrics, one JSON line per round."""

    summary = PathIn("summary.json")
    """The summary of the run."""

    statistics = PathIn("statistics.json")
    """Pooled and released statistics tallies of the training records."""

    evaluation = PathIn("evaluation.json")
    """Pooled and released evaluation tallies of the last round."""

    comparison = PathIn("comparison.json")
    """The comparison of training alone, federated and pooled, if it was requested."""

    synthetic = PathIn("synthetic.json")
    """Whose records are made up, if any are; in a run of a scenario only."""

    privacy = PathIn("privacy.json")
    """The measured cost of privacy, if it was requested."""

    report = PathIn("report.html")
    """The report."""

    model = PathIn("model")
    """The trained model, if the coordinator may have it."""

    revision = PathIn("revision.json")
    """The draft of a charter under which the run goes on without a site, if one was asked for."""

    periods = PathIn("periods")
    """A folder for each later period that was counted for the model: the directory of a run."""

    drift = PathIn("periods.csv")
    """How each of these periods differs from before, written with the report."""

    order = PathIn("order.json")
    """The order that started the run; in a deployment only."""

    coordinator = PathIn("coordinator")
    """The coordinator's own folder."""

    log = coordinator / "coordinator.log"
    """What went wrong at the coordinator; with `--verbose` also what went as it should."""

    evidence = coordinator / "evidence.jsonl"
    """Distance and cosine of each site's update to the aggregate, one line per round.

    Written for runs in the clear only.
    """

    signing_key = coordinator / "audit" / "signing.secret"
    """The key that signs the coordinator's audit log. It decrypts nothing."""

    question_key = coordinator / "secrets" / "question.secret"
    """The key that signs the coordinator's questions, of a run on one machine."""

    run_config = coordinator / "run-config.json"
    """The run config that the run was started with, for resuming it."""

    pause_after = coordinator / "pause-after"
    """After how many rounds the run pauses, of a trial that is not to go to its end yet."""

    leader = coordinator / "leader.lock"
    """The file whose lock the coordinating process of the run holds."""

    bridge = coordinator / "hub.sock"
    """The socket of a hub's run, by which the coordinator's questions come; while it goes on."""

    checkpoint = coordinator / "checkpoint.bin"
    """The progress of the run, from which it can be resumed."""

    vault = coordinator / "sealed"
    """The evidence store of an encrypted run."""

    @classmethod
    def from_environment(cls) -> "RunDirectory":
        """Return the directory that the environment of this process names.

        Raises:
            BadRunDirectory: None is named, so the app was not started by this project.
        """
        named = os.environ.get(ENVIRONMENT, "")
        if not named:
            raise BadRunDirectory(
                f"{ENVIRONMENT} names no run directory: start runs with `scenario run` or "
                "`consortium run`"
            )
        return cls(Path(named))

    @property
    def counted_rosters(self) -> Path:
        """For whom the coordinator of this run summed statistics, in all runs beside it."""
        return self.path.parent / "counted-rosters.json"

    @property
    def failed_openers(self) -> Path:
        """Openers that failed the others, for all runs of a coordinator; in a deployment only."""
        return self.path.parent / "failed-openers.json"

    def next_evaluation(self) -> "RunDirectory":
        """Return a directory, that does not exist yet, for an evaluation of this run's model."""
        number = 1
        while (path := self.path.with_name(f"{self.path.name}-evaluation-{number}")).exists():
            number += 1
        return RunDirectory(path)

    def next_continuation(self) -> "RunDirectory":
        """Return a directory, that does not exist yet, in which this run goes on."""
        number = 1
        while (path := self.path.with_name(f"{self.path.name}-continued-{number}")).exists():
            number += 1
        return RunDirectory(path)

    def evaluated_run(self) -> "RunDirectory | None":
        """The run whose model this one evaluates, if `next_evaluation` of that run named it."""
        named = _LATER.fullmatch(self.path.name)
        return RunDirectory(self.path.with_name(named[1])) if named else None

    def period(self, name: str) -> "RunDirectory":
        """Return the directory of the run that counts a later period for this run's model."""
        return RunDirectory(self.periods / name)

    def counted_periods(self) -> "tuple[RunDirectory, ...]":
        """Return the directories of the later periods that were counted, by their names."""
        found = sorted(self.periods.glob("*/summary.json"))
        return tuple(RunDirectory(summary.parent) for summary in found)

    def judged_run(self) -> "RunDirectory | None":
        """The run whose model is judged here, if `period` of that run named this directory."""
        folder = self.path.parent
        return RunDirectory(folder.parent) if folder.name == "periods" else None

    def site(self, name: str) -> Path:
        """Return the directory of one simulated site."""
        return self.path / "sites" / name

    def hub(self, name: str) -> HubDirectory:
        """Return the directory of one simulated hub."""
        return HubDirectory(self.path / "hubs" / name)
