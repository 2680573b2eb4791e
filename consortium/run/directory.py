"""Paths in the directory of a run."""

import os
from dataclasses import dataclass
from pathlib import Path

from consortium.run.party_directory import CHARTER_FILE
from privacy.errors import ConsortiumError

ENVIRONMENT = "CONSORTIUM_RUN_DIR"


class BadRunDirectory(ConsortiumError, ValueError, code="bad-run-directory"):
    """A directory is not the directory of a run, or a file in it is invalid."""


@dataclass(frozen=True)
class RunDirectory:
    """Paths in the directory of a run; docs/run-directory.md describes each file.

    Args:
        path: The directory of the run.
    """

    path: Path

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
    def charter(self) -> Path:
        """The charter that the run is bound to."""
        return self.path / CHARTER_FILE

    @property
    def events(self) -> Path:
        """The events of the run, one JSON line each, written as they happen."""
        return self.path / "events.jsonl"

    @property
    def metrics(self) -> Path:
        """Pooled and released metrics, one JSON line per round."""
        return self.path / "metrics.jsonl"

    @property
    def summary(self) -> Path:
        """The summary of the run."""
        return self.path / "summary.json"

    @property
    def statistics(self) -> Path:
        """Pooled and released statistics tallies of the training records."""
        return self.path / "statistics.json"

    @property
    def evaluation(self) -> Path:
        """Pooled and released evaluation tallies of the last round."""
        return self.path / "evaluation.json"

    @property
    def comparison(self) -> Path:
        """The comparison of training alone, federated and pooled, if it was requested."""
        return self.path / "comparison.json"

    @property
    def privacy(self) -> Path:
        """The measured cost of privacy, if it was requested."""
        return self.path / "privacy.json"

    @property
    def report(self) -> Path:
        """The report."""
        return self.path / "report.html"

    @property
    def model(self) -> Path:
        """The trained model, if the coordinator may have it."""
        return self.path / "model"

    @property
    def order(self) -> Path:
        """The order that started the run; in a deployment only."""
        return self.path / "order.json"

    @property
    def failed_openers(self) -> Path:
        """Openers that failed the others, for all runs of a coordinator; in a deployment only."""
        return self.path.parent / "failed-openers.json"

    @property
    def coordinator(self) -> Path:
        """The coordinator's own folder."""
        return self.path / "coordinator"

    @property
    def log(self) -> Path:
        """What went wrong at the coordinator; with `--verbose` also what went as it should."""
        return self.coordinator / "coordinator.log"

    @property
    def evidence(self) -> Path:
        """Distance and cosine of each site's update to the aggregate, one line per round.

        Written for runs in the clear only.
        """
        return self.coordinator / "evidence.jsonl"

    @property
    def signing_key(self) -> Path:
        """The key that signs the coordinator's audit log. It decrypts nothing."""
        return self.coordinator / "audit" / "signing.secret"

    @property
    def question_key(self) -> Path:
        """The key that signs the coordinator's questions, of a run on one machine."""
        return self.coordinator / "secrets" / "question.secret"

    @property
    def run_config(self) -> Path:
        """The run config that the run was started with, for resuming it."""
        return self.coordinator / "run-config.json"

    @property
    def leader(self) -> Path:
        """The file whose lock the coordinating process of the run holds."""
        return self.coordinator / "leader.lock"

    @property
    def checkpoint(self) -> Path:
        """The progress of the run, from which it can be resumed."""
        return self.coordinator / "checkpoint.bin"

    @property
    def vault(self) -> Path:
        """The evidence store of an encrypted run."""
        return self.coordinator / "sealed"

    def site(self, name: str) -> Path:
        """Return the directory of one simulated site."""
        return self.path / "sites" / name


SITE = "CONSORTIUM_SITE_DIR"


COORDINATOR = "CONSORTIUM_COORDINATOR_DIR"
