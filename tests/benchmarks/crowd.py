"""A consortium of many small sites, for benchmarks of how a run grows with its sites."""

from collections.abc import Mapping
from dataclasses import replace

from consortium.config import Scalar
from scenarios.library.registry import scenario_named
from scenarios.scenario import Scenario


def crowd_of_banks(num_sites: int, *, records: int, run_config: Mapping[str, Scalar]) -> Scenario:
    """Return bank-credit with so many sites, each of `records` borrowers."""
    base = scenario_named("bank-credit")
    names = tuple(f"site-{index:04}" for index in range(num_sites))
    person = base.table.person
    return replace(
        base,
        name="crowd",
        sites=names,
        faults={},
        site_of_row=lambda frame: (frame[person].rank(method="dense").astype(int) // records).map(
            dict(enumerate(names))
        ),
        run_config=run_config,
    )
