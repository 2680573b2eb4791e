"""Sample runs whose reports several files look at, each written and rendered once."""

from collections.abc import Mapping
from pathlib import Path

from consortium.report.render import render_report
from consortium.run.directory import RunDirectory
from tests.consortium.sample_run import BANKS, CLEAR_WIN, PRICE, SEVERITY, Sample

SHARED = {
    "compared": Sample(values=CLEAR_WIN),
    "severity": Sample(label=SEVERITY, released=BANKS[:2]),
    "price": Sample(label=PRICE),
}


def write_reports(samples: Mapping[str, Sample], folder: Path) -> dict[str, RunDirectory]:
    """Write runs and their reports; return their directories by name."""
    runs = {name: sample.write(folder / name) for name, sample in samples.items()}
    for run in runs.values():
        assert render_report(run) == run.report
    return runs
