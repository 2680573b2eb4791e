"""A scenario is data with an expectation: who the sites are, what they train, what comes out."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal, TypeAlias, get_args

import pandas as pd

from consortium.charter.document import Charter, Floors, Member
from consortium.config import RunConfig, Scalar
from scenarios.attacks.data_poisoning import table_in
from scenarios.trials import PrivacyTrials, Trials
from sites.schema.tables import Schema
from sites.schema.texts import AnySchema

Engine: TypeAlias = Literal["inprocess", "simulation", "deployment"]
ENGINES: Mapping[str, Engine] = MappingProxyType({name: name for name in get_args(Engine)})


@dataclass(frozen=True, kw_only=True)
class Headline:
    """The one metric a scenario is judged by.

    Args:
        name: As in `summary.json`.
        title: For people.
        higher_is_better: Direction.
    """

    name: str
    title: str
    higher_is_better: bool = True


AUC = Headline(name="roc_auc", title="AUC")
MACRO_F1 = Headline(name="macro_f1", title="Macro F1")
ENTITY_F1 = Headline(name="entity_f1", title="Entity F1")
RMSE = Headline(name="rmse", title="Root mean squared error", higher_is_better=False)


@dataclass(frozen=True, kw_only=True)
class Expect:
    """What a run of the scenario must reach to be right.

    Args:
        at_least: Lowest pooled headline metric, or None.
        at_most: Highest pooled headline metric, or None.
    """

    at_least: float | None = None
    at_most: float | None = None


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """One consortium that can be run on a laptop.

    Args:
        name: In kebab-case, for the command line.
        title: One sentence.
        story: What the data are and how they fall to the sites.
        task: The use case.
        table: What every column means.
        sites: Names of the sites, in the charter's order.
        run_config: What differs from the defaults.
        dataset: Name of the shipped data set; none if every site brings its own data.
        records: Gives the records where they are no shipped file but made, or brought.
        split: The column that says `train` or `test` of every record, if they come with one.
        site_of_row: Of the records, the site each row belongs to, shape (n_rows,).
        floors: The charter's limits.
        faults: The attack, or carelessness, of some sites, unless a person chooses others.
        trials: What `compare` tries besides, where the scenario is about liars.
        privacy: What `compare` tries besides, where the scenario is about privacy.
        headline: The metric it is judged by.
        expect: What must come out.
    """

    name: str
    title: str
    story: str
    task: str
    table: AnySchema
    sites: tuple[str, ...]
    run_config: Mapping[str, Scalar]
    dataset: str | None = None
    records: Callable[[], pd.DataFrame] | None = None
    split: str | None = None
    site_of_row: Callable[[pd.DataFrame], "pd.Series[str]"] | None = None
    floors: Floors = field(default_factory=Floors)
    faults: Mapping[str, str] = field(default_factory=dict)
    trials: Trials | None = None
    privacy: PrivacyTrials | None = None
    headline: Headline = AUC
    expect: Expect = field(default_factory=Expect)

    @property
    def charter(self) -> Charter:
        """What the scenario's sites agreed on."""
        return Charter(
            name=self.name,
            task=self.task,
            table=self.table,
            members=tuple(Member(name=name) for name in self.sites),
            floors=self.floors,
        )

    @property
    def columns(self) -> Schema:
        """What every column of the scenario's table means.

        Raises:
            NotATable: The scenario's records are texts.
        """
        return table_in(self.table)

    def configured(self, overrides: Mapping[str, Scalar]) -> RunConfig:
        """Return the scenario's run config with a person's own choices in it.

        Raises:
            BadConfig: A key is unknown, a value is out of range, or two contradict each other.
        """
        return RunConfig.parse({**self.run_config, **overrides})
