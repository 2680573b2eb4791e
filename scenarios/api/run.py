"""A run that is over: its figures as DataFrames, its model, its report."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from consortium.model.files import read_model, read_results
from consortium.report.elements.run_reader import Recorded
from consortium.report.render import render_report
from consortium.report.results.table_one import table_rows
from consortium.run.absences import absence_text, absences_of
from consortium.run.directory import BadRunDirectory, RunDirectory
from consortium.run.records import MetricValue, Summary, read_record
from scenarios.api.model import Model, model_of
from scenarios.engines.site_reports import alarms_of


@dataclass(frozen=True)
class Run:
    """A run, as its directory tells it. Nothing is kept in memory: what is asked for is read.

    Args:
        path: The run's directory (docs/run-directory.md describes its files).
    """

    path: Path

    @property
    def summary(self) -> Summary:
        """The content of `summary.json`."""
        return read_record(self._directory.summary, Summary)

    @property
    def metrics(self) -> pd.DataFrame:
        """The pooled metrics of the final model: a row a metric, with its bound of error.

        It has no rows where the figures are withheld; `summary.withheld` says why.
        """
        found = self.summary.metrics.items()
        rows = [(name, metric.value, metric.error_bound) for name, metric in found]
        return pd.DataFrame(rows, columns=["metric", "value", "error_bound"]).set_index("metric")

    @property
    def rounds(self) -> pd.DataFrame:
        """The pooled metrics by round: a row a round, whose figures are of the model it began with.

        The last row is the final model's. Columns: `sites`, `seconds`, `bytes_down`, `bytes_up`,
        then the metrics.
        """
        lines = Recorded.read(self._directory).rounds
        rows = [
            {
                "round": line.server_round,
                "sites": line.sites,
                "seconds": line.seconds,
                "bytes_down": line.bytes_down,
                "bytes_up": line.bytes_up,
                **_values(line.metrics),
            }
            for line in lines
        ]
        named = ["round", "sites", "seconds", "bytes_down", "bytes_up"]
        return pd.DataFrame(rows, columns=None if rows else named).set_index("round")

    @property
    def comparison(self) -> pd.DataFrame:
        """What `compare` measured: a row a way of training, with a 95 % interval.

        Raises:
            BadRunDirectory: Nothing was compared.
        """
        found = Recorded.read(self._directory).comparison
        if found is None:
            raise BadRunDirectory(
                f"{self.path} holds no comparison: use consortium.compare in place of simulate"
            )
        rows = [(arm.name, arm.kind, arm.site, arm.value, arm.low, arm.high) for arm in found.arms]
        named = ["trained", "kind", "site", found.metric, "low", "high"]
        return pd.DataFrame(rows, columns=named).set_index("trained")

    @property
    def results(self) -> Mapping[str, Any]:
        """What a learner that counts found, such as coefficients: `model/results.json`.

        Raises:
            BadModel: The run trained by gradients, or did not end.
        """
        return read_results(self._directory.model)

    @property
    def table_one(self) -> pd.DataFrame:
        """The Table 1 of a description, as its report shows it.

        Raises:
            BadModel: The run described nothing.
        """
        heading, *rows = table_rows(self.results)
        return pd.DataFrame(rows, columns=list(heading)).set_index(heading[0])

    @property
    def model(self) -> Model:
        """The trained model; one of classes also has `predict_proba` and `classes_`.

        Raises:
            BadModel: The run has none, as after a description or a failure.
        """
        return model_of(read_model(self._directory.model))

    @property
    def warnings(self) -> tuple[str, ...]:
        """What readers are warned of, which sites are not in the run, and what sites found."""
        summary = self.summary
        last = int(summary.config["num-server-rounds"])
        absent = [absence_text(one, last_round=last) for one in absences_of(summary)]
        return (*summary.warnings, *absent, *alarms_of(self._directory, summary))

    def report(self) -> Path:
        """Write the report anew and return its path: one file that any browser opens."""
        return render_report(self._directory)

    @property
    def _directory(self) -> RunDirectory:
        return RunDirectory(self.path)


def load_run(path: str | Path) -> Run:
    """Return the run in a directory.

    Raises:
        BadRunDirectory: The directory holds no run that has ended.
    """
    run = Run(Path(path).resolve())
    _ = run.summary
    return run


def _values(metrics: Mapping[str, MetricValue]) -> dict[str, float]:
    return {name: metric.value for name, metric in metrics.items()}
