"""Mistakes in a site's records that are found before training, and false alarms without one.

A mistake is put into one column of one site: its numbers times a factor, or its labels turned
round. Where the numbers then break the schema, the site refuses them anyhow; only the others are
counted here. A run raises a false alarm if any site of it, none of which has a mistake, is alarmed.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from consortium.site.person_sides import scenario_side_key
from privacy.layout import Tally
from scenarios.attacks.data_poisoning import flip_labels, mix_up_units
from scenarios.data.datasets import load_dataset
from scenarios.library import careless_hospital
from scenarios.library.registry import SCENARIOS
from scenarios.scenario import Scenario
from sites.comparison.comparison import Comparison
from sites.comparison.findings import FEWEST, Finding
from sites.data.holdout import KeyedSides, PersonRecords
from sites.data.validation import validate_table
from sites.schema.tables import Number, Schema
from sites.statistics.by_class import ClassedStatistics
from sites.tasks.tabular.data import Table
from sites.tasks.tabular.loading import table_of

FACTORS = (10.0, 0.1, 100.0, 18.0, 2.54, 88.4)
# Share of the mistakes in units that must be found, by scenario.
TARGETS = {"heart-diagnosis": 0.9, "regional-lenders": 0.8, "bank-credit": 0.6}
SCENARIOS_OF_TABLES = (*TARGETS, "heart-severity", "house-prices", "byzantine-banks")
SPLITS = 20
MOST_FALSE_ALARMS = 1 / 20  # of the runs of a scenario


@dataclass(frozen=True)
class Consortium:
    """The training records of all sites in a run.

    Args:
        schema: Of the records.
        sites: Training records by site.
    """

    schema: Schema
    sites: Mapping[str, Table]

    def findings(self) -> dict[str, tuple[Finding, ...]]:
        """Return what each site finds."""
        counted = {name: self._tally(name, self.schema) for name in self.sites}
        pooled = np.sum([*counted.values()], axis=0)
        return {
            name: self.findings_at(name, self.schema, pooled - counted[name]) for name in self.sites
        }

    def findings_at(self, name: str, judged: Schema, others: Tally) -> tuple[Finding, ...]:
        """Return what a site finds in the columns of a schema, beside the counts of all others."""
        table = self.sites[name]
        return Comparison(judged).findings(_columns(table, judged), table.labels, others)

    def others(self, name: str, judged: Schema) -> Tally:
        """Return the statistics of all sites but one, of the columns of a schema."""
        counted = [self._tally(other, judged) for other in self.sites if other != name]
        return np.asarray(np.sum(counted, axis=0))

    def _tally(self, name: str, judged: Schema) -> Tally:
        table = self.sites[name]
        return ClassedStatistics(judged).tally(_columns(table, judged), table.labels, persons=1)

    def alarmed(self) -> set[str]:
        """Return the sites with an alarming finding."""
        found = self.findings()
        return {name for name, told in found.items() if any(one.alarming for one in told)}

    def with_site(self, name: str, table: Table) -> "Consortium":
        """Return the consortium with other records at a site."""
        return replace(self, sites={**self.sites, name: table})


def _columns(table: Table, judged: Schema) -> dict[str, NDArray[Any]]:
    return {item.name: table.columns[item.name] for item in judged.features}


def consortium_of(scenario: Scenario, seed: int) -> Consortium:
    """Return the training records of a scenario's sites, in the split that a seed gives."""
    schema = scenario.columns
    frame = load_dataset(str(scenario.dataset))
    assert scenario.site_of_row is not None
    owner = scenario.site_of_row(frame)
    sites = {}
    for name in scenario.sites:
        part = frame[owner == name]
        poison = _POISONS.get(scenario.faults.get(name, ""))
        if poison is not None:
            part = poison(part, schema, np.random.default_rng(seed))
        table = table_of(validate_table(part, schema), schema)
        sites[name] = table.select(_trained(scenario, table, name, seed))
    return Consortium(schema, sites)


def scaled_columns(found: Consortium) -> Iterator[tuple[str, Number, Consortium]]:
    """Yield each site and column, with the column's values times a factor the schema allows."""
    for name, table in found.sites.items():
        for number in found.schema.features:
            if not isinstance(number, Number):
                continue
            values = table.columns[number.name]
            held = values[~np.isnan(values)]
            for factor in FACTORS:
                if len(held) < FEWEST or not held.any():
                    continue  # too few values to judge, or none that a factor would change
                scaled = held * factor
                if scaled.min() < number.low or scaled.max() > number.high:
                    continue
                columns = {**table.columns, number.name: values * factor}
                yield name, number, found.with_site(name, replace(table, columns=columns))


def units_found(scenario: Scenario, seed: int) -> tuple[int, int]:
    """Return how many mistakes in units are found by their own site, and of how many."""
    found = tried = 0
    right = consortium_of(scenario, seed)
    alone = {
        one.name: scenario.columns.model_copy(update={"features": (one,)})
        for one in scenario.columns.features
    }
    others = cache(lambda name, column: right.others(name, alone[column]))
    for name, number, mistaken in scaled_columns(right):
        told = mistaken.findings_at(name, alone[number.name], others(name, number.name))
        found += any(one.kind == "units" and one.column == number.name for one in told)
        tried += 1
    return found, tried


def labels_found(scenario: Scenario, seed: int) -> tuple[int, int]:
    """Return at how many sites turned labels are found there, and of how many sites."""
    right = consortium_of(scenario, seed)
    found = 0
    for name, table in right.sites.items():
        turned = right.with_site(name, replace(table, labels=1 - table.labels))
        told = turned.findings_at(name, right.schema, right.others(name, right.schema))
        found += any(one.kind == "labels" for one in told)
    return found, len(right.sites)


def false_alarms(scenario: Scenario, seeds: Sequence[int]) -> int:
    """Return in how many runs without a mistake some site is alarmed."""
    return sum(bool(consortium_of(scenario, seed).alarmed()) for seed in seeds)


def careless_sites(seed: int) -> dict[str, list[str]]:
    """Return the kinds of alarming findings of each site of `careless-hospital`."""
    found = consortium_of(careless_hospital.SCENARIO, seed).findings()
    return {name: [one.kind for one in told if one.alarming] for name, told in found.items()}


def measured() -> dict[str, Any]:
    """Return shares that were found and runs with false alarms, and which targets were missed."""
    seeds = range(SPLITS)
    report: dict[str, Any] = {"missed": []}
    labels = Counter[str]()
    for name, target in TARGETS.items():
        found, tried = units_found(SCENARIOS[name], 7)
        report[f"units_{name}"] = {"found": found, "of": tried, "share": found / tried}
        _hold(report, f"units on {name}", found / tried, target)
        turned, sites = labels_found(SCENARIOS[name], 7)
        labels.update(found=turned, of=sites)
    report["labels"] = dict(labels)
    _hold(report, "turned labels", labels["found"] / labels["of"], 1.0)
    for name in SCENARIOS_OF_TABLES:
        alarms = false_alarms(replace(SCENARIOS[name], faults={}), seeds)
        report[f"false_alarms_{name}"] = {"runs": alarms, "of": SPLITS}
        _hold(report, f"no false alarm on {name}", 1 - alarms / SPLITS, 1 - MOST_FALSE_ALARMS)
    report["careless"] = careless_sites(7)
    return report


def _hold(report: dict[str, Any], what: str, figure: float, target: float) -> None:
    if figure < target:
        report["missed"].append({"what": what, "figure": figure, "target": target})


def _trained(scenario: Scenario, table: Table, name: str, seed: int) -> Any:
    records = PersonRecords(
        persons=table.persons,
        places=np.arange(len(table)),
        strata=np.zeros(len(table), np.int64),
    )
    return ~KeyedSides(scenario_side_key(seed, name)).held_out(records)


_POISONS = {"label-flip": flip_labels, "unit-mix-up": mix_up_units}
