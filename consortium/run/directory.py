"""The directory a run leaves behind, and where each thing is in it."""

import os
from dataclasses import dataclass
from pathlib import Path

from consortium.run.party_directory import CHARTER_FILE
from consortium.run.records import BadRunDirectory

ENVIRONMENT = "CONSORTIUM_RUN_DIR"


@dataclass(frozen=True)
class RunDirectory:
    """Paths of a run; docs/run-directory.md says what each file holds.

    Args:
        path: The directory.
    """

    path: Path

    @classmethod
    def from_environment(cls) -> "RunDirectory":
        """Return the directory that the launcher of this process named.

        Raises:
            BadRunDirectory: None is named: the app was started by something else.
        """
        named = os.environ.get(ENVIRONMENT, "")
        if not named:
            raise BadRunDirectory(
                f"{ENVIRONMENT} names no run directory: start runs with `scenario run`"
            )
        return cls(Path(named))

    @property
    def charter(self) -> Path:
        """The charter the run is bound to."""
        return self.path / CHARTER_FILE

    @property
    def events(self) -> Path:
        """What happened, a line each, as it happens."""
        return self.path / "events.jsonl"

    @property
    def metrics(self) -> Path:
        """Pooled and released metrics, a line a round."""
        return self.path / "metrics.jsonl"

    @property
    def summary(self) -> Path:
        """The run in short."""
        return self.path / "summary.json"

    @property
    def statistics(self) -> Path:
        """Pooled and released tallies of the training records."""
        return self.path / "statistics.json"

    @property
    def evaluation(self) -> Path:
        """Pooled and released tallies of the last evaluation."""
        return self.path / "evaluation.json"

    @property
    def comparison(self) -> Path:
        """Alone, federated, pooled; if that was asked."""
        return self.path / "comparison.json"

    @property
    def privacy(self) -> Path:
        """What privacy costs; if that was measured."""
        return self.path / "privacy.json"

    @property
    def report(self) -> Path:
        """The report for people."""
        return self.path / "report.html"

    @property
    def model(self) -> Path:
        """The trained model, if it may be here."""
        return self.path / "model"

    @property
    def order(self) -> Path:
        """The order that the run was begun by; in a deployment only."""
        return self.path / "order.json"

    @property
    def coordinator(self) -> Path:
        """What only the coordinator keeps."""
        return self.path / "coordinator"

    @property
    def log(self) -> Path:
        """What went wrong at the coordinator; with `--verbose` also what went as it should."""
        return self.coordinator / "coordinator.log"

    @property
    def evidence(self) -> Path:
        """How each site's update lay to the aggregate, a line a round; in the clear only."""
        return self.coordinator / "evidence.jsonl"

    @property
    def signing_key(self) -> Path:
        """What the coordinator signs its audit log with; it opens nothing."""
        return self.coordinator / "audit" / "signing.secret"

    @property
    def run_config(self) -> Path:
        """What the run was started with, for whoever resumes it."""
        return self.coordinator / "run-config.json"

    @property
    def leader(self) -> Path:
        """Whose lock the process that leads the run holds."""
        return self.coordinator / "leader.lock"

    @property
    def checkpoint(self) -> Path:
        """Where the run stands."""
        return self.coordinator / "checkpoint.bin"

    @property
    def vault(self) -> Path:
        """What the coordinator of an encrypted run keeps."""
        return self.coordinator / "sealed"

    def site(self, name: str) -> Path:
        """Return the directory that belongs to one site."""
        return self.path / "sites" / name


SITE = "CONSORTIUM_SITE_DIR"


COORDINATOR = "CONSORTIUM_COORDINATOR_DIR"
